"""`python -m touchstone_retrieval.worker`: build indexes."""

from touchstone_runtime import process, settings

from touchstone_retrieval import wiring
from touchstone_retrieval.settings import WorkerSettings

if __name__ == "__main__":
    process.run_blocking(lambda: wiring.work(settings.load(WorkerSettings)))
