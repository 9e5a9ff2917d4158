"""Models that pipelines ask, and the programs that models write."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from touchstone_data.core.generation import Program, Prompt, Reply
from touchstone_data.core.spec import Model


class Question(NamedTuple):
    """What a revision is asked."""

    model: Model
    prompt: Prompt


class Inference(Protocol):
    """The models of pipelines."""

    def ask(self, questions: Sequence[Question], beat: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """Ask, several at once; replies come with the places of their questions, as soon as they are there.

        Args:
            questions: Each is asked until it is answered.
            beat: Called every second or so; when it raises, what is under way is given up.

        Raises:
            ModelUnavailable: One was away for long; a later try may succeed.
            ModelRefused: One takes no prompts of ours.
            RevisionMismatch: Another revision answered.
        """
        ...


class Trials(Protocol):
    """Where programs are run that models wrote."""

    def run(self, programs: Sequence[Program], beat: Callable[[], None]) -> list[str]:
        """Run programs against their tests, confined; say why each did not pass, empty where it did.

        Raises:
            ConfinementUnavailable: This machine cannot confine them; nothing was run.
        """
        ...
