"""Reviews: answered at once and never stored. Whoever holds the token may do everything. Pure."""

from touchstone_local.apiserver.core.objects import JsonObject

USER = "touchstone-admin"
GROUPS = ("system:masters", "system:authenticated")


def answer(review: JsonObject) -> JsonObject:
    """Return a review with its status."""
    statuses: dict[str, JsonObject] = {
        "SelfSubjectAccessReview": {"allowed": True, "reason": "the holder of the token may do everything"},
        "SelfSubjectRulesReview": {
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        },
        "SelfSubjectReview": {"userInfo": {"username": USER, "groups": list(GROUPS)}},
    }
    return {**review, "status": statuses[review["kind"]]}
