"""Claims about cutting by a real tokenizer: spans are the text's own characters, and nothing is lost."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from touchstone_retrieval.adapters import splitting
from touchstone_retrieval.core.spec import Chunking, ChunkingStrategy

LIMIT = 20


def word_pieces() -> Tokenizer:
    """A tokenizer that, like BERT's, changes letters, drops control characters and splits words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(["the cat sat on the mat, and the dog barked at the cat."] * 3, trainer)
    return tokenizer


TOKENIZER = word_pieces()
texts = st.text(max_size=120) | st.lists(
    st.sampled_from(
        ["The cat.", "sat", "on", "\n", "\n\n", "\n\n\n", "Ünï", "中文字", "😀", "\u0000", "\u200d", " ", "a" * 30]
    ),
    max_size=40,
).map(" ".join)
strategies = st.sampled_from(ChunkingStrategy)


@pytest.mark.parametrize("by", ["tokens", "words"])
@settings(max_examples=200, deadline=None)
@given(text=texts, strategy=strategies, overlap=st.integers(0, 6))
def test_a_span_is_a_piece_of_the_text_and_all_that_is_not_white_space_is_in_one(by, text, strategy, overlap):
    chunking = Chunking(strategy=strategy, max_tokens=16, overlap_tokens=overlap)
    splitter = (
        splitting.by_tokenizer(TOKENIZER, chunking, limit=LIMIT) if by == "tokens" else splitting.by_words(chunking)
    )

    spans = splitter.split(text)

    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(text[start:end].strip() == text[start:end] for start, end in spans)
    assert all(a.start <= b.start and a.end <= b.end for a, b in itertools.pairwise(spans))
    covered = {position for start, end in spans for position in range(start, end)}
    assert all(character.isspace() for position, character in enumerate(text) if position not in covered)


@settings(max_examples=200, deadline=None)
@given(text=texts, strategy=st.sampled_from([ChunkingStrategy.RECURSIVE, ChunkingStrategy.FIXED]))
def test_no_passage_is_longer_than_what_the_encoder_reads(text, strategy):
    splitter = splitting.by_tokenizer(TOKENIZER, Chunking(strategy=strategy, max_tokens=64), limit=LIMIT)

    for start, end in splitter.split(text):
        tokens = TOKENIZER.encode(text[start:end], add_special_tokens=False)
        assert len(tokens.ids) <= LIMIT or end - start == 1


def test_the_recursive_strategy_cuts_before_sections_first():
    text = "The first part is here.\n\nA second paragraph.\n\n\nA heading\n\nIts text follows it."
    splitter = splitting.by_words(Chunking(max_tokens=16))

    pieces = [text[start:end] for start, end in splitter.split(text)]

    assert pieces == ["The first part is here.\n\nA second paragraph.", "A heading\n\nIts text follows it."]
