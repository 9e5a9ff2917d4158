"""`python -m touchstone_finetuning`: take trainings, and tell how they stand."""

from touchstone_runtime import process, settings

from touchstone_finetuning.settings import ServerSettings
from touchstone_finetuning.wiring import server

if __name__ == "__main__":
    process.run_main(lambda: server.serve(settings.load(ServerSettings)))
