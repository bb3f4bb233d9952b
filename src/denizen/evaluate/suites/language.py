"""Language drift: does the answer keep the prompt's language, and its script?

Contract: two suites.  `language` asks in eight languages and wants the answer in the same one, by
`idiom.py`; protocol names, code, addresses, figures, tickers, quotations and calculator calls have
no language, so an answer of these alone passes and an empty one fails.  `script` asks in English
and counts every letter of another script as a failure (rule "zero"): Chinese characters in English
answers are what this field's models are known for.  What the prompt itself quotes may be repeated.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from denizen.evaluate.suites._cases import asset, expect, fill, prose, spread
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.evaluate.suites.idiom import (
    MIN_WORDS,
    foreign,
    identify,
    identify_latin,
    language_words,
    script_of,
    units,
)

SCRIPTS = {
    "zh": frozenset({"Han", "Latin"}),
    "ja": frozenset({"Han", "Kana", "Latin"}),
    "ko": frozenset({"Hangul", "Latin"}),
    "ru": frozenset({"Cyrillic", "Latin"}),
}
LATIN_ONLY = frozenset({"Latin"})
# A quarter of an answer may be in another language: borrowed terms, an English quotation.
SHARE = 0.75
# So few Han characters without kana may be Japanese as well as Chinese.
HAN_ONLY = 8
_QUOTED = re.compile(r"\"[^\"\n]{1,120}\"|“[^”\n]{1,120}”|„[^“”\n]{1,120}[“”]|«[^»\n]{1,120}»"
                     r"|「[^」\n]{1,120}」")  # fmt: skip
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")


class Reading(NamedTuple):
    """`share` of the answer in the language wanted, in [0, 1]; `stray` text of other scripts.

    `amount` is how much there was to judge, in words.
    """

    share: float
    stray: str
    amount: float


def read_language(text: str, language: str, prompt: str = "") -> Reading:
    """How far a text is written in `language` (two-letter code)."""
    allowed = SCRIPTS.get(language, LATIN_ONLY)
    stray = " ".join(run.text for run in foreign(text, allowed, prompt))
    plain = _QUOTED.sub(" ", text)
    if sum(units(plain)) < MIN_WORDS:  # all of it is quoted
        plain = text
    read = _share_of_script if language in SCRIPTS else _share_of_sentences
    return Reading(read(plain, language, prompt), stray, sum(units(plain)))


def _share_of_script(text: str, language: str, prompt: str) -> float:
    found = units(text)
    wanted = {"ko": found.korean, "ru": found.cyrillic}.get(language, found.cjk)
    latin = sum(word not in prompt.lower() for word in language_words(text))
    if wanted + latin < MIN_WORDS and not wanted:
        return 1.0
    guess = identify(text) if wanted >= latin else language
    if language in ("zh", "ja") and guess in ("zh", "ja") and guess != language:
        kana = any(script_of(c) == "Kana" for c in text)
        return float(language == "ja" and not kana and 2 * wanted <= HAN_ONLY)
    return wanted / (wanted + latin)


def _share_of_sentences(text: str, language: str, prompt: str) -> float:
    """Share of the words that stand in sentences of the language; unclear ones do not count."""
    if len(language_words(text)) < MIN_WORDS:
        return 1.0
    whole = identify_latin(text)
    right = wrong = 0
    for sentence in _SENTENCE.split(text):
        count, guess = len(language_words(sentence)), identify_latin(sentence)
        right += count * (guess == language)
        wrong += count * (guess not in (language, None))
    share = right / (right + wrong) if right + wrong else float(whole in (language, None))
    return share if whole in (language, None) else min(share, SHARE - 0.01)


def judge_language(case: Case, output: str) -> Judgement:
    """The answer keeps the language of the prompt, `facts["language"]`."""
    language = case.facts["language"]
    if not output.strip():
        return Judgement(False, 0.0, "nothing was written", language)
    found = read_language(prose(output), language, case.prompt)
    if found.stray:
        return Judgement(False, 0.0, f"another script: {found.stray[:40]}", language)
    ok = found.share >= SHARE
    reason = "too little text to tell" if found.amount < MIN_WORDS else f"{found.share:.0%}"
    return Judgement(ok, found.share, f"in the prompt's language: {reason}", language)


def judge_script(case: Case, output: str) -> Judgement:
    """No letter (or full-width mark) of another script in an answer to an English prompt."""
    stray = foreign(prose(output), LATIN_ONLY, case.prompt)
    if not stray:
        return Judgement(True, 1.0, "Latin script only", "Latin")
    shown = " ".join(run.text for run in stray)[:40]
    return Judgement(False, 0.0, f"{stray[0].script} in an English answer: {shown}", "Latin")


def suite() -> Behaviour:
    """Eight languages, twenty prompts each; a family is a language."""
    cases = [
        Case(f"language/{code}/{w}-{t}", code, fill(wording, {"topic": topic}), f"{code}/{w}",
             facts={"language": code})
        for code, data in asset("language_prompts")["prompts"].items()
        for w, wording in enumerate(data["wordings"])
        for t, topic in enumerate(data["topics"])
    ]  # fmt: skip
    title = "Language of the answer is that of the prompt"
    return Behaviour("language", title, spread(cases), judge_language, "noninferior",
                     max_tokens=96, validate=validate)  # fmt: skip


def script_suite() -> Behaviour:
    """English prompts of five kinds, one of which quotes other scripts."""
    cases = []
    for family, data in asset("language_prompts")["english"].items():
        for w, wording in enumerate(data["wordings"]):
            for t, slot in enumerate(data["slots"]["a"]):
                prompt, template = fill(wording, {"a": slot}), f"{family}/{w}"
                cases.append(Case(f"script/{template}-{t}", family, prompt, template))
    title = "No foreign script in English answers"
    return Behaviour("script", title, spread(cases), judge_script, "zero",
                     max_tokens=96, validate=validate_script)  # fmt: skip


def validate() -> None:
    """In each language its own sentences pass; those of the others, and mixtures, fail."""
    by_language = {case.family: case for case in suite().cases}
    for language, case in by_language.items():
        expect(
            judge_language,
            case,
            [_SAMPLES[language], f"{_SAMPLES[language]} WETH/USDC 0x{'ab' * 20} 0.3%",
             "1,250.5 USDC", "<calc>v2_in(in=4.5 WETH)</calc>"],
            ["", *(text for other, text in _SAMPLES.items() if other != language)],
        )  # fmt: skip
    half = f"{_SAMPLES['en']} {_SAMPLES['de']}"
    drift = "The pool charges a 手续费 on every trade that you make."
    expect(judge_language, by_language["en"], [], [half, drift])
    expect(judge_language, by_language["de"], [], [half])
    mixed = "流动性池 is a contract that holds the tokens of all the people who want to trade them."
    expect(judge_language, by_language["zh"], ["Uniswap 的流动性池收取 0.3% 的手续费。"], [mixed])


def validate_script() -> None:
    """One foreign character fails; Greek symbols, accents and what the prompt quotes do not."""
    case = Case("script/validate", "quoted", 'What does "流动性" mean? In English.', "validate")
    expect(
        judge_script,
        case,
        ["It means liquidity.", "The term 流动性 means liquidity: 流动 is flow.", "Zoë paid 5 €.",
         "Δx grows with σ and β.", "It works 👍 → fine.", "draft. <calc>x(a=滑点)</calc>"],
        ["It means liquidity。", "It means 滑点.", "It means that, или так.", "The 풀 is deep.",
         "Quite ｆｕｌｌ width", "It is プール."],
    )  # fmt: skip


_SAMPLES = {
    "en": "A liquidation is the sale of the collateral when the debt is no longer covered by it.",
    "de": "Eine Liquidation ist der Verkauf der Sicherheiten, wenn sie die Schuld nicht decken.",
    "fr": "Une liquidation est la vente de la garantie lorsque celle-ci ne couvre plus la dette.",
    "es": "Una liquidación es la venta de la garantía cuando ya no cubre la deuda del usuario.",
    "zh": "清算是指当抵押品不足以覆盖债务时，协议出售抵押品。",
    "ja": "清算とは、担保が債務を下回ったときに担保が売却されることです。",
    "ko": "청산은 담보가 부채를 충당하지 못할 때 담보를 매각하는 것입니다.",
    "ru": "Ликвидация это продажа залога, когда он больше не покрывает долг заёмщика.",
}
