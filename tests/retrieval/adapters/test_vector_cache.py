"""Claims about the cache of embeddings."""

import numpy as np
from touchstone_retrieval.adapters.vector_cache import SqliteVectorCache


def test_vectors_survive_a_restart_bit_for_bit(tmp_path):
    vectors = {bytes([i]): np.random.default_rng(i).normal(size=8).astype(np.float32) for i in range(5)}
    first = SqliteVectorCache(tmp_path / "v.sqlite", max_entries=10)
    first.put(vectors)
    first.close()

    second = SqliteVectorCache(tmp_path / "v.sqlite", max_entries=10)
    found = second.get([*vectors, b"absent"])
    second.close()

    assert set(found) == set(vectors)
    assert all(np.array_equal(found[key], vector) for key, vector in vectors.items())


def test_more_keys_than_a_statement_takes_are_found(tmp_path):
    cache = SqliteVectorCache(tmp_path / "v.sqlite", max_entries=5000)
    keys = [i.to_bytes(4, "big") for i in range(1300)]
    cache.put({key: np.zeros(2, dtype=np.float32) for key in keys})

    assert len(cache.get(keys)) == 1300
    cache.close()


def test_the_oldest_are_dropped_above_the_limit(tmp_path):
    cache = SqliteVectorCache(tmp_path / "v.sqlite", max_entries=2)
    for i in range(4):
        cache.put({bytes([i]): np.zeros(2, dtype=np.float32)})

    assert cache.prune() == 2
    assert set(cache.get([bytes([i]) for i in range(4)])) == {b"\x02", b"\x03"}
    cache.close()
