"""What a cluster has beyond its processes: images, DNS, volumes."""

import shutil
from pathlib import Path

import components
import configuration
import places
import yaml
from telling import Trouble, step, until

import images

COREDNS_IMAGE = "docker.io/touchstone/coredns:1"
VOLUMES = 8
STORAGE_CLASS = "standard"


def load_images(bin_folder: Path) -> None:
    """Bring the images that the cluster itself needs to the node."""
    known = images.ctr("images", "list", "--quiet").stdout.split()
    for program, image in (("pause", configuration.PAUSE_IMAGE), ("coredns", COREDNS_IMAGE)):
        if image not in known:
            archive = places.STATE / f"{program}.tar"
            images.of_program(bin_folder / program, image, archive)
            images.load([archive])
            archive.unlink()


def install(bin_folder: Path) -> None:
    """Install DNS and volumes, and wait until the node and DNS are ready.

    Raises:
        Trouble: They did not get ready.
    """
    manifests = Path(__file__).parent / "manifests"
    for manifest in (manifests / "coredns.yaml").read_text(), yaml.safe_dump_all(_volumes()):
        applied = components.kubectl(bin_folder, "apply", "--server-side", "-f", "-", stdin=manifest)
        if applied.returncode:
            raise Trouble(f"kubectl apply failed: {applied.stderr.strip()}")
    with step("Waiting for the node and DNS"):
        for what in (["node", places.NODE, "--for=condition=Ready"],
                     ["-n", "kube-system", "deployment", "coredns", "--for=condition=Available"]):  # fmt: skip
            until(
                lambda what=what: not components.kubectl(bin_folder, "wait", "--timeout=5s", *what).returncode,  # type: ignore[misc] # binds the loop's value
                what=f"readiness of {what[-2]}",
                seconds=120,
            )


def _volumes() -> list[dict[str, object]]:
    """Describe a class and its volumes: folders of this machine, open to any user since nobody changes their owner."""
    documents: list[dict[str, object]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        }
    ]
    for number in range(VOLUMES):
        folder = places.VOLUMES / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        documents.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"local-{number}"},
                "spec": {
                    "storageClassName": STORAGE_CLASS,
                    "capacity": {"storage": "20Gi"},
                    "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": str(folder), "type": "Directory"},
                },
            }
        )
    return documents


def renew_volumes(bin_folder: Path) -> None:
    """Empty the volumes that nobody claims any more and offer them again."""
    listed = components.kubectl(
        bin_folder, "get", "pv", "-o", "jsonpath={range .items[?(@.status.phase=='Released')]}{.metadata.name} {end}"
    )
    for name in listed.stdout.split():
        folder = places.VOLUMES / name.removeprefix("local-")
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        components.kubectl(bin_folder, "patch", "pv", name, "--type=json", "-p",
                           '[{"op": "remove", "path": "/spec/claimRef"}]')  # fmt: skip
