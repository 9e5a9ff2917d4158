"""Vectors of texts by their words."""

import numpy as np
from touchstone_data.core import vectors


def test_texts_that_no_word_tells_apart_have_no_direction() -> None:
    """Two records with the same words failed their pipeline: the decomposition has no start without a weight."""
    assert not np.any(vectors.of_texts(["where is my parcel", "my parcel is where"]))
