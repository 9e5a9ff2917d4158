"""Semantic similarity with the default encoder, on the weights that it names."""

import numpy as np
import pytest
from touchstone_evaluation.adapters.encoders import OnnxEncoders, matching
from touchstone_evaluation.catalogue.semantic_similarity import DEFAULT
from touchstone_evaluation.core.task import EncoderFiles, Likeness, Similarity
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.encoders import Encoder, EncoderInvalid, normed

TEXT = "A man is playing the guitar."
OTHERS = ("Someone plays an instrument.", "A man is playing the guitar.", "The stock market fell on Monday.")


@pytest.fixture(scope="module")
def encoder(resolver: Resolver) -> Encoder:
    model, tokenizer = (resolver.resolve_sync(uri).path for uri in (DEFAULT.model, DEFAULT.tokenizer))
    return Encoder(model, tokenizer, threads=2)


async def compared(resolver: Resolver, text: str, *others: str) -> tuple[Likeness, ...]:
    asked = Similarity(text=text, others=others, encoder=DEFAULT)
    return (await OnnxEncoders(resolver, roots=()).compare(asked)).likenesses


async def test_what_means_the_same_is_nearer_than_what_does_not(resolver: Resolver) -> None:
    near, same, far = await compared(resolver, TEXT, *OTHERS)
    assert same == pytest.approx((1, 1, 1, 1), abs=1e-3)
    assert near.cosine > 0.5 > far.cosine + 0.2
    assert near.f1 > far.f1 + 0.2


async def test_the_opposite_is_near_too_as_the_description_says(resolver: Resolver) -> None:
    (opposite,) = await compared(resolver, "The test passed.", "The test did not pass.")
    assert opposite.cosine > 0.7


async def test_matching_equals_a_plain_reading_of_its_equations(resolver: Resolver, encoder: Encoder) -> None:
    (found,) = await compared(resolver, TEXT, OTHERS[0])
    encodings = encoder.tokenize([TEXT, OTHERS[0]], max_tokens=DEFAULT.max_tokens)
    hidden, _ = encoder.states(encodings)
    vectors = [
        [vector / np.linalg.norm(vector) for vector, special in zip(rows, each.special_tokens_mask, strict=False) if not special]
        for rows, each in zip(hidden, encodings, strict=True)
    ]  # fmt: skip
    vectors = [
        each[: sum(not special for special in one.special_tokens_mask)]
        for each, one in zip(vectors, encodings, strict=True)
    ]
    recall = np.mean([max(float(x @ y) for y in vectors[0]) for x in vectors[1]])
    precision = np.mean([max(float(x @ y) for x in vectors[1]) for y in vectors[0]])
    assert found.recall == pytest.approx(recall, abs=1e-5)
    assert found.precision == pytest.approx(precision, abs=1e-5)
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-5)


async def test_texts_without_words_are_like_nothing_but_each_other(resolver: Resolver) -> None:
    nothing, something = await compared(resolver, "", "", "a word")
    assert (nothing.f1, something.f1) == (1.0, 0.0)


async def test_files_that_are_no_encoder_are_refused_by_name(resolver: Resolver, encoder: Encoder) -> None:
    swapped = EncoderFiles(model=DEFAULT.tokenizer, tokenizer=DEFAULT.tokenizer, max_tokens=64)
    with pytest.raises(EncoderInvalid, match="model is not an ONNX model"):
        await OnnxEncoders(resolver, roots=()).compare(Similarity(text="a", others=("b",), encoder=swapped))


def test_precision_is_of_the_text_and_recall_of_the_other() -> None:
    text = normed(np.array([[1, 0], [0, 1]], dtype=np.float32))
    other = normed(np.array([[1, 0]], dtype=np.float32))
    found = matching(text, other, cosine=0.0)
    assert (found.precision, found.recall, found.f1) == (0.5, 1.0, pytest.approx(2 / 3))
