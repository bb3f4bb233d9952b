"""The carried corpus: every fact told once, nothing of a question, expired entries left out."""

from __future__ import annotations

from denizen.data import load_holdout
from denizen.data.corpus import corpus
from denizen.data.leaks import fingerprint
from denizen.protocols import mechanics


def test_every_plain_fact_is_told_and_sourced() -> None:
    documents = corpus()
    text = "\n".join(d.text for d in documents)
    fact = mechanics.lookup("uniswap", "v2", "swap_fee")
    assert fact.value in text and fact.note in text
    assert all(d.source and d.licence and len(d.text) > 100 for d in documents)
    assert len({d.title for d in documents}) == len(documents) >= 25
    assert corpus() == documents


def test_what_has_expired_is_left_out() -> None:
    late = "\n".join(d.text for d in corpus("2030-01-01"))
    early = "\n".join(d.text for d in corpus())
    assert len(late) < len(early)


def test_no_question_of_the_holdout_is_in_it() -> None:
    lines = {fingerprint(line) for d in corpus() for line in d.text.splitlines()}
    assert not lines & {fingerprint(item.prompt) for item in load_holdout()}
