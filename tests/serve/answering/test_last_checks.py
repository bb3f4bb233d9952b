"""The way out of a turn: what is exact, what the metadata tells, what is withheld, what JSON keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.serve.answering.answering_sample import (
    ANSWER,
    QUESTION,
    FakeBackend,
    FreeBackend,
    ask,
    said,
)
from tests.serve.guard.guard_fakes import Words

from denizen.project.config import ShieldConfig
from denizen.serve.answering.sending import WITHHELD
from denizen.serve.exchange import Fault, Format, Request, Sampling
from denizen.serve.guard import Shield
from denizen.serve.service import Service
from denizen.tasks import FAMILIES, suite_of

ALL = suite_of("range_status,impermanent_loss,unanswerable,wallet_intent")
SHIELD = ShieldConfig(injection="off")
KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
STRANGER = "0x" + "ab" * 20


def test_that_something_cannot_be_answered_is_not_exact() -> None:
    refusal = "not answerable. <calc>cannot_answer(missing=future)</calc>"
    service = Service(FakeBackend(refusal), ALL)
    text, outcome, _ = said(service, ask("What will 4.5 WETH be worth in 30 days?"))
    assert "cannot be answered" in text and outcome.call and not outcome.exact
    text, outcome, _ = said(Service(FakeBackend(ANSWER), ALL), ask(QUESTION))
    assert outcome.exact


@pytest.mark.parametrize("call", ["", f"<calc>send(key={KEY})</calc>"])
def test_the_metadata_of_a_free_backend_tells_no_secret(call: str) -> None:
    service = Service(FreeBackend(f"The key is {KEY}. {call}"), ALL, shield=Shield(SHIELD))
    text, outcome, _ = said(service, ask("What is the key?"))
    assert KEY not in f"{text}{outcome}" and "private key withheld" in outcome.flags


def test_a_limit_holds_where_nobody_counts_tokens() -> None:
    class Uncounted(FreeBackend):
        async def count(self, request: Request) -> int:
            return 0

    request = ask(QUESTION, sampling=Sampling(max_tokens=3))
    text, _, pieces = said(Service(Uncounted(ANSWER), ALL), request)
    assert len(text) <= 16 and pieces[-1].finish == "length"
    request = ask(QUESTION, sampling=Sampling(max_tokens=200))
    text, _, pieces = said(Service(Uncounted(ANSWER), ALL), request)
    assert "Derivation" in text and pieces[-1].finish == "stop"


INTENT = FAMILIES["wallet_intent"].schema
assert INTENT is not None
FORM = Format("json_schema", INTENT.json_schema(), INTENT.name, True)


def intent(recipient: str) -> str:
    assert INTENT is not None
    item = next(
        item
        for item in (FAMILIES["wallet_intent"].generate(n, "train") for n in range(200))
        if json.loads(item.answer).get("recipient")
    )
    return json.dumps({**json.loads(item.answer), "recipient": recipient})


def test_an_object_that_breaks_once_an_address_is_hidden_is_refused() -> None:
    service = Service(FreeBackend(intent(STRANGER)), ALL, shield=Shield(SHIELD))
    with pytest.raises(Fault) as caught:
        said(service, ask("send it to my friend", format=FORM))
    assert (caught.value.status, caught.value.code) == (502, "schema_not_met")
    text, _, _ = said(service, ask(f"send it to {STRANGER}", format=FORM))
    assert json.loads(text)["recipient"].lower() == STRANGER


def test_what_is_withheld_is_not_told_in_the_metadata_either() -> None:
    def hook(text: str) -> list[str]:
        return ["violence"] if "Derivation" in text else []

    shield = Shield.from_config(SHIELD, None, hook=hook, embedder=Words())
    service = Service(FakeBackend(ANSWER), ALL, shield=shield)
    sampling: Any = ask(QUESTION).sampling
    for limit in (None, 2):
        request = ask(QUESTION, sampling=replace(sampling, max_tokens=limit))
        text, outcome, pieces = said(service, request)
        assert WITHHELD.startswith(text.strip()) and pieces[-1].finish == "content_filter"
        told = (outcome.draft, outcome.call, outcome.derivation, outcome.citations, outcome.exact)
        assert told == ("", None, (), (), False) and "moderation: violence" in outcome.flags
