"""Globs of files, in the language of .gitignore, by pathspec."""

from collections.abc import Callable, Sequence

import pathspec

Chooser = Callable[[str], bool]
"""Whether a relative path is taken."""


def fault(glob: str) -> str:
    """Say what is wrong with a glob; empty if nothing is."""
    if not glob.strip() or len(glob) > 256:
        return "1 to 256 characters are needed"
    if glob.startswith(("!", "#")):
        return f"{glob[0]!r} has no meaning here; use include and exclude"
    try:
        pathspec.GitIgnoreSpec.from_lines([glob])
    except ValueError as error:
        return str(error)
    return ""


def chooser(include: Sequence[str], exclude: Sequence[str]) -> Chooser:
    """Make a test of relative paths: taken by `include` (empty: all) and not left out by `exclude`."""
    taken = pathspec.GitIgnoreSpec.from_lines(include)
    left_out = pathspec.GitIgnoreSpec.from_lines(exclude)
    return lambda path: (not include or taken.match_file(path)) and not left_out.match_file(path)
