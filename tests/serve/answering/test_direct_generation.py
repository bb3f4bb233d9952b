"""Direct generation: streamed, checked on the way, JSON judged again, tools passed through."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.serve.answering.answering_sample import (
    VISIT,
    FakeBackend,
    FakeUpstream,
    FreeBackend,
    HidingShield,
    ask,
    said,
)
from tests.serve.guard.guard_fakes import Words

from denizen.models import SYSTEM
from denizen.project import Config
from denizen.project.config import ShieldConfig
from denizen.serve.answering import sending
from denizen.serve.answering.claims import UNVERIFIED
from denizen.serve.answering.direct import DRAFT, NOT_MET, NOT_OFFERED, WITHHELD
from denizen.serve.answering.ports import NullShield
from denizen.serve.exchange import (
    Caller,
    Fault,
    Format,
    Piece,
    Request,
    TokenLogprob,
    ToolCall,
    Turn,
    Usage,
    Visit,
)
from denizen.serve.guard import Shield
from denizen.serve.guard.moderation import UNAVAILABLE
from denizen.serve.service import Service
from denizen.tasks import suite_of

CORE = suite_of("core")
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 3}},
    "required": ["a"],
}
ASKED = Format("json_schema", SCHEMA, "x", True)


def test_the_bare_model_gets_and_gives_what_was_written() -> None:
    backend = FakeBackend("4 x 4 = 17, so there")
    text, outcome, _ = said(Service(backend, CORE), ask("q", "denizen-base"))
    assert text == "4 x 4 = 17, so there" and not outcome.corrections and not outcome.exact
    assert backend.asked[0].turns == (Turn("user", "q"),) and outcome.usage == Usage(9, 5)


def test_several_choices_are_kept_apart_and_checked() -> None:
    backend = FakeBackend("4 x 4 = 17", "4 x 5 = 20")
    service = Service(backend, CORE)
    text, outcome, pieces = said(service, ask("What is 4 x 4?", n=2))
    second = "".join(piece.text for piece in pieces if piece.index == 1)
    assert text == "4 x 4 = 16" and second == "4 x 5 = 20"
    assert outcome.corrections == (("17", "16"),) and outcome.derivation == ("4 x 4 = 16",) * 1 + (
        "4 x 5 = 20",
    )
    assert [p.finish for p in pieces if p.finish] == ["stop", "stop"]
    assert pieces[-1].usage == Usage(9, 5)


def test_the_role_and_short_steps_are_asked_for() -> None:
    backend = FakeBackend("x")
    said(Service(backend, CORE), ask("q", n=2))
    assert backend.asked[0].turns[0] == Turn("system", f"{SYSTEM} {DRAFT}")
    none = Config.model_validate({"serve": {"reasoning": "none"}})
    said(Service(backend, CORE, config=none), ask("q", n=2))
    assert backend.asked[1].turns[0] == Turn("system", SYSTEM)
    turns = (Turn("system", "Be brief."), Turn("user", "q"))
    said(Service(backend, CORE, config=none), Request("denizen", turns, n=2))
    assert backend.asked[2].turns[0] == Turn("system", f"{SYSTEM}\nBe brief.")
    assert sum(turn.role == "system" for turn in backend.asked[2].turns) == 1


def test_raw_text_goes_in_as_it_is() -> None:
    backend = FakeBackend("and so on")
    text, _, _ = said(Service(backend, CORE), Request("denizen", text="Once upon"))
    assert text == "and so on" and backend.asked[0].text == "Once upon"
    assert not backend.asked[0].turns


def test_calls_in_free_text_are_evaluated_while_it_streams() -> None:
    backend = FakeBackend("It is <calc>il_full(entry=1000; now=4000)</calc>, I think.")
    text, outcome, pieces = said(Service(backend, CORE), ask("IL from 1000 to 4000?", n=2))
    assert text == "It is -20.00% against holding, I think."
    assert outcome.call == "il_full(entry=1000; now=4000)" and outcome.derivation
    assert len([p for p in pieces if p.index == 0]) >= 3


def test_figures_from_nowhere_are_flagged() -> None:
    _, outcome, _ = said(Service(FakeBackend("The TVL is 87,001 USDC"), CORE), ask("TVL?", n=2))
    assert UNVERIFIED in outcome.flags


OPEN = Format("json_object")
GIVEN = "The TVL is 87,001 USDC at 5% and 30 bps, for 4 and 90 days. Report."


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"tvl": 87001}', False),
        ('{"tvl": "87,001 USDC", "apr": 0.05, "apr_percent": 5, "fee_bps": 30}', False),
        ('{"days": 94, "left": -86, "steps": [1, 2, 3]}', False),
        ('{"said": "5% of 87,001", "tvl": 87001.0}', False),
        ('{"confidence": 0.83, "scores": [0.7], "request_id": 4711, "ok": true}', False),
        ('{"sum": "4 x 90 = 360"}', False),
        ('{"tvl": 87002}', True),
        ('{"said": "about 12% of it"}', True),
        ('{"a": {"b": [{"apr": 0.07}]}}', True),
        ('{"confidence": 83}', True),
        ('{"sum": "4 x 90 = 350"}', True),
        ('{"sum": "<calc>il_full(entry=17; now=19)</calc>"}', True),
        ('{"big": 1e999999999, "small": 1e-999999999}', True),
        ('{"a": "12% of', True),
    ],
)
def test_figures_from_nowhere_are_flagged_in_json_too(text: str, wrong: bool) -> None:
    finish = "stop" if text.endswith("}") else "length"
    backend = FakeBackend(text, finish=finish)
    shown, outcome, _ = said(Service(backend, CORE), ask(GIVEN, format=OPEN))
    assert shown == text and (UNVERIFIED in outcome.flags) == wrong
    bare, outcome, _ = said(
        Service(FakeBackend(text, finish=finish), CORE), ask(GIVEN, "denizen-base", format=OPEN)
    )
    assert bare == text and UNVERIFIED not in outcome.flags


def test_figures_of_the_callers_own_schema_are_given() -> None:
    least = Format("json_schema", {"properties": {"a": {"minimum": 40}}}, "x", True)
    _, outcome, _ = said(Service(FakeBackend('{"a": 40}'), CORE), ask("q", format=least))
    assert UNVERIFIED not in outcome.flags
    _, outcome, _ = said(Service(FakeBackend('{"a": 77}'), CORE), ask("q", format=least))
    assert UNVERIFIED in outcome.flags


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("The TVL is 87,001", False), ("4 x 90 = 360", False), ("The TVL is 87,002 USDC", True)],
)
def test_figures_beside_tools_are_looked_at_and_left_as_they_are(text: str, wrong: bool) -> None:
    tools = ({"type": "function", "function": {"name": "f"}},)
    shown, outcome, _ = said(Service(FakeBackend(text), CORE), ask(GIVEN, tools=tools))
    assert shown == text and (UNVERIFIED in outcome.flags) == wrong


def test_a_figure_that_nobody_gave_is_flagged_in_a_call_of_a_tool() -> None:
    tools = ({"type": "function", "function": {"name": "pay"}},)
    service = Service(PayingBackend("x"), CORE)
    _, outcome, _ = said(service, ask("pay 7 wei", tools=tools))
    assert UNVERIFIED in outcome.flags
    _, outcome, _ = said(service, ask("pay 5 wei", tools=tools))
    assert UNVERIFIED not in outcome.flags


def test_json_that_keeps_its_schema_is_sent_once_it_is_judged() -> None:
    text, outcome, pieces = said(Service(FakeBackend('{"a": 5}'), CORE), ask("q", format=ASKED))
    assert json.loads(text) == {"a": 5} and pieces[-1].usage is not None
    assert outcome.flags == (UNVERIFIED,)  # nobody said 5


def test_json_that_breaks_its_schema_is_repaired_once() -> None:
    backend = FakeBackend('{"a": 1}', '{"a": 4}')
    text, outcome, _ = said(Service(backend, CORE), ask("q", format=ASKED))
    assert json.loads(text) == {"a": 4} and len(backend.asked) == 2
    told = backend.asked[1].turns
    assert told[-2] == Turn("assistant", '{"a": 1}') and "minimum" in told[-1].content
    assert outcome.usage == Usage(18, 10)


def test_json_that_stays_wrong_is_a_502() -> None:
    backend = FakeBackend('{"a": 1}')
    with pytest.raises(Fault) as caught:
        said(Service(backend, CORE), ask("q", format=ASKED))
    assert caught.value.status == 502 and caught.value.code == "schema_not_met"
    assert len(backend.asked) == 2


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("The TVL is 87,000 x 2 = 174,000 USDC.", True),
        ("It is 300 x 2 = 600 USDC, and 600 x 7 = 4,200 USDC.", False),
        ("It is 300 x 41 = 12,300 USDC, and 12,300 x 7 = 86,100 USDC.", True),
    ],
)
def test_a_sum_of_figures_from_nowhere_vouches_for_nothing(text: str, flagged: bool) -> None:
    request = ask("300 USDC, 2 pools, 7 weeks", n=2)
    found, outcome, _ = said(Service(FakeBackend(text), CORE), request)
    assert found == text and (UNVERIFIED in outcome.flags) == flagged
    upstream = FakeUpstream(text)
    _, outcome, _ = said(Service(FreeBackend("no"), CORE, upstream=upstream), replace(request, n=1))
    assert outcome.origin == "upstream" and (UNVERIFIED in outcome.flags) == flagged


def test_a_second_try_that_does_not_fit_is_not_the_callers_overflow() -> None:
    class Narrow(FakeBackend):
        async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
            if self.asked:
                raise Fault(400, "the prompt has 90 tokens", code="context_length_exceeded")
            async for piece in super().stream(request, adapter):
                yield piece

    with pytest.raises(Fault) as caught:
        said(Service(Narrow('{"a": 1}'), CORE), ask("q", format=ASKED))
    assert (caught.value.status, caught.value.code) == (502, "schema_not_met")


def test_json_cut_short_is_sent_and_flagged() -> None:
    backend = FakeBackend('{"a": ', finish="length")
    text, outcome, pieces = said(Service(backend, CORE), ask("q", format=ASKED))
    assert text == '{"a": ' and NOT_MET in outcome.flags
    assert "length" in [piece.finish for piece in pieces] and len(backend.asked) == 1


def test_any_json_object_is_judged_too() -> None:
    text, _, _ = said(
        Service(FakeBackend("[1]", '{"b": 2}'), CORE), ask("q", format=Format("json_object"))
    )
    assert json.loads(text) == {"b": 2}


class LogprobBackend(FakeBackend):
    """Tells log probabilities of its words."""

    async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        for word in self.scripts[0].split(" "):
            yield Piece(0, f"{word} ", logprobs=(TokenLogprob(word, -0.1),))
        yield Piece(0, finish="stop", usage=Usage(1, 2))


def test_log_probabilities_pass_where_nothing_was_changed() -> None:
    text, outcome, pieces = said(Service(LogprobBackend("plain words"), CORE), ask("q", logprobs=1))
    assert text == "plain words " and sum(len(p.logprobs) for p in pieces) == 2
    assert WITHHELD not in outcome.flags and pieces[-1].usage == Usage(1, 2)


def test_log_probabilities_are_withheld_where_text_was_changed() -> None:
    text, outcome, pieces = said(
        Service(LogprobBackend("4 x 4 = 17 yes"), CORE), ask("q", logprobs=1)
    )
    assert "17" not in text and not any(p.logprobs for p in pieces)
    assert WITHHELD in outcome.flags


class ToolBackend(FakeBackend):
    """Calls a tool."""

    async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        yield Piece(0, "", (ToolCall("c1", "f", '{"x": 1}'),))
        yield Piece(0, finish="tool_calls", usage=Usage(3, 4))


def test_tool_calls_of_the_client_pass_through() -> None:
    tools = ({"type": "function", "function": {"name": "f"}},)
    _, outcome, pieces = said(Service(ToolBackend("x"), CORE), ask("q", tools=tools))
    assert [c.name for p in pieces for c in p.tool_calls] == ["f"]
    assert pieces[-1].finish == "tool_calls" and outcome.usage == Usage(3, 4)
    _, _, pieces = said(Service(ToolBackend("x"), CORE), ask("q", tools=tools, format=ASKED))
    assert [c.name for p in pieces for c in p.tool_calls] == ["f"]


class PayingBackend(FakeBackend):
    """Calls a tool with an address of its own making."""

    async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        arguments = json.dumps({"to": "0x" + "ab" * 20, "by": ["0x" + "12" * 20], "wei": 5})
        yield Piece(0, "", (ToolCall("c1", "pay", arguments),))
        yield Piece(0, finish="tool_calls", usage=Usage(3, 4))


@pytest.mark.parametrize("changes", [{}, {"format": ASKED}], ids=["streamed", "whole"])
def test_an_invented_address_never_leaves_in_a_tool_call(changes: dict[str, Any]) -> None:
    tools = ({"type": "function", "function": {"name": "pay"}},)
    given = "0x" + "12" * 20
    service = Service(PayingBackend("x"), CORE, shield=Shield(ShieldConfig(injection="off")))
    _, outcome, pieces = said(service, ask(f"pay {given}", tools=tools, **changes))
    (call,) = [c for p in pieces for c in p.tool_calls]
    found = json.loads(call.arguments)
    assert found["by"] == [given] and found["wei"] == 5 and "abab" not in call.arguments
    assert outcome.flags


def test_hidden_words_of_json_are_hidden() -> None:
    service = Service(FakeBackend('{"b": "SECRET"}'), CORE, shield=HidingShield())
    text, outcome, _ = said(service, ask("q", format=Format("json_object")))
    assert "SECRET" not in text and "hidden" in outcome.flags


@pytest.mark.parametrize("model", ["denizen", "denizen-base"])
def test_an_address_nobody_gave_never_leaves_not_even_in_pieces(model: str) -> None:
    stranger, given = "0x" + "ab" * 20, "0x" + "12" * 20
    backend = FakeBackend(f"Send to {stranger} or {given} now")
    service = Service(backend, CORE, shield=Shield(ShieldConfig(injection="off")))
    text, outcome, pieces = said(service, ask(f"Is {given} fine?", model, n=2))
    assert stranger not in text and given in text and outcome.flags
    assert all("abab" not in piece.text for piece in pieces)


def test_log_probabilities_need_their_scope() -> None:
    service = Service(FakeBackend("x"), CORE, shield=Shield(ShieldConfig(injection="off")))

    async def run() -> None:
        visit = Visit("r", Caller("key", frozenset({"chat"})))
        async for _ in service.chat(ask("q", logprobs=2), visit):
            pass

    with pytest.raises(Fault) as caught:
        asyncio.run(run())
    assert caught.value.status == 403 and caught.value.param == "logprobs"


# -- moderation


class Judging(NullShield):
    """Moderation that flags what holds "evil", fails on "rubbish", and remembers what it read."""

    moderates = True

    def __init__(self) -> None:
        self.read: list[str] = []

    async def moderate(self, text: str) -> tuple[str, ...]:
        self.read.append(text)
        if "rubbish" in text:
            raise Fault(503, "moderation did not answer", code="moderation_unavailable")
        return ("moderation: violence",) if "evil" in text else ()


@pytest.mark.parametrize("model", ["denizen", "denizen-base"])
@pytest.mark.parametrize("changes", [{"n": 2}, {"logprobs": 0, "n": 2}], ids=["text", "logprobs"])
def test_nothing_generated_leaves_before_it_was_judged(model: str, changes: Any) -> None:
    backend = FakeBackend("a long and honest preface, then evil 4 x 4 = 17", "an honest answer")
    service = Service(backend, CORE, shield=Judging())
    text, outcome, pieces = said(service, ask("q", model, **changes))
    assert text == sending.WITHHELD and "moderation: violence" in outcome.flags
    second = "".join(piece.text for piece in pieces if piece.index == 1)
    assert second == "an honest answer"
    finishes = [(p.index, p.finish) for p in pieces if p.finish]
    assert finishes == [(0, "content_filter"), (1, "stop")] and pieces[-1].usage == Usage(9, 5)
    assert not outcome.derivation and not outcome.corrections


def test_json_and_tool_calls_are_judged_too() -> None:
    service = Service(FakeBackend('{"a": 5, "b": "evil"}'), CORE, shield=Judging())
    text, _, pieces = said(service, ask("q", format=ASKED))
    assert text == sending.WITHHELD and "content_filter" in [p.finish for p in pieces]
    shield = Judging()
    tools = ({"type": "function", "function": {"name": "f"}},)
    _, _, pieces = said(Service(ToolBackend("x"), CORE, shield=shield), ask("q", tools=tools))
    assert 'f({"x": 1})' in shield.read and [c.name for p in pieces for c in p.tool_calls]


def test_raw_text_is_judged_and_a_judge_that_fails_lets_nothing_out() -> None:
    service = Service(FakeBackend("good start, then rubbish"), CORE, shield=Judging())
    got: list[str] = []

    async def run() -> None:
        async for thing in service.chat(Request("denizen", text="Once upon"), VISIT):
            got.append(str(thing))

    with pytest.raises(Fault) as caught:
        asyncio.run(run())
    assert caught.value.status == 503 and not got


@pytest.mark.parametrize(("failure", "flags"), [("closed", None), ("open", (UNAVAILABLE,))])
def test_the_configured_failure_holds_for_what_is_generated(failure: Any, flags: Any) -> None:
    def hook(text: str) -> list[str]:
        if "so there" in text:
            raise OSError("down")
        return []

    config = ShieldConfig(injection="flag", moderation_failure=failure)
    shield = Shield.from_config(config, None, hook=hook, embedder=Words())
    service = Service(FakeBackend("4, so there"), CORE, shield=shield)
    if flags is None:
        with pytest.raises(Fault, match="moderation did not answer"):
            said(service, ask("q", n=2))
    else:
        text, outcome, _ = said(service, ask("q", n=2))
        assert text == "4, so there" and UNAVAILABLE in outcome.flags


# -- JSON after hiding

ADDRESS, ANOTHER = "0x" + "ab" * 20, "0x" + "12" * 20
PAYEE = {
    "type": "object",
    "properties": {"to": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}},
    "required": ["to"],
}


def guarded_json(*scripts: str, question: str = "q", schema: Any = PAYEE, **more: Any) -> Any:
    backend = FakeBackend(*scripts, **more)
    service = Service(backend, CORE, shield=Shield(ShieldConfig(injection="off")))
    return said(service, ask(question, format=Format("json_schema", schema, "x", True))), backend


def test_json_that_breaks_its_schema_once_something_is_hidden_is_asked_for_again() -> None:
    (text, _, _), backend = guarded_json(
        json.dumps({"to": ADDRESS}), json.dumps({"to": ANOTHER}), question=f"pay {ANOTHER}"
    )
    assert json.loads(text) == {"to": ANOTHER} and len(backend.asked) == 2
    assert "withheld" in backend.asked[1].turns[-1].content


def test_json_that_breaks_its_schema_after_hiding_is_never_sent() -> None:
    with pytest.raises(Fault) as caught:
        guarded_json(json.dumps({"to": ADDRESS}))
    assert caught.value.status == 502 and caught.value.code == "schema_not_met"
    assert ADDRESS[2:] not in caught.value.message


def test_json_that_keeps_its_schema_after_hiding_is_sent() -> None:
    (text, outcome, _), backend = guarded_json(
        json.dumps({"to": ADDRESS}), schema={"type": "object"}
    )
    assert json.loads(text) == {"to": "[address withheld]"} and len(backend.asked) == 1
    assert "address withheld" in outcome.flags


def test_an_address_that_the_schema_itself_allows_is_known() -> None:
    (text, outcome, _), _ = guarded_json(
        json.dumps({"to": ADDRESS}), schema={"properties": {"to": {"enum": [ADDRESS]}}}
    )
    assert json.loads(text) == {"to": ADDRESS} and not outcome.flags


KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
PHRASE = "abandon ability able about above absent absorb abstract absurd abuse access accident"


ESCAPED = ADDRESS.replace("x", "\\u0078")


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a": "{ESCAPED}"}}',
        '{"a": "KEY"}'.replace("KEY", KEY.replace("4", "\\u0034")),
        json.dumps({"a": [ADDRESS[:22], ADDRESS[22:]]}),
        json.dumps({"a": ADDRESS[:22], "b": ADDRESS[22:]}),
        json.dumps({ADDRESS: 1}),
        f'{{"a": "{ADDRESS}", "a": 1}}',
        json.dumps({"a": PHRASE.split()}),
        json.dumps({str(n): word for n, word in enumerate(PHRASE.split())}),
        json.dumps({"a": [{"word": word} for word in PHRASE.split()]}),
        f'{{"a": "{ESCAPED}',
    ],
)
def test_no_way_of_writing_json_carries_a_secret_out(text: str) -> None:
    finish = "stop" if text.endswith("}") else "length"
    (shown, outcome, _), _ = guarded_json(text, schema={}, finish=finish)
    try:
        read = json.dumps(json.loads(shown))
    except ValueError:
        read = shown
    flat = re.sub(r"[^0-9a-z]", "", read.lower())
    assert "ab" * 20 not in flat and KEY not in flat and "abilityableabout" not in flat
    assert "accident" not in read or "word" not in read
    assert any("withheld" in flag for flag in outcome.flags)


def test_a_call_of_a_tool_that_was_not_offered_never_leaves() -> None:
    tools = ({"type": "function", "function": {"name": "quote"}},)
    _, outcome, pieces = said(Service(ToolBackend("x"), CORE), ask("q", tools=tools))
    assert not [c for p in pieces for c in p.tool_calls] and NOT_OFFERED in outcome.flags
    assert pieces[-1].finish == "stop"


def test_the_metadata_tells_no_more_than_the_answer() -> None:
    backend = FakeBackend(f"It is <calc>send(to={ADDRESS})</calc> then.")
    service = Service(backend, CORE, shield=Shield(ShieldConfig(injection="off")))
    _, outcome, _ = said(service, ask("q", n=2))
    assert outcome.call and ADDRESS not in f"{outcome.call}{outcome.derivation}"
    assert "address withheld" in outcome.flags
