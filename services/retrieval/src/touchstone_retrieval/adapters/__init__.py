"""One outside system a module, each implementing a port of `ports.py`."""
