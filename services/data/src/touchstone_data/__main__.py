"""`python -m touchstone_data`: serve pipelines."""

from touchstone_runtime import process, settings

from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import server

if __name__ == "__main__":
    process.run_main(lambda: server.serve(settings.load(ServerSettings)))
