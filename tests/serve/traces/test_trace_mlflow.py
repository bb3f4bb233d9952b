"""A real MLflow: what was served is read back through its REST API.

Runs where a Python with mlflow (3.6 or later) is named by DENIZEN_MLFLOW.
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
from denizen.serve.traces import Tracer

PYTHON = os.environ.get("DENIZEN_MLFLOW", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(PYTHON).is_file(), reason="DENIZEN_MLFLOW names no Python with mlflow"
    ),
]


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    given = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with running([PYTHON, *words], folder, url + "/health", given):
        yield url


def test_mlflow_shows_what_was_served(mlflow: str, tmp_path: Path) -> None:
    created = httpx.post(
        f"{mlflow}/api/2.0/mlflow/experiments/create", json={"name": "denizen"}, timeout=30
    )
    experiment = created.json()["experiment_id"]
    config = TraceConfig(
        content="full", export="mlflow", export_url=f"{mlflow}?experiment={experiment}"
    )
    tracer = Tracer.from_config(config, tmp_path, redact)
    recording = tracer.start(visit(), asked())
    with recording.span("retrieve", query="fees"):
        pass
    with recording.span("generate"):
        time.sleep(0.01)
    recording.finish(outcome(), "0.3%", None)
    tracer.feedback(recording.trace_id, -1, "wrong fee", visit())
    deadline = time.monotonic() + 60
    while tracer.counts()["exported_feedback"] < 1:
        assert time.monotonic() < deadline and not tracer.counts()["export_refused"]
        time.sleep(0.2)
    assert tracer.close() and tracer.counts()["export_refused"] == 0
    key = f"tr-{recording.trace_id}"
    found: dict[str, Any] = httpx.get(
        f"{mlflow}/api/3.0/mlflow/traces/get", params={"trace_id": key}, timeout=30
    ).json()["trace"]
    assert found["trace_info"]["trace_id"] == key
    names = {span["name"] for span in found["spans"]}
    assert names == {"chat denizen", "retrieval", "chat denizen-1"}
    (given,) = found["trace_info"]["assessments"]
    assert given["feedback"]["value"] == -1 and given["rationale"] == "wrong fee"
