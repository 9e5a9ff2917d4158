"""`python -m touchstone_evaluation.worker`: measure."""

import sys

from touchstone_runtime import process, settings
from touchstone_runtime.settings import SettingsInvalid

from touchstone_evaluation import wiring
from touchstone_evaluation.settings import WorkerSettings


def main() -> int:
    """Work until a signal; settings that are wrong end it with a sentence."""
    try:
        wiring.work(settings.load(WorkerSettings))
    except SettingsInvalid as error:
        sys.stderr.write(f"{error.message}\n")
        return process.EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
