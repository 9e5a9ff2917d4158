"""Arithmetic, and a clock of its own. Knows nothing of RPCs, of files or of what runs."""
