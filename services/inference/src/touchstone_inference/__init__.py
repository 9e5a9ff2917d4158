"""Inference: the router, the door, and the engine behind it."""
