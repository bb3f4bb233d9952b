"""The HTTP endpoint: OpenAI's chat completions over the Analyst, on loopback.

Contract: POST /v1/chat/completions (plain or streamed), GET /v1/models and /healthz.  The last user
message is the question.  The message holds answer and derivation; a `denizen` object beside it
holds call and steps for programs.  Errors have OpenAI's envelope.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from denizen.serve.analyst import Analyst, Answer

if TYPE_CHECKING:
    from fastapi import FastAPI

MAX_QUESTION = 4000


def create_app(analyst: Analyst, model_name: str) -> FastAPI:
    """The application; requests are answered one at a time (one model, two cores)."""
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse, StreamingResponse
    from starlette.concurrency import run_in_threadpool

    app = FastAPI(title="Denizen", docs_url=None, redoc_url=None, openapi_url=None)
    lock = threading.Lock()

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "model": model_name}

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        entry = {"id": model_name, "object": "model", "created": 0, "owned_by": "denizen"}
        return {"object": "list", "data": [entry]}

    async def chat(request: Any) -> Any:
        try:
            body = json.loads(await request.body())
            question = last_question(body)
        except ValueError as error:
            return JSONResponse(error_body(str(error)), status_code=400)

        def work() -> Answer:
            with lock:
                return analyst.ask(question)

        answer = await run_in_threadpool(work)
        if body.get("stream"):
            wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            events = stream_events(answer, model_name, wants_usage)
            return StreamingResponse(events, media_type="text/event-stream")
        return JSONResponse(completion_body(answer, model_name))

    # A plain route: the body is read and judged here, so that errors have OpenAI's envelope.
    app.add_route("/v1/chat/completions", chat, methods=["POST"])
    return app


def last_question(body: Any) -> str:
    """The question of a request; raises ValueError saying what is wrong with it."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise ValueError("'messages' must be a list of {role, content}")
    users = [m for m in body["messages"] if isinstance(m, dict) and m.get("role") == "user"]
    if not users:
        raise ValueError("'messages' holds no message of role 'user'")
    content = users[-1].get("content")
    if isinstance(content, list):
        content = " ".join(p.get("text", "") for p in content if isinstance(p, dict))
    if not isinstance(content, str) or not content.strip():
        raise ValueError("the last user message is empty")
    if len(content) > MAX_QUESTION:
        raise ValueError(f"the question is longer than {MAX_QUESTION} characters")
    return content


def message_text(answer: Answer) -> str:
    """The answer with its derivation, as a person reads it."""
    if not answer.ok:
        return answer.text
    steps = "\n".join(f"  {step}" for step in answer.derivation)
    return f"{answer.text}\n\nDerivation\n  {answer.call}\n{steps}"


def completion_body(answer: Answer, model: str) -> dict[str, Any]:
    """OpenAI's response object."""
    return {
        **_head(model, "chat.completion"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": message_text(answer)},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": usage(answer),
        "denizen": {
            "generated": True,
            "exact": answer.ok,
            "draft": answer.draft,
            "call": answer.call,
            "derivation": list(answer.derivation),
        },
    }


def stream_events(answer: Answer, model: str, with_usage: bool) -> Iterator[str]:
    """Server-sent events of one answer, word by word (it is evaluated before it is sent)."""
    head = _head(model, "chat.completion.chunk")

    def event(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    yield event({"role": "assistant", "content": ""})
    for piece in message_text(answer).split(" "):
        yield event({"content": f"{piece} "})
    yield event({}, "stop")
    if with_usage:
        yield f"data: {json.dumps({**head, 'choices': [], 'usage': usage(answer)})}\n\n"
    yield "data: [DONE]\n\n"


def usage(answer: Answer) -> dict[str, int]:
    """Token counts."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def error_body(message: str) -> dict[str, Any]:
    """OpenAI's error envelope."""
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    }


def _head(model: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex[:24]}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
