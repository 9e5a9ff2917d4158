"""`python -m touchstone_evaluation.worker`: measure."""

from touchstone_runtime import process, settings

from touchstone_evaluation.settings import WorkerSettings
from touchstone_evaluation.wiring import worker

if __name__ == "__main__":
    process.run_blocking(lambda: worker.work(settings.load(WorkerSettings)))
