"""`python e2e/images [NAME…]`: build the platform's images with buildah, for a cluster without a registry.

With IMAGE_REGISTRY=HOST/PREFIX they are pushed there; else each becomes an OCI archive. An image whose sources did not
change keeps its tag and is not built again. `python e2e/images tags` only says the tags, as JSON,
and `python e2e/images archives` the files.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import base
from running import Trouble, run, step

ROOT = Path(__file__).parents[2]
SHARED = ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "images")
SOURCES = {
    "operator": ("operator", "services/runtime", "protos/gen"),
    "router": ("services/inference", "services/runtime", "protos/gen"),
    "engine": ("services/inference", "services/runtime", "protos/gen"),
    "engine-vllm": ("services/inference", "services/runtime", "protos/gen"),
    "retrieval": ("services/retrieval", "services/runtime", "protos/gen"),
    "evaluation": ("services/evaluation", "services/runtime", "protos/gen"),
    "data": ("services/data", "services/runtime", "protos/gen"),
    "finetuning": ("services/finetuning", "services/runtime", "protos/gen"),
    "trainer": ("services/finetuning", "services/runtime", "protos/gen"),
    "trials": (),
}
"""What each image is made of, beside what all share."""
BY_NAME_ONLY = ("engine-vllm", "trainer")
"""Images that are built only when they are asked for: they have 8 and 5 GB."""
ARCHIVES = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "touchstone" / "images"
CERTIFICATES = os.environ.get("SSL_CERT_FILE", "")


def main(names: Iterable[str]) -> None:
    """Build what is not built, archive or push it, and print sizes."""
    _ensure_packages()
    registry = os.environ.get("IMAGE_REGISTRY", "")
    base_image = os.environ.get("BASE_IMAGE") or base.ensure()
    for name, tag in tags(names).items():
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
    _print_sizes(names)


def tags(names: Iterable[str] = ()) -> dict[str, str]:
    """Name the sources of images by their content; without names, of those that are always built."""
    wanted = list(names) or [name for name in SOURCES if name not in BY_NAME_ONLY]
    return {name: _tag((*SHARED, *SOURCES[name])) for name in wanted}


def _build(name: str, image: str, base_image: str) -> None:
    secrets = ["--secret", f"id=certificates,src={CERTIFICATES}"] if CERTIFICATES else []
    run(
        *("buildah", "bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host"),
        *("--target", name, "--build-arg", f"BASE_IMAGE={base_image}", "--build-arg", "VLLM_DEVICE=cpu", *secrets),
        *("--label", "org.opencontainers.image.version=" + image.rpartition(":")[2], "--tag", image, str(ROOT)),
    )


def _archive(image: str, archive: Path) -> None:
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial")
    # Not gzip: it takes minutes for what is large.
    run("buildah", "push", "--quiet", "--compression-format", "zstd", image, f"oci-archive:{partial}:{image}")
    partial.rename(archive)
    name = archive.name.rpartition("_")[0]
    for old in sorted(ARCHIVES.glob(f"{name}_*.tar"), key=lambda path: path.stat().st_mtime)[:-2]:
        old.unlink()


def _tag(sources: Iterable[str]) -> str:
    total = hashlib.sha256()
    files = [path for source in sources for path in sorted([ROOT / source, *(ROOT / source).rglob("*")])]
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def _print_sizes(names: Iterable[str]) -> None:
    for name, tag in tags(names).items():
        archive = ARCHIVES / f"touchstone-{name}_{tag}.tar"
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
        match sys.argv[1:]:
            case ["tags", *names]:
                print(json.dumps(tags(names)))
            case ["archives", *names]:
                print("\n".join(str(ARCHIVES / f"touchstone-{name}_{tag}.tar") for name, tag in tags(names).items()))
            case names:
                main(names)
    except Trouble as trouble:
        print(f"Error: {trouble}", file=sys.stderr)
        sys.exit(1)
