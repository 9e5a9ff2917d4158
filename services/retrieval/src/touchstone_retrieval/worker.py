"""`python -m touchstone_retrieval.worker`: build indexes."""

from touchstone_runtime import process, settings

from touchstone_retrieval.settings import WorkerSettings
from touchstone_retrieval.wiring import worker

if __name__ == "__main__":
    process.run_blocking(lambda: worker.work(settings.load(WorkerSettings)))
