"""Taking the cluster away, to the last trace."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import network
import places
import processes
import psutil
from telling import step, until

import images

COMPONENTS = (
    "kuberay",
    "network-policies",
    "kube-proxy",
    "kubelet",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
)


def remove() -> list[str]:
    """Remove everything but the built programs; return what could not be removed."""
    with step("Stopping the cluster"):
        for name in COMPONENTS:
            processes.stop(name)
        for program in places.CACHE.glob("*/bin/network-policies"):
            subprocess.run([program, "--cleanup"], capture_output=True, check=False)
            break
    with step("Removing its containers"):
        _remove_containers()
        processes.stop("containerd")
    with step("Removing its network and files"):
        _unmount()
        network.put_back()
        _remove_cgroups()
        if not _mounts():  # never delete through a mount
            for folder in (places.STATE, places.RUN):
                shutil.rmtree(folder, ignore_errors=True)
    return remains()


def remains() -> list[str]:
    """Name what is left of the cluster on this machine."""
    found = [f"process {process.pid} ({process.name()})" for process in _shims()]
    found += [f"process {name}" for name in (*COMPONENTS, "containerd") if processes.is_running(name)]
    found += [f"mount {mount}" for mount in _mounts()]
    found += [f"link {link}" for link in network.links()]
    found += [f"nftables {table}" for table in network.tables()]
    found += [f"folder {folder}" for folder in (places.STATE, places.RUN) if folder.exists()]
    return found


def _remove_containers() -> None:
    if not processes.is_running("containerd"):
        for shim in _shims():
            shim.kill()
        return
    for container in images.ctr("tasks", "list", "--quiet").stdout.split():
        images.ctr("tasks", "kill", "--signal", "SIGKILL", "--all", container)
    until(lambda: "RUNNING" not in images.ctr("tasks", "list").stdout, what="the end of the containers", seconds=30)
    for container in images.ctr("containers", "list", "--quiet").stdout.split():
        images.ctr("tasks", "delete", "--force", container)
        images.ctr("containers", "delete", container)
    _, stubborn = psutil.wait_procs(_shims(), timeout=10)
    for shim in stubborn:
        shim.kill()


def _shims() -> list[psutil.Process]:
    """Find the processes that hold our containers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words and "containerd-shim" in words[0] and str(places.CONTAINERD_SOCKET) in words:
            found.append(process)
    return found


def _mounts() -> list[str]:
    """List mounts below our folders, and the network namespaces of pods, the innermost first."""
    ours = (f"{places.STATE}/", f"{places.RUN}/", "/run/netns/cni-", "/var/run/netns/cni-")
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted({mount for mount in mounts if mount.startswith(ours)}, reverse=True)


def _unmount() -> None:
    for mount in _mounts():
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        if "/netns/" in mount:
            Path(mount).unlink(missing_ok=True)


def _remove_cgroups() -> None:
    """Remove the empty groups that the kubelet leaves."""
    for root in Path("/sys/fs/cgroup").glob("*/kubepods"):
        for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            root.rmdir()
