"""`python -m touchstone_evaluation`: serve evaluations."""

from touchstone_runtime import process, settings

from touchstone_evaluation import wiring
from touchstone_evaluation.settings import ServerSettings

if __name__ == "__main__":
    process.run_main(lambda: wiring.serve(settings.load(ServerSettings)))
