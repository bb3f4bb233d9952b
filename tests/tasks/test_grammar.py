"""The grammar admits every gold answer and nothing that does not evaluate."""

from __future__ import annotations

import re

import pytest

from denizen.tasks import CORE, FAMILIES, evaluate, offers, suite_of

CORE_SUITE = suite_of("core")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def calls(grammar: str) -> list[str]:
    line = next(row for row in grammar.splitlines() if row.startswith("root ::="))
    return [text for text in LITERAL.findall(line) if text.endswith(")") and "(" in text]


@pytest.mark.parametrize("name", CORE)
def test_gold_is_offered(name: str) -> None:
    admitted = 0
    for seed in range(40):
        for split in ("train", "dev", "holdout"):
            item = FAMILIES[name].generate(seed, split)
            if name == "mechanics" and item.kind != "tick_spacing":
                continue  # words only: one open rule
            if offers(item):
                admitted += 1
                assert item.gold in calls(CORE_SUITE.grammar(item.prompt)), item.prompt
    # Nearly every wording keeps quantities apart from what would change how they are read.
    assert admitted >= 110 or name == "mechanics"


def test_every_offered_call_evaluates_and_uses_no_span_twice() -> None:
    item = FAMILIES["impermanent_loss"].generate(1, "train")
    offered = calls(CORE_SUITE.grammar(item.prompt))
    assert offered
    for call in offered:
        evaluate(call)
        values = re.findall(r"=([^;)]*)", call)
        assert len(values) == len(set(values))


def test_question_without_quantities_offers_facts_only() -> None:
    grammar = CORE_SUITE.grammar("What is the oracle of v3?")
    assert "fact(" in grammar and "v2_in(" not in grammar and "range(" not in grammar


def test_quotes_and_backslashes_cannot_break_out() -> None:
    grammar = CORE_SUITE.grammar('say "10%" \\ and 5 WETH" | "x')
    assert grammar.count("root ::=") == 1
    assert CORE_SUITE.grammar("").startswith("root")


@pytest.mark.parametrize("name", FAMILIES)
def test_llguidance_accepts_gold(name: str, tiny: object) -> None:
    import llguidance.hf
    from llguidance import LLMatcher
    from llguidance.gbnf_to_lark import any_to_lark
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(tiny))
    tokens = llguidance.hf.from_tokenizer(tokenizer, n_vocab=len(tokenizer))
    for seed in range(5):
        item = FAMILIES[name].generate(seed, "train")
        matcher = LLMatcher(tokens, any_to_lark(suite_of(name).grammar(item.prompt)))
        ids = tokenizer(item.answer, add_special_tokens=False)["input_ids"]
        assert matcher.try_consume_tokens(ids) == len(ids), item.prompt
        assert matcher.is_accepting()
