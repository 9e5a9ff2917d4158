"""`python -m touchstone_operator`: reconcile the kinds."""

from touchstone_runtime import process, settings

from touchstone_operator import wiring
from touchstone_operator.settings import OperatorSettings

if __name__ == "__main__":
    process.run_main(lambda: wiring.run(settings.load(OperatorSettings)))
