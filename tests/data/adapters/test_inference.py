"""Asking models: answers as they come, and an end when the work must stop."""

import asyncio
from typing import Any

import pytest
from touchstone_data.core.generation import Prompt, Reply
from touchstone_data.core.spec import Model
from touchstone_data.ports import Question

MODEL = Model(name="m", deployment="default/chat", revision="chat-0123456789", digest="sha256:" + "d" * 64)


class Stopped(Exception):
    pass


def questions(count: int) -> list[Question]:
    return [
        Question(MODEL, Prompt(model="m", text=str(n), json_schema="", temperature=0.5, seed=n, max_output_tokens=9))
        for n in range(count)
    ]


def test_answers_have_the_places_of_their_questions_and_all_of_a_question_is_told(
    serve_models: Any, scripted: Any
) -> None:
    script = scripted(lambda request: f"said {request.messages[0].content}")
    found = dict(serve_models(script).ask(questions(20), lambda: None))
    assert found == {n: Reply(text=f"said {n}") for n in range(20)}
    assert {(one.sampling.seed, one.sampling.temperature, one.sampling.max_output_tokens) for one in script.asked} == {
        (n, 0.5, 9) for n in range(20)
    }


def test_work_that_must_stop_gives_up_what_is_under_way(serve_models: Any, scripted: Any, loop: Any) -> None:
    script = scripted(lambda request: "late")
    script.pause_seconds = 60
    models = serve_models(script, parallel=2)

    def beat() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        list(models.ask(questions(8), beat))

    async def idle() -> None:
        async with asyncio.timeout(10):
            while script.at_once:
                await asyncio.sleep(0.01)

    loop.run(idle())
    assert len(script.asked) == 2


def test_beats_come_while_answers_do(serve_models: Any, scripted: Any) -> None:
    """Nobody heard that work must stop as long as each answer came within a second of the one before."""
    script = scripted(lambda request: "soon")
    script.pause_seconds = 0.2
    beats: list[int] = []
    found = dict(serve_models(script, parallel=1).ask(questions(12), lambda: beats.append(1)))
    assert len(found) == 12
    assert len(beats) >= 2
