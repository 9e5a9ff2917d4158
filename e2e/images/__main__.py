"""`python e2e/images`: build the platform's images with buildah, for a cluster without a registry.

With IMAGE_REGISTRY=HOST/PREFIX they are pushed there; else each becomes an OCI archive. An image whose sources did not
change keeps its tag and is not built again. The last line says the tag.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import base
from running import Trouble, run, step

ROOT = Path(__file__).parents[2]
NAMES = ("operator", "router", "engine", "retrieval", "evaluation", "trials")
SOURCES = ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "images", "protos/gen", "operator", "services")
ARCHIVES = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "touchstone" / "images"
CERTIFICATES = os.environ.get("SSL_CERT_FILE", "")


def main() -> None:
    """Build what is not built, archive or push it, and print sizes."""
    _ensure_packages()
    tag = _tag()
    registry = os.environ.get("IMAGE_REGISTRY", "")
    base_image = os.environ.get("BASE_IMAGE") or base.ensure()
    for name in NAMES:
        image = f"{registry or 'docker.io/touchstone'}/touchstone-{name}:{tag}"
        archive = ARCHIVES / f"touchstone-{name}_{tag}.tar"
        if not registry and archive.exists():
            continue
        with step(f"Building {image}"):
            _build(name, image, base_image)
            if registry:
                run("buildah", "push", image)
            else:
                _archive(image, archive)
    _print_sizes(tag)
    print(tag)


def archives(tag: str) -> list[Path]:
    """List the archives of a tag."""
    return [ARCHIVES / f"touchstone-{name}_{tag}.tar" for name in NAMES]


def _build(name: str, image: str, base_image: str) -> None:
    secrets = ["--secret", f"id=certificates,src={CERTIFICATES}"] if CERTIFICATES else []
    run(
        *("buildah", "bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host"),
        *("--target", name, "--build-arg", f"BASE_IMAGE={base_image}", *secrets),
        *("--label", "org.opencontainers.image.version=" + image.rpartition(":")[2], "--tag", image, str(ROOT)),
    )


def _archive(image: str, archive: Path) -> None:
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial")
    run("buildah", "push", "--quiet", image, f"oci-archive:{partial}:{image}")
    partial.rename(archive)
    name = archive.name.rpartition("_")[0]
    for old in sorted(ARCHIVES.glob(f"{name}_*.tar"), key=lambda path: path.stat().st_mtime)[:-2]:
        old.unlink()


def _tag() -> str:
    """Name the sources by their content."""
    total = hashlib.sha256()
    files = [path for source in SOURCES for path in sorted([ROOT / source, *(ROOT / source).rglob("*")])]
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def _print_sizes(tag: str) -> None:
    for archive in archives(tag):
        if archive.exists():
            print(f"{archive.stem.rpartition('_')[0]:26}{archive.stat().st_size / 1e6:8.0f} MB compressed")


def _ensure_packages() -> None:
    missing = [program for program in ("buildah", "debootstrap") if not shutil.which(program)]
    if missing:
        with step(f"Installing {', '.join(missing)}"):
            run("apt-get", "update", "-q")
            run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


if __name__ == "__main__":
    try:
        main()
    except Trouble as trouble:
        print(f"Error: {trouble}", file=sys.stderr)
        sys.exit(1)
