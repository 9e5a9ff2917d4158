"""Which revision answers: by weight, sticky by session. Pure.

Weighted rendezvous hashing: each revision gets the score -weight / ln(u), where u is a hash of session and revision in
(0, 1), and the highest score wins. The winner is a revision with probability weight / sum of weights, and raising one
weight moves sessions to that revision only. See Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005.
"""

import hashlib
import math

from touchstone_inference import errors
from touchstone_inference.router.core.view import Model, Revision

_UNIT = 2.0**-53


def choose(model: Model, session: str) -> Revision:
    """Choose the revision of a session.

    A session whose revision has no ready replica goes to the stable revision, and to no other: a candidate never gets
    more than its weight because the stable one is down.

    Raises:
        NoTraffic: No revision has weight.
        NoReplica: Neither the chosen revision nor the stable one has a ready replica.
    """
    weighted = [revision for revision in model.revisions.values() if revision.weight_percent > 0]
    if not weighted:
        raise errors.NoTraffic(model.name)
    chosen = max(weighted, key=lambda revision: (_score(model.name, session, revision), revision.name))
    if chosen.endpoints:
        return chosen
    stable = model.revisions.get(model.stable_revision)
    if stable is not None and stable.weight_percent > 0 and stable.endpoints:
        return stable
    raise errors.NoReplica(model.name, chosen.name)


def pinned(model: Model, name: str) -> Revision:
    """Give the revision that a caller pinned, whatever its weight.

    Raises:
        RevisionNotFound: The model has no such revision.
        NoReplica: The revision has no ready replica.
    """
    revision = model.revisions.get(name)
    if revision is None:
        raise errors.RevisionNotFound(model.name, name)
    if not revision.endpoints:
        raise errors.NoReplica(model.name, name)
    return revision


def _score(model: str, session: str, revision: Revision) -> float:
    return -revision.weight_percent / math.log(hash_unit(model, session, revision.name))


def hash_unit(*parts: str) -> float:
    """Hash texts to a number in (0, 1), the same in every process."""
    digest = hashlib.blake2b("\x00".join(parts).encode(), digest_size=8).digest()
    return ((int.from_bytes(digest, "big") >> 11) + 0.5) * _UNIT
