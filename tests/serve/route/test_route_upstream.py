"""The upstream: nothing secret leaves, nothing foolish comes back, nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from denizen.project import ConfigError
from denizen.project.config import RouteConfig
from denizen.serve.exchange import Format, Request, Sampling, ToolCall, Turn, Usage, Visit
from denizen.serve.route import Budget, Upstream, UpstreamFailed
from denizen.serve.route.redaction import Mask
from denizen.serve.route.rubbish import why_rubbish

ADDRESS = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
KEY = "0x" + "4c" * 32
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
VISIT = Visit("req-1")
SCHEMA = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["risk", "note"],
    "additionalProperties": False,
}  # fmt: skip


def asked(text: str = "What is the fee?", **changed: Any) -> Request:
    return Request("denizen", (Turn("user", text),), **changed)


def reply(text: str | None = "0.3%", **message: Any) -> httpx.Response:
    body = {
        "model": "big-2026",
        "choices": [{"message": {"content": text, **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return httpx.Response(200, json=body)


class Wire:
    """A transport that answers from a list and remembers what was sent."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.sent, self.waits = list(answers), [], []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            made = answer(request)
            return await made if asyncio.iscoroutine(made) else made
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def upstream(self, **changed: Any) -> Upstream:
        budget = Budget(1.0, 100)
        for _ in range(50):
            budget.credit()
        given = {
            "budget": budget,
            "timeout": 2.0,
            "retries": 2,
            "key": "sk-secret-key-of-ours",
            **changed,
        }
        return Upstream(
            "https://upstream.test/v1/", "big", transport=httpx.MockTransport(self), sleep=self.sleep, **given
        )  # fmt: skip

    def ask(self, request: Request | None = None, **changed: Any) -> Any:
        async def run() -> Any:
            upstream = self.upstream(**changed)
            try:
                return await upstream.ask(request or asked(), VISIT)
            finally:
                await upstream.close()

        return asyncio.run(run())

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.sent[-1].content)


def fails(*answers: Any, request: Request | None = None, **changed: Any) -> tuple[str, Wire]:
    wire = Wire(*answers)
    with pytest.raises(UpstreamFailed) as caught:
        wire.ask(request, **changed)
    return caught.value.reason, wire


def test_a_plain_question_and_its_answer() -> None:
    wire = Wire(reply())
    found = wire.ask(asked(sampling=Sampling(max_tokens=9, stop=("X",)), user="bob"))
    assert (found.text, found.usage.prompt_tokens, found.model) == ("0.3%", 7, "big-2026")
    assert wire.body == {
        "model": "big",
        "messages": [{"role": "user", "content": "What is the fee?"}],
        "temperature": 0,
        "max_tokens": 9,
        "stop": ["X"],
    }
    assert wire.sent[0].headers["authorization"] == "Bearer sk-secret-key-of-ours"
    assert str(wire.sent[0].url) == "https://upstream.test/v1/chat/completions"


def test_secrets_and_addresses_do_not_leave_and_come_back() -> None:
    text = (
        f"Send from {ADDRESS} ({ADDRESS.lower()}) with {KEY}, seed: {PHRASE}; me@x.org, vitalik.eth"
    )
    wire = Wire(lambda _: reply("[ADDRESS_1] holds it, not [ADDRESS_9], [ENS_1] and [HASH_1]"))
    found = wire.ask(
        Request("m", (Turn("system", f"Guard {ADDRESS}"), Turn("user", text)), user="carol")
    )
    sent = wire.sent[0].content.decode()
    for secret in (ADDRESS, ADDRESS.lower(), "4c4c", "sausage", "me@x.org", "vitalik", "carol"):
        assert secret not in sent
    assert sent.count("[ADDRESS_1]") == 2  # one value, one placeholder
    assert found.text == f"{ADDRESS} holds it, not [ADDRESS_9], vitalik.eth and {KEY}"
    assert found.masked == 6


def test_redaction_reaches_tools_and_their_arguments() -> None:
    tool = {"type": "function", "function": {"name": "send", "description": f"to {ADDRESS}"}}
    call = ToolCall("1", "send", json.dumps({"to": ADDRESS}))
    request = Request(
        "m",
        (
            Turn("user", f"pay {ADDRESS}"),
            Turn("assistant", "", (call,)),
            Turn("tool", f"paid {ADDRESS}", tool_call_id="1"),
        ),
        tools=(tool,),
    )
    made = [{"id": "a", "function": {"name": "send", "arguments": '{"to": "[ADDRESS_1]"}'}}]
    wire = Wire(reply(None, tool_calls=made))
    found = wire.ask(request)
    assert ADDRESS not in wire.sent[0].content.decode()
    assert json.loads(found.tool_calls[0].arguments) == {"to": ADDRESS}
    unknown = [{"id": "a", "function": {"name": "steal", "arguments": "{}"}}]
    assert "not offered" in fails(reply(None, tool_calls=unknown), request=request)[0]


def test_a_request_id_of_the_callers_tells_no_address() -> None:
    async def run(rid: str, **more: Any) -> str:
        wire = Wire(reply())
        upstream = wire.upstream(**more)
        await upstream.check(asked(), Visit(rid))
        await upstream.close()
        return str(wire.sent[0].headers["x-request-id"])

    assert asyncio.run(run("req_0123456789abcdef")) == "req_0123456789abcdef"
    assert asyncio.run(run(f"pay:{ADDRESS}")) == "pay:[ADDRESS_1]"
    assert asyncio.run(run(ADDRESS, mask=False)) == ADDRESS


@pytest.mark.parametrize("form", ["text", "json_object"])
def test_halves_of_characters_are_replaced(form: Any) -> None:
    said = '{"a": "bad \ud800 end"}' if form == "text" else '{"a": "bad \\ud800 end"}'
    body = json.dumps({"choices": [{"message": {"content": said}}], "model": "\ud83d"}).encode()
    found = Wire(httpx.Response(200, content=body)).ask(asked(format=Format(form)))
    assert json.loads(found.text.encode("utf-8")) == {"a": "bad ? end"} and found.model == "?"
    calls = [{"id": "\ud800", "function": {"name": "send", "arguments": '{"a": "\ud800"}'}}]
    tool = {"type": "function", "function": {"name": "send"}}
    body = json.dumps({"choices": [{"message": {"content": None, "tool_calls": calls}}]}).encode()
    called = Wire(httpx.Response(200, content=body)).ask(asked(tools=(tool,))).tool_calls[0]
    assert (called.id, json.loads(called.arguments)) == ("?", {"a": "?"})
    calls = [{"id": "a", "function": {"name": "send", "arguments": '{"a": NaN}'}}]
    assert "not offered" in fails(reply(None, tool_calls=calls), request=asked(tools=(tool,)))[0]


def test_a_count_that_is_no_number_is_none() -> None:
    body = {"choices": [{"message": {"content": "3"}}], "usage": {"prompt_tokens": True}}
    assert Wire(httpx.Response(200, json=body)).ask().usage == Usage(0, 0)
    assert type(Wire(httpx.Response(200, json=body)).ask().usage.prompt_tokens) is int


def test_redaction_can_be_off() -> None:
    wire = Wire(reply())
    wire.ask(asked(f"bob {ADDRESS}"))
    assert wire.body["messages"][0]["content"] == "bob [ADDRESS_1]"
    wire.ask(asked(f"bob {ADDRESS}"), mask=False)
    assert wire.body["messages"][0]["content"] == f"bob {ADDRESS}"


def test_a_value_with_quotes_does_not_break_the_json_that_returns() -> None:
    name = "vitalik.eth"
    wire = Wire(reply('{"risk": "a \\"quote\\" of [ENS_1]"}'))
    found = wire.ask(asked(f"who is {name}?", format=Format("json_object")))
    assert json.loads(found.text) == {"risk": f'a "quote" of {name}'}


@pytest.mark.parametrize(
    "text", ["[ADDRESS_1] is a word of mine", "see [ADDRESS_2] and [ADDRESS_1]"]
)
def test_placeholders_never_occur_in_the_request(text: str) -> None:
    mask = Mask(f"{text} {ADDRESS}")
    hidden = mask.hide(f"{text} {ADDRESS}")
    assert hidden.startswith(text) and ADDRESS not in hidden
    assert mask.restore(hidden) == f"{text} {ADDRESS}"


def test_ordinary_words_and_figures_are_left_alone() -> None:
    text = (
        "Please compare the fees of both pools and tell me which one would have earned more over "
        "the last month given 4,500 USDC, 0x12 and the tick range 1000-2000 of pool 7; thanks"
    )
    assert Mask().hide(text) == text
    for secret in (
        KEY,
        KEY[2:],
        "sk-9fQ2xLr7Tb4WnZ8kVc3Yh6Mj",
        "ghp_R4tY7uI0pQwE2rT5yU8iO1pAsD3fG6hJ9kL2",
        PHRASE,
        f"here are words {PHRASE}",
    ):
        assert Mask().hide(f"it is {secret} there").count(secret.split()[-1]) == 0


def test_only_busy_servers_and_lost_connections_are_asked_again() -> None:
    busy = httpx.Response(429, headers={"Retry-After": "1"})
    wire = Wire(busy, httpx.Response(503), reply())
    assert wire.ask().text == "0.3%" and len(wire.sent) == 3
    assert wire.waits[0] == 1.0 and 0.2 < wire.waits[1] < 0.8
    wire = Wire(httpx.ConnectError("refused"), reply())
    assert wire.ask().text == "0.3%" and len(wire.sent) == 2
    for code in (400, 401, 403, 404, 422, 301):
        reason, wire = fails(httpx.Response(code, headers={"Location": "https://evil.test"}))
        assert reason == f"refused (HTTP {code})" and len(wire.sent) == 1
    reason, wire = fails(httpx.Response(502))
    assert "HTTP 502" in reason and len(wire.sent) == 3
    reason, wire = fails(httpx.Response(429, headers={"Retry-After": "3600"}))
    assert "busy" in reason and len(wire.sent) == 1 and not wire.waits


def test_a_slow_upstream_is_a_timeout_and_not_asked_twice() -> None:
    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return reply()

    reason, wire = fails(slow, timeout=0.05)
    assert reason == "timeout" and len(wire.sent) == 1
    assert fails(httpx.ReadTimeout("late"))[0] == "timeout"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(200, text="<html>Down</html>", headers={"Content-Type": "text/html"}), "web page"),
        (httpx.Response(200, content=b""), "no chat completion"),
        (httpx.Response(200, content=b"{"), "no chat completion"),
        (httpx.Response(200, json=[]), "no chat completion"),
        (httpx.Response(200, json={"choices": []}), "no chat completion"),
        (httpx.Response(200, json={"choices": [{"message": None}]}), "no chat completion"),
        (httpx.Response(200, content=b"[" * 200_000), "no chat completion"),
        (httpx.Response(200, content=b"x" * (2**20 + 1)), "without end"),
        (lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")), "decoded"),
        (reply(""), "empty"),
        (reply(" \n"), "empty"),
        (reply(None), "empty"),
        (reply("\u200b\u2060 \n"), "empty"),
        (reply("<!DOCTYPE html><p>hi"), "web page"),
        (reply("the fee is " * 200), "repeats"),
        (reply("ab" * 300), "repeats"),
        (reply(None, refusal="I cannot"), "refusal"),
        (httpx.Response(200, json={"choices": [{"message": {"content": 3}}]}), "without text"),
    ],
)  # fmt: skip
def test_rubbish_is_never_passed_on(answer: httpx.Response, reason: str) -> None:
    found, wire = fails(answer)
    assert reason in found and len(wire.sent) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "no valid JSON"),
        ("[1]", "no object"),
        ('{"risk": "low", "note": NaN}', "no valid JSON"),
        ('{"risk": "low", "note": -1e999}', "no valid JSON"),
        ('{"risk": "low"}', "against the schema"),
        ('{"risk": "medium", "note": null}', "against the schema, at risk"),
        ('{"risk": "low", "note": 3}', "against the schema, at note"),
        ('{"risk": "low", "note": null, "more": 1}', "against the schema"),
    ],
)
def test_json_is_held_against_its_schema(text: str, reason: str) -> None:
    wanted = Format("json_schema", SCHEMA, "report", True)
    found, wire = fails(reply(text), request=asked(format=wanted))
    assert reason in found and text not in found
    assert wire.body["response_format"]["json_schema"] == {
        "name": "report",
        "schema": SCHEMA,
        "strict": True,
    }
    assert why_rubbish('{"risk": "low", "note": null}', wanted) is None


@pytest.mark.parametrize("text, message", [("no json", {}), (None, {"refusal": "I will not"})])
def test_the_tokens_of_a_reply_that_fails_are_told(
    text: str | None, message: dict[str, Any]
) -> None:
    request = asked(format=Format("json_schema", SCHEMA, "r", True))
    with pytest.raises(UpstreamFailed) as caught:
        Wire(reply(text, **message)).ask(request)
    assert caught.value.usage == Usage(7, 3)


def test_a_schema_fetches_nothing() -> None:
    for schema in ({"$ref": "http://127.0.0.1:1/x"}, {"$ref": "#/nowhere"}):
        assert "cannot be checked" in str(why_rubbish("{}", Format("json_schema", schema)))


def test_long_honest_answers_are_no_loops() -> None:
    table = "\n".join(f"| {i} | {i * 37 % 101} USDC | pool {i} |" for i in range(60))
    rows = json.dumps([{"tick": i, "liquidity": i * 7919 % 10007} for i in range(80)])
    for text in (table, rows, "aye " * 10):
        assert why_rubbish(text, Format()) is None


def test_every_escalation_pays_and_audits_do_not() -> None:
    budget = Budget(0.5, 10)
    for _ in range(4):
        budget.credit()
    wire = Wire(httpx.Response(400))
    for _ in range(2):
        with pytest.raises(UpstreamFailed, match="refused"):
            wire.ask(budget=budget)
    with pytest.raises(UpstreamFailed, match="over budget"):
        wire.ask(budget=budget)
    assert len(wire.sent) == 2  # a failed one was paid, an unpaid one was not sent

    async def audit() -> str:
        upstream = Wire(reply()).upstream(budget=budget)
        found = await upstream.check(asked(), VISIT)
        await upstream.close()
        return found.text

    assert asyncio.run(audit()) == "0.3%"


def test_faults_never_hold_a_key_or_the_servers_words() -> None:
    reason, _ = fails(httpx.ConnectError("sk-secret-key-of-ours at 10.0.0.1"))
    assert "sk-" not in reason and "10.0.0.1" not in reason
    assert "sk-secret" not in repr(Wire(reply()).upstream())


def test_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Upstream.from_config(RouteConfig()) is None
    monkeypatch.setenv("UP_KEY", "k")
    good = {"upstream_url": "https://a.test/v1", "upstream_model": "big"}
    made = Upstream.from_config(
        RouteConfig(**good, upstream_key_env="UP_KEY", budget=0.25, burst=7)
    )
    assert made is not None and made.model == "big"
    asyncio.run(made.close())
    for wrong, words in (
        ({"upstream_model": ""}, "no model"),
        ({"upstream_url": "ftp://a.test"}, "cannot be used"),
        ({"upstream_url": "https://user:pw@a.test/v1"}, "credentials"),
        ({"upstream_url": "https://a.test:port/v1"}, "cannot be used"),
        ({"upstream_url": "http://a.test/v1", "upstream_key_env": "UP_KEY"}, "unencrypted"),
        ({"upstream_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
    ):
        with pytest.raises(ConfigError, match=words):
            Upstream.from_config(RouteConfig(**{**good, **wrong}))
    local = {"upstream_url": "http://127.0.0.1:1/v1", "upstream_key_env": "UP_KEY"}
    made = Upstream.from_config(RouteConfig(**{**good, **local}))
    assert made is not None
    asyncio.run(made.close())


def test_a_closed_port_is_a_reason_not_an_error() -> None:
    async def run() -> None:
        budget = Budget(1.0, 1)
        budget.credit()
        upstream = Upstream("http://127.0.0.1:1/v1", "big", retries=1, timeout=2.0, budget=budget)
        try:
            await upstream.ask(asked(), VISIT)
        finally:
            await upstream.close()

    with pytest.raises(UpstreamFailed, match="no connection"):
        asyncio.run(run())
