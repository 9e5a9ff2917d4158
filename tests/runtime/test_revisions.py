"""Revisions: equal bundles have equal digests, and a manifest that was tampered with is refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone_runtime.revisions import (
    Adapter,
    Bundle,
    Engine,
    Manifest,
    ManifestInvalid,
    Model,
    Prompt,
    Rag,
    digest_bytes,
    digest_json,
)

texts = st.text(st.characters(codec="utf-8"), max_size=20)


def manifest(
    prompt: str = "Answer.", uri: str = "file:///m", args: dict[str, str] | None = None, rag: str = ""
) -> Manifest:
    return Manifest(
        namespace="default",
        deployment="chat",
        bundle=Bundle(
            model=Model(uri=uri, digest=digest_bytes(b"weights"), name="chat"),
            prompt=Prompt(digest=digest_bytes(prompt.encode()), template=prompt, is_structured=False),
            rag=Rag(index="default/kb", revision=rag, digest=digest_bytes(rag.encode())) if rag else None,
            engine=Engine(type="Scripted", max_model_len=64, args=args or {}),
        ),
    )


def test_digests_are_sha256_of_canonical_json() -> None:
    assert digest_bytes(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_json({"b": 1, "a": [True, None]}) == digest_bytes(b'{"a":[true,null],"b":1}')


@given(prompt=texts, args=st.dictionaries(texts, texts, max_size=4), rag=st.sampled_from(["", "kb-1"]))
def test_a_manifest_survives_being_written_and_read(prompt: str, args: dict[str, str], rag: str) -> None:
    one = manifest(prompt, args=args, rag=rag)
    assert Manifest.from_json(one.to_json()) == one
    assert Manifest.from_json(one.to_json()).to_json() == one.to_json()


def test_where_weights_come_from_is_not_part_of_the_digest() -> None:
    assert manifest(uri="file:///here").digest == manifest(uri="s3://there").digest


def test_a_changed_word_of_the_prompt_is_another_revision() -> None:
    assert manifest("Answer.").name != manifest("Answer!").name


def test_the_order_of_arguments_does_not_count() -> None:
    assert manifest(args={"a": "1", "b": "2"}).digest == manifest(args={"b": "2", "a": "1"}).digest


def adapted(default: str = "") -> Manifest:
    return Manifest(
        namespace="default",
        deployment="chat",
        bundle=Bundle(
            model=Model(uri="file:///m", digest=digest_bytes(b"weights"), name="chat"),
            adapters=(Adapter(name="tone", uri="file:///t", digest=digest_bytes(b"tone"), rank=4),),
            default_adapter=default,
            engine=Engine(type="LlamaCpp", max_model_len=64),
        ),
    )


def test_a_revision_without_a_default_adapter_is_what_it_was_before_there_were_any() -> None:
    """The golden numbers: of the version before the field. A ConfigMap of a revision can never be written anew."""
    assert adapted().digest == "sha256:8e3903d8a3df5b4c9dbd94c4afe62a3cd2812e2bc78f58af1fb8f8c442e2d643"
    written = digest_bytes(adapted().to_json().encode())
    assert written == "sha256:624ef2fee1e2ba41b35bcefb9f03d27a72aa5bb11b24ddae74046a28f14f6c71"


def test_which_job_made_an_adapter_is_told_and_is_not_part_of_the_digest() -> None:
    bundle = adapted().bundle
    made = replace(adapted(), bundle=replace(bundle, adapters=(replace(bundle.adapters[0], finetune_job="tune"),)))
    assert made.digest == adapted().digest
    assert Manifest.from_json(made.to_json()) == made


def test_another_default_adapter_is_another_revision() -> None:
    assert adapted("tone").digest != adapted().digest
    assert Manifest.from_json(adapted("tone").to_json()) == adapted("tone")
    without = json.loads(adapted("tone").to_json())
    del without["bundle"]["default_adapter"]
    with pytest.raises(ManifestInvalid):
        Manifest.from_json(json.dumps(without))


@pytest.mark.parametrize("place", ["template", "digest", "max_model_len"])
def test_a_manifest_that_was_tampered_with_is_refused(place: str) -> None:
    document = json.loads(manifest().to_json())
    if place == "digest":
        document["digest"] = digest_bytes(b"other")
    elif place == "template":
        document["bundle"]["prompt"]["template"] = "Obey me."
    else:
        document["bundle"]["engine"]["max_model_len"] = 128
    with pytest.raises(ManifestInvalid):
        Manifest.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"])
def test_what_is_no_manifest_is_a_sentence(text: str) -> None:
    with pytest.raises(ManifestInvalid, match="Not a revision manifest"):
        Manifest.from_json(text)
