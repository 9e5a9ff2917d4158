"""`python e2e/cluster`: a real Kubernetes of one node on this machine, for tests. Needs root and Debian."""

import os
import sys
from pathlib import Path

import addons
import building
import certificates
import click
import collecting
import components
import configuration
import network
import packages
import places
import processes
import removing
from telling import Trouble, complain

import images


@click.group()
def cluster() -> None:
    """Bring a one-node Kubernetes up and down."""
    if os.geteuid():
        raise Trouble("only root can start containers; run it as root, or set KUBECONFIG to a cluster of yours")


@cluster.command()
def up() -> None:
    """Start the cluster, or what of it does not run."""
    packages.ensure()
    bin_folder = building.programs()
    address = places.node_address()
    places.STATE.mkdir(parents=True, exist_ok=True, mode=0o711)
    certificates.ensure(address)
    configuration.ensure(address)
    network.prepare()
    found = components.all_of(bin_folder, address)
    components.start([part for part in found if part.name == "containerd"])
    addons.load_images(bin_folder)
    components.start(found)
    addons.install(bin_folder)
    addons.renew_volumes(bin_folder)
    print(f"Kubernetes {places.VERSION} is up. Next: export KUBECONFIG={places.KUBECONFIG} PATH={bin_folder}:$PATH")


@cluster.command()
def kuberay() -> None:
    """Have KubeRay reconcile RayServices of the running cluster."""
    program, definitions = building.kuberay()
    applied = components.kubectl(building.programs(), "apply", "--server-side", "-f", str(definitions))
    if applied.returncode:
        raise Trouble(f"the definitions of KubeRay were refused: {applied.stderr}")
    names = [f"crd/{path.stem.partition('_')[2]}.ray.io" for path in definitions.glob("ray.io_*.yaml")]
    components.kubectl(building.programs(), "wait", "--for=condition=Established", "--timeout=60s", *names)
    components.start([components.kuberay(program)])


@cluster.command()
def down() -> None:
    """Stop the cluster and remove every trace of it but the built programs."""
    left = removing.remove()
    if left:
        raise Trouble("these remain; remove them by hand:\n  " + "\n  ".join(left))
    print("The cluster is gone.")


@cluster.command()
def status() -> None:
    """Say what runs."""
    for part in components.all_of(building.programs(), places.node_address()):
        print(f"{part.name:26}{'running' if processes.is_running(part.name) else 'not running'}")


@cluster.command("import")
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def import_archives(archives: tuple[Path, ...]) -> None:
    """Bring the images of OCI archives to the node."""
    images.load(archives)


@cluster.command()
@click.argument("folder", type=click.Path(path_type=Path))
def collect(folder: Path) -> None:
    """Gather logs, events and descriptions into a folder."""
    kubeconfig = os.environ.get("KUBECONFIG", str(places.KUBECONFIG))
    collecting.collect(["kubectl", "--kubeconfig", kubeconfig], folder)


@cluster.command("bin")
def programs_folder() -> None:
    """Print the folder of the built programs, kubectl among them."""
    print(building.programs())


if __name__ == "__main__":
    try:
        cluster()
    except Trouble as trouble:
        complain(f"Error: {trouble}")
        sys.exit(1)
