"""Retrieval against known relevant passages. Measures the search alone, not what a model makes of it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from touchstone_evaluation.core import ranking
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import LoadShape, Metric, Outcome, Percentile, Query, share

DEFAULT_CUTS = (1, 3, 5, 10)


_share = partial(share, scale="mean over items, 0 to 1")


class Retrieval:
    """Searches with the question as the query."""

    name = "retrieval"
    version = "1"
    description = (
        "Searches for each question and compares the passages with the relevant documents or texts of the dataset. "
        "A passage that is relevant but not in the dataset counts as a miss, so values compare revisions of one index "
        "better than they say how good it is."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "k": {
                "description": "Cuts of the ranking; unset: 1, 3, 5 and 10.",
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 100},
                "minItems": 1,
                "maxItems": 8,
                "uniqueItems": True,
            }
        },
    }
    subjects = frozenset({SubjectKind.RAG_INDEX})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List recall, precision and nDCG at each cut, and MRR at the largest."""
        cuts = _cuts(parameters)
        return (
            *(_share(f"recall_at_{k}", f"Share of the relevant found in the first {k} passages") for k in cuts),
            *(_share(f"precision_at_{k}", f"Share of the first {k} ranks that are relevant") for k in cuts),
            _share("mrr", f"1 over the rank of the first relevant passage, 0 when not in the first {cuts[-1]}"),
            *(
                _share(f"ndcg_at_{k}", f"Normalised discounted gain of the first {k} passages", is_main=k == cuts[-1])
                for k in cuts
            ),
            Metric(
                name="search_p95_millis",
                goal=Goal.MINIMIZE,
                aggregate=Percentile(of="latency_millis", percent=95),
                description="95th percentile of a search's time, in milliseconds, as the evaluation worker saw it.",
                lowest=0,
            ),
        )

    def unfit(self, item: Item) -> str:
        """An item without anything relevant cannot be scored."""
        return "" if item.relevant_documents or item.relevant_texts else "nothing relevant is known"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Query:
        """Search for the question, as deep as the largest cut."""
        return Query(text=item.question, top_k=_cuts(parameters)[-1])

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Score the ranking at each cut."""
        found = ranking.hits(outcome.passages, item.relevant_documents, item.relevant_texts)
        targets = len(item.relevant_documents) + len(item.relevant_texts)
        values = {"mrr": ranking.reciprocal_rank(found), "latency_millis": outcome.latency_millis}
        for k in _cuts(parameters):
            values[f"recall_at_{k}"] = ranking.recall_at(k, found, targets)
            values[f"precision_at_{k}"] = ranking.precision_at(k, found)
            values[f"ndcg_at_{k}"] = ranking.ndcg_at(k, found, targets)
        return values


def _cuts(parameters: Parameters) -> tuple[int, ...]:
    chosen: Any = parameters.get("k") or DEFAULT_CUTS
    return tuple(sorted(int(k) for k in chosen))


TASK = Retrieval()
