"""`python -m touchstone_finetuning.worker`: see trainings through."""

from touchstone_runtime import process, settings

from touchstone_finetuning.settings import WorkerSettings
from touchstone_finetuning.wiring import worker

if __name__ == "__main__":
    process.run_blocking(lambda: worker.work(settings.load(WorkerSettings)))
