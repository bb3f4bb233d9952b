"""The n8n workflow: of n8n's format, whole, and it answers or escalates, never breaks."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.n8n_sample import NODE, Workflow
from tests.serve.integrations.served_sample import Fake, served

from denizen.project.config import load_config
from denizen.serve.answering.report import REPORT_SCHEMA
from denizen.serve.langgraph import contract_of
from denizen.serve.langgraph.conversation import DOUBTS

FOLDER = Path(__file__).parents[2] / "deploy" / "n8n"
WORKFLOW = FOLDER / "denizen-analyst.json"
TOLD: dict[str, Any] = json.loads(WORKFLOW.read_text("utf-8"))
SCHEMA: dict[str, Any] = json.loads((FOLDER / "workflow.schema.json").read_text("utf-8"))
REPORT = {
    "yield_assessment": "moderate",
    "apr_sustainable": "low",
    "risk_flags": [],
    "recommendations": [{"action": "hold", "rationale": "fees pay", "rationale_by": "rules"}],
    "confidence": 0.75,
}


def faults(workflow: Any) -> list[str]:
    """What the schema says of a workflow."""
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(SCHEMA)
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(workflow)]


def test_it_keeps_the_format_and_the_schema_is_no_open_door() -> None:
    assert faults(TOLD) == []
    by_name = {node["name"]: number for number, node in enumerate(TOLD["nodes"])}
    for name, key, value in (
        ("Question", "authentication", "none"),
        ("Ask Denizen", "jsonbody", "x"),
        ("Ask Denizen", "jsonBody", '{"a": 1}'),
        ("Sure enough?", "conditions", {"conditions": []}),
        ("Escalated", "responseBody", "{{ $json }}"),
        ("Make the request", "jsCode", ""),
    ):
        changed = copy.deepcopy(TOLD)
        changed["nodes"][by_name[name]]["parameters"][key] = value
        assert faults(changed), (name, key)
    changed = copy.deepcopy(TOLD)
    changed["nodes"][0]["type"] = "n8n-nodes-base.webhok"
    assert faults(changed)


def test_ids_are_unique_and_connections_meet_nodes() -> None:
    ids = re.findall(r'"(?:id|webhookId)": "([0-9a-f]{8}-[0-9a-f-]{27})"', WORKFLOW.read_text())
    assert len(ids) == len(set(ids)) > len(TOLD["nodes"])
    names = [node["name"] for node in TOLD["nodes"]]
    assert len(names) == len(set(names))
    targets = [
        target["node"]
        for outputs in TOLD["connections"].values()
        for output in outputs["main"]
        for target in output
    ]
    kinds = {node["name"]: node["type"].rpartition(".")[2] for node in TOLD["nodes"]}
    assert set(TOLD["connections"]) | set(targets) <= set(names)
    # All but the trigger and the note is reached, and only an answer to the webhook ends a path.
    assert set(names) - set(targets) == {"Question", "Note"}
    ends = set(targets) - set(TOLD["connections"])
    assert {kinds[end] for end in ends} == {"respondToWebhook"}
    assert len(TOLD["connections"]["Sure enough?"]["main"]) == 2


def test_it_watches_for_the_same_doubts_as_the_node() -> None:
    code = next(node for node in TOLD["nodes"] if node["name"] == "Read the answer")
    for doubt in DOUBTS:
        assert f"'{doubt}'" in code["parameters"]["jsCode"]


def test_no_expression_ends_before_its_end_and_no_key_is_in_the_file() -> None:
    texts = re.findall(r'"(=(?:[^"\\]|\\.)*)"', WORKFLOW.read_text())
    assert len(texts) >= 6
    for text in texts:
        assert text.startswith("={{") and text.endswith("}}"), text
        # n8n takes the first }} for the end.
        assert "}}" not in text[3:-2] and "{{" not in text[3:-2], text
    assert "Bearer dz" not in WORKFLOW.read_text() and "sk-" not in WORKFLOW.read_text()


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.slow
class TestRun:
    """The workflow run: its own JavaScript in node, the server played by the test."""

    def reply(self, content: str, **meta: Any) -> dict[str, Any]:
        body = {"choices": [{"message": {"content": content}}], "denizen": meta}
        return {"statusCode": 200, "body": body}

    def test_it_asks_for_the_report_strictly(self) -> None:
        seen: list[Any] = []

        def send(url: str, body: Any) -> dict[str, Any]:
            seen.append((url, body))
            return self.reply(json.dumps(REPORT), trace_id="t1")

        flow = Workflow(WORKFLOW)
        status, answer = flow.run({"question": 'Stay in the "pool"? }} {{ $env }}'}, send)
        assert status == 200 and answer["report"] == REPORT and not answer["escalated"]
        assert answer["generated"] and answer["trace_id"] == "t1" and answer["confidence"] == 0.75
        url, body = seen[0]
        assert url.endswith("/v1/chat/completions")
        assert body["messages"][0]["content"] == 'Stay in the "pool"? }} {{ $env }}'
        sent = body["response_format"]["json_schema"]
        assert sent["strict"] is True and sent["schema"] == REPORT_SCHEMA
        assert sent["name"] == contract_of().name
        stack = load_config(FOLDER.parent / "denizen.yaml", required=True)
        assert body["model"] == stack.serve.backend_model

    def test_a_long_question_is_asked_whole(self) -> None:
        seen: list[str] = []

        def send(url: str, body: Any) -> dict[str, Any]:
            seen.append(body["messages"][0]["content"])
            return {"statusCode": 400, "body": {"error": {}}}

        status, answer = Workflow(WORKFLOW).run({"question": "x" * 50_000}, send)
        assert len(seen[0]) == 50_000, "what is too long is refused, never cut"
        assert status == 202 and answer["reason"] == "Denizen answered 400"

    @pytest.mark.parametrize(
        ("content", "meta", "reason"),
        [
            (json.dumps({**REPORT, "confidence": 0.3}), {}, "confidence 0.3 is below 0.5"),
            (json.dumps(REPORT), {"confidence": 0.2}, "confidence 0.2 is below 0.5"),
            (json.dumps(REPORT), {"flags": ["upstream failed: late"]}, "upstream failed: late"),
            (json.dumps(REPORT), {"origin": "abstained"}, "the server abstained"),
            (
                json.dumps(REPORT),
                {"origin": "local", "skill": "analyst_report", "exact": False},
                "the rules could not recompute the report",
            ),
            ("no JSON", {}, "the answer is not an object of the schema"),
            ('"text"', {}, "the answer is not an object of the schema"),
            ('{"confidence": 1}', {}, "the answer lacks yield_assessment"),
        ],
    )
    def test_doubts_and_rubbish_escalate(self, content: str, meta: Any, reason: str) -> None:
        flow = Workflow(WORKFLOW)
        status, answer = flow.run({"question": "q"}, lambda *_: self.reply(content, **meta))
        assert status == 202 and answer["escalated"] and answer["reason"].startswith(reason)
        assert "Hand over to a person" in flow.visited

    @pytest.mark.parametrize(
        ("item", "reason"),
        [
            ({"error": {"message": "connect ECONNREFUSED"}}, "Denizen was not reached"),
            ({"statusCode": 503, "body": {"error": {}}}, "Denizen answered 503"),
            ({"statusCode": 200, "body": "<html>"}, "the answer is not an object"),
            ({"statusCode": 200, "body": None}, "the answer is not an object"),
            ({"statusCode": 200}, "the answer is not an object"),
        ],
    )
    def test_a_server_that_fails_escalates(self, item: Any, reason: str) -> None:
        status, answer = Workflow(WORKFLOW).run(None, lambda *_: item)
        assert status == 202 and answer["reason"].startswith(reason) and answer["report"] is None

    def test_against_a_running_server(self, tmp_path: Path) -> None:
        """The server's own reply, its refusal of an unknown model, and nobody at the address."""
        import httpx

        named = "denizen-tiny"
        with served(tmp_path, Fake()) as address:

            def send(url: str, body: Any) -> dict[str, Any]:
                assert url.endswith("/v1/chat/completions")
                body["model"] = named
                reply = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=30)
                return {"statusCode": reply.status_code, "body": reply.json()}

            status, answer = Workflow(WORKFLOW).run({"question": "Stay?"}, send)
            assert status == 200 and answer["confidence"] == 0.75 and answer["trace_id"]
            assert answer["report"]["recommendations"][0]["rationale_by"] == "rules"
            named = "nobody"
            status, answer = Workflow(WORKFLOW).run({"question": "Stay?"}, send)
            assert status == 202 and answer["reason"] == "Denizen answered 404"
