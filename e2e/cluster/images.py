"""Images of single static programs, and bringing images to the node."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import places
from telling import Trouble


def of_program(program: Path, image: str, archive: Path) -> None:
    """Write an OCI archive of an image that holds one static program.

    Args:
        program: The program; it becomes the entry point, at the root.
        image: The image's full name with its tag.
        archive: The file to write.
    """
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    ).encode()
    described = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    index = {"schemaVersion": 2, "manifests": [{**described, "annotations": {"io.containerd.image.name": image}}]}
    files = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    files |= {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    archive.write_bytes(_tar(files, mode=0o644))


def load(archives: Sequence[Path]) -> None:
    """Bring the images of archives to the node.

    Raises:
        Trouble: An archive cannot be read.
    """
    for archive in archives:
        ended = ctr("images", "import", "--digests=false", str(archive))
        if ended.returncode:
            raise Trouble(f"{archive} could not be brought to the node: {ended.stderr.strip()}")


def ctr(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Ask containerd about what Kubernetes uses."""
    command = ["ctr", "--address", str(places.CONTAINERD_SOCKET), "--namespace", "k8s.io", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
