"""`python -m touchstone_retrieval`: serve indexes."""

from touchstone_runtime import process, settings

from touchstone_retrieval.settings import ServerSettings
from touchstone_retrieval.wiring import server

if __name__ == "__main__":
    process.run_main(lambda: server.serve(settings.load(ServerSettings)))
