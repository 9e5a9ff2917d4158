"""The last job of a run: from its scores to its verdict, its report and its files."""

import json
from collections.abc import Mapping

from touchstone_runtime.revisions import digest_bytes

from touchstone_evaluation.core import concluding, costs
from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.runs import Artifact, Run
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.task import Task
from touchstone_evaluation.ports import Artefacts, Reporter, Runs
from touchstone_evaluation.service.looking import Looking


class Concluding:
    """Concludes runs. Blocking."""

    def __init__(self, runs: Runs, artefacts: Artefacts, reporter: Reporter, tasks: Mapping[str, Task]) -> None:
        self._runs = runs
        self._artefacts = artefacts
        self._reporter = reporter
        self._looking = Looking(runs, tasks)

    def conclude(self, dispatch_id: str) -> None:
        """Judge a run whose shards have ended, or that was stopped; one that has ended stays as it is."""
        run = self._runs.get(dispatch_id)
        if run.state.is_final:
            return
        scores = self._runs.scores(dispatch_id)
        metrics = self._looking.metrics(run)
        conclusion = concluding.conclude(
            run.spec,
            self._looking.measured(run, scores),
            metrics,
            stopped=run.stopped,
            is_over_budget=run.is_over_budget,
            settled=run.settled,
        )
        items = {
            suite: {item.digest: item for item in self._runs.items(dispatch_id, suite, digests)}
            for suite, digests in _asked(scores).items()
        }
        page = self._reporter.render(run, conclusion, scores, metrics, items)
        artifacts = [
            self._put(run, "report", "report.html", page.encode()),
            self._put(run, "items", "items.jsonl", _lines(run, scores, items)),
        ]
        self._runs.finish(dispatch_id, conclusion, artifacts)

    def _put(self, run: Run, name: str, file: str, content: bytes) -> Artifact:
        """Store a file. A store that is away makes the job be tried again: no verdict without its report."""
        path = f"evaluations/{run.dispatch_id.replace(':', '_')}/{file}"
        return Artifact(name=name, uri=self._artefacts.put(path, content), digest=digest_bytes(content))


def _asked(scores: list[Score]) -> dict[str, list[ItemDigest]]:
    asked: dict[str, dict[ItemDigest, None]] = {}
    for score in scores:
        asked.setdefault(score.asking.suite, {})[score.asking.item] = None
    return {suite: list(digests) for suite, digests in asked.items()}


def _lines(run: Run, scores: list[Score], items: Mapping[str, Mapping[ItemDigest, Item]]) -> bytes:
    """Write one JSON line a score; questions and answers only where samples are logged."""
    lines = []
    for score in scores:
        item = items[score.asking.suite][score.asking.item]
        values, spent = costs.apart(score.values)
        line = {
            **score.asking._asdict(),
            "id": item.id,
            "values": values,
            "costs": spent,
            "error": score.error,
            "reused": score.is_reused,
            "input_tokens": score.input_tokens,
            "output_tokens": score.output_tokens,
            "judge_tokens": score.judge_tokens,
            "latency_millis": round(score.latency_millis, 3),
        }
        if run.spec.execution.log_samples:
            line |= {"question": item.question, "answers": list(item.answers), "answer": score.answer}
        lines.append(json.dumps(line, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode()
