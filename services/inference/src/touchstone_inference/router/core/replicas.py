"""Which replica of a revision answers. Pure: told the loads, knows no connections.

PrefixAware takes the replica that knows most of the prompt's beginning; where none knows any, the one whose cache holds
least. A session is kept together by rendezvous hashing, so that several routers agree. Either way a replica is passed
over that carries more than 1.25 times its fair share: equal beginnings meet a warm cache while no replica is overrun.
See Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", SODA 2018.
"""

import math
from collections.abc import Mapping, Sequence

from touchstone_inference.router.core.generation import Turn
from touchstone_inference.router.core.traffic import hash_unit
from touchstone_inference.router.core.view import Endpoint, Strategy

LOAD_FACTOR = 1.25
"""How much more than its fair share a replica may carry before its neighbours are asked."""

HEAD_CHARACTERS = 16_384
"""How much of a prompt is its head. Long enough to reach past instructions and passages, short enough to hash on each
request: some 30 microseconds."""
NOTHING_KNOWN: Mapping[str, int] = {}


def choose(
    strategy: Strategy,
    endpoints: Sequence[Endpoint],
    *,
    in_flight: Mapping[str, int],
    affinity: str,
    known: Mapping[str, int] = NOTHING_KNOWN,
    held: Mapping[str, int] = NOTHING_KNOWN,
    turn: int,
) -> Endpoint:
    """Choose a replica.

    Args:
        strategy: How to choose.
        endpoints: The replicas, at least one, in a stable order.
        in_flight: Requests under way by endpoint id; absent means none.
        affinity: What should stay together: a session, or a prompt's head.
        known: How much of the prompt's beginning replicas know, by endpoint id; absent means nothing.
        held: How much replicas are thought to have cached, by endpoint id.
        turn: Counts the choices for this revision.
    """
    match strategy:
        case Strategy.ROUND_ROBIN:
            return endpoints[turn % len(endpoints)]
        case Strategy.LEAST_LOAD:
            start = turn % len(endpoints)
            rotated = (*endpoints[start:], *endpoints[:start])
            return min(rotated, key=lambda endpoint: in_flight.get(endpoint.id, 0))
        case Strategy.PREFIX_AWARE:
            return _prefix_aware(endpoints, in_flight, affinity, known, held)


def head(conversation: Sequence[Turn]) -> str:
    """Give the beginning of a rendered prompt: what a prefix cache could share."""
    parts: list[str] = []
    room = HEAD_CHARACTERS
    for turn in conversation:
        parts.append(turn.content[:room])
        room -= len(turn.content)
        if room <= 0:
            break
    return "\x00".join(parts)


def _prefix_aware(
    endpoints: Sequence[Endpoint],
    in_flight: Mapping[str, int],
    affinity: str,
    known: Mapping[str, int],
    held: Mapping[str, int],
) -> Endpoint:
    total = sum(in_flight.get(endpoint.id, 0) for endpoint in endpoints) + 1
    limit = math.ceil(LOAD_FACTOR * total / len(endpoints))

    def cost(endpoint: Endpoint) -> tuple[int, int, int, float]:
        # Of those that know as much: who has least to do; of those that know nothing: whose cache holds least.
        knows, busy = known.get(endpoint.id, 0), in_flight.get(endpoint.id, 0)
        order = (busy, 0) if knows else (held.get(endpoint.id, 0), busy if held else 0)
        return (-knows, *order, -hash_unit(affinity, endpoint.id))

    # Not all replicas can be at the limit: the limit times their number exceeds the total.
    return min((endpoint for endpoint in endpoints if in_flight.get(endpoint.id, 0) < limit), key=cost)
