"""The router's outside systems, one a module."""
