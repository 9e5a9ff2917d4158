"""The command line: `touchstone`. Commands say what they do and import what they need when they run."""

from touchstone_local.cli.app import main

__all__ = ["main"]
