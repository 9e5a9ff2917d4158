"""`python -m touchstone_inference.router`: the door."""

from touchstone_runtime import process, settings

from touchstone_inference.router import wiring
from touchstone_inference.router.settings import RouterSettings

if __name__ == "__main__":
    process.run_main(lambda: wiring.run(settings.load(RouterSettings)))
