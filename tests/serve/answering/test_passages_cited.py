"""Answers from documents: exact spans, checked citations, and "not in the sources"."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest
from tests.retrieve.retrieve_sample import EIP, GUIDE, WordEncoder, filled
from tests.serve.answering.answering_sample import FakeBackend, ask, said

from denizen.project.config import ShieldConfig
from denizen.project.errors import WorkspaceError
from denizen.retrieve import Document, Folder, Index, Stated, ingest
from denizen.retrieve.answerable import FEATURES, Answerability
from denizen.serve.answering.front_lines import front_line
from denizen.serve.answering.passages import (
    CHANGED,
    CUT,
    NOT_FOUND,
    NOT_IN,
    PARTLY,
    borne,
    look_up,
)
from denizen.serve.exchange import Fault, Piece, Request
from denizen.serve.guard import Shield
from denizen.serve.service import Service
from denizen.tasks import suite_of

CORE = suite_of("core")
PREMIUM = "According to the docs, what is the premium of a flash loan?"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    made, _ = filled(tmp_path)
    return made


def strict(index: Index) -> None:
    """A calibration under which only a question whose words are covered is answerable."""
    ones, zeros = dict.fromkeys(FEATURES, 1.0), dict.fromkeys(FEATURES, 0.0)
    for rerank, name in ((True, "answerability-rerank.json"), (False, "answerability.json")):
        model = Answerability("words", rerank, {"covered_first": 20.0}, zeros, ones, -10, 0.5, {})
        model.save(index.folder / name)
    index._snapshot = None


def test_the_sentence_that_answers_is_cited_to_its_exact_span(index: Index) -> None:
    found = look_up(index, PREMIUM, 3)
    assert found.answerable and "The premium is 0.05% of the amount. [1]" in found.text
    cited = found.citations[0]
    document = index.store.document(cited.document)
    assert document is not None and document.text[cited.start : cited.end] == cited.quote
    assert "premium is 0.05%" in cited.quote and cited.licence == "MIT"
    assert GUIDE[cited.start : cited.end] == cited.quote


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("What is the status of ERC-20?", "status: Final"),
        ("Who wrote ERC-20?", "author: Fabian Vogelsteller <f@x.org>, Vitalik Buterin <v@x.org>"),
        ("When was EIP-20 created?", "created: 2015-11-19"),
        ("When was ERC-20 last updated?", "updated: 2026-01-05"),
    ],
)
def test_front_matter_answers_what_it_holds(index: Index, question: str, line: str) -> None:
    cited = look_up(index, question, 3).citations[0]
    assert cited.quote == line == EIP[cited.start : cited.end]


@pytest.mark.parametrize("question", ["What happens when a transfer is made?", "Who pays?", "hi"])
def test_front_matter_is_not_taken_for_other_questions(index: Index, question: str) -> None:
    found = look_up(index, question, 3)
    assert not any(c.quote.startswith(("created:", "author:", "status:")) for c in found.citations)


def test_every_wording_of_calibration_finds_its_line() -> None:
    """And none of those that ask for a section, a summary or a heading finds one."""
    lines = {"status": "Final", "author": "A", "created": "2018-01-24", "type": "Standards"}
    text = "---\n" + "".join(f"{k}: {v}\n" for k, v in (lines | {"requires": "165"}).items())
    named = ("d", "docs", "erc-721.md", "markdown", "Non-Fungible Token")
    document = Document(*named, text, lines, "", "", None, "")
    wordings = json.loads((files("denizen.retrieve") / "assets" / "questions.json").read_text())
    for key, asked in wordings["fields"].items():
        for wording in asked["calibration"]:
            place = front_line(wording.format(ref="ERC-721"), document)
            # No line says type and category at once.
            assert wording.startswith("type and") or (
                place and text[slice(*place)].startswith(f"{key}: ")
            )
    for asked in (*wordings["sections"].values(), wordings["summary"]):
        assert not [
            w for w in asked["calibration"] if front_line(w.format(ref="ERC-721"), document)
        ]
    for other in (
        "What does ERC-721 require of a safe transfer?",
        "What is required of a wallet by ERC-721?",
        "How are tokens created in ERC-721?",
        "What type does balanceOf of ERC-721 return?",
        "Is a transfer in ERC-721 final?",
        "Which status code does ERC-721 return?",
        "Who is behind the operator in ERC-721?",
    ):
        assert front_line(other, document) is None
    assert front_line("What does ERC-721 require?", document) is not None


def test_what_the_sources_do_not_hold_is_said_to_be_missing(index: Index) -> None:
    strict(index)
    found = look_up(index, "Who painted the Mona Lisa?", 3)
    assert not found.answerable and found.text == NOT_FOUND and not found.citations
    assert found.flags == (NOT_IN,) and found.confidence is not None


@pytest.mark.parametrize("pad", ["fee " * 300, "x" * 5000])
def test_a_question_that_is_searched_with_in_part_is_flagged(index: Index, pad: str) -> None:
    assert PARTLY not in look_up(index, PREMIUM, 3).flags
    assert PARTLY in look_up(index, f"{PREMIUM} {pad}", 3).flags
    strict(index)
    assert PARTLY in look_up(index, f"Who painted the Mona Lisa? {pad}", 3).flags


def test_a_citation_that_no_longer_holds_is_not_given(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("denizen.retrieve.holds", lambda citation, document: False)
    found = look_up(index, PREMIUM, 3)
    assert not found.answerable and CHANGED in found.flags and not found.citations


def test_a_models_own_words_must_be_borne_by_what_they_cite(index: Index) -> None:
    found = look_up(index, PREMIUM, 3)
    right = next(n for n, text in found.passages if "0.05%" in text)
    assert borne(f"The premium of a flash loan is 0.05% of the amount [{right}].", found, PREMIUM)
    for words in (
        f"The premium of a flash loan is 0.09% [{right}].",
        "The premium of a flash loan is 0.05% of the amount.",
        "The premium of a flash loan is 0.05% of the amount [9].",
        f"Zephyrine charges a premium of 0.05% [{right}].",
        "",
    ):
        assert not borne(words, found, PREMIUM)


@pytest.mark.parametrize("opening", ["staged: ", f"staged ({'very ' * 100}finely): "])
def test_a_sentence_that_is_shown_in_part_says_so(tmp_path: Path, opening: str) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    parts = ", ".join(f"tier {n} pays {n * 1_111_111:,} USDC" for n in range(1, 60))
    (folder / "bonds.md").write_text(f"# Bonds\n\nThe bond of a keeper is {opening}{parts}.\n")
    with closing(Index.open(tmp_path / "index", WordEncoder(), create=True)) as made:
        ingest(made, [Folder(folder, "docs", Stated(licence="MIT"))])
        found = look_up(made, "According to the docs, what is the bond of a keeper?", 3)
    said = found.text.partition(" [1]")[0]
    assert said.endswith(f" {CUT}")
    assert found.citations[0].quote.startswith(said.removesuffix(CUT).removeprefix(CUT).strip())


@pytest.mark.parametrize("code", ["context_length_exceeded", "backend_error"])
def test_where_a_larger_model_cannot_phrase_it_the_extract_stands(index: Index, code: str) -> None:
    class Full(FakeBackend):
        async def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
            raise Fault(400, "the passages do not fit", code=code)
            yield

    backend = Full("x", parameters=2_000_000_000)
    text, outcome, _ = said(Service(backend, CORE, index=index), ask(PREMIUM))
    assert text.startswith("The premium is 0.05%") and outcome.citations


def test_the_service_answers_from_documents_when_it_is_asked_to(index: Index) -> None:
    backend = FakeBackend("never asked")
    service = Service(backend, CORE, index=index)
    text, outcome, _ = said(service, ask(PREMIUM))
    assert text.startswith("The premium is 0.05%") and "Sources\n  [1] Flash loans" in text
    assert outcome.citations and not outcome.exact and outcome.origin == "local"
    assert not backend.grammars and not backend.asked


def test_a_key_in_a_source_is_hidden_in_its_citation_too(tmp_path: Path) -> None:
    key = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "a.md").write_text(
        f"# Wallet {key}\n\nThe private key of the wallet is {key} here.\n"
    )
    with closing(Index.open(tmp_path / "index", WordEncoder(), create=True)) as made:
        ingest(made, [Folder(folder, "docs", Stated(licence="MIT"))])
        shield = Shield(ShieldConfig(injection="off"))
        service = Service(FakeBackend("x"), CORE, index=made, shield=shield)
        asked = ask("According to the docs, what is the private key of the wallet?")
        text, outcome, _ = said(service, asked)
    assert "private key of the wallet is [" in outcome.citations[0].quote
    assert key not in f"{text}{outcome}" and "private key withheld" in outcome.flags


def test_a_question_unlike_the_calculators_goes_to_the_documents(index: Index) -> None:
    strict(index)
    service = Service(FakeBackend("never asked"), CORE, index=index)
    text, outcome, _ = said(service, ask("Who painted the Mona Lisa?"))
    assert text == NOT_FOUND and NOT_IN in outcome.flags and not outcome.citations
    # How sure it is that they do not: no promise, and none that the answer is likely wrong.
    assert outcome.confidence is None and outcome.signals["answerable"] < 0.5


def test_a_question_the_calculator_serves_is_not_searched(index: Index) -> None:
    backend = FakeBackend("x. <calc>il_full(entry=1000; now=4000)</calc>")
    text, outcome, _ = said(
        Service(backend, CORE, index=index), ask("Impermanent loss from 1000 to 4000?")
    )
    assert outcome.exact and not outcome.citations and "-20.00%" in text


def test_words_alone_that_a_document_answers_are_cited(index: Index) -> None:
    backend = FakeBackend("x. <calc>fact(version=v2; topic=swap_fee)</calc>")
    service = Service(backend, CORE, index=index)
    text, outcome, _ = said(service, ask("Who wrote ERC-20?"))
    assert "Fabian Vogelsteller" in text and outcome.citations and not backend.grammars
    strict(index)
    _, outcome, _ = said(service, ask("Zephyrine contracts?"))
    assert outcome.exact and not outcome.citations


def test_what_the_calculator_declines_is_looked_up(index: Index) -> None:
    backend = FakeBackend("no call at all")
    _, outcome, _ = said(
        Service(backend, CORE, index=index), ask("What premium has a flash loan of 500 USDC?")
    )
    assert outcome.citations and outcome.usage.completion_tokens == 12


def test_a_larger_model_phrases_and_a_wrong_phrase_is_dropped(index: Index) -> None:
    found = look_up(index, PREMIUM, 3)
    right = next(n for n, text in found.passages if "0.05%" in text)
    good = f"The premium of a flash loan is 0.05% of the amount [{right}]."
    big = FakeBackend(good, parameters=2_000_000_000)
    text, outcome, _ = said(Service(big, CORE, index=index), ask(PREMIUM))
    assert text.startswith("The premium of a flash loan is 0.05% of the amount [1].")
    assert len(outcome.citations) == 1 and "0.05%" in outcome.citations[0].quote
    bad = FakeBackend(f"It is 7% [{right}].", parameters=2_000_000_000)
    text, outcome, _ = said(Service(bad, CORE, index=index), ask(PREMIUM))
    assert "7%" not in text and text.startswith("The premium is 0.05%") and outcome.citations


def test_documents_that_cannot_be_searched_are_a_503(index: Index) -> None:
    """Neither a bug of ours nor "not in the sources": the store is away, or an ingest goes on."""

    def away() -> None:
        raise WorkspaceError("the database does not answer", where="a secret place", fix="wait")

    index.snapshot = away  # type: ignore[method-assign, assignment]
    with pytest.raises(Fault, match="cannot be searched") as caught:
        said(Service(FakeBackend("x"), CORE, index=index), ask(PREMIUM))
    assert caught.value.status == 503 and "database" not in caught.value.message
