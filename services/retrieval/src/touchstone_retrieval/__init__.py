"""Retrieval indexes as immutable revisions: built aside, activated at once, rolled back."""
