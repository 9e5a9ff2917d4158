"""Every span, metric and attribute name, in one place: the conventions move.

`rpc.*` and `gen_ai.*` follow the OpenTelemetry semantic conventions; what is ours begins with `touchstone.`. A user's
id, a prompt or a job's id is never an attribute of a metric.
"""

# ruff: noqa: S105 - tokens here are words of text, not secrets

RPC_SERVER_DURATION = "rpc.server.call.duration"
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"

GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_TEMPERATURE = "gen_ai.request.temperature"
GEN_AI_REQUEST_TOP_P = "gen_ai.request.top_p"
GEN_AI_REQUEST_TOP_K = "gen_ai.request.top_k"
GEN_AI_REQUEST_SEED = "gen_ai.request.seed"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHED_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_DATA_SOURCE = "gen_ai.data_source.id"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GEN_AI_SERVER_REQUEST_DURATION = "gen_ai.server.request.duration"
GEN_AI_SERVER_TIME_TO_FIRST_TOKEN = "gen_ai.server.time_to_first_token"
GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN = "gen_ai.server.time_per_output_token"
GEN_AI_CLIENT_TOKEN_USAGE = "gen_ai.client.token.usage"
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"

OPERATION_CHAT = "chat"
OPERATION_RETRIEVAL = "retrieval"

REVISION = "touchstone.revision"
REQUEST_ID = "touchstone.request.id"
ENGINE_TYPE = "touchstone.engine.type"
QUEUE_DURATION = "touchstone.engine.queue.duration"
RESOURCE_KIND = "touchstone.resource.kind"
RESOURCE_NAME = "touchstone.resource.name"
RECONCILE_OUTCOME = "touchstone.reconcile.outcome"
RECONCILE_DURATION = "touchstone.reconcile.duration"
JOB_ID = "touchstone.job.id"
JOB_KIND = "touchstone.job.kind"
JOB_ATTEMPT = "touchstone.job.attempt"
JOB_DURATION = "touchstone.job.duration"
INDEX = "touchstone.index"
SEARCH_HITS = "touchstone.search.hits"
