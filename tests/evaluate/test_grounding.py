"""Grounded answers: what is made up, wrongly cited or answered from nothing must not pass."""

from __future__ import annotations

import re

import pytest

from denizen.evaluate.runner import run_suite
from denizen.evaluate.suites._cases import asset
from denizen.evaluate.suites.grounding import (
    UNKNOWN,
    answered,
    declines,
    grounding_figures,
    judge,
    suite,
)
from denizen.evaluate.suites.grounding_claims import (
    added,
    amounts,
    citations,
    claims,
    mention,
    supports,
)
from denizen.protocols.mechanics import lookup

SUITE = suite()
TOPICS = {topic["id"]: topic for topic in asset("grounding")["topics"]}
PASSAGE = (
    "The premium is 0.05% in Aave v3 and 0.09% in Aave v2. It is paid by 3 borrowers and 4 lenders "
    "on loans worth $2.5 million."
)


def run(say):
    return run_suite(SUITE.cases, lambda batch: [say(case) for case in batch], judge, "model")


def figures(result):
    return grounding_figures(result.scores, resamples=500)


def gold(case) -> str:
    topic = TOPICS[case.template]
    if case.difficulty == "unknown":
        return f"{UNKNOWN}."
    place = case.facts["passages"].index(topic["passage"]) + 1
    return topic["answer"].rstrip(".") + (f" [{place}]." if case.difficulty == "cited" else ".")


def test_answering_from_memory_fails_where_the_passages_are_silent() -> None:
    memory = run(lambda case: TOPICS[case.template]["answer"])
    rates = {
        kind: [s.ok for s in memory.scores if s.family.endswith(kind)]
        for kind in ("faithful", "cited", "unknown")
    }
    assert all(rates["faithful"]) and not any(rates["cited"]) and not any(rates["unknown"])


@pytest.mark.parametrize(
    ("say", "share"),
    [
        (lambda case: f"{UNKNOWN}.", 1 / 3),
        (lambda case: "", 0),
        (lambda case: case.facts["passages"][0], None),
        (lambda case: "42% [1].", 0),
    ],
)
def test_lazy_answers_do_not_win(say, share: float | None) -> None:
    accuracy = run(say).accuracy
    assert accuracy < 0.4 if share is None else accuracy == pytest.approx(share)


def test_every_case_tells_good_from_bad() -> None:
    SUITE.validate()
    assert len(SUITE.cases) >= 120 and len({c.id for c in SUITE.cases}) == len(SUITE.cases)
    assert max(len(case.prompt) for case in SUITE.cases) < 2000
    assert run(gold).accuracy == 1
    for case in SUITE.cases:
        facts = case.facts
        holding = [
            p for p in facts["passages"] if any(mention(p, k) is not None for k in facts["keys"])
        ]
        assert len(holding) == (case.difficulty != "unknown"), case.id
    places = [
        c.facts["passages"].index(TOPICS[c.template]["passage"])
        for c in SUITE.cases
        if c.difficulty == "cited"
    ]
    assert {places.count(p) for p in range(3)} <= {19, 20}


def test_facts_agree_with_the_mechanics_tables() -> None:
    checked = 0
    for topic in TOPICS.values():
        if topic["fact"] is None:
            continue
        found = lookup(*topic["fact"])
        known = f"{found.value}; {found.note}"
        assert any(mention(known, key) is not None for key in topic["keys"]), (topic["id"], known)
        assert added(topic["answer"], f"{topic['passage']} {topic['question']}") == []
        checked += 1
    assert checked >= 40


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("It is 5 bps.", []),
        ("It is 0.05 percent, or 0.0005 of the loan.", []),
        ("They differ by 0.04%.", []),
        ("Seven parties take part.", []),
        ("It is worth 2,500,000 dollars.", []),
        ("The premium of Aave's v3 is 0.05%.", []),
        ("It is 0.06%.", ["0.06%"]),
        ("There are 9 lenders.", ["9"]),
        ("Compound charges 0.05%.", ["compound"]),
        ("It is paid in wstETH.", ["wsteth"]),
        ("It is FLASHLOAN_PREMIUM_TOTAL.", ["flashloanpremiumtotal"]),
        ("In v4 it is 0.05%.", ["v4"]),
        ("It was set by Marc Zeller.", ["marc", "zeller"]),
    ],
)
def test_what_was_added(sentence: str, wrong: list[str]) -> None:
    assert added(sentence, PASSAGE) == wrong


def test_figures_of_one_worth_are_one() -> None:
    assert amounts("0.30%") == amounts("0.3 percent") == amounts("30 bps") == amounts("3000 pips")
    assert amounts("1e15 and $2.5 million") == amounts("1,000,000,000,000,000 and 2,500k")
    assert amounts("v3.3, ERC-4626 and uniswapV3SwapCallback [1]") == set()


def test_claims_are_sentences_with_their_citations() -> None:
    text = "The fee is 0.30%. [1] The DAO set it [2, 3].\n- Another [4]\n1. See v3.2. of 1.5 units"
    assert [claim.cited for claim in claims(text)] == [(1,), (2, 3), (4,), ()]
    assert claims("[1].\n**") == []


def test_citations_by_hand() -> None:
    passages = [
        "The fee of the pool is 0.30%.",
        "Its oracle averages 30 minutes.",
        "Owls hunt by night.",
    ]
    question = "What are the fee and the oracle?"
    both = "The fee is 0.30% [1]. The oracle averages 30 minutes [2]."
    assert citations(both, passages, question) == (1.0, 1.0)
    assert citations(both.replace("[2]", "[3]"), passages, question) == (0.5, 0.5)
    assert citations(both.replace(" [2]", ""), passages, question) == (0.5, 1.0)
    padded = "The fee is 0.30% [1][3]. The oracle averages 30 minutes [2]."
    assert citations(padded, passages, question) == (1.0, pytest.approx(2 / 3))
    joined = "The fee is 0.30% and the oracle averages 30 minutes [1][2]."
    assert citations(joined, passages, question) == (1.0, 1.0)
    assert citations("The fee is 0.30%.", passages, question) == (0.0, 0.0)
    assert citations("The fee is 0.30% [7].", passages, question) == (0.0, 0.0)
    assert not supports(passages[2], "The fee is 0.30%.", question)


def test_order_negation_and_hedging() -> None:
    case = next(c for c in SUITE.cases if c.id == "grounding-aave-v2-flash-premium-faithful")
    for good in ("It is 0.09%, while Aave v3 takes 0.05%.", "9 bps", "It is not 0.05% but 0.09%."):
        assert answered(case, good), good
    for bad in ("It is 0.05%.", "0.05%, not 0.09%", "0.09% or 0.05%", "It isn't 0.09%.", "0.19%"):
        assert not answered(case, bad), bad
    assert mention("It never exceeds 1.15.", "1.15") is not None
    assert mention("It never was 1.15.", "1.15") is None
    assert (
        mention("the deposits", "deposit") is not None and mention("redeposit", "deposit") is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "I do not know.",
        "The passages don\u2019t mention it.",
        "This is not stated.",
        "It cannot be answered: the fee is not given",
        "There is no information on that.",
    ],
)
def test_ways_to_decline(text: str) -> None:
    assert declines(text) and not declines("The fee is 0.30%.")
    case = next(c for c in SUITE.cases if c.difficulty == "unknown")
    assert judge(case, text).ok


def test_sub_scores_are_kept_apart() -> None:
    perfect = figures(run(gold))
    want = {
        "answered": 1,
        "citation_precision": 1,
        "citation_recall": 1,
        "faithfulness": 1,
        "known_declined": 0,
        "unknown_declined": 1,
    }
    assert {name: figure.value for name, figure in perfect.items()} == want
    assert perfect["faithfulness"].n == len(SUITE.cases)
    assert perfect["faithfulness"].clusters == len(TOPICS)
    silent = figures(run(lambda case: f"{UNKNOWN}."))
    assert silent["unknown_declined"].value == silent["known_declined"].value == 1
    assert silent["answered"].value == 0
    uncited = figures(run(lambda case: re.sub(r" \[\d\]", "", gold(case))))
    assert uncited["answered"].value == 1 and uncited["citation_recall"].value == 0
    half = figures(run(lambda c: gold(c) if len(c.facts["passages"][0]) % 2 else "It is 77.7%."))
    figure = half["faithfulness"]
    assert 0 < figure.low < figure.value < figure.high < 1
    assert grounding_figures([]) == {}
