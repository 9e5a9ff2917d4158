"""How a passage lies in a Qdrant payload, the same in either store.

Metadata is kept twice: as it is, for the hits, and as `tags` of the form `name=value` with one keyword index, so that a
filter is a match of tags whatever the names are. A name holds no equals sign, so a tag means one thing only.
"""

from collections.abc import Mapping
from typing import Any

from touchstone_retrieval.core.passages import Passage

TAGS = "tags"
TENANT = "tenant"


def write(passage: Passage, *, tenant_field: str) -> dict[str, Any]:
    """Write a passage as a payload."""
    payload = {
        "document": passage.document_id,
        "chunk": passage.chunk_index,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "title": passage.title,
        "source": passage.source,
        "metadata": dict(passage.metadata),
        TAGS: [tag(name, value) for name, value in sorted(passage.metadata.items())],
    }
    if tenant_field:
        payload[TENANT] = passage.metadata[tenant_field]
    return payload


def read(payload: Mapping[str, Any]) -> Passage:
    """Read a payload."""
    return Passage(
        document_id=payload["document"],
        chunk_index=payload["chunk"],
        text=payload["text"],
        start=payload["start"],
        end=payload["end"],
        title=payload["title"],
        source=payload["source"],
        metadata=payload["metadata"],
    )


def tag(name: str, value: str) -> str:
    """Write one field of metadata as a tag."""
    return f"{name}={value}"
