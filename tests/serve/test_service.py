"""The order of a turn, its checks, its escapes and its trace, with a scripted backend."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.serve.answering.answering_sample import (
    ANSWER,
    QUESTION,
    VISIT,
    FakeAuditor,
    FakeBackend,
    FakeRouter,
    FakeTracer,
    FakeUpstream,
    FreeBackend,
    HidingShield,
    ask,
    said,
)

from denizen.project import Config
from denizen.serve.answering.claims import UNVERIFIED
from denizen.serve.answering.conversation import read
from denizen.serve.answering.escalating import LOW, STRANGE
from denizen.serve.answering.naming import EMBEDDER
from denizen.serve.answering.ports import Unchecked
from denizen.serve.answering.report import REPORT_SCHEMA
from denizen.serve.exchange import (
    Fault,
    Format,
    Outcome,
    Piece,
    Request,
    Sampling,
    Turn,
    Usage,
    Visit,
)
from denizen.serve.metering import metered
from denizen.serve.service import Service
from denizen.tasks import evaluate, suite_of

CORE = suite_of("core")
CALL = "range(now=2,655; lower=2,400; upper=3,100)"


def config(**sections: dict[str, Any]) -> Config:
    return Config.model_validate(sections)


def refused(service: Service, request: Request) -> Fault:
    with pytest.raises(Fault) as caught:
        said(service, request)
    return caught.value


# -- the Analyst


def test_an_exact_answer_with_its_derivation() -> None:
    backend, tracer = FakeBackend(ANSWER), FakeTracer()
    text, outcome, pieces = said(Service(backend, CORE, tracer=tracer), ask(QUESTION))
    assert text.startswith(evaluate(CALL).text) and f"Derivation\n  {CALL}" in text
    assert outcome.exact and outcome.origin == "local" and outcome.call == CALL
    assert outcome.derivation == evaluate(CALL).derivation and outcome.trace_id == "trace-1"
    assert outcome.usage.prompt_tokens == 40 and pieces[-1].finish == "stop"
    assert pieces[-1].usage == outcome.usage and outcome.skill == "range_status"
    assert outcome.signals["margin_least"] == 3.0
    assert tracer.recordings[0].stages == ["guard", "generate", "calculate", "route"]
    ((ended, told, fault),) = tracer.recordings[0].ends
    assert ended == outcome and told == text and fault is None


def test_the_backend_is_asked_under_the_grammar_of_the_question() -> None:
    backend = FakeBackend(ANSWER)
    said(Service(backend, CORE), ask(QUESTION))
    assert "range(now=2,655" in backend.grammars[0] and "root ::=" in backend.grammars[0]
    assert [turn.role for turn in backend.turns[0]] == ["system", "user"]


def test_no_reasoning_leaves_the_drafts_out() -> None:
    backend = FakeBackend(ANSWER)
    said(Service(backend, CORE, config=config(serve={"reasoning": "none"})), ask(QUESTION))
    assert f"{CORE.tools['range'].draft}. <calc>" not in backend.grammars[0]
    assert '"<calc>"' in backend.grammars[0]


def test_a_question_the_model_cannot_turn_into_a_call_is_told_plainly() -> None:
    text, outcome, _ = said(Service(FakeBackend("hm"), CORE), ask(QUESTION))
    assert "could not" in text and not outcome.exact and LOW in outcome.flags


def test_a_backend_without_grammars_is_held_to_the_given_figures() -> None:
    text, outcome, _ = said(Service(FreeBackend(ANSWER), CORE), ask(QUESTION))
    assert outcome.exact and evaluate(CALL).text in text
    invented = ANSWER.replace("2,655", "2,900")
    text, outcome, _ = said(Service(FreeBackend(invented), CORE), ask(QUESTION))
    assert not outcome.exact and "given" in text and LOW in outcome.flags


def test_a_follow_up_may_use_earlier_figures() -> None:
    call = "range(now=3,300; lower=2,400; upper=3,100)"
    backend = FakeBackend(f"in or out of range. <calc>{call}</calc>")
    turns = (Turn("user", QUESTION), Turn("assistant", "in range"), Turn("user", "And at 3,300?"))
    _, outcome, _ = said(Service(backend, CORE), Request("denizen", turns))
    assert outcome.exact and outcome.call == call
    assert "now=3,300; lower=2,400; upper=3,100" in backend.grammars[0]


def test_a_conversation_that_does_not_fit_is_a_clear_400() -> None:
    backend = FakeBackend(ANSWER, context=150)
    turns = (Turn("user", "word " * 400), Turn("assistant", "ok"), Turn("user", QUESTION))
    fault = refused(Service(backend, CORE), Request("denizen", turns))
    assert fault.status == 400 and fault.code == "context_length_exceeded"
    assert "tokens long" in fault.message and not backend.grammars


@pytest.mark.parametrize("model", ["denizen", "denizen-base"])
def test_what_no_context_holds_is_refused_before_the_guard_reads_it(model: str) -> None:
    class Slow(HidingShield):
        def check_input(self, request: Request) -> Unchecked:
            raise AssertionError("the guard has read it")

    service = Service(FakeBackend(ANSWER, context=2000), CORE, shield=Slow())
    fault = refused(service, ask("word " * 5000, model))
    assert fault.status == 400 and fault.code == "context_length_exceeded"


def test_a_long_conversation_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[str] = []

    def reading(request: Request) -> Any:
        readers.append(threading.current_thread().name)
        return read(request)

    monkeypatch.setattr("denizen.serve.answering.analyst.read", reading)
    monkeypatch.setattr("denizen.serve.answering.guarding.read", reading)
    here = threading.current_thread().name
    said(Service(FakeBackend(ANSWER), CORE), ask(QUESTION))
    assert refused(Service(FakeBackend(ANSWER), CORE), ask("1 word " * 10_000)).status == 400
    assert readers[0] == here and readers[1] != here


def test_the_clients_limit_and_stop_texts_cut_between_words() -> None:
    service = Service(FakeBackend(ANSWER), CORE)
    text, _, pieces = said(service, ask(QUESTION, sampling=Sampling(max_tokens=3)))
    assert len(text.split()) <= 3 and pieces[-1].finish == "length"
    whole, _, _ = said(service, ask(QUESTION))
    assert whole.startswith(text)
    half, _, _ = said(service, ask(QUESTION, sampling=Sampling(max_tokens=8)))
    assert whole.startswith(half) and "Derivation" not in half
    cut, _, pieces = said(service, ask(QUESTION, sampling=Sampling(stop=("\n\nDerivation",))))
    assert "Derivation" not in cut and pieces[-1].finish == "stop"


class Credited(FakeUpstream):
    """Counts who puts into its budget."""

    def __init__(self) -> None:
        super().__init__(ANSWER)
        self.budget = SimpleNamespace(credits=0, credit=self._credit)

    def _credit(self) -> None:
        self.budget.credits += 1


def test_what_the_guard_refuses_pays_for_no_escalation() -> None:
    upstream = Credited()
    service = Service(FakeBackend(ANSWER), CORE, shield=HidingShield(), upstream=upstream)
    for more in ({}, {"n": 2}, {"format": Format("json_object")}):
        assert refused(service, ask("an attack at 2,000", **more)).code == "prompt_injection"
    assert upstream.budget.credits == 0
    said(service, ask(QUESTION))
    said(service, ask(QUESTION, n=2))
    assert upstream.budget.credits == 2


# -- skills and adapters


def test_a_skill_is_chosen_by_the_questions_family() -> None:
    backend = FakeBackend(ANSWER, adapters=("ranges",))
    skilled = config(serve={"skills": {"range_status": "ranges"}, "adapters": {"ranges": "f"}})
    _, outcome, _ = said(Service(backend, CORE, config=skilled), ask(QUESTION))
    assert backend.adapters == ["ranges"] and outcome.adapter == "ranges"


def test_a_skill_is_chosen_by_the_draft_where_the_words_are_not_sure() -> None:
    backend = FakeBackend("x. <calc>il_full(entry=1000; now=4000)</calc>", adapters=("loss",))
    skilled = config(serve={"skills": {"impermanent_loss": "loss"}, "adapters": {"loss": "f"}})
    service = Service(backend, CORE, config=skilled)
    _, outcome, _ = said(service, ask("Numbers: 1000, then 4000?"))
    assert backend.adapters == ["", "loss"] and outcome.adapter == "loss"
    assert outcome.usage.completion_tokens == 24


def test_an_adapters_name_is_the_analyst_with_that_adapter() -> None:
    backend = FakeBackend(ANSWER, adapters=("law",))
    _, outcome, _ = said(Service(backend, CORE), ask(QUESTION, "law"))
    assert backend.adapters == ["law"] and outcome.exact and outcome.adapter == "law"


# -- reports under their schema


REPORT = {
    "yield_assessment": "moderate",
    "apr_sustainable": "moderate",
    "risk_flags": [],
    "recommendation": "enter",
    "confidence": 0.9,
}
POOL = (
    "Should we go into the WETH/USDC pool? We are not in it today. Facts: fee APR 12%; no "
    "incentives; impermanent loss 2% on a price move of -25%; TVL $400k; audited 90 days ago; "
    "live for 200 days; top ten holders own 20%. Answer as a report."
)


def test_the_report_is_the_corrected_object_and_its_reasons() -> None:
    suite = suite_of("analyst_report")
    text, outcome, _ = said(Service(FakeBackend(json.dumps(REPORT)), suite), ask(POOL))
    body, _, reasons = text.partition("\n\nRationale (by the rules)\n")
    assert json.loads(body)["risk_flags"] == ["low liquidity"]
    assert "TVL below" in reasons and outcome.exact and outcome.corrections
    assert suite.object_in(text) is not None


def test_asked_for_by_schema_the_answer_is_the_json_alone() -> None:
    suite = suite_of("analyst_report,range_status")
    backend = FakeBackend(json.dumps(REPORT))
    asked = Format("json_schema", REPORT_SCHEMA, "analyst", True)
    text, outcome, _ = said(Service(backend, suite), ask(POOL, format=asked))
    made = json.loads(text)
    assert made["recommendations"][0]["action"] == "stay out" and outcome.corrections
    assert "<calc>" not in backend.grammars[0]
    own = suite.schemas[0].json_schema()
    text, _, _ = said(
        Service(backend, suite), ask(POOL, format=Format("json_schema", own, "r", True))
    )
    assert json.loads(text)["recommendation"] == "stay out"


# -- routing and escalation


def test_a_sure_answer_stays_local_with_its_confidence() -> None:
    router, upstream = FakeRouter(local=True), FakeUpstream(ANSWER)
    service = Service(FakeBackend(ANSWER), CORE, router=router, upstream=upstream)
    _, outcome, _ = said(service, ask(QUESTION))
    assert outcome.origin == "local" and outcome.confidence == 0.8 and not upstream.asked
    assert router.seen[0][1] == "range_status"


def test_an_unsure_answer_is_escalated_and_the_engine_still_calculates() -> None:
    upstream = FakeUpstream(f"the range. <calc>{CALL}</calc>")
    wrong = "in or out of range. <calc>range(now=2,400; lower=2,655; upper=3,100)</calc>"
    service = Service(FakeBackend(wrong), CORE, router=FakeRouter(False), upstream=upstream)
    text, outcome, _ = said(service, ask(QUESTION))
    assert outcome.origin == "upstream" and outcome.exact and evaluate(CALL).text in text
    assert outcome.usage.prompt_tokens == 140 and outcome.confidence is None
    assert "range(now; lower; upper)" in upstream.asked[0].turns[0].content
    assert upstream.asked[0].turns[-1].content == QUESTION


@pytest.mark.parametrize(
    "reply",
    [
        "the range. <calc>range(now=2,655; lower=2,400; upper=9,999)</calc>",
        "the range. <calc>range(now=2,655; lower=2,400)</calc>",
        "the range. <calc>nonsense(a=1)</calc>",
    ],
)
def test_an_upstream_that_invents_or_fails_falls_back(reply: str) -> None:
    service = Service(
        FakeBackend(ANSWER), CORE, router=FakeRouter(False), upstream=FakeUpstream(reply)
    )
    text, outcome, _ = said(service, ask(QUESTION))
    assert outcome.origin == "local" and LOW in outcome.flags and "9,999" not in text
    assert any(flag.startswith("upstream failed") for flag in outcome.flags)


def test_an_upstream_that_was_cut_short_is_not_passed_on() -> None:
    """Half a figure is another figure: "12" of "12,345"."""

    class Cut(FakeUpstream):
        async def ask(self, request: Request, visit: Visit) -> Any:
            return SimpleNamespace(text="That makes 12", usage=Usage(1, 1), finish="length")

    service = Service(FakeBackend(ANSWER), CORE, router=FakeRouter(False), upstream=Cut())
    text, outcome, _ = said(service, ask(QUESTION))
    assert outcome.origin == "local" and "makes 12" not in text
    assert any("cut short" in flag for flag in outcome.flags)


def test_an_upstreams_words_are_checked_too() -> None:
    upstream = FakeUpstream("4 x 4 = 17, so it is in range, with a peak of 87,001.")
    service = Service(FakeBackend(ANSWER), CORE, router=FakeRouter(False), upstream=upstream)
    text, outcome, _ = said(service, ask(QUESTION))
    assert "4 x 4 = 16" in text and outcome.corrections and not outcome.exact
    assert UNVERIFIED in outcome.flags and outcome.origin == "upstream"


@pytest.mark.parametrize("fails", ["timeout", "over budget", "an empty answer"])
def test_the_declared_fallback_flag(fails: str) -> None:
    service = Service(
        FakeBackend(ANSWER), CORE, router=FakeRouter(False), upstream=FakeUpstream(fails=fails)
    )
    text, outcome, _ = said(service, ask(QUESTION))
    assert evaluate(CALL).text in text and outcome.origin == "local" and outcome.exact
    assert LOW in outcome.flags and f"upstream failed: {fails}" in outcome.flags
    assert outcome.confidence == 0.8


def test_the_declared_fallback_abstain() -> None:
    service = Service(
        FakeBackend(ANSWER),
        CORE,
        router=FakeRouter(False),
        upstream=FakeUpstream(fails="timeout"),
        config=config(route={"fallback": "abstain"}),
    )
    text, outcome, _ = said(service, ask(QUESTION))
    assert outcome.origin == "abstained" and not outcome.exact and outcome.call is None
    assert "not sure enough" in text and "timeout" in text and "in range" not in text


def test_a_question_unlike_all_others_is_not_forced_into_a_call() -> None:
    fee = "fact. <calc>fact(version=v2; topic=swap_fee)</calc>"
    text, outcome, _ = said(Service(FakeBackend(fee), CORE), ask("Who wrote Hamlet?"))
    assert outcome.origin == "abstained" and STRANGE in outcome.flags and "0.3" not in text
    upstream = FakeUpstream("Shakespeare did.")
    text, outcome, _ = said(Service(FakeBackend(fee), CORE, upstream=upstream),
                            ask("Who wrote Hamlet?"))  # fmt: skip
    assert text == "Shakespeare did." and outcome.origin == "upstream"


def test_local_answers_are_audited_after_the_reply() -> None:
    auditor, upstream = FakeAuditor(), FakeUpstream(f"x. <calc>{CALL}</calc>")
    service = Service(
        FakeBackend(ANSWER), CORE, router=FakeRouter(True), upstream=upstream, auditor=auditor
    )

    async def run() -> None:
        async for _ in service.chat(ask(QUESTION), VISIT):
            assert not auditor.records
        for _ in range(50):
            await asyncio.sleep(0.01)
            if auditor.records:
                break
        await service.close()

    asyncio.run(run())
    assert auditor.records == [("req-1", True)]


def test_no_caller_chooses_what_is_audited() -> None:
    """A request's id may be the caller's: the same one again would be audited every time."""
    drawn: list[str] = []

    class Drawing(FakeAuditor):
        def pick(self, request_id: str) -> bool:
            drawn.append(request_id)
            return False

    service = Service(
        FakeBackend(ANSWER),
        CORE,
        router=FakeRouter(True),
        upstream=FakeUpstream(ANSWER),
        auditor=Drawing(),
    )

    async def run() -> None:
        for trace in ("1" * 32, "2" * 32):
            async for _ in service.chat(ask(QUESTION), Visit("mine", trace_id=trace)):
                pass

    asyncio.run(run())
    assert drawn == ["1" * 32, "2" * 32]


# -- the guard


def test_a_blocked_request_is_traced_and_asks_no_model() -> None:
    backend, tracer = FakeBackend(ANSWER), FakeTracer()
    service = Service(backend, CORE, shield=HidingShield(), tracer=tracer)
    fault = refused(service, ask("attack now"))
    assert fault.code == "prompt_injection" and not backend.grammars
    ((outcome, _, told),) = tracer.recordings[0].ends
    assert outcome is None and told is fault


def test_output_is_checked_and_input_flags_are_told() -> None:
    class Hiding(HidingShield):
        def check_output(self, text: str, known: str) -> Unchecked:
            assert QUESTION in known
            return Unchecked(text.replace("Derivation", "[withheld]"), ("hidden",))

    text, outcome, _ = said(Service(FakeBackend(ANSWER), CORE, shield=Hiding()), ask(QUESTION))
    assert "Derivation" not in text and outcome.flags == ("watched", "hidden")


def test_moderation_refuses_input_and_withholds_output() -> None:
    class Moderating(HidingShield):
        async def moderate(self, text: str) -> tuple[str, ...]:
            return ("moderation: violence",) if "range" in text and "Is a" not in text else ()

    service = Service(FakeBackend(ANSWER), CORE, shield=Moderating())
    text, outcome, pieces = said(service, ask(QUESTION))
    assert text == "This answer is withheld." and pieces[-1].finish == "content_filter"
    assert "moderation: violence" in outcome.flags
    fault = refused(service, ask("range"))
    assert fault.code == "content_policy_violation"


# -- refusals


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        (ask("q", "nobody"), 404, "model"),
        (ask("q", n=0), 400, "n"),
        (ask("q", n=99), 400, "n"),
        (Request("denizen"), 400, "messages"),
        (ask("  "), 400, "messages"),
        (ask("q", format=Format("json_schema", {"type": "x"})), 400, "response_format"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(request_: Request, status: int, param: str) -> None:
    tracer = FakeTracer()
    fault = refused(Service(FakeBackend(ANSWER), CORE, tracer=tracer), request_)
    assert fault.status == status and fault.param == param
    assert tracer.recordings[0].ends[0][2] is fault


def test_a_slow_answer_is_a_504_and_closes_the_backend() -> None:
    slow = config(serve={"request_seconds": 0.05})
    fault = refused(Service(FakeBackend(ANSWER, delay=5), CORE, config=slow), ask(QUESTION))
    assert fault.status == 504 and fault.code == "timeout"
    backend = FakeBackend("abcdef ghi", delay=0.04)
    fault = refused(Service(backend, CORE, config=slow), ask("q", "denizen-base"))
    assert fault.status == 504 and backend.streams_closed == 1


def test_a_fault_inside_is_a_500_without_what_a_user_wrote(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeBackend):
        async def guided(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("the user's seed phrase")

    fault = refused(Service(Broken(ANSWER), CORE), ask(QUESTION))
    assert fault.status == 500 and "seed" not in fault.message and "RuntimeError" in caplog.text
    assert "seed" not in caplog.text


def test_leaving_early_cancels_the_work_and_the_trace_says_so() -> None:
    backend, tracer = FakeBackend("one two three four five"), FakeTracer()
    service = Service(backend, CORE, tracer=tracer)

    async def run() -> None:
        answer = service.chat(ask("q", "denizen-base"), VISIT)
        async for _ in answer:
            break
        await answer.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())
    assert backend.streams_closed == 1
    ((outcome, text, fault),) = tracer.recordings[0].ends
    assert outcome is None and fault is None and text


def test_a_cancelled_task_cancels_a_guided_answer() -> None:
    tracer = FakeTracer()
    service = Service(FakeBackend(ANSWER, delay=10), CORE, tracer=tracer)

    async def run() -> None:
        task = asyncio.create_task(anext(aiter(service.chat(ask(QUESTION), VISIT))))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    ((outcome, _, fault),) = tracer.recordings[0].ends
    assert outcome is None and fault is None


# -- the rest of Answering


def test_embeddings_feedback_readiness_and_closing() -> None:
    class Encoder:
        def embed(self, texts: Any) -> list[list[float]]:
            return [[float(len(text)), 1.0] for text in texts]

        def count(self, texts: Any) -> list[int]:
            return [len(text.split()) for text in texts]

    backend, tracer = FakeBackend(ANSWER), FakeTracer()
    service = Service(backend, CORE, encoder=Encoder(), tracer=tracer)

    async def run() -> None:
        vectors, usage = await service.embed(EMBEDDER, ("a b", "ccc"), VISIT)
        assert vectors == ((3.0, 1.0), (3.0, 1.0)) and usage.prompt_tokens == 3
        for model, texts in ((EMBEDDER, ()), (EMBEDDER, ("",)), ("denizen", ("a",)), ("x", ("a",))):
            with pytest.raises(Fault):
                await service.embed(model, texts, VISIT)
        await service.feedback("trace-1", 1.0, "good", VISIT)
        with pytest.raises(Fault):
            await service.feedback("other", 1.0, "", VISIT)
        assert await service.ready()
        await service.close()
        assert backend.closed and tracer.closed and not await service.ready()

    asyncio.run(run())
    assert len(tracer.recordings) == 5 and all(r.ends for r in tracer.recordings)
    assert refused(service, ask("q", EMBEDDER)).code == "model_not_supported"


def test_a_text_is_embedded_whole_or_refused() -> None:
    class Encoder:
        seen = 0

        def embed(self, texts: Any) -> list[list[float]]:
            self.seen += len(texts)
            return [[1.0]] * len(texts)

        def count(self, texts: Any) -> list[int]:
            return [len(text.split()) for text in texts]

    encoder = Encoder()
    service = Service(FakeBackend(ANSWER), CORE, encoder=encoder)
    with metered() as used, pytest.raises(Fault) as caught:
        asyncio.run(service.embed(EMBEDDER, (*("a",) * 40, "word " * 255), VISIT))
    assert caught.value.status == 400 and caught.value.code == "context_length_exceeded"
    assert "text 40" in caught.value.message and "255" in caught.value.message
    assert not encoder.seen and used.usage == Usage()
    _, usage = asyncio.run(service.embed(EMBEDDER, ("word " * 254,), VISIT))
    assert usage.prompt_tokens == 254


def test_embedding_ends_with_the_batch_in_hand_when_the_caller_leaves() -> None:
    class Slow:
        seen = 0

        def embed(self, texts: Any) -> list[list[float]]:
            self.seen += len(texts)
            time.sleep(0.02)
            return [[1.0]] * len(texts)

        def count(self, texts: Any) -> list[int]:
            return [3] * len(texts)

    encoder = Slow()
    service = Service(FakeBackend(ANSWER), CORE, encoder=encoder)

    async def run() -> Usage:
        with metered() as used:
            work = asyncio.create_task(service.embed(EMBEDDER, ("a",) * 320, VISIT))
            while encoder.seen < 32:
                await asyncio.sleep(0.001)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            await asyncio.sleep(0.1)
            return used.usage

    used = asyncio.run(run())
    assert 32 <= encoder.seen <= 48
    assert encoder.seen * 3 <= used.prompt_tokens <= 64 * 3


def test_warming_asks_the_model_and_nobody_else() -> None:
    backend, upstream, tracer = FakeBackend(ANSWER), FakeUpstream(ANSWER), FakeTracer()
    service = Service(
        backend, CORE, router=FakeRouter(False), upstream=upstream, tracer=tracer,
        auditor=FakeAuditor(),
    )  # fmt: skip
    asyncio.run(service.warm())
    assert len(backend.grammars) == 1 and not upstream.asked and not tracer.recordings
    blocked = Service(FreeBackend(ANSWER), CORE, shield=HidingShield())
    asyncio.run(blocked.warm())


def test_pieces_then_exactly_one_outcome() -> None:
    async def run() -> list[Piece | Outcome]:
        service = Service(FakeBackend(ANSWER), CORE)
        return [thing async for thing in service.chat(ask(QUESTION), VISIT)]

    things = asyncio.run(run())
    assert sum(isinstance(thing, Outcome) for thing in things) == 1
    assert isinstance(things[-1], Outcome)
    assert len(things) > 5  # a finished answer is still sent in pieces


def test_many_requests_side_by_side() -> None:
    service = Service(FakeBackend(ANSWER, delay=0.01), CORE)

    async def one(number: int) -> bool:
        request = ask(QUESTION) if number % 2 else ask("q", "denizen-base")
        things = [thing async for thing in service.chat(request, VISIT)]
        return isinstance(things[-1], Outcome)

    async def run() -> list[bool]:
        return await asyncio.gather(*(one(n) for n in range(40)))

    assert all(asyncio.run(run()))
