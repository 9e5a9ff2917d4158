"""The domain of retrieval: pure functions and frozen values. Knows no store, no file and no clock."""
