"""`python -m touchstone_evaluation.worker`: measure."""

from touchstone_runtime import process, settings

from touchstone_evaluation import wiring
from touchstone_evaluation.settings import WorkerSettings

if __name__ == "__main__":
    process.run_blocking(lambda: wiring.work(settings.load(WorkerSettings)))
