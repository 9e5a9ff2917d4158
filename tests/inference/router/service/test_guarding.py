"""Who is let in, and how often the authority is asked."""

import asyncio
from collections.abc import Mapping

import pytest
from touchstone_inference import errors
from touchstone_inference.router.core.access import Caller, bearer_token
from touchstone_inference.router.core.view import Model, Snapshot, Strategy
from touchstone_inference.router.service.guarding import BELIEVED_SECONDS, REFUSED_SECONDS, TokenGuard
from touchstone_runtime.testing import FakeClock

ANNA = Caller(name="system:serviceaccount:team-a:anna", groups=("system:serviceaccounts",))
GOOD: Mapping[str, str] = {"authorization": "Bearer good"}


class ScriptedAuthority:
    """Knows one token, and lets its owner use what it is told."""

    def __init__(self) -> None:
        self.allowed = {"team-a/chat"}
        self.is_away = False
        self.reviews = 0
        self.decisions = 0

    async def review(self, token: str) -> Caller | None:
        self.reviews += 1
        await self._think()
        return ANNA if token == "good" else None

    async def may_use(self, caller: Caller, model: str) -> bool:
        self.decisions += 1
        await self._think()
        return caller == ANNA and model in self.allowed

    async def _think(self) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise errors.AuthorityUnavailable("it is away")


class View:
    def current(self) -> Snapshot:
        return Snapshot(models={name: model(name) for name in ("team-a/chat", "team-b/chat")})


def model(name: str) -> Model:
    return Model(
        name=name, served_name="", strategy=Strategy.LEAST_LOAD, session_header="", stable_revision="", created_at=None,
        revisions={},
    )  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authority() -> ScriptedAuthority:
    return ScriptedAuthority()


@pytest.fixture
def guard(authority: ScriptedAuthority, clock: FakeClock) -> TokenGuard:
    return TokenGuard(View(), authority, clock=clock.monotonic)


@pytest.mark.parametrize("value", ["", "Basic Z29vZA==", "Bearer ", "good"])
async def test_a_call_without_a_bearer_token_is_nobodys(guard: TokenGuard, value: str) -> None:
    with pytest.raises(errors.TokenMissing):
        await guard.admit({"authorization": value}, "team-a/chat")


async def test_a_wrong_token_is_refused(guard: TokenGuard) -> None:
    with pytest.raises(errors.TokenRefused):
        await guard.admit({"authorization": "Bearer bad"}, "team-a/chat")


async def test_a_caller_uses_what_it_may_and_nothing_else(guard: TokenGuard) -> None:
    await guard.admit(GOOD, "team-a/chat")
    with pytest.raises(errors.ModelForbidden, match=r"anna.*team-b/chat"):
        await guard.admit(GOOD, "team-b/chat")


async def test_a_caller_sees_only_what_it_may_use(guard: TokenGuard) -> None:
    visible = await guard.visible(GOOD, View().current().models.values())
    assert [found.name for found in visible] == ["team-a/chat"]


async def test_many_calls_at_once_ask_the_authority_once(guard: TokenGuard, authority: ScriptedAuthority) -> None:
    await asyncio.gather(*(guard.admit(GOOD, "team-a/chat") for _ in range(50)))
    assert (authority.reviews, authority.decisions) == (1, 1)


async def test_a_right_that_was_taken_away_ends_after_a_minute(
    guard: TokenGuard, authority: ScriptedAuthority, clock: FakeClock
) -> None:
    await guard.admit(GOOD, "team-a/chat")
    authority.allowed.clear()
    clock.advance(BELIEVED_SECONDS - 1)
    await guard.admit(GOOD, "team-a/chat")
    clock.advance(2)
    with pytest.raises(errors.ModelForbidden):
        await guard.admit(GOOD, "team-a/chat")


async def test_a_right_that_was_just_given_works_in_seconds(
    guard: TokenGuard, authority: ScriptedAuthority, clock: FakeClock
) -> None:
    with pytest.raises(errors.ModelForbidden):
        await guard.admit(GOOD, "team-b/chat")
    authority.allowed.add("team-b/chat")
    clock.advance(REFUSED_SECONDS + 1)
    await guard.admit(GOOD, "team-b/chat")


async def test_nobody_new_comes_in_while_the_authority_is_away(guard: TokenGuard, authority: ScriptedAuthority) -> None:
    await guard.admit(GOOD, "team-a/chat")
    authority.is_away = True
    await guard.admit(GOOD, "team-a/chat")  # known
    with pytest.raises(errors.AuthorityUnavailable):
        await guard.admit({"authorization": "Bearer other"}, "team-a/chat")
    authority.is_away = False
    with pytest.raises(errors.TokenRefused):  # the failure itself was not remembered
        await guard.admit({"authorization": "Bearer other"}, "team-a/chat")


async def test_a_caller_that_goes_away_does_not_take_the_answer_from_others(
    guard: TokenGuard, authority: ScriptedAuthority
) -> None:
    first = asyncio.create_task(guard.admit(GOOD, "team-a/chat"))
    second = asyncio.create_task(guard.admit(GOOD, "team-a/chat"))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert authority.reviews == 1


def test_the_scheme_is_read_in_any_case() -> None:
    assert bearer_token({"authorization": "bearer abc"}) == "abc"
