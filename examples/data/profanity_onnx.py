"""`python profanity_onnx.py FOLDER`: a classifier of offensive English as the files that the step `classify` takes.

It is alt-profanity-check's (MIT): word frequencies weighted by rarity, and five linear machines, calibrated. Run it
where that package is: `uv run --isolated --no-project --with alt-profanity-check==1.9.1,onnx==1.23.2 python …`. The
package keeps its model as a pickle, which is code: run this where you trust the package, never in a worker.
"""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import onnx
import profanity_check
from onnx import TensorProto, helper, numpy_helper

WORD = r"\b\w\w+\b"
UNKNOWN = "<unk>"


def main(folder: Path) -> None:
    """Write `tokenizer.json` and `model.onnx`."""
    data = Path(profanity_check.__file__).parent / "data"
    vectorizer, machines = joblib.load(data / "vectorizer.joblib"), joblib.load(data / "model.joblib")
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.get)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(words)))
    onnx.save(model(vectorizer.idf_, machines.calibrated_classifiers_), folder / "model.onnx")


def tokenizer(words: list[str]) -> dict[str, object]:
    """Cut texts as scikit-learn does: words of two characters and more, in lower case; token 0 is any other word."""
    split = {"type": "Split", "pattern": {"Regex": WORD}, "behavior": "Removed", "invert": True}
    vocabulary = {UNKNOWN: 0, **{word: place + 1 for place, word in enumerate(words)}}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "post_processor": None,
        "decoder": None, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": split,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    }  # fmt: skip


def model(rarity: np.ndarray, machines: list) -> onnx.ModelProto:
    """Count tokens, weigh, make of length 1, and give the logit of the machines' mean probability; [texts, 1]."""
    linear = [one.estimator for one in machines]
    sigmoids = [one.calibrators[0] for one in machines]
    weights = np.stack([one.coef_[0] for one in linear], axis=1)
    constants = {
        "rarity": np.r_[0.0, rarity],  # a word that is not known counts nothing
        "weights": np.r_[np.zeros((1, len(linear))), weights],
        "bias": np.array([one.intercept_[0] for one in linear]),
        "slope": -np.array([one.a_ for one in sigmoids]),
        "offset": -np.array([one.b_ for one in sigmoids]),
        "tiny": np.array(1e-12),
        "one": np.array(1.0),
    }
    tensors = [numpy_helper.from_array(np.asarray(v, dtype=np.float32), name) for name, v in constants.items()]
    tensors += [
        numpy_helper.from_array(np.array([len(rarity) + 1], dtype=np.int64), "size"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
    ]
    node = helper.make_node
    steps = [
        node("Shape", ["input_ids"], ["texts"], start=0, end=1),
        node("Concat", ["texts", "size"], ["shape"], axis=0),
        node("ConstantOfShape", ["shape"], ["nothing"]),
        node("Cast", ["attention_mask"], ["there"], to=TensorProto.FLOAT),
        node("ScatterElements", ["nothing", "input_ids", "there"], ["counts"], axis=1, reduction="add"),
        node("Mul", ["counts", "rarity"], ["weighed"]),
        node("ReduceL2", ["weighed", "axis"], ["length"], keepdims=1),
        node("Max", ["length", "tiny"], ["positive"]),
        node("Div", ["weighed", "positive"], ["features"]),
        node("MatMul", ["features", "weights"], ["products"]),
        node("Add", ["products", "bias"], ["distances"]),
        node("Mul", ["distances", "slope"], ["scaled"]),
        node("Add", ["scaled", "offset"], ["logits"]),
        node("Sigmoid", ["logits"], ["probabilities"]),
        node("ReduceMean", ["probabilities", "axis"], ["mean"], keepdims=1),
        node("Sub", ["one", "mean"], ["rest"]),
        node("Max", ["rest", "tiny"], ["left"]),
        node("Div", ["mean", "left"], ["odds"]),
        node("Log", ["odds"], ["logit"]),
    ]
    names = ("input_ids", "attention_mask")
    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in names]
    out = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["texts", 1])
    graph = helper.make_graph(steps, "offensive", ids, [out], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return made


if __name__ == "__main__":
    main(Path(sys.argv[1]))
