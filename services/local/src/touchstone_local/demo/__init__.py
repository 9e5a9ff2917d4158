"""The whole loop on one machine, step by step: what `touchstone demo` does and what its test asserts."""

from touchstone_local.demo.steps import STEPS, Seen, Step, walk

__all__ = ["STEPS", "Seen", "Step", "walk"]
