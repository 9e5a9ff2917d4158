"""RagIndex: a retrieval index as revisions, built aside, evaluated, activated at once."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from touchstone_operator.api.common import (
    AGE_COLUMN,
    READY_COLUMN,
    ApiModel,
    Column,
    Conditions,
    Decimal,
    DigestString,
    Labels,
    Name,
    ObjectReference,
    Resource,
    RevisionName,
    Text,
    Timestamp,
    Uri,
    keyed,
    rules,
    text,
)
from touchstone_operator.api.evaluations import Gate, GateResult, JmesPath

Glob = Annotated[str, text(256, min_length=1)]


class QdrantStore(ApiModel):
    """A Qdrant server."""

    url: Uri
    """url of its gRPC or HTTP door."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the API key. Unset: none is needed."""
    shard_number: Annotated[int, Field(ge=1, le=256)] = 1
    """shardNumber of a collection."""
    replication_factor: Annotated[int, Field(ge=1, le=16)] = 1
    """replicationFactor of a collection."""
    on_disk: bool = True
    """onDisk keeps vectors on disk."""
    quantization: Literal["None", "Int8", "Binary"] = "None"
    """quantization of the vectors."""


class Store(ApiModel):
    """Where passages are kept."""

    type: Literal["Qdrant", "Embedded"]
    """type is Qdrant, or Embedded: Qdrant's engine in the retrieval service, one folder a revision."""
    qdrant: QdrantStore | None = None
    """qdrant is the server of type Qdrant."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("(self.type == 'Qdrant') == has(self.qdrant)", "set qdrant for type Qdrant, and only for it"),
            ("self.type == oldSelf.type", "store.type cannot be changed: make a new RagIndex"),
        )
    )


class ArtifactSource(ApiModel):
    """A file of an embedder."""

    uri: Uri
    """uri is where it lies."""


class Embedding(ApiModel):
    """The dense encoder. A change makes a new revision; it never changes one in place."""

    type: Literal["Local", "ModelDeployment"] = "Local"
    """type is Local, an ONNX model in the retrieval service, or ModelDeployment, its Embed call."""
    model: ArtifactSource | None = None
    """model is the ONNX file of type Local."""
    tokenizer: ArtifactSource | None = None
    """tokenizer is the tokenizer.json of type Local."""
    model_deployment_ref: ObjectReference | None = None
    """modelDeploymentRef names the model of type ModelDeployment."""
    dimensions: Annotated[int, Field(ge=1, le=8192)]
    """dimensions is the length of a vector."""
    distance: Literal["Cosine", "Dot", "Euclid"] = "Cosine"
    """distance compares vectors."""
    max_tokens: Annotated[int, Field(ge=8, le=8192)] = 256
    """maxTokens is where an input is cut."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.type == 'Local') == (has(self.model) && has(self.tokenizer))",
                "set model and tokenizer for type Local, and only for it",
            ),
            (
                "(self.type == 'ModelDeployment') == has(self.modelDeploymentRef)",
                "set modelDeploymentRef for type ModelDeployment, and only for it",
            ),
        )
    )


class Sparse(ApiModel):
    """The term-based encoder."""

    type: Literal["None", "BM25"] = "BM25"
    """type is BM25 or None."""


class FieldPaths(ApiModel):
    """Where a record's fields lie."""

    text: JmesPath = "text"
    """text is the JMESPath of the document's text."""
    title: JmesPath | None = None
    """title is the JMESPath of its title. Unset: none."""
    id: JmesPath | None = None
    """id is the JMESPath of its name within the source. Unset: the digest of its text."""
    metadata: Annotated[dict[str, JmesPath], Field(max_length=16)] | None = None
    """metadata are JMESPaths of more fields to keep."""


class Source(ApiModel):
    """One place that documents come from."""

    name: Name
    """name is unique in the index."""
    uri: Annotated[
        Uri,
        Field(
            json_schema_extra=rules(
                (
                    "self.matches('^(file|pypi|https?|git[+]https|git[+]file|s3|gs|hf)://.+')",
                    "uri must begin with file://, pypi://, http://, https://, git+https://, s3://, gs:// or hf://",
                )
            )
        ),
    ]
    """uri is where the documents lie."""
    ref: Annotated[str, text(128)] | None = None
    """ref is the branch, tag or commit of a git source. Unset: the default branch."""
    format: Literal["Text", "Markdown", "HTML", "JSONLines", "JSON"] | None = None
    """format says how to parse it. Unset: by the file's extension."""
    records: JmesPath | None = None
    """records is a JMESPath that selects the list of records of a JSON document. Unset: the document itself."""
    fields: FieldPaths | None = None
    """fields say where a record's fields lie, for JSON and JSON lines."""
    include: Annotated[tuple[Glob, ...], Field(max_length=32)] | None = None
    """include are globs of files to take. Unset: all."""
    exclude: Annotated[tuple[Glob, ...], Field(max_length=32)] | None = None
    """exclude are globs of files to leave out. Unset: none."""
    metadata: Labels | None = None
    """metadata is put on each document."""
    credentials_secret_ref: ObjectReference | None = None
    """credentialsSecretRef names the Secret with the store's credentials. Unset: none are needed."""


class ChunkingSpec(ApiModel):
    """How documents are cut into passages."""

    strategy: Literal["Recursive", "Fixed", "Document"] = "Recursive"
    """strategy chooses the places to cut: the largest boundary that fits, a fixed number of tokens, or nowhere."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 256
    """maxTokens is the most tokens of a passage."""
    overlap_tokens: Annotated[int, Field(ge=0, le=4096)] = 0
    """overlapTokens is how many tokens a passage shares with the one before."""

    model_config = ConfigDict(
        json_schema_extra=rules(("self.overlapTokens < self.maxTokens", "overlapTokens must be less than maxTokens"))
    )


class Update(ApiModel):
    """How the index follows its sources."""

    mode: Literal["Incremental", "Rebuild"] = "Incremental"
    """mode is Incremental (passages that did not change are not embedded again) or Rebuild (all are, in each build that
    makes a new revision)."""
    max_delete_ratio: Decimal = "0.2"
    """maxDeleteRatio refuses a build that loses a larger share of documents: an empty source must not wipe an index."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "double(self.maxDeleteRatio) >= 0.0 && double(self.maxDeleteRatio) <= 1.0",
                "maxDeleteRatio must lie between 0 and 1",
            )
        )
    )


class Promotion(ApiModel):
    """What must hold before a built revision becomes active."""

    gates: Annotated[tuple[Gate, ...], keyed(8)] | None = None
    """gates that must pass. Unset: none."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.gates) || self.gates.all(g, g.type == 'EvalRun')",
                "gates of an index are of type EvalRun: an index without traffic has no live metrics",
            )
        )
    )


class RetrievalDefaults(ApiModel):
    """What a search does that says nothing else."""

    mode: Literal["Dense", "Sparse", "Hybrid"] = "Hybrid"
    """mode chooses the arms."""
    top_k: Annotated[int, Field(ge=1, le=100)] = 8
    """topK is how many passages to return."""
    fusion: Literal["RRF"] = "RRF"
    """fusion of the arms: reciprocal rank."""
    min_score: Decimal | None = None
    """minScore drops passages below it. Unset: none are dropped."""
    dense_weight: Decimal | None = None
    """denseWeight of the dense arm in the fusion. Unset: 1."""
    sparse_weight: Decimal | None = None
    """sparseWeight of the sparse arm in the fusion. Unset: 1."""


class IndexAccess(ApiModel):
    """Who may search what."""

    allowed_namespaces: Annotated[tuple[Name, ...], Field(max_length=64)] | None = None
    """allowedNamespaces may search. Unset: this one."""
    tenant_field: Annotated[str, text(63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """tenantField is the metadata field that every search is filtered by, on the server. Unset: no tenants."""


class RagIndexSpec(ApiModel):
    """What the index is built from and how."""

    store: Store
    """store is where passages are kept."""
    embedding: Embedding
    """embedding is the dense encoder."""
    sparse: Sparse | None = None
    """sparse is the term-based encoder. Unset: BM25."""
    sources: Annotated[tuple[Source, ...], keyed(32), Field(min_length=1)]
    """sources are where documents come from."""
    chunking: ChunkingSpec | None = None
    """chunking is how they are cut. Unset: recursively, 256 tokens."""
    schedule: Annotated[str, text(128)] | None = None
    """schedule is a cron line for building again. Unset: only when the spec changes."""
    time_zone: Annotated[str, text(64)] = "Etc/UTC"
    """timeZone of schedule."""
    update: Update | None = None
    """update is how the index follows its sources. Unset: incrementally."""
    promotion: Promotion | None = None
    """promotion is what must hold before a revision becomes active. Unset: nothing."""
    retrieval: RetrievalDefaults | None = None
    """retrieval is what a search does that says nothing else. Unset: hybrid, 8 passages."""
    access: IndexAccess | None = None
    """access says who may search. Unset: this namespace."""
    revision_history_limit: Annotated[int, Field(ge=0, le=16)] = 3
    """revisionHistoryLimit is how many old revisions are kept for rollback."""
    suspend: bool = False
    """suspend stops builds; what is active stays active."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                r"!has(self.schedule) || self.schedule.matches('^(@(hourly|daily|weekly|monthly)|(\\S+\\s+){4}\\S+)$')",
                "schedule must be a cron line of five fields, or @hourly, @daily, @weekly, @monthly",
            )
        )
    )


class SourceRevision(ApiModel):
    """What a source resolved to."""

    name: Name
    """name of the source."""
    digest: Annotated[str, text(71)]
    """digest of its content, or its commit."""


class IndexRevisionStatus(ApiModel):
    """A built revision."""

    name: RevisionName
    """name of the revision."""
    digest: DigestString
    """digest of specification and sources."""
    source_revisions: Annotated[tuple[SourceRevision, ...], keyed(32)] | None = None
    """sourceRevisions are what the sources resolved to."""
    documents: Annotated[int, Field(ge=0)] = 0
    """documents it holds."""
    chunks: Annotated[int, Field(ge=0)] = 0
    """chunks it holds."""
    failed_documents: Annotated[int, Field(ge=0)] = 0
    """failedDocuments could not be parsed."""
    size_bytes: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """sizeBytes in the store."""
    built_at: Timestamp | None = None
    """builtAt is when it was finished."""
    gates: Annotated[tuple[GateResult, ...], keyed(8)] | None = None
    """gates are what its gates came to."""


class BuildProgress(ApiModel):
    """How far a build is."""

    stage: Annotated[str, text(32)]
    """stage is what is being done: Pending, Fetching, Parsing, Embedding, Writing."""
    documents_done: Annotated[int, Field(ge=0)] = 0
    """documentsDone is how many are through."""
    documents_total: Annotated[int, Field(ge=0)] = 0
    """documentsTotal is how many there are; 0 while unknown."""


class RagIndexStatus(ApiModel):
    """What is known of the index."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """observedGeneration is the generation that was observed."""
    active_revision: RevisionName | None = None
    """activeRevision is what searches see."""
    candidate_revision: RevisionName | None = None
    """candidateRevision is built and on its way; unset when there is none."""
    failed_revision: RevisionName | None = None
    """failedRevision is the last one that did not pass its gates for the observed generation."""
    endpoint: Text | None = None
    """endpoint of the RetrievalService."""
    dispatch_id: Annotated[str, text(128)] | None = None
    """dispatchId names the present build in the retrieval service."""
    attempts: Annotated[int, Field(ge=0)] | None = None
    """attempts is how often the present build was started."""
    revisions: Annotated[tuple[IndexRevisionStatus, ...], keyed(32)] | None = None
    """revisions that are kept."""
    last_indexed_time: Timestamp | None = None
    """lastIndexedTime is when the active revision was built."""
    next_schedule_time: Timestamp | None = None
    """nextScheduleTime is when the next scheduled build begins."""
    progress: BuildProgress | None = None
    """progress of the present build."""
    conditions: Conditions | None = None
    """conditions: Ready, StoreReachable, Indexed, Fresh, Promoted, Reconciling, Stalled."""


class RagIndex(Resource):
    """A RagIndex keeps passages of documents searchable; a new revision becomes active only when its gates pass."""

    kind_name: ClassVar[str] = "RagIndex"
    plural: ClassVar[str] = "ragindexes"
    short_name: ClassVar[str] = "ragidx"
    object_rules: ClassVar = (
        (
            "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            (
                "metadata.name must have at most 40 characters, begin with a letter, and hold only a-z, 0-9 and '-': "
                "names of revisions add a suffix to it"
            ),
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY_COLUMN,
        Column(name="Revision", jsonPath=".status.activeRevision", description="What searches see."),
        Column(name="Candidate", jsonPath=".status.candidateRevision", description="The revision on its way."),
        Column(
            name="Gate",
            jsonPath='.status.conditions[?(@.type=="Promoted")].reason',
            description="What the gates came to.",
        ),
        Column(
            name="Fresh", jsonPath='.status.conditions[?(@.type=="Fresh")].status', description="Follows its sources."
        ),
        Column(
            name="Last Indexed",
            type="date",
            jsonPath=".status.lastIndexedTime",
            description="When the active revision was built.",
        ),
        Column(name="Store", jsonPath=".spec.store.type", description="Where passages are kept.", priority=1),
        AGE_COLUMN,
    )

    spec: RagIndexSpec
    """spec is what to build."""
    status: RagIndexStatus = RagIndexStatus()
    """status is what is known; only the operator writes it."""
