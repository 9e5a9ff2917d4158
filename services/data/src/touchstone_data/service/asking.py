"""What steps that make records call on: models, programs in confinement, and the sign that the work goes on."""

from collections.abc import Sequence
from dataclasses import asdict

from touchstone_runtime.revisions import digest_json

from touchstone_data.core.generation import Program, Prompt, Reply
from touchstone_data.ports import Inference, Question, Trials
from touchstone_data.service.working import Task


class Helper:
    """The aid of one shard. Answers are kept by the model's digest and all of the question."""

    def __init__(self, task: Task, inference: Inference, trials: Trials) -> None:
        self._task = task
        self._inference = inference
        self._trials = trials
        self._models = {model.name: model for model in task.spec.models}
        self._answers = task.workshop.answers(task.stage.number, task.unit.shard)
        self._known: dict[str, Reply] | None = None

    def beat(self) -> None:
        """Say that the work goes on."""
        self._task.beat()

    def ask(self, prompts: Sequence[Prompt]) -> Sequence[Reply]:
        """Ask what is not known yet."""
        if self._known is None:
            self._known = dict(self._answers.read())
        self.beat()
        keys = [self._key(prompt) for prompt in prompts]
        open_questions = {
            key: Question(self._models[prompt.model], prompt)
            for key, prompt in zip(keys, prompts, strict=True)
            if key not in self._known
        }
        waiting = list(open_questions)
        for place, reply in self._inference.ask(list(open_questions.values()), self.beat):
            self._answers.keep(waiting[place], reply)
            self._known[waiting[place]] = reply
        return [self._known[key] for key in keys]

    def run(self, programs: Sequence[Program]) -> Sequence[str]:
        """Run programs."""
        return self._trials.run(programs, self.beat)

    def _key(self, prompt: Prompt) -> str:
        return digest_json({**asdict(prompt), "model": self._models[prompt.model].digest})
