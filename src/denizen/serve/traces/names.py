"""Every attribute, event and operation name that spans carry, in one module.

Contract: OpenTelemetry's GenAI conventions (open-telemetry/semantic-conventions-genai, the
registry of 2026-10, status Development), what Langfuse and Phoenix (OpenInference) call the same
things, and our own under `denizen.`. Nothing else in this room spells a name out (a test looks):
the conventions still move, and a rename is an edit here.
"""

from __future__ import annotations

# OpenTelemetry, general
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
ERROR_TYPE = "error.type"
HTTP_STATUS = "http.response.status_code"
USER_ID = "user.id"
SESSION_ID = "session.id"

# GenAI: operations (values of OPERATION)
CHAT = "chat"
COMPLETION = "text_completion"
EMBEDDINGS = "embeddings"
RETRIEVAL = "retrieval"
EXECUTE_TOOL = "execute_tool"
INVOKE_AGENT = "invoke_agent"

# GenAI: attributes
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
SYSTEM = "gen_ai.system"  # deprecated, PROVIDER since 1.37: read, never written
CONVERSATION = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
DATA_SOURCE = "gen_ai.data_source.id"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_P = "gen_ai.request.top_p"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STOP = "gen_ai.request.stop_sequences"
REQUEST_CHOICES = "gen_ai.request.choice.count"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

# GenAI: events. DETAILS may carry the messages instead of the span; we read it, and write spans.
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
EVALUATION_EVENT = "gen_ai.evaluation.result"
# Before 1.37 messages came as `gen_ai.prompt.0.content` and `gen_ai.completion.0.content`.
OLD_PROMPT = "gen_ai.prompt"
OLD_COMPLETION = "gen_ai.completion"

# Our own
PROVIDER_NAME = "denizen"
REQUEST_ID = "denizen.request.id"
CALLER = "denizen.caller.id"
ORIGIN = "denizen.origin"
EXACT = "denizen.exact"
CONFIDENCE = "denizen.confidence"
FLAGS = "denizen.flags"
SKILL = "denizen.skill"
ADAPTER = "denizen.adapter"
CORRECTIONS = "denizen.corrections"
CITATIONS = "denizen.citations"
DERIVATION = "denizen.derivation"
DRAFT = "denizen.draft"
CALL = "denizen.call"
GENERATED = "denizen.generated"
CONSENT = "denizen.consent"
LEAF = "denizen.leaf"
STAGE = "denizen.stage"
STAGES_DROPPED = "denizen.stages.dropped"
SIGNAL_PREFIX = "denizen.signal."
STAGE_PREFIX = "denizen.stage."
FEEDBACK_NAME = "user_feedback"
FEEDBACK_SPAN = "feedback"

# Langfuse (their OpenTelemetry attribute mapping, v4)
LANGFUSE_TRACE_NAME = "langfuse.trace.name"
LANGFUSE_TRACE_INPUT = "langfuse.trace.input"
LANGFUSE_TRACE_OUTPUT = "langfuse.trace.output"
LANGFUSE_TRACE_TAGS = "langfuse.trace.tags"
LANGFUSE_TYPE = "langfuse.observation.type"
LANGFUSE_INPUT = "langfuse.observation.input"
LANGFUSE_OUTPUT = "langfuse.observation.output"
LANGFUSE_MODEL = "langfuse.observation.model.name"
LANGFUSE_PARAMETERS = "langfuse.observation.model.parameters"
LANGFUSE_USAGE = "langfuse.observation.usage_details"
LANGFUSE_LEVEL = "langfuse.observation.level"
LANGFUSE_STATUS = "langfuse.observation.status_message"

# OpenInference (Phoenix)
OI_KIND = "openinference.span.kind"
OI_PROJECT = "openinference.project.name"
OI_INPUT = "input.value"
OI_INPUT_TYPE = "input.mime_type"
OI_OUTPUT = "output.value"
OI_OUTPUT_TYPE = "output.mime_type"
OI_MODEL = "llm.model_name"
OI_PROVIDER = "llm.provider"
OI_PARAMETERS = "llm.invocation_parameters"
OI_INPUT_MESSAGES = "llm.input_messages"
OI_OUTPUT_MESSAGES = "llm.output_messages"
OI_ROLE = "message.role"
OI_CONTENT = "message.content"
OI_PROMPT_TOKENS = "llm.token_count.prompt"
OI_COMPLETION_TOKENS = "llm.token_count.completion"
OI_TOTAL_TOKENS = "llm.token_count.total"
OI_DOCUMENTS = "retrieval.documents"
OI_DOCUMENT_ID = "document.id"
OI_DOCUMENT_SCORE = "document.score"
OI_TOOL_NAME = "tool.name"
OI_TOOL_PARAMETERS = "tool.parameters"
OI_TAGS = "tag.tags"
OI_METADATA = "metadata"

# Stage of the server -> operation. Stages without one are ours alone (guard, route).
OPERATIONS = {
    "retrieve": RETRIEVAL,
    "generate": CHAT,
    "upstream": CHAT,
    "calculate": EXECUTE_TOOL,
    "embed": EMBEDDINGS,
}

# Short words a stage may be given -> their names; any other word w becomes STAGE_PREFIX + w.
WORDS = {
    "model": REQUEST_MODEL,
    "provider": PROVIDER,
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "finish": RESPONSE_FINISH,
    "tool": TOOL_NAME,
    "arguments": TOOL_ARGUMENTS,
    "result": TOOL_RESULT,
    "query": RETRIEVAL_QUERY,
    "documents": RETRIEVAL_DOCUMENTS,
    "top_k": RETRIEVAL_TOP_K,
    "messages": INPUT_MESSAGES,
    "answer": OUTPUT_MESSAGES,
    "adapter": ADAPTER,
}

# Labels of more than one word; under any other name such a text may be what somebody wrote.
LABELS = frozenset(
    {
        SERVICE_NAME,
        SERVICE_VERSION,
        REQUEST_MODEL,
        RESPONSE_MODEL,
        EVALUATION_NAME,
        EVALUATION_LABEL,
        ORIGIN,
        FLAGS,
        CITATIONS,
        STAGE,
        STAGE_PREFIX + "reason",
        LANGFUSE_TRACE_TAGS,
        OI_PROJECT,
        OI_TAGS,
    }
)

# What is content wherever it comes from; also every name that goes on from one of these with a dot.
CONTENT = frozenset(
    {
        SYSTEM_INSTRUCTIONS,
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        TOOL_ARGUMENTS,
        TOOL_RESULT,
        TOOL_DEFINITIONS,
        RETRIEVAL_QUERY,
        RETRIEVAL_DOCUMENTS,
        EVALUATION_EXPLANATION,
        OLD_PROMPT,
        OLD_COMPLETION,
        DERIVATION,
        DRAFT,
        CALL,
        CORRECTIONS,
        LANGFUSE_TRACE_INPUT,
        LANGFUSE_TRACE_OUTPUT,
        LANGFUSE_INPUT,
        LANGFUSE_OUTPUT,
        OI_INPUT,
        OI_OUTPUT,
        OI_INPUT_MESSAGES,
        OI_OUTPUT_MESSAGES,
        OI_DOCUMENTS,
        OI_TOOL_PARAMETERS,
        "llm.prompts",
        "llm.choices",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "ai.prompt",
        "ai.response",
        "exception.message",
        "exception.stacktrace",
        "db.statement",
        "db.query.text",
        "url.query",
        "url.full",
        "http.url",
    }
)
