"""`python -m touchstone_retrieval`: serve indexes."""

from touchstone_runtime import process, settings

from touchstone_retrieval import wiring
from touchstone_retrieval.settings import ServerSettings

if __name__ == "__main__":
    process.run_main(lambda: wiring.serve(settings.load(ServerSettings)))
