"""The use cases of retrieval, over ports."""
