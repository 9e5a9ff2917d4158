"""The router's use cases over its ports."""
