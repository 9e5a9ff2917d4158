"""`python -m touchstone_inference.engine`: serve one revision."""

import os

# Read by OpenMP when llama.cpp is loaded: threads that spin while they wait make decoding ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from touchstone_runtime import process, settings

from touchstone_inference.engine import wiring
from touchstone_inference.engine.settings import EngineSettings

if __name__ == "__main__":
    process.run_main(lambda: wiring.run(settings.load(EngineSettings)))
