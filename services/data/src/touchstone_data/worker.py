"""`python -m touchstone_data.worker`: work on pipelines."""

from touchstone_runtime import process, settings

from touchstone_data.settings import WorkerSettings
from touchstone_data.wiring import worker

if __name__ == "__main__":
    process.run_blocking(lambda: worker.work(settings.load(WorkerSettings)))
