"""The node in a real LangGraph graph: valid, repaired, escalated; blocking and not; HTTP and here."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from pydantic import BaseModel
from tests.serve.integrations.node_sample import BAD, GOOD, URL, Script, ScriptedService

from denizen.serve.exchange import Fault, Outcome, Usage
from denizen.serve.langgraph import Escalation, NodeError, contract_of, make_analyst
from denizen.serve.langgraph.asking import LARGEST

pytest.importorskip("langgraph", reason="needs the extra langgraph")
from langgraph.graph.message import add_messages

QUESTION = {"messages": [("user", "Should I stay in this pool?")]}


def graph(node: Any) -> Any:
    """START -> analyst -> END over messages, with the node's own keys."""
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict, total=False):
        messages: Annotated[list[Any], add_messages]
        answer: dict[str, Any] | None
        escalate: dict[str, Any] | None
        ticket: str

    made = StateGraph(State)
    made.add_node("analyst", node)
    made.add_edge(START, "analyst")
    made.add_edge("analyst", END)
    return made.compile()


def asked(node: Any, *, later: bool = False, state: Any = QUESTION) -> Any:
    """One run of the graph, blocking or not."""
    compiled = graph(node)
    return asyncio.run(compiled.ainvoke(state)) if later else compiled.invoke(state)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("here", [False, True])
def test_a_valid_answer_is_taken_as_it_is(later: bool, here: bool) -> None:
    meta = {"trace_id": "t1", "exact": True}
    script = Script([GOOD], meta)
    service = ScriptedService([GOOD], Outcome("rel-1", Usage(3, 5), exact=True, trace_id="t1"))
    node = (
        make_analyst(service=service)
        if here
        else make_analyst(URL, key="k1", transport=script.transport())
    )
    state = asked(node, later=later)
    assert state["answer"] == GOOD and state["escalate"] is None
    message = state["messages"][-1]
    assert message.type == "ai" and json.loads(message.content) == GOOD
    told = message.response_metadata["denizen"]
    assert told["generated"] is True and told["trace_id"] == "t1" and told["exact"] is True
    if here:
        request = service.seen[0]
        assert request.model == "rel-1" and request.format.strict
        assert request.turns[-1].content == "Should I stay in this pool?"
    else:
        body = script.seen[0]
        assert body["model"] == "rel-1" and set(script.keys) == {"Bearer k1"}
        assert body["response_format"]["json_schema"]["strict"] is True
        assert body["response_format"]["json_schema"]["name"] == "analyst"


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("wrong", [BAD, "not JSON at all", [1], {"confidence": 0.5}])
def test_one_repair_is_told_what_was_wrong(later: bool, wrong: Any) -> None:
    script = Script([wrong, GOOD])
    state = asked(make_analyst(URL, transport=script.transport()), later=later)
    assert state["answer"] == GOOD and state["escalate"] is None
    first, second = (body["messages"][-1] for body in script.seen)
    assert first["content"] == "Should I stay in this pool?"
    assert second["role"] == "user" and second["content"].startswith(first["content"])
    assert "not valid" in second["content"] and len(second["content"]) < 1500
    if wrong is BAD:
        assert "recommendations" in second["content"]


@pytest.mark.parametrize("later", [False, True])
def test_what_stays_invalid_is_escalated_and_never_shown_as_an_answer(later: bool) -> None:
    script = Script([BAD, BAD, GOOD])
    state = asked(make_analyst(URL, transport=script.transport()), later=later)
    assert len(script.seen) == 2, "one repair, not more"
    assert state["answer"] is None
    assert state["escalate"]["reason"] == "no valid answer" and state["escalate"]["attempts"] == 2
    assert "recommendations" in state["escalate"]["problems"][0]
    assert "buy" not in state["messages"][-1].content
    assert state["messages"][-1].response_metadata["denizen"]["escalate"]["attempts"] == 2


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("awaitable", [False, True])
def test_the_callers_own_escalation_decides_the_update(later: bool, awaitable: bool) -> None:
    seen: list[Escalation] = []

    def handed(state: Any, escalation: Escalation) -> Any:
        seen.append(escalation)
        update = {"ticket": f"T-{escalation.attempts}"}
        if not awaitable:
            return update

        async def soon() -> Any:
            return update

        return soon()

    script = Script([BAD, BAD])
    node = make_analyst(URL, escalate=handed, transport=script.transport())
    state = asked(node, later=later)
    assert state["ticket"] == "T-2" and seen[0].problems
    assert state["escalate"]["reason"] == "no valid answer"
    assert asked(make_analyst(URL, escalate=handed, transport=Script([GOOD]).transport()))[
        "answer"
    ], "and it is not called for a good answer"
    assert len(seen) == 1


def test_a_command_sends_the_graph_elsewhere() -> None:
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.types import Command

    def person(state: Any) -> Any:
        return {"messages": [("ai", "a person looks at it")]}

    node = make_analyst(
        URL,
        escalate=lambda *_: Command(goto="person"),
        transport=Script([503]).transport(),
    )
    made = StateGraph(MessagesState)
    made.add_node("analyst", node, destinations=("person",))
    made.add_node("person", person)
    made.add_edge(START, "analyst")
    made.add_edge("person", END)
    assert made.compile().invoke(QUESTION)["messages"][-1].content == "a person looks at it"


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ({"confidence": 0.4}, "confidence 0.40 is below 0.50"),
        ({"flags": ["long answer", "low confidence"]}, "low confidence"),
        ({"flags": ["upstream failed: no answer in time"]}, "upstream failed: no answer in time"),
        (
            {"origin": "local", "skill": "analyst_report", "exact": False},
            "the rules could not recompute the report",
        ),
        ({"origin": "abstained"}, "the server abstained"),
    ],
)
def test_doubts_of_the_server_escalate(meta: dict[str, Any], reason: str) -> None:
    state = asked(make_analyst(URL, floor=0.5, transport=Script([GOOD], meta).transport()))
    assert state["escalate"]["reason"] == reason
    assert (state["answer"] is None) == (meta.get("origin") == "abstained")


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (503, "the server answered 503: no such luck"),
        (400, "the server answered 400: no such luck"),
        (b"<html>", "the server's answer is no chat completion"),
        (b'{"choices": []}', "the server's answer is no chat completion"),
        (b"[" * 100_000, "the server's answer is no chat completion"),
        (b"x" * (LARGEST + 1), "the server's answer is too large"),
        (httpx.ConnectError("refused"), "the server was not reached (ConnectError)"),
        (httpx.ReadTimeout("late"), "no answer within 60 s"),
    ],
)
def test_a_failure_of_one_request_escalates(later: bool, says: Any, reason: str) -> None:
    state = asked(make_analyst(URL, transport=Script([says]).transport()), later=later)
    assert state["answer"] is None and state["escalate"]["reason"] == reason


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_set_up_is_an_error_not_an_escalation(status: int) -> None:
    with pytest.raises(NodeError, match=f"answered {status}: no such luck"):
        asked(make_analyst(URL, model="m", transport=Script([status]).transport()))
    fault = Fault(404, "the model 'm' does not exist here", code="model_not_found")
    with pytest.raises(NodeError, match="does not exist"):
        asked(make_analyst(service=ScriptedService([fault]), model="m"))
    with pytest.raises(NodeError, match="either url or service"):
        make_analyst()
    with pytest.raises(NodeError, match="holds no messages"):
        make_analyst(URL).invoke({"messages": []})


def test_a_fault_of_the_service_escalates_also_inside_a_running_loop() -> None:
    busy = Fault(503, "too many requests wait", kind="server_error", code="overloaded")
    node = make_analyst(service=ScriptedService([busy, GOOD]))

    async def blocking_call_inside_a_loop() -> Any:
        return node.invoke(QUESTION)

    first = asyncio.run(blocking_call_inside_a_loop())
    assert first["escalate"]["reason"] == "the service refused: too many requests wait"
    assert node.invoke(QUESTION)["answer"] == GOOD


class Quote(BaseModel):
    """A pydantic contract with a nested list and an option."""

    class Leg(BaseModel):
        token: str
        amount: float

    legs: list[Leg]
    note: str | None = None


def test_a_pydantic_model_is_sent_strictly_and_checked() -> None:
    good = {"legs": [{"token": "ETH", "amount": 1.5}], "note": None}
    script = Script([{"legs": [{"token": "ETH"}], "note": None}, good])
    state = asked(make_analyst(URL, schema=Quote, transport=script.transport()))
    assert state["answer"] == good
    sent = script.seen[0]["response_format"]["json_schema"]["schema"]
    assert sent["required"] == ["legs", "note"] and sent["additionalProperties"] is False
    assert sent["$defs"]["Leg"]["required"] == ["token", "amount"]
    assert sent["$defs"]["Leg"]["additionalProperties"] is False
    assert "default" not in json.dumps(sent)
    assert "legs.0.amount: Field required" in script.seen[1]["messages"][-1]["content"]


def test_a_json_schema_is_checked_whole() -> None:
    schema = {
        "title": "Fee",
        "type": "object",
        "properties": {
            "bps": {"type": "integer", "minimum": 0, "maximum": 10_000},
            "pool": {"anyOf": [{"type": "string", "pattern": "^0x"}, {"type": "null"}]},
            "path": {"type": "array", "items": {"$ref": "#/$defs/hop"}, "minItems": 1},
        },
        "$defs": {"hop": {"type": "object", "properties": {"to": {"enum": ["ETH", "USDC"]}}}},
    }
    read = contract_of(schema).read
    good = {"bps": 5, "pool": None, "path": [{"to": "ETH"}]}
    assert read(json.dumps(good)) == good
    for change in (
        {"bps": 10_001}, {"bps": 0.5}, {"bps": True}, {"pool": "uni"}, {"path": []},
        {"path": [{"to": "BTC"}]}, {"path": [{}]}, {"more": 1}, {"path": [{"to": "ETH", "x": 1}]},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            read(json.dumps({**good, **change}))
    with pytest.raises(ValueError, match="twice"):
        read('{"bps": 5, "bps": 6, "pool": null, "path": [{"to": "ETH"}]}')


def test_making_the_module_imports_no_langchain() -> None:
    code = (
        "import sys, denizen.serve.langgraph as room\n"
        "assert not {'langchain_core', 'httpx', 'pydantic_core'} & set(sys.modules) - known\n"
        "sys.modules['langchain_core'] = None\n"
        "sys.modules['langchain_core.messages'] = None\n"
        "try:\n    room.make_analyst('http://x/v1')\n"
        "except room.node.NodeError as error:\n    print(error)\n"
    )
    code = "import sys; known = set(sys.modules)\n" + code.replace("'pydantic_core'", "'langgraph'")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "langchain-core is not installed" in done.stdout and "denizen[langgraph]" in done.stdout


@pytest.mark.parametrize(
    ("meta", "own", "reason"),
    [
        ({"confidence": None, "flags": ["uncalibrated"]}, 0.3, "confidence 0.30 is below 0.50"),
        ({"confidence": 0.9}, 0.3, None),
        ({"confidence": None}, 0.75, None),
        ({"confidence": "high", "flags": 5}, 0.75, "no confidence is told, and 0.50 is asked for"),
    ],
)
def test_the_floor_holds_where_the_server_claims_no_confidence(
    meta: dict[str, Any], own: float, reason: str | None
) -> None:
    script = Script([{**GOOD, "confidence": own}], meta)
    told = asked(make_analyst(URL, floor=0.5, transport=script.transport()))["escalate"]
    assert (told and told["reason"]) == reason
    if meta.get("confidence") == "high":
        return
    bare = {"type": "object", "properties": {"fee": {"type": "string"}}}
    script = Script([{"fee": "0.3%"}], {"confidence": None})
    node = make_analyst(URL, floor=0.5, schema=bare, transport=script.transport())
    assert asked(node)["escalate"]["reason"].startswith("no confidence is told")


@pytest.mark.parametrize(
    "url", ["", "localhost:8484/v1", "127.0.0.1:8484/v1", "http://", "http://[::1/v1", "ftp://x/v1"]
)
def test_an_address_that_is_none_is_told_when_the_node_is_made(url: str) -> None:
    with pytest.raises(NodeError, match="is no address"):
        make_analyst(url)


@pytest.mark.parametrize("key", ["k\u00e9y", "key\n"])
def test_a_key_that_no_header_carries_is_told_when_the_node_is_made(key: str) -> None:
    with pytest.raises(NodeError) as caught:
        make_analyst(URL, key=key)
    assert key not in str(caught.value)


def test_fewer_repairs_than_none_are_none() -> None:
    script = Script([BAD, GOOD])
    state = asked(make_analyst(URL, repairs=-1, transport=script.transport()))
    assert state["escalate"]["attempts"] == 1 and len(script.seen) == 1


@pytest.mark.parametrize("later", [False, True])
def test_a_model_that_was_learnt_and_is_gone_is_learnt_anew(later: bool) -> None:
    script = Script([GOOD, 404, GOOD])
    node = make_analyst(URL, transport=script.transport())
    said = [asked(node, later=later)["escalate"] for _ in range(3)]
    assert said[0] is None and said[2] is None
    assert said[1]["reason"] == "the server answered 404: no such luck"
    assert len(script.keys) == 5, "the models were asked for twice"


@pytest.mark.parametrize("later", [False, True])
def test_an_image_is_refused_and_never_passed_over(later: bool) -> None:
    image = {"type": "image_url", "image_url": {"url": "http://example.org/chart.png"}}
    asks = {"messages": [{"role": "user", "content": [{"type": "text", "text": "this?"}, image]}]}
    service = ScriptedService([GOOD])
    state = asked(make_analyst(service=service), later=later, state=asks)
    assert state["escalate"]["reason"] == "the service refused: a message may hold text only"
    assert state["answer"] is None and service.seen == []
