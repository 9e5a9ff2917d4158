"""`python -m touchstone_evaluation`: serve runs."""

from touchstone_runtime import process, settings

from touchstone_evaluation.settings import ServerSettings
from touchstone_evaluation.wiring import server

if __name__ == "__main__":
    process.run_main(lambda: server.serve(settings.load(ServerSettings)))
