"""The errors of inference, grown from `touchstone_runtime.errors`. Pure.

Router
├── NotFound            ModelNotFound, ModelNotExposed, RevisionNotFound
├── Unavailable         NoTraffic, NoReplica, ViewNotRead, RetrievalUnavailable, AnswerBroke, ClusterUnavailable,
│                       AuthorityUnavailable
├── FailedPrecondition  PromptInvalid
├── Invalid             PromptTooLong, ObjectUnreadable
├── Conflict            VersionGone
├── Unauthenticated     TokenMissing, TokenRefused
├── Forbidden           ModelForbidden
└── Unimplemented       CapabilityMissing

Engine
├── Unavailable         EngineBroke, PrefillFailed
├── NotFound            AdapterNotLoaded
├── Exhausted           QueueFull
├── Invalid             PromptOverContext, EngineUnsupported, RequestRefused, AdapterRefused
├── FailedPrecondition  EngineLibraryMissing
└── Unimplemented       EngineCannot
"""

from collections.abc import Sequence

from touchstone_runtime.errors import (
    Conflict,
    Exhausted,
    FailedPrecondition,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)


class ModelNotFound(NotFound):
    """No ModelDeployment has the name, or the name is not unique."""

    reason = "MODEL_NOT_FOUND"

    def __init__(self, model: str, candidates: Sequence[str] = ()) -> None:
        names = ", ".join(candidates)
        super().__init__(
            f"'{model}' is served by several models: {names}. Ask for one of them as NAMESPACE/NAME."
            if candidates
            else f"There is no model '{model}'. List the models, or create a ModelDeployment of that name.",
            metadata={"model": model} | ({"candidates": names} if candidates else {}),
        )


class ModelNotExposed(NotFound):
    """The model is not reached through this door."""

    reason = "MODEL_NOT_EXPOSED"

    def __init__(self, model: str, door: str, others: Sequence[str]) -> None:
        advice = f"Ask by {others[0]}, or set" if others else "Set"
        super().__init__(
            f"The model '{model}' is not reached by {door}. {advice} spec.expose.{door} of its ModelDeployment.",
            metadata={"model": model, "door": door},
        )


class RevisionNotFound(NotFound):
    """The model has no such revision."""

    reason = "REVISION_NOT_FOUND"

    def __init__(self, model: str, revision: str) -> None:
        super().__init__(
            f"The model '{model}' has no revision '{revision}'. Read its revisions with GetModel.",
            metadata={"model": model, "revision": revision},
        )


class NoTraffic(Unavailable):
    """No revision of the model has weight yet."""

    reason = "NO_TRAFFIC"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"No revision of '{model}' takes traffic yet. Wait until its ModelDeployment is Ready, or pin a revision.",
            metadata={"model": model},
        )


class NoReplica(Unavailable):
    """The revision has no ready replica."""

    reason = "NO_REPLICA"

    def __init__(self, model: str, revision: str) -> None:
        super().__init__(
            f"The revision '{revision}' of '{model}' has no ready replica. Try again when its pods are Ready.",
            metadata={"model": model, "revision": revision},
        )


class ViewNotRead(Unavailable):
    """The router has just started and has not read the cluster yet."""

    reason = "VIEW_NOT_READ"

    def __init__(self) -> None:
        super().__init__("The router has not read the cluster yet. Try again in a moment.")


class RetrievalUnavailable(Unavailable):
    """The passages could not be fetched; an answer without them is never given in their place."""

    reason = "RETRIEVAL_UNAVAILABLE"

    def __init__(self, index: str, cause: str) -> None:
        super().__init__(
            f"The index '{index}' could not be searched ({cause}). Try again; without passages no answer is given.",
            metadata={"index": index, "cause": cause},
        )


class TokenMissing(Unauthenticated):
    """The call carries no token."""

    reason = "TOKEN_MISSING"

    def __init__(self) -> None:
        super().__init__(
            "The call carries no token. Send `authorization: Bearer TOKEN` with a ServiceAccount token that was made "
            "for the router's audience."
        )


class TokenRefused(Unauthenticated):
    """The token is not good here."""

    reason = "TOKEN_REFUSED"

    def __init__(self) -> None:
        super().__init__(
            "The token is not good here: it has expired, or was made for another audience. Have a new one made, as by "
            "`kubectl create token NAME --audience AUDIENCE`."
        )


class ModelForbidden(Forbidden):
    """The caller may not use the model."""

    reason = "MODEL_FORBIDDEN"

    def __init__(self, model: str, caller: str) -> None:
        super().__init__(
            f"'{caller}' may not use the model '{model}'. Bind it to a role with the verb `use` on modeldeployments in "
            "the model's namespace, such as touchstone-model-user.",
            metadata={"model": model, "caller": caller},
        )


class AuthorityUnavailable(Unavailable):
    """It cannot be told who calls or what they may do; nobody is let in on a guess."""

    reason = "AUTHORITY_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The API server could not be asked about the caller ({cause}). Try again.", metadata={"cause": cause}
        )


class AnswerBroke(Unavailable):
    """The engine went away in the middle of an answer, which cannot be continued elsewhere."""

    reason = "ANSWER_BROKE"

    def __init__(self, revision: str, cause: str) -> None:
        super().__init__(
            f"A replica of '{revision}' went away in the middle of the answer ({cause}). Ask again from the start.",
            metadata={"revision": revision, "cause": cause},
        )


class PromptInvalid(FailedPrecondition):
    """The revision's prompt template cannot be used."""

    reason = "PROMPT_INVALID"

    def __init__(self, revision: str, line: int, fault: str) -> None:
        super().__init__(
            f"The prompt template of '{revision}' fails at line {line}: {fault}. Correct the ConfigMap; "
            "that makes a new revision.",
            metadata={"revision": revision, "line": str(line), "fault": fault},
        )


class PromptTooLong(Invalid):
    """The conversation does not fit, even without passages."""

    reason = "PROMPT_TOO_LONG"

    def __init__(self, token_count: int, limit_tokens: int) -> None:
        super().__init__(
            [Violation("messages", f"have {token_count} tokens with the prompt template; at most {limit_tokens} fit")],
            message=f"The conversation has {token_count} tokens with the prompt template and at most {limit_tokens} "
            "fit. Send fewer or shorter messages.",
        )
        self.metadata |= {"tokenCount": str(token_count), "limitTokens": str(limit_tokens)}


class CapabilityMissing(Unimplemented):
    """The revision's engine cannot do what the request asks."""

    reason = "CAPABILITY_MISSING"

    def __init__(self, revision: str, capability: str) -> None:
        super().__init__(
            f"The engine of '{revision}' cannot do this: {capability}. Leave it out, or ask a model whose engine can.",
            metadata={"revision": revision, "capability": capability},
        )


class ObjectUnreadable(Invalid):
    """A Kubernetes object does not have the form that the router relies on."""

    reason = "OBJECT_UNREADABLE"

    def __init__(self, name: str, fault: str) -> None:
        super().__init__([Violation(name, fault)], message=f"{name} is left out: {fault}. Apply it again.")


class ClusterUnavailable(Unavailable):
    """The Kubernetes API did not answer; the last good view is kept."""

    reason = "CLUSTER_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__(f"The Kubernetes API did not answer: {cause}. The router goes on with what it knows.")


class VersionGone(Conflict):
    """The Kubernetes API no longer knows the resourceVersion (410): list again."""

    reason = "VERSION_GONE"

    def __init__(self) -> None:
        super().__init__("The resourceVersion is too old. List again.")


class EngineCannot(Unimplemented):
    """This engine, or this model, cannot do what was asked."""

    reason = "ENGINE_CANNOT"

    def __init__(self, engine_type: str, what: str) -> None:
        super().__init__(
            f"The {engine_type} engine with this model has no {what}. Describe lists what it can do.",
            metadata={"engine_type": engine_type, "feature": what},
        )


class QueueFull(Exhausted):
    """Too many requests wait for a slot."""

    reason = "QUEUE_FULL"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} requests are waiting for a slot, which is the limit. Try another replica, or later.",
            metadata={"limit": str(limit)},
        )


class PromptOverContext(Invalid):
    """A prompt has more tokens than the context."""

    reason = "PROMPT_OVER_CONTEXT"

    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        description = f"has {prompt_tokens} tokens; the context has {context_tokens}. Shorten it"
        super().__init__(
            [Violation("prompt", description)],
            metadata={"prompt_tokens": str(prompt_tokens), "context_tokens": str(context_tokens)},
        )


class EngineBroke(Unavailable):
    """The engine behind the service does not answer as it should."""

    reason = "ENGINE_BROKE"


class EngineUnsupported(Invalid):
    """No engine of this name runs in this process."""

    reason = "ENGINE_UNSUPPORTED"

    def __init__(self, engine_type: str) -> None:
        description = f"is '{engine_type}'; this process runs LlamaCpp, Scripted and VLLM"
        super().__init__([Violation("spec.engine.type", description)], metadata={"engine_type": engine_type})


class EngineLibraryMissing(FailedPrecondition):
    """The library that runs the model cannot be loaded in this image."""

    reason = "ENGINE_LIBRARY_MISSING"

    def __init__(self, library: str, cause: str) -> None:
        super().__init__(
            f"The library {library} cannot be loaded: {cause}. Use an image that holds it, such as touchstone-engine.",
            metadata={"library": library, "cause": cause},
        )


class PrefillFailed(Unavailable):
    """The prompt should have been computed by a prefill engine, which failed; the policy is not to compute it here."""

    reason = "PREFILL_FAILED"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The prompt could not be computed by a prefill engine ({cause}). Try again.", metadata={"cause": cause}
        )


class AdapterNotLoaded(NotFound):
    """No adapter of this name is loaded here."""

    reason = "ADAPTER_NOT_LOADED"

    def __init__(self, adapter: str, loaded: Sequence[str]) -> None:
        super().__init__(
            f"The adapter '{adapter}' is not loaded. Loaded are: {', '.join(loaded) or 'none'}.",
            metadata={"adapter": adapter},
        )


class AdapterRefused(Invalid):
    """The engine cannot load an adapter."""

    reason = "ADAPTER_REFUSED"

    def __init__(self, adapter: str, cause: str) -> None:
        super().__init__([Violation("uri", f"'{adapter}' cannot be loaded: {cause}")], metadata={"adapter": adapter})


class RequestRefused(Invalid):
    """The engine cannot take the request as it is: a JSON Schema that it cannot turn into a grammar, for example."""

    reason = "REQUEST_REFUSED"

    def __init__(self, description: str) -> None:
        super().__init__([Violation("json_schema", f"is refused by the engine: {description}")])
