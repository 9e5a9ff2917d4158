"""Digests of weights, found out with the credentials of who asks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from touchstone_operator import errors
from touchstone_operator.adapters.artefacts import ModelDigests
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.revisions import Digest

URI = "s3://models/model.gguf"
WHOLE = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


@pytest.fixture
async def digests(tmp_path: Path) -> AsyncIterator[ModelDigests]:
    found = ModelDigests(Resolver(tmp_path))
    yield found
    await found.close()


async def ended(digests: ModelDigests, uri: str, credentials: dict[str, str]) -> Digest:
    """Ask until the weights are no longer being fetched."""
    while True:
        try:
            return await digests.digest(uri, credentials=credentials)
        except errors.ModelUnresolved as error:
            if "being fetched" not in error.message:
                raise
            await asyncio.sleep(0)


async def test_who_comes_with_other_credentials_is_not_told_what_those_before_were(digests: ModelDigests) -> None:
    with pytest.raises(errors.ModelUnresolved, match="being fetched"):
        await digests.digest(URI, credentials={"AWS_ACCESS_KEY_ID": "half"})
    with pytest.raises(errors.ModelNotFound, match="AWS_SECRET_ACCESS_KEY"):
        await ended(digests, URI, {"AWS_ACCESS_KEY_ID": "half"})
    with pytest.raises(errors.ModelUnresolved, match="being fetched"):
        await digests.digest(URI, credentials=WHOLE)


async def test_what_was_not_found_is_looked_for_again(digests: ModelDigests, tmp_path: Path) -> None:
    weights = tmp_path / "model.gguf"
    with pytest.raises(errors.ModelNotFound):
        await ended(digests, f"file://{weights}", {})
    weights.write_bytes(b"weights")
    assert (await ended(digests, f"file://{weights}", {})).startswith("sha256:")
