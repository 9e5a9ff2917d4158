"""Which files of its machine a worker reads: those below its roots, also where links and escapes lead elsewhere."""

from pathlib import Path

import pytest
from touchstone_evaluation import errors
from touchstone_evaluation.adapters.dataset_files import DatasetFiles
from touchstone_evaluation.adapters.encoders import OnnxEncoders
from touchstone_evaluation.core.spec import Dataset
from touchstone_evaluation.core.task import Classification, EncoderFiles
from touchstone_runtime.artefacts import Resolver, UriInvalid, places, remote
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.encoders import EncoderInvalid
from touchstone_runtime.testing import FakeSecrets

CONTENT = b'{"question": "1 + 1"}\n'


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, ...]:
    for folder in ("files", "store"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "set.jsonl").write_bytes(CONTENT)
    (tmp_path / "secret").write_bytes(CONTENT)
    (tmp_path / "files/link").symlink_to(tmp_path / "secret")
    return places.readable(tmp_path / "files", f"file://{tmp_path}/store")


def outside(folder: Path) -> list[str]:
    """Return addresses of a file that lies outside."""
    inside = folder / "files"
    ways = (folder / "secret", inside / "link", f"{inside}/../secret", f"{inside}/%2e%2e/secret")
    return [f"file://{way}" for way in ways]


def test_data_sets_are_read_below_the_roots_only(tmp_path: Path, roots: tuple[Path, ...]) -> None:
    files = DatasetFiles(Resolver(tmp_path / "cache"), FakeSecrets(), roots=roots)
    for root in roots:
        assert files.fetch("sums", Dataset(uri=f"file://{root}/set.jsonl")) == CONTENT
    for uri in outside(tmp_path):
        with pytest.raises(errors.DatasetInvalid, match="must lie below"):
            files.fetch("sums", Dataset(uri=uri))


def test_a_data_set_is_read_with_the_keys_of_a_secret(tmp_path: Path, team_storage: dict[str, str]) -> None:
    secret = SecretReference(namespace="team-a", name="store")
    dataset = Dataset(uri="s3://team-a/set.jsonl", credentials=secret)
    filesystem, path = remote.place(dataset.uri, team_storage)
    filesystem.pipe_file(path, CONTENT)
    secrets = FakeSecrets()
    files = DatasetFiles(Resolver(tmp_path / "cache"), secrets, roots=(tmp_path,))
    with pytest.raises(errors.DatasetUnreachable, match="no Secret store"):
        files.fetch("sums", dataset)
    secrets.written[secret] = {"HF_TOKEN": "t"}
    with pytest.raises(errors.DatasetInvalid, match="AWS_ACCESS_KEY_ID"):
        files.fetch("sums", dataset)
    secrets.written[secret] = team_storage
    assert files.fetch("sums", dataset) == CONTENT


async def test_encoders_are_read_below_the_roots_only(tmp_path: Path, roots: tuple[Path, ...]) -> None:
    encoders = OnnxEncoders(Resolver(tmp_path / "cache"), roots=roots)

    async def classify(model: str, tokenizer: str) -> None:
        files = EncoderFiles(model=model, tokenizer=tokenizer, max_tokens=64)
        await encoders.classify(Classification(text="a", classifier=files, label=1))

    own = f"file://{roots[0]}/set.jsonl"
    with pytest.raises(EncoderInvalid, match="is not a tokenizer"):  # it was read
        await classify(own, own)
    for uri in outside(tmp_path):
        for model, tokenizer in ((uri, own), (own, uri)):
            with pytest.raises(UriInvalid, match="must lie below"):
                await classify(model, tokenizer)


def test_a_store_that_is_no_folder_adds_no_root(tmp_path: Path) -> None:
    assert places.readable(tmp_path, "s3://bucket") == places.readable(tmp_path, "") == (tmp_path.resolve(),)
