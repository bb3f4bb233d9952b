"""Schemathesis against our own OpenAPI: no 500, only documented statuses, answers of their schema.

A real server over a fake service, so that what is found is the interface's.  Requests are drawn from
the document itself, right ones and wrong ones, the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.serve.integrations.served_sample import Fake, served

from denizen.project.config import TraceConfig
from denizen.serve.exchange import Visit
from denizen.serve.traces import Tracer
from denizen.serve.web.openapi import OPERATIONS

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
pytestmark = pytest.mark.slow
EXAMPLES, FEW = 30, 3
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
)
KINDS = {"right": "POSITIVE", "wrong": "NEGATIVE"}


class Welcoming(Fake):
    """A service that knows every trace, so that feedback can be right."""

    async def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None:
        """Taken."""
        self.feedback_given.append((trace_id, score, comment))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The server's document, loaded from the running server; its intake of traces is the real."""
    folder = tmp_path_factory.mktemp("fuzzed")
    tracer = Tracer.from_config(TraceConfig(), folder, lambda text: text)

    async def otlp(body: bytes, kind: str) -> bytes:
        answer, _ = await tracer.otlp_in(body, kind, "")
        return bytes(answer)

    with served(folder, Welcoming(), otlp) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")
    tracer.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_every_operation_keeps_its_word(operation: Any, kind: str, document: Any) -> None:
    if kind == "wrong" and operation.body is None:
        pytest.skip("nothing in it can be wrong")
    told = document[operation.path][operation.method.upper()]
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES if operation.body else FEW,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=told.as_strategy(getattr(schemathesis.GenerationMode, KINDS[kind])))
    def asks(case: Any) -> None:
        reply = case.call(timeout=20)
        seen.add(reply.status_code)
        # The document describes a stream as one text; schemathesis looks for its events.
        streamed = "text/event-stream" in str(reply.headers.get("content-type"))
        names = [name for name in CHECKED if not (streamed and "schema" in name)]
        case.validate_response(reply, checks=schemathesis.checks.CHECKS.get_by_names(names))
        if streamed:
            assert reply.text.endswith("\n\n") and '"error"' not in reply.text[-200:]
        if kind == "wrong":
            assert 400 <= reply.status_code < 500, "a wrong request was taken"

    asks()
    # What is drawn as right may be refused (the document cannot say everything: a tool_choice must
    # name a tool), but if all of it is, nothing was tested.
    assert kind == "wrong" or operation.missing or 200 in seen, seen


def test_the_document_names_every_route_of_the_server() -> None:
    from denizen.serve.web.app import ROUTES

    routes = {(method.lower(), path.replace(":path", "")) for method, path, _ in ROUTES}
    assert routes <= {(o.method, o.path) for o in OPERATIONS}
