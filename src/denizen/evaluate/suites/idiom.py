"""Which script and which language a text is written in, without a dependency.

Contract: pure functions.  A letter's script is the one its Unicode name begins with.  `identify`
tells English, German, French, Spanish, Italian, Portuguese and Dutch apart by common words and
character trigrams (after Cavnar and Trenkle 1994, smoothed log-probabilities in place of ranks),
and the other languages by script; None means too little text to tell.  `bare` takes out what has
no language: code, addresses, links, tickers, figures.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

from denizen.evaluate.suites._cases import asset

LATIN = ("en", "de", "fr", "es", "it", "pt", "nl")
# Nats for a common word of a language; trigrams overlap, so each counts for a third.
COMMON_WORD, TRIGRAM_WEIGHT = 2.5, 1 / 3
MIN_WORDS, DECISIVE = 3, 2.0
# More capital words in a row than this are a sentence, not tickers.
SHOUTED = 5
_FIRST = {
    "LATIN": "Latin", "CYRILLIC": "Cyrillic", "GREEK": "Greek", "CJK": "Han", "IDEOGRAPHIC": "Han",
    "HIRAGANA": "Kana", "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana", "HANGUL": "Hangul",
    "BOPOMOFO": "Han",
}  # fmt: skip
# Letters that belong to no script of their own: mathematical alphabets, signs, ordinals.
_NEUTRAL = ("MATHEMATICAL", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER", "MICRO", "MODIFIER",
            "FEMININE", "MASCULINE", "OHM", "KELVIN", "ANGSTROM", "PLANCK", "INFORMATION",
            "SUPERSCRIPT", "SUBSCRIPT", "COMBINING", "VARIATION", "SQUARED")  # fmt: skip
_BARE = re.compile(
    r"```.*?(?:```|$)|`[^`\n]*`|https?://\S+|\b\S+@\S+\.\w+|\b\w+\.(?:eth|com|org|fi|io|xyz)\b"
    r"|\b0x[0-9a-fA-F]{4,}\b|\b[A-Z][A-Z0-9]{1,9}s?\b|\b\w*[a-z][A-Z]\w*\b|\b\w*\d\w*\b",
    re.DOTALL,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@cache
def script_of(char: str) -> str:
    """The script of one character, "" if it has none; East Asian full-width marks count as Han."""
    name = unicodedata.name(char, "")
    first = name.split(" ")[0]
    if first in ("FULLWIDTH", "IDEOGRAPHIC", "HALFWIDTH") or name.startswith("CJK"):
        return "Hangul" if "HANGUL" in name else "Kana" if "KATAKANA" in name else "Han"
    if unicodedata.category(char)[0] != "L" or first in _NEUTRAL:
        return ""
    return _FIRST.get(first, first.title())


class Run(NamedTuple):
    script: str
    text: str


def runs(text: str) -> list[Run]:
    """Maximal runs of characters of one script; characters without one end a run."""
    found: list[Run] = []
    open_ = False
    for char in text:
        script = script_of(char)
        if script and open_ and found[-1].script == script:
            found[-1] = Run(script, found[-1].text + char)
        elif script:
            found.append(Run(script, char))
        open_ = bool(script)
    return found


def foreign(text: str, allowed: frozenset[str], prompt: str = "") -> list[Run]:
    """Runs of other scripts, unless they stand in the prompt or are one Greek letter (a symbol)."""
    return [
        run
        for run in runs(text)
        if run.script not in allowed
        and not (run.script == "Greek" and len(run.text) == 1)
        and run.text not in prompt
    ]


def bare(text: str) -> str:
    """Text without what has no language."""
    return _BARE.sub(" ", text)


@cache
def _profile(language: str) -> tuple[frozenset[str], dict[str, float], float]:
    """Common words, log-probability a trigram, and that of an unseen one."""
    data = asset("language_profiles")[language]
    common = frozenset(data["words"].split())
    counts = Counter(t for word in _words(data["text"] + " " + data["words"]) for t in _grams(word))
    total = sum(counts.values()) + 0.5 * (len(counts) + 2000)
    table = {gram: math.log((n + 0.5) / total) for gram, n in counts.items()}
    return common, table, math.log(0.5 / total)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _grams(word: str) -> list[str]:
    padded = f" {word} "
    return [padded[i : i + 3] for i in range(len(padded) - 2)]


def language_words(text: str) -> list[str]:
    """The words in Latin letters that tell a language, in lower case: names are left out."""
    shouted = text.isupper() and len(_words(text)) > SHOUTED
    text, names = bare(text.lower() if shouted else text), _names()
    return [w for w in _words(text) if script_of(w[0]) == "Latin" and w not in names]


@cache
def _names() -> frozenset[str]:
    """Names and terms that every language keeps."""
    return frozenset(asset("language_profiles")["names"].split())


class Units(NamedTuple):
    """How much of a text each group of scripts holds, in about a word's worth."""

    latin: float
    cjk: float
    korean: float
    cyrillic: float


def units(text: str) -> Units:
    """A word of Latin letters is one unit, so are two East Asian and five Cyrillic characters."""
    letters = Counter(script_of(c) for c in bare(text))
    cjk = letters["Han"] + letters["Kana"]
    return Units(len(language_words(text)), cjk / 2, letters["Hangul"] / 2, letters["Cyrillic"] / 5)


def identify(text: str) -> str | None:
    """Two-letter code of the language, or None if the text is too short or too mixed to tell."""
    found = units(text)
    if max(found) == found.latin:
        return identify_latin(text)
    if max(found) == found.korean:
        return "ko"
    if max(found) == found.cyrillic:
        return "ru"
    letters = Counter(script_of(c) for c in bare(text))
    return "ja" if letters["Kana"] * 10 > letters["Han"] else "zh"


def identify_latin(text: str) -> str | None:
    """The same among languages in Latin letters."""
    found = language_words(text)
    if len(found) < MIN_WORDS:
        return None
    scores = {}
    for language in LATIN:
        common, table, unseen = _profile(language)
        score = 0.0
        for word in found:
            parts = word.replace("’", "'").split("'")
            score += COMMON_WORD * any(part in common for part in parts)
            score += TRIGRAM_WEIGHT * sum(table.get(gram, unseen) for gram in _grams(word))
        scores[language] = score
    best, second = sorted(scores.values(), reverse=True)[:2]
    return max(scores, key=lambda k: scores[k]) if best - second >= DECISIVE else None
