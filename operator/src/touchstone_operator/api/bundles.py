"""The bundle: everything that is hashed into a revision's digest."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    COMMIT_RULE,
    ApiModel,
    KeyReference,
    Name,
    ObjectReference,
    Uri,
    rules,
    text,
)

OPERATOR_OWNED_ARGUMENTS = (
    "host",
    "port",
    "tensor-parallel-size",
    "kv-transfer-config",
    "lora-modules",
    "enable-lora",
)
"""Engine arguments that the operator sets itself."""


class ModelSource(ApiModel):
    """The weights: by their address, or what a FinetuneJob makes."""

    uri: Uri | None = None
    """uri is where the weights lie: hf://, s3://, gs://, oci://, pvc://, file://, pypi://, or https:// (External).
    Unset: finetuneJobRef makes them."""
    finetune_job_ref: ObjectReference | None = None
    """finetuneJobRef names the FinetuneJob that makes the whole model. Unset: uri says where it is."""
    revision: Annotated[str, text(128)] | None = None
    """revision is a digest, or a commit of an hf:// address; of an External model, its version as its maker names it.
    Unset: resolved once and pinned in status; it never floats."""
    name: Annotated[str, text(253)] | None = None
    """name is the served name. Unset: metadata.name."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the store's credentials. Unset: none are needed."""
    trust_remote_code: bool = False
    """trustRemoteCode lets the engine run code that comes with the weights."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.uri) != has(self.finetuneJobRef)", "set exactly one of uri and finetuneJobRef"),
            ("!has(self.revision) || has(self.uri)", "remove revision: a FinetuneJob's artefact has its digest"),
            (f"(has(self.uri) && self.uri.startsWith('https://')) || {COMMIT_RULE[0]}", COMMIT_RULE[1]),
            (
                "!has(self.uri) || self.uri.matches('^(hf|s3|gs|oci|pvc|file|pypi|https)://.+')",
                "uri must begin with hf://, s3://, gs://, oci://, pvc://, file://, pypi:// or https://",
            ),
            (
                "!has(self.uri) || !self.uri.startsWith('pvc://') || !has(self.credentialsSecretRef)",
                "remove credentialsSecretRef: a pvc:// model needs none",
            ),
        )
    )


class AdapterOrigin(ApiModel):
    """Where an adapter comes from."""

    type: Literal["FinetuneJob", "URI"]
    """type is FinetuneJob, the artefact of a job, or URI."""
    finetune_job_ref: ObjectReference | None = None
    """finetuneJobRef names the FinetuneJob."""
    uri: Uri | None = None
    """uri is where the adapter lies."""
    revision: Annotated[str, text(128)] | None = None
    """revision is a digest, or a commit of an hf:// address. Unset: resolved once and pinned in status."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.type == 'FinetuneJob') == has(self.finetuneJobRef)",
                "set finetuneJobRef for type FinetuneJob, and only for it",
            ),
            ("(self.type == 'URI') == has(self.uri)", "set uri for type URI, and only for it"),
            ("!has(self.revision) || has(self.uri)", "remove revision: a FinetuneJob's artefact has its digest"),
            COMMIT_RULE,
        )
    )


class AdapterSpec(ApiModel):
    """A LoRA adapter."""

    name: Name
    """name is how requests refer to it."""
    source: AdapterOrigin
    """source is where it comes from."""
    rank: Annotated[int, Field(ge=1, le=512)] | None = None
    """rank of the adapter. Unset: read from the artefact."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.name != 'none'", "choose another name: requests say none for the model without an adapter")
        )
    )


class PromptSource(ApiModel):
    """The prompt template."""

    config_map_key_ref: KeyReference
    """configMapKeyRef names the key that holds the template; its content is hashed, not its name."""


class RagSource(ApiModel):
    """The index whose passages go into the prompt."""

    index_ref: ObjectReference
    """indexRef names the RagIndex."""
    revision_policy: Literal["Follow", "Pinned"] = "Follow"
    """revisionPolicy is Follow (a new active index revision makes a new revision of the bundle) or Pinned."""
    revision: Annotated[str, text(63, min_length=1)] | None = None
    """revision is the index revision. Required when Pinned."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.revisionPolicy != 'Pinned' || has(self.revision)", "set revision, or set revisionPolicy to Follow")
        )
    )


class EngineSpec(ApiModel):
    """The engine and its arguments."""

    type: Literal["VLLM", "LlamaCpp", "External", "Scripted"]
    """type is VLLM (Ray Serve), LlamaCpp (CPU, GGUF), External (an OpenAI-compatible API) or Scripted (deterministic,
    for tests and load)."""
    image: Annotated[str, text(512)] | None = None
    """image overrides the platform's. Unset: the platform's image for the type."""
    max_model_len: Annotated[int, Field(ge=16, le=16_777_216)] = 2048
    """maxModelLen is the context of one request, prompt and output, in tokens."""
    args: (
        Annotated[
            dict[Annotated[str, text(64)], Annotated[str, text(1024)]],
            Field(max_length=64),
        ]
        | None
    ) = None
    """args are engine arguments by their command-line names, without dashes in front. Unset: the engine's defaults."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.args) || !self.args.exists(k, k in {list(OPERATOR_OWNED_ARGUMENTS)!r})",
                f"remove arguments that the operator sets itself: {', '.join(OPERATOR_OWNED_ARGUMENTS)}",
            )
        )
    )
