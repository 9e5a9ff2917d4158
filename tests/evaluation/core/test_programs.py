"""Programs in answers, and pass@k."""

import itertools
import math

import pytest
from touchstone_evaluation.core import programs
from touchstone_evaluation.core.programs import Form


@pytest.mark.parametrize(("samples", "passed"), [(1, 0), (1, 1), (5, 2), (6, 6), (7, 1), (8, 0)])
def test_pass_at_k_is_the_share_of_all_draws_in_which_one_passes(samples: int, passed: int) -> None:
    right = [True] * passed + [False] * (samples - passed)
    for k in range(1, samples + 1):
        draws = list(itertools.combinations(right, k))
        assert programs.pass_at(k, samples, passed) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


def test_pass_at_k_of_many_samples_is_exact() -> None:
    """Beside the product that the paper gives for large numbers (Chen et al., 2021, figure 3)."""
    for samples, passed, k in ((200, 42, 10), (200, 3, 100), (1000, 500, 100)):
        product = math.prod(1 - k / number for number in range(samples - passed + 1, samples + 1))
        assert programs.pass_at(k, samples, passed) == pytest.approx(1 - product, abs=1e-12)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Here:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```bash\npip\n```\n```py\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1", "x = 1"),
        ("x = 1", "x = 1"),
    ],
)
def test_a_program_is_the_first_block_of_python(answer: str, found: str) -> None:
    assert programs.program(answer, "?", Form.BLOCK) == found


def test_a_completion_ends_where_something_else_begins() -> None:
    question = "def f(x):\n"
    for rest in ("\ndef g():\n  pass", "\nprint(f(1))", "\n# done", "\nif x:", "\n```", "\nclass A:"):
        assert programs.program("    return x\n" + rest, question, Form.COMPLETION) == "def f(x):\n    return x\n\n"
    assert programs.program("    if x:\n        return 1\n    return 2", question, Form.COMPLETION).count("return") == 2
