"""Decisions in a turn: what was not calibrated claims nothing, and nobody waits for an upstream."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.retrieve.retrieve_sample import filled
from tests.serve.answering.answering_sample import (
    ANSWER,
    QUESTION,
    VISIT,
    FakeAuditor,
    FakeBackend,
    FakeDecision,
    FakeReply,
    FakeRouter,
    FakeUpstream,
    FreeBackend,
    ask,
    said,
)
from tests.serve.answering.test_passages_cited import strict

from denizen.project import Config
from denizen.retrieve import Index
from denizen.serve.answering.escalating import LOW, UNCALIBRATED
from denizen.serve.answering.passages import look_up
from denizen.serve.exchange import Fault, Format, Outcome, Request, Turn, Usage, Visit
from denizen.serve.metering import metered
from denizen.serve.route import DOCUMENTS, Budget, Upstream
from denizen.serve.service import Service
from denizen.tasks import evaluate, suite_of

CORE = suite_of("core")
CALL = "range(now=2,655; lower=2,400; upper=3,100)"
SHOWN = evaluate(CALL).text
PREMIUM = "According to the docs, what is the premium of a flash loan?"
REPORT = json.dumps(
    {
        "yield_assessment": "moderate",
        "apr_sustainable": "moderate",
        "risk_flags": [],
        "recommendation": "enter",
        "confidence": 0.9,
    }
)
OWN = suite_of("mechanics,range_status,analyst_report")


def config(**sections: dict[str, Any]) -> Config:
    return Config.model_validate(sections)


def follow_up() -> Request:
    turns = (Turn("user", QUESTION), Turn("assistant", "in range"), Turn("user", "And at 3,000?"))
    return Request("denizen", turns)


def told() -> Request:
    return Request("denizen", (Turn("system", "We hold 4,500 USDC."), Turn("user", QUESTION)))


def with_history() -> Request:
    turns = (Turn("user", "Hello"), Turn("assistant", "Hello."), Turn("user", QUESTION))
    return Request("denizen", turns)


def formatted() -> Request:
    form = Format("json_schema", OWN.schemas[0].json_schema(), "r", True)
    return ask("Should we enter? Facts: fee APR 12%; TVL $400k. Answer as a report.", format=form)


KINDS: dict[str, tuple[Request, str]] = {
    "adapter": (ask(QUESTION, "law"), ANSWER),
    "follow-up": (follow_up(), ANSWER.replace("2,655", "3,000")),
    "facts in a system text": (told(), ANSWER),
    "history": (with_history(), ANSWER),
    "response format": (formatted(), REPORT),
}


# -- kinds of request without a calibration


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_was_not_calibrated_claims_nothing(kind: str) -> None:
    request, script = KINDS[kind]
    router, upstream, auditor = FakeRouter(True), FakeUpstream(script), FakeAuditor()
    service = Service(
        FakeBackend(script, adapters=("law",)),
        OWN,
        router=router,
        upstream=upstream,
        auditor=auditor,
    )
    _, outcome, _ = said(service, request)
    assert outcome.origin == "local" and outcome.confidence is None
    assert UNCALIBRATED in outcome.flags and LOW not in outcome.flags
    # Thresholds of other questions are not asked, and its audits would be about no promise.
    assert not router.seen and not upstream.asked and not auditor.records


@pytest.mark.parametrize("kind", KINDS)
def test_such_a_kind_escalates_where_that_is_declared(kind: str) -> None:
    request, script = KINDS[kind]
    upstream = FakeUpstream(script)
    service = Service(
        FakeBackend(script, adapters=("law",)),
        OWN,
        router=FakeRouter(True),
        upstream=upstream,
        config=config(route={"uncalibrated": "escalate"}),
    )
    _, outcome, _ = said(service, request)
    assert outcome.origin == "upstream" and UNCALIBRATED in outcome.flags and upstream.asked
    upstream.fails = "over budget"
    _, outcome, _ = said(service, request)
    assert outcome.origin == "local" and outcome.confidence is None
    assert {UNCALIBRATED, "upstream failed: over budget"} <= set(outcome.flags)


def test_what_a_client_states_in_its_system_text_reaches_the_stronger_model_too() -> None:
    stated = "The position ranges from 2,400 to 3,100."
    question = "And is that position in range at 2,655?"
    request = Request("denizen", (Turn("system", stated), Turn("user", question)))
    upstream = FakeUpstream(ANSWER)
    service = Service(FreeBackend("no call"), CORE, upstream=upstream)
    text, outcome, _ = said(service, request)
    assert stated in upstream.asked[0].turns[0].content
    assert outcome.origin == "upstream" and outcome.exact and text.startswith(SHOWN)


def test_a_calibrated_question_is_still_decided_by_the_router() -> None:
    router = FakeRouter(True)
    _, outcome, _ = said(Service(FakeBackend(ANSWER), CORE, router=router), ask(QUESTION))
    assert outcome.confidence == 0.8 and UNCALIBRATED not in outcome.flags and len(router.seen) == 1
    # A system text without figures is not read: the model sees what calibration showed it.
    plain = Request("denizen", (Turn("system", "You are Bob."), Turn("user", QUESTION)))
    _, outcome, _ = said(Service(FakeBackend(ANSWER), CORE, router=router), plain)
    assert outcome.confidence == 0.8


def test_a_stale_calibration_promises_nothing() -> None:
    service = Service(FakeBackend(ANSWER), CORE, stale="not calibrated: another reasoning")
    text, outcome, _ = said(service, ask(QUESTION))
    assert SHOWN in text and outcome.flags == (UNCALIBRATED,) and outcome.confidence is None
    wrong = ANSWER.replace("range(", "nonsense(")
    _, outcome, _ = said(Service(FakeBackend(wrong), CORE, stale="x"), ask(QUESTION))
    assert "there is no stronger model" in outcome.flags  # what does not hold is never just given
    _, outcome, _ = said(Service(FakeBackend(ANSWER), CORE), ask(QUESTION))
    assert outcome.flags == ()


def test_what_is_generated_directly_says_that_nothing_decided_on_it() -> None:
    foreign = Format("json_schema", {"type": "object", "properties": {"a": {}}}, "x", True)
    request = ask("Give a.", format=foreign)
    router = FakeRouter(True)
    _, outcome, _ = said(Service(FakeBackend('{"a": 1}'), CORE, router=router), request)
    assert UNCALIBRATED in outcome.flags and outcome.confidence is None and not router.seen
    _, outcome, _ = said(Service(FakeBackend("x"), CORE, router=router), ask("Hi", "denizen-base"))
    assert UNCALIBRATED not in outcome.flags  # the bare model promises nothing anyway
    _, outcome, _ = said(Service(FakeBackend('{"a": 1}'), CORE), request)
    assert UNCALIBRATED not in outcome.flags


def learns(service: Service, family: str, name: str) -> None:
    service.parts.learnt[family] = name


def test_a_family_of_an_adapter_taken_in_while_serving_claims_no_confidence() -> None:
    backend, router = FakeBackend(ANSWER, adapters=("ranges", "other")), FakeRouter(True)
    settings = config(serve={"skills": {"mechanics": "other"}, "adapters": {"other": "f"}})
    service = Service(backend, CORE, router=router, config=settings, auditor=FakeAuditor())
    _, outcome, _ = said(service, ask(QUESTION))
    assert outcome.confidence == 0.8 and backend.adapters == [""]
    learns(service, "range_status", "ranges")
    _, outcome, _ = said(service, ask(QUESTION))
    assert outcome.adapter == "ranges" and backend.adapters == ["", "ranges"]
    assert outcome.confidence is None and UNCALIBRATED in outcome.flags and len(router.seen) == 1


def test_a_skill_that_is_let_go_in_the_middle_leaves_the_base() -> None:
    class Gone(FakeBackend):
        async def guided(self, *asked: Any) -> Any:
            if asked[-1]:
                raise Fault(404, "no adapter")
            return await super().guided(*asked)

    router = FakeRouter(True)
    service = Service(Gone(ANSWER), CORE, router=router)
    learns(service, "range_status", "ranges")
    text, outcome, _ = said(service, ask(QUESTION))
    assert SHOWN in text and outcome.adapter == "" and outcome.confidence == 0.8


# -- answers from documents


@pytest.fixture
def index(tmp_path: Path) -> Index:
    made, _ = filled(tmp_path)
    return made


def words_of(index: Index) -> str:
    found = look_up(index, PREMIUM, 3)
    right = next(n for n, text in found.passages if "0.05%" in text)
    return f"The premium of a flash loan is 0.05% of the amount [{right}]."


def test_documents_without_a_calibration_are_flagged(index: Index) -> None:
    strict(index)
    router, upstream = FakeRouter(True), FakeUpstream("x")
    service = Service(FakeBackend("x"), CORE, index=index, router=router, upstream=upstream)
    text, outcome, _ = said(service, ask(PREMIUM))
    assert text.startswith("The premium is 0.05%") and UNCALIBRATED in outcome.flags
    assert not router.seen and not upstream.asked and outcome.signals["coverage"] > 0
    assert outcome.confidence is None and outcome.signals["answerable"] > 0.5


def test_documents_are_decided_by_coverage_and_audited(index: Index) -> None:
    router, auditor = FakeRouter(True, kinds=(DOCUMENTS,)), FakeAuditor()
    upstream = FakeUpstream(words_of(index))
    service = Service(
        FakeBackend("x"), CORE, index=index, router=router, upstream=upstream, auditor=auditor
    )

    async def run() -> Outcome:
        *_, outcome = [thing async for thing in service.chat(ask(PREMIUM), VISIT)]
        for _ in range(50):
            await asyncio.sleep(0.01)
            if auditor.records:
                break
        await service._audits.close()
        return outcome

    outcome = asyncio.run(run())
    ((signals, group),) = router.seen
    assert group == DOCUMENTS and 0 < signals["coverage"] <= 1 and "margin_least" not in signals
    assert outcome.origin == "local" and outcome.confidence == 0.8 and outcome.citations
    assert outcome.skill == DOCUMENTS and UNCALIBRATED not in outcome.flags
    assert auditor.records == [("req-1", True)]
    assert "0.05%" in upstream.asked[0].turns[-1].content  # over the same passages
    upstream.text, auditor.records = "The premium is 9% of the amount [1].", []
    asyncio.run(run())
    assert auditor.records == [("req-1", False)]


def test_unsure_documents_escalate_and_the_sources_must_bear_it(index: Index) -> None:
    router = FakeRouter(False, kinds=(DOCUMENTS,))
    upstream = FakeUpstream(words_of(index))
    service = Service(FakeBackend("x"), CORE, index=index, router=router, upstream=upstream)
    text, outcome, _ = said(service, ask(PREMIUM))
    assert outcome.origin == "upstream" and outcome.confidence is None and outcome.citations
    assert text.startswith("The premium of a flash loan is 0.05% of the amount [1].")
    assert outcome.usage.completion_tokens == 20 and LOW in outcome.flags
    upstream.text = "The premium is 7% [1]."
    text, outcome, _ = said(service, ask(PREMIUM))
    assert "7%" not in text and text.startswith("The premium is 0.05%")
    assert outcome.origin == "local" and LOW in outcome.flags
    assert any("not borne" in flag for flag in outcome.flags)
    assert outcome.usage.completion_tokens == 20  # its words are not used, and are paid for
    strict = Service(
        FakeBackend("x"),
        CORE,
        index=index,
        router=router,
        upstream=FakeUpstream(fails="timeout"),
        config=config(route={"fallback": "abstain"}),
    )
    text, outcome, _ = said(strict, ask(PREMIUM))
    assert outcome.origin == "abstained" and "0.05%" not in text and not outcome.citations


def test_a_models_own_words_over_documents_are_another_kind(index: Index) -> None:
    router = FakeRouter(True, kinds=(DOCUMENTS,))
    big = FakeBackend(words_of(index), parameters=2_000_000_000)
    _, outcome, _ = said(Service(big, CORE, index=index, router=router), ask(PREMIUM))
    assert not router.seen and UNCALIBRATED in outcome.flags


# -- figures of an object


ORDER = {
    "intent": "approve", "topic": None, "amount": "200 USDC", "asset": "USDC", "asset_out": None,
    "recipient": None, "spender": None, "network": None, "to_network": None, "max_slippage": None,
    "needs_confirmation": "yes", "risk": [],
}  # fmt: skip


def test_an_object_with_an_amount_that_nobody_stated_is_not_passed_on() -> None:
    suite = suite_of("wallet_intent,range_status")
    question = "Let the router take 200 USDC of mine."
    right, wrong = json.dumps(ORDER), json.dumps(ORDER | {"amount": "2,000 USDC"})

    def answered(backend: str, upstream: str) -> tuple[str, Outcome]:
        asked = FakeUpstream(upstream)
        text, outcome, _ = said(Service(FreeBackend(backend), suite, upstream=asked), ask(question))
        return text, outcome

    text, outcome = answered(right, "")
    assert outcome.origin == "local" and not outcome.flags and "200 USDC" in text
    text, outcome = answered(wrong, right)  # a backend without grammars may write anything
    assert outcome.origin == "upstream" and '"200 USDC"' in text
    _, outcome = answered(wrong, f"```json\n{wrong}\n```")
    assert outcome.origin == "local" and LOW in outcome.flags
    assert any("not given" in flag for flag in outcome.flags)


# -- what a failed escalation costs

STRANGE_CALL = "in range. <calc>range(now=9; lower=8; upper=10)</calc>"


@pytest.mark.parametrize("fallback", ["flag", "abstain"])
def test_an_upstreams_tokens_are_told_when_its_answer_is_not_used(fallback: str) -> None:
    service = Service(
        FakeBackend(ANSWER),
        CORE,
        router=FakeRouter(False),
        upstream=FakeUpstream(STRANGE_CALL),
        config=config(route={"fallback": fallback}),
    )
    _, outcome, _ = said(service, ask(QUESTION))
    assert any(flag.startswith("upstream failed") for flag in outcome.flags)
    assert outcome.usage == Usage(40 + 100, 12 + 20)


def test_an_upstreams_tokens_are_charged_when_the_turn_fails_behind_it() -> None:
    service = Service(
        FakeBackend(REPORT),
        OWN,
        router=FakeRouter(False, kinds=("format",)),
        upstream=FakeUpstream("no report at all"),
        config=config(route={"fallback": "abstain"}),
    )
    with metered() as used, pytest.raises(Fault) as caught:
        said(service, formatted())
    assert caught.value.code == "abstained" and used.usage == Usage(100, 20)


# -- the clock


class Slow(FakeUpstream):
    """Answers long after anyone waits."""

    cancelled = False

    async def ask(self, request: Request, visit: Visit) -> FakeReply:
        self.asked.append(request)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return FakeReply(ANSWER)


def test_a_slow_upstream_leaves_time_for_the_declared_fallback() -> None:
    upstream = Slow()
    seconds = {"request_seconds": 0.5}
    service = Service(
        FakeBackend(ANSWER),
        CORE,
        router=FakeRouter(False),
        upstream=upstream,
        config=config(serve=seconds),
    )
    text, outcome, _ = said(service, ask(QUESTION))
    assert SHOWN in text and outcome.origin == "local" and upstream.cancelled
    assert {LOW, "upstream failed: timeout"} <= set(outcome.flags)
    service = Service(
        FakeBackend(ANSWER),
        CORE,
        router=FakeRouter(False),
        upstream=Slow(),
        config=config(serve=seconds, route={"fallback": "abstain"}),
    )
    text, outcome, _ = said(service, ask(QUESTION))
    assert outcome.origin == "abstained" and "timeout" in text


def test_a_slow_upstream_of_documents_falls_back_too(index: Index) -> None:
    service = Service(
        FakeBackend("x"),
        CORE,
        index=index,
        router=FakeRouter(False, kinds=(DOCUMENTS,)),
        upstream=Slow(),
        config=config(serve={"request_seconds": 3.0}),
    )
    text, outcome, _ = said(service, ask(PREMIUM))
    assert text.startswith("The premium is 0.05%") and "upstream failed: timeout" in outcome.flags


def test_without_time_left_nothing_is_sent_or_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("denizen.serve.answering.escalating.SPARE", 1.0)
    monkeypatch.setattr("denizen.serve.answering.escalating.MOST_SPARE", 1000.0)
    upstream = FakeUpstream(ANSWER)
    service = Service(FakeBackend(ANSWER), CORE, router=FakeRouter(False), upstream=upstream)
    _, outcome, _ = said(service, ask(QUESTION))
    assert "upstream failed: no time is left" in outcome.flags and not upstream.asked


# -- the budget under drift


def test_a_drifting_stream_never_escalates_more_than_the_budget() -> None:
    """More and more questions are unsure: at no moment has more than the share left."""
    share, requests = 0.05, 400
    rng = np.random.default_rng(0)
    unsure = rng.random(requests) < np.linspace(0.02, 0.9, requests)
    verdicts = iter(unsure)

    class Drifting(FakeRouter):
        def decide(self, signals: Any, group: str) -> FakeDecision:
            return FakeDecision(not next(verdicts))

    sent: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(1)
        text = f"the range. <calc>{CALL}</calc>"
        body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
        return httpx.Response(200, json=body)

    async def run() -> list[Outcome]:
        upstream = Upstream(
            "https://up.test/v1",
            "big",
            budget=Budget(share, 20),
            transport=httpx.MockTransport(answer),
        )
        service = Service(FakeBackend(ANSWER), CORE, router=Drifting(True), upstream=upstream)
        found = []
        for number in range(1, requests + 1):
            things = [thing async for thing in service.chat(ask(QUESTION), VISIT)]
            found.append(things[-1])
            assert len(sent) <= share * number
        assert upstream.budget.to_json()["requests"] == requests
        await service.close()
        return found

    outcomes = asyncio.run(run())
    assert 0.04 * requests <= len(sent) <= share * requests
    for wanted, outcome in zip(unsure, outcomes, strict=True):
        if outcome.origin == "local" and wanted:
            assert {LOW, "upstream failed: over budget"} <= set(outcome.flags)
