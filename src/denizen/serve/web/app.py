"""The server: every route over one service, behind one door.

Contract: `create_server` makes an ASGI application that reads and bounds its bodies itself, speaks
OpenAI's and Ollama's dialects, and tells every failure in the dialect of the path.  It starts and
closes nothing: whoever made the service does that.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from denizen.project.config import ServeConfig
from denizen.serve.api.rendering import dump
from denizen.serve.exchange import Answering, Fault, ModelCard
from denizen.serve.web import routes_ollama, routes_openai, routes_operations
from denizen.serve.web.arrival import Arrival
from denizen.serve.web.door import Door
from denizen.serve.web.inbox import Receive, Send
from denizen.serve.web.openapi import document
from denizen.serve.web.ports import Operating, Otlp, Site

if TYPE_CHECKING:
    from fastapi import FastAPI

Handler = Callable[[Arrival], Awaitable[None]]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v1/chat/completions", routes_openai.chat),
    ("POST", "/v1/completions", routes_openai.completions),
    ("POST", "/v1/responses", routes_openai.responses),
    ("POST", "/v1/embeddings", routes_openai.embeddings),
    ("GET", "/v1/models", routes_openai.models),
    ("GET", "/v1/models/{id:path}", routes_openai.model),
    ("POST", "/v1/feedback", routes_operations.feedback),
    ("POST", "/v1/traces", routes_operations.traces),
    ("POST", "/admin/adapters", routes_operations.load_adapter),
    ("DELETE", "/admin/adapters/{id}", routes_operations.unload_adapter),
    ("POST", "/api/chat", routes_ollama.chat),
    ("POST", "/api/generate", routes_ollama.generate),
    ("POST", "/api/embed", routes_ollama.embed_many),
    ("POST", "/api/embeddings", routes_ollama.embed_one),
    ("POST", "/api/show", routes_ollama.show),
    ("GET", "/api/tags", routes_ollama.tags),
    ("GET", "/api/ps", routes_ollama.running),
    ("GET", "/api/version", routes_ollama.version),
    ("GET", "/healthz", routes_operations.healthz),
    ("GET", "/readyz", routes_operations.readyz),
    ("GET", "/metrics", routes_operations.metrics),
    ("GET", "/", routes_operations.root),
)


class _Endpoint:
    """A route as ASGI: no object of the framework is made per request."""

    def __init__(self, path: str, handler: Handler) -> None:
        self._path, self._handler = path, handler

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Hand the arrival to the handler."""
        arrival: Arrival = scope["denizen"]
        arrival.route = self._path
        await self._handler(arrival)


def create_server(
    answering: Answering,
    operations: Operating,
    *,
    name: str,
    version: str,
    settings: ServeConfig | None = None,
    otlp: Otlp | None = None,
) -> FastAPI:
    """The application. `settings`: host, max_body, request_seconds; `otlp`: what takes traces."""
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    site = Site(answering, operations, name, version, settings or ServeConfig(), otlp)

    @functools.lru_cache(maxsize=1)
    def described(cards: tuple[ModelCard, ...]) -> bytes:
        return dump(document(name, version, cards))

    def shown() -> tuple[ModelCard, ...]:
        # Where keys are asked for, the names of models are for whoever has one.
        return () if operations.keyed else answering.models

    async def openapi(arrival: Arrival) -> None:
        await arrival.reply(200, described(shown()))

    described(shown())  # half a second the first time: not while answers stream

    routes = [
        Route(path, _Endpoint(path.replace(":path", ""), handler), methods=[method])
        for method, path, handler in (*ROUTES, ("GET", "/openapi.json", openapi))
    ]
    # Its own tracing and documents are off: both are ours, and know what may be told.
    app = FastAPI(
        title=name,
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.routes.extend(routes)
    app.add_exception_handler(HTTPException, _refused)
    app.add_middleware(Door, site=site)
    return app


def _refused(request: Any, error: Exception) -> Any:
    """An unknown path or method, as a Fault that the Door tells."""
    arrival: Arrival = request.scope["denizen"]
    status = int(getattr(error, "status_code", 500))
    if status == 405:
        arrival.allow = (getattr(error, "headers", None) or {}).get("Allow", "")
        method = request.scope["method"]
        raise Fault(405, f"{method[:16]} is not allowed here.", code="method_not_allowed")
    if status == 404:
        raise Fault(404, "There is nothing at this path.", code="unknown_path")
    raise Fault(status, "The request was refused.")
