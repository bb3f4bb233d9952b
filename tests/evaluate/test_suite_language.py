"""Language drift: Chinese characters in English answers first, then the other languages."""

from __future__ import annotations

import pytest

from denizen.evaluate.suites import BEHAVIOURS
from denizen.evaluate.suites.base import Case
from denizen.evaluate.suites.idiom import foreign, identify, script_of
from denizen.evaluate.suites.language import judge_language, judge_script, read_language

ENGLISH = Case("e", "en", "What is slippage?", "t", facts={"language": "en"})
QUOTING = Case("q", "quoted", "What does 滑点 mean?", "t")


@pytest.mark.parametrize(
    "answer",
    [
        "Slippage is the 价格 gap.",
        "Slippage is the gap。",
        "The gap（between prices)",
        "Это gap.",
        "가격",
    ],
)
def test_one_foreign_character_in_an_english_answer_is_a_failure(answer: str) -> None:
    assert not judge_script(ENGLISH, answer).ok
    assert not judge_language(ENGLISH, answer).ok


@pytest.mark.parametrize(
    "answer",
    ["Slippage is the gap between two prices.", "0.3% of 4.5 WETH ≈ 13.5 USDC → fine 👍",
     "With σ = 2, Δp matters: naïve traders lose 5 €.", "It costs `fee * 3` wei.",
     "Use “limit orders” – they’re safe… 𝑥 = 3"],
)  # fmt: skip
def test_symbols_accents_and_emoji_are_english_enough(answer: str) -> None:
    assert judge_script(QUOTING, answer).ok
    assert judge_language(ENGLISH, answer).ok


def test_what_the_prompt_quotes_may_be_repeated_and_nothing_more() -> None:
    assert judge_script(QUOTING, "滑点 is slippage; 滑 is to slide.").ok
    assert not judge_script(QUOTING, "滑点率 is the slippage rate.").ok


SENTENCES = {
    "en": ("Traders pay more gas during congestion.", "Flash loans must be repaid at once."),
    "de": ("Nutzer hinterlegen Token in einem Pool und erhalten Gebühren.", "Das Risiko ist gering."),
    "fr": ("Les fonds restent bloqués pendant plusieurs jours.", "Le prêteur touche des intérêts."),
    "es": ("Los fondos quedan bloqueados durante varios días.", "El deudor paga intereses."),
    "it": ("I fondi restano bloccati per diversi giorni.", "Una liquidazione è una vendita forzata."),
    "pt": ("Os fundos ficam bloqueados durante vários dias.", "O devedor paga os juros."),
    "nl": ("De lener betaalt rente over het geleende bedrag.", "Het geld staat een week vast."),
    "zh": ("流动性池是智能合约中的资金。",), "ja": ("清算とは担保が売却されることです。",),
    "ko": ("청산은 담보가 매각되는 것입니다.",), "ru": ("Ликвидация это продажа залога.",),
}  # fmt: skip


def test_languages_are_told_apart_by_a_short_sentence() -> None:
    for language, texts in SENTENCES.items():
        assert [identify(text) for text in texts] == [language] * len(texts)
    for text in ("", "42", "WETH/USDC 0.3%", "0x" + "ab" * 20, "Uniswap v3", "ok"):
        assert identify(text) is None


def test_half_an_answer_in_english_is_drift_and_a_borrowed_term_is_not() -> None:
    german, english = SENTENCES["de"][0], SENTENCES["en"][0]
    assert read_language(german, "de").share == 1.0
    assert read_language(f"{german} {english}", "de").share < 0.75
    assert read_language("Beim Staking sichert man die Blockchain gegen Angriffe.", "de").share == 1
    assert read_language("Uniswap V3 的流动性池收取 0.3% 的 swap fee。", "zh").share >= 0.75
    assert read_language("The pool takes a fee of 0.3% on each trade 手续费", "zh").share < 0.75
    # Han alone may be Japanese, a long text without kana is not.
    assert read_language("清算", "ja").share == 1.0
    assert read_language(SENTENCES["zh"][0], "ja").share == 0.0


def test_scripts_come_from_the_names_of_unicode() -> None:
    found = {c: script_of(c) for c in "aé中あア한жλ，。1%-　ｱ𝑥"}
    assert found == {
        "a": "Latin", "é": "Latin", "中": "Han", "あ": "Kana", "ア": "Kana", "한": "Hangul",
        "ж": "Cyrillic", "λ": "Greek", "，": "Han", "。": "Han", "1": "", "%": "", "-": "",
        "　": "Han", "ｱ": "Kana", "𝑥": "",
    }  # fmt: skip
    assert [run.text for run in foreign("a 中文 b λογος σ", frozenset({"Latin"}))] == [
        "中文",
        "λογος",
    ]


def test_calls_have_no_language() -> None:
    case = next(c for c in BEHAVIOURS["language"].cases if c.family == "ko")
    assert judge_language(case, "<calc>v2_in(in=4.5 WETH; fee=0.3%)</calc>").ok
    assert not judge_language(case, "The output of a constant-product swap. <calc>x(a=1)</calc>").ok
