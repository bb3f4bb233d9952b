"""A real Phoenix: what was served is read back through its REST API.

Runs where a Python with arize-phoenix is named by DENIZEN_PHOENIX.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from trace_fakes import asked, free_port, outcome, redact, running, visit

from denizen.project.config import TraceConfig
from denizen.serve.traces import Tracer, names

PYTHON = os.environ.get("DENIZEN_PHOENIX", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(PYTHON).is_file(), reason="DENIZEN_PHOENIX names no Python with arize-phoenix"
    ),
]


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("phoenix")
    port, grpc = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    given = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with running([PYTHON, "-m", "phoenix.server.main", "serve"], folder, url + "/healthz", given):
        yield url


def spans_in(url: str, project: str) -> dict[str, dict[str, Any]]:
    answer = httpx.get(f"{url}/v1/projects/{project}/spans", timeout=10)
    return {one["name"]: one for one in answer.json()["data"]} if answer.is_success else {}


def test_phoenix_shows_what_was_served(phoenix: str, tmp_path: Path) -> None:
    config = TraceConfig(
        content="full", export="phoenix", export_url=f"{phoenix}?project=denizen-test"
    )
    tracer = Tracer.from_config(config, tmp_path, redact)
    recording = tracer.start(visit(), asked())
    with recording.span("guard"):
        pass
    with recording.span("retrieve", query="fees") as stage:
        stage.set(documents=[{"id": "uniswap.md", "score": 0.5}])
    with recording.span("generate"):
        time.sleep(0.01)
    with recording.span("calculate", tool="quote", arguments='{"a": 1}', result="5"):
        pass
    recording.finish(outcome(flags=("low confidence",)), "0.3%", None)
    tracer.feedback(recording.trace_id, -1, "wrong fee", visit())
    deadline = time.monotonic() + 60
    while tracer.counts()["exported_feedback"] < 1:
        assert time.monotonic() < deadline, tracer.counts()
        time.sleep(0.2)
    spans: dict[str, dict[str, Any]] = {}
    while len(spans) < 5:
        assert time.monotonic() < deadline, spans
        spans = spans_in(phoenix, "denizen-test")
        time.sleep(0.2)
    assert tracer.close() and tracer.counts()["export_refused"] == 0

    root, written = spans["chat denizen"], spans["chat denizen-1"]
    assert {one["context"]["trace_id"] for one in spans.values()} == {recording.trace_id}
    assert {name: one["span_kind"] for name, one in spans.items()} == {
        "chat denizen": "AGENT",
        "guard": "GUARDRAIL",
        "retrieval": "RETRIEVER",
        "chat denizen-1": "LLM",
        "execute_tool quote": "TOOL",
    }
    assert written["parent_id"] == root["context"]["span_id"]
    assert root["attributes"][names.OI_INPUT] == "What does Uniswap v3 charge?"
    assert root["attributes"][names.OI_OUTPUT] == "0.3%"
    assert written["attributes"][names.OI_TOTAL_TOKENS] == 17
    answer = httpx.get(
        f"{phoenix}/v1/projects/denizen-test/trace_annotations",
        params={"trace_ids": recording.trace_id},
        timeout=10,
    )
    (given,) = answer.json()["data"]
    assert given["result"]["score"] == -1 and given["result"]["explanation"] == "wrong fee"
