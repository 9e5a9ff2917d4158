"""Trials of code that models wrote, each in processes of its own."""

from touchstone_runtime import trials

from touchstone_evaluation.core.task import Outcome, Program, Trial


class ProcessTrials:
    """Runs programs against their tests, confined by the kernel."""

    async def run(self, asked: Program) -> Outcome:
        """Try a program.

        Raises:
            ConfinementUnavailable: This machine cannot confine it; nothing was run.
        """
        found = await trials.run(
            asked.program, asked.tests, timeout_seconds=asked.timeout_seconds, memory_bytes=asked.memory_bytes
        )
        return Outcome(trial=Trial(*found))
