"""Schemas of what the server answers, for its OpenAPI document.

Contract: exact: every field an answer has is here and required unless it says so.  Kept beside the
renderers of serve/api by a test that reads real answers with these schemas.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
REAL: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {}


def ref(name: str) -> Schema:
    """A component by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def thing(optional: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """An object of exactly these fields."""
    return {
        "type": "object",
        "properties": fields | (optional or {}),
        "required": list(fields),
        "additionalProperties": False,
    }


def many(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


def maybe(schema: Schema) -> Schema:
    """Or null."""
    if "type" in schema and isinstance(schema["type"], str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def one(*values: Any) -> Schema:
    """One of these values."""
    return {"enum": list(values)}


_FINISH = one("stop", "length", "tool_calls", "content_filter")
_BYTES = maybe(many({"type": "integer", "minimum": 0, "maximum": 255}))
_TOP = thing(token=TEXT, logprob=REAL, bytes=_BYTES)
_LOGPROB = thing(token=TEXT, logprob=REAL, bytes=_BYTES, top_logprobs=many(_TOP))
_CALL = thing(id=TEXT, type=one("function"), function=thing(name=TEXT, arguments=TEXT))
_USAGE = thing(prompt_tokens=WHOLE, completion_tokens=WHOLE, total_tokens=WHOLE)
_CITED = thing(
    document=TEXT,
    title=TEXT,
    source=TEXT,
    start=WHOLE,
    end=WHOLE,
    quote=TEXT,
    licence=TEXT,
    as_of=TEXT,
    expired=FLAG,
)
_DENIZEN = thing(
    generated=one(True),
    exact=FLAG,
    origin=one("local", "upstream", "abstained"),
    confidence=maybe(REAL),
    draft=TEXT,
    call=maybe(TEXT),
    derivation=many(TEXT),
    citations=many(_CITED),
    corrections=many(thing(claimed=TEXT, exact=TEXT)),
    flags=many(TEXT),
    skill=TEXT,
    adapter=TEXT,
    trace_id=TEXT,
)
_MESSAGE = thing(
    {"tool_calls": many(_CALL)}, role=one("assistant"), content=maybe(TEXT), refusal=maybe(TEXT)
)
_CHAT = thing(
    id=TEXT,
    object=one("chat.completion"),
    created=WHOLE,
    model=TEXT,
    system_fingerprint=maybe(TEXT),
    choices=many(
        thing(
            index=WHOLE,
            message=_MESSAGE,
            logprobs=maybe(thing(content=many(_LOGPROB), refusal={"type": "null"})),
            finish_reason=_FINISH,
        )
    ),
    usage=_USAGE,
    denizen=ref("Denizen"),
)
_COMPLETION = thing(
    id=TEXT,
    object=one("text_completion"),
    created=WHOLE,
    model=TEXT,
    choices=many(
        thing(
            index=WHOLE,
            text=TEXT,
            logprobs=maybe(
                thing(
                    tokens=many(TEXT),
                    token_logprobs=many(REAL),
                    top_logprobs=many({"type": "object", "additionalProperties": REAL}),
                    text_offset=many(WHOLE),
                )
            ),
            finish_reason=_FINISH,
        )
    ),
    usage=_USAGE,
    denizen=ref("Denizen"),
)
_PART = thing(type=one("output_text"), text=TEXT, annotations=many(ANY), logprobs=many(_LOGPROB))
_STATE = one("completed", "incomplete")
_ITEM = {
    "oneOf": [
        thing(
            id=TEXT,
            type=one("message"),
            role=one("assistant"),
            status=_STATE,
            content=many(_PART),
        ),
        thing(
            id=TEXT,
            type=one("function_call"),
            call_id=TEXT,
            name=TEXT,
            arguments=TEXT,
            status=_STATE,
        ),
    ]
}
_RESPONSE = thing(
    id=TEXT,
    object=one("response"),
    created_at=WHOLE,
    status=_STATE,
    error={"type": "null"},
    incomplete_details=maybe(thing(reason=one("max_output_tokens", "content_filter"))),
    model=TEXT,
    output=many(_ITEM),
    instructions=maybe(TEXT),
    max_output_tokens=maybe(WHOLE),
    metadata={"type": "object", "additionalProperties": TEXT},
    parallel_tool_calls=FLAG,
    previous_response_id={"type": "null"},
    store=one(False),
    temperature=maybe(REAL),
    text=thing(format={"type": "object"}),
    tool_choice={"anyOf": [TEXT, {"type": "object"}]},
    tools=many({"type": "object"}),
    top_p=maybe(REAL),
    truncation=one("disabled"),
    usage=thing(
        input_tokens=WHOLE,
        input_tokens_details=thing(cached_tokens=WHOLE, cache_write_tokens=WHOLE),
        output_tokens=WHOLE,
        output_tokens_details=thing(reasoning_tokens=WHOLE),
        total_tokens=WHOLE,
    ),
    denizen=ref("Denizen"),
)
_MODEL = thing(
    id=TEXT,
    object=one("model"),
    created=WHOLE,
    owned_by=TEXT,
    denizen=thing(
        {"context": WHOLE, "quant": TEXT, "parameters": WHOLE, "families": many(TEXT)},
        kind=one("analyst", "adapter", "base", "embedding"),
    ),
)
_DETAILS = thing(
    parent_model=TEXT,
    format=TEXT,
    family=TEXT,
    families=many(TEXT),
    parameter_size=TEXT,
    quantization_level=TEXT,
)
_OLLAMA_MODEL = {"name": TEXT, "model": TEXT, "size": WHOLE, "digest": TEXT, "details": _DETAILS}
_OLLAMA_CALL = thing(id=TEXT, function=thing(name=TEXT, arguments={"type": "object"}))
_OLLAMA_HEAD = {"model": TEXT, "created_at": TEXT, "done": one(True), "done_reason": TEXT}
# An empty request only loads the model: then there are neither counts nor metadata.
_OLLAMA_END = {
    "total_duration": WHOLE,
    "load_duration": WHOLE,
    "prompt_eval_count": WHOLE,
    "prompt_eval_duration": WHOLE,
    "eval_count": WHOLE,
    "eval_duration": WHOLE,
    "logprobs": many(_LOGPROB),
    "denizen": ref("Denizen"),
}
_OLLAMA_MESSAGE = thing({"tool_calls": many(_OLLAMA_CALL)}, role=one("assistant"), content=TEXT)

ANSWERS: dict[str, Schema] = {
    "Denizen": _DENIZEN,
    "Error": thing(
        error=thing(message=TEXT, type=TEXT, param=maybe(TEXT), code=maybe(TEXT)),
    ),
    "OllamaError": thing(error=TEXT),
    "OtlpStatus": thing(message=TEXT),
    "Chat": _CHAT,
    "Completion": _COMPLETION,
    "Response": _RESPONSE,
    "Embeddings": thing(
        object=one("list"),
        data=many(
            thing(
                object=one("embedding"),
                index=WHOLE,
                embedding={"anyOf": [TEXT, many(REAL)]},
            )
        ),
        model=TEXT,
        usage=thing(prompt_tokens=WHOLE, total_tokens=WHOLE),
    ),
    "Model": _MODEL,
    "Models": thing(object=one("list"), data=many(ref("Model"))),
    "Feedback": thing(trace_id=TEXT, score=REAL, recorded=one(True)),
    "Traces": {"type": "object"},
    "AdapterLoaded": thing(name=TEXT, change=REAL, families=many(TEXT)),
    "AdapterUnloaded": thing(name=TEXT, unloaded=one(True)),
    "OllamaChat": thing(_OLLAMA_END, **_OLLAMA_HEAD, message=_OLLAMA_MESSAGE),
    "OllamaGenerate": thing(_OLLAMA_END, **_OLLAMA_HEAD, response=TEXT),
    "OllamaEmbed": thing(
        model=TEXT,
        embeddings=many(many(REAL)),
        total_duration=WHOLE,
        load_duration=WHOLE,
        prompt_eval_count=WHOLE,
    ),
    "OllamaEmbeddings": thing(embedding=many(REAL)),
    "OllamaShow": thing(
        modelfile=TEXT,
        parameters=TEXT,
        template=TEXT,
        license=TEXT,
        details=_DETAILS,
        model_info={"type": "object"},
        capabilities=many(TEXT),
        modified_at=TEXT,
    ),
    "OllamaTags": thing(models=many(thing(**_OLLAMA_MODEL, modified_at=TEXT))),
    "OllamaRunning": thing(
        models=many(thing(**_OLLAMA_MODEL, expires_at=TEXT, size_vram=WHOLE, context_length=WHOLE))
    ),
    "Version": thing(version=TEXT),
    "Health": thing(status=one("ok"), name=TEXT, version=TEXT),
    "Status": thing({"router": TEXT}, status=TEXT),
    "Document": {"type": "object"},
}
