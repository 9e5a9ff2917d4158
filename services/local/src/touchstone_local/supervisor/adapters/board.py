"""`platform.json`, replaced as a whole at each change."""

from pathlib import Path

from touchstone_local import files
from touchstone_local.supervisor.core import state
from touchstone_local.supervisor.core.state import PlatformState


class FileBoard:
    """Implements the port `Board`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown: PlatformState | None = None

    def show(self, state_now: PlatformState) -> None:
        """Replace what is told; nothing is written when nothing has changed."""
        if state_now != self._shown:
            files.write_atomically(self._path, state.to_json(state_now))
            self._shown = state_now


def read(path: Path) -> PlatformState | None:
    """Return what a platform told last; None if it told nothing that can be read."""
    try:
        return state.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
