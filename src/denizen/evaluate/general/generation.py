"""What a generated answer says, and whether that is the set's answer.

Contract: pure text, no model.  The final answer is what follows "####", a box, or "the answer is";
else, for a number, the last one, and for a fixed target its first form in the text.  Numbers are
compared as numbers, with units, currency and LaTeX set aside; names as TriviaQA does (case,
articles and punctuation set aside).  An answer that says nothing is wrong, never an error.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

from denizen.evaluate.general.items import GeneralItem
from denizen.evaluate.suites.base import Judgement

_NUMBER = re.compile(r"(?<![\w.])-?\s?\$?\s?-?(?:\d[\d,]*\.?\d*|\.\d+)")
_SAID = re.compile(r"answer\s+(?:is|:|=)\s*:?\s*|answer:\s*", re.IGNORECASE)


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first of the strings that end it."""
    ends = [place for one in stop if (place := text.find(one)) >= 0]
    return text[: min(ends)] if ends else text


def number(text: str) -> Decimal | None:
    """A number as people write it ("$1,450.00", "- 3"); None if it is none, or several."""
    found = re.fullmatch(r"\s*(-?)\s*\$?\s*(-?)([\d,]*\.?\d*)\s*\.?\s*", text)
    try:
        return Decimal((found[1] or found[2]) + found[3].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def last_number(text: str) -> Decimal | None:
    """The last number in a text."""
    found = [number(one) for one in _NUMBER.findall(text)]
    known = [one for one in found if one is not None]
    return known[-1] if known else None


def final(text: str) -> str | None:
    """What a text itself calls its answer; None if it calls nothing so."""
    if "####" in text:
        return _first_line(text.rsplit("####", 1)[1])
    boxed = re.findall(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}", text)
    if boxed:
        return str(boxed[-1])
    said = _SAID.split(text)
    return _first_line(said[-1]) if len(said) > 1 else None


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""


def plain(text: str) -> str:
    """An expression without LaTeX's dress, spaces, letter case, or commas within numbers."""
    text = re.sub(r"\\(?:left|right|mathrm|text|,|!|;|\s)", "", text)
    text = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", text)
    text = text.replace("\\$", "").replace("\\%", "%").replace("−", "-").replace("{,}", ",")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)\.0+(?!\d)", "", text)
    return re.sub(r"[\s${}]", "", text).rstrip(".").casefold()


def same_value(answer: str, gold: str) -> bool:
    """Whether two answers are one number or one expression.

    Units may be left out but must not differ: "43" and "43 km/hr" agree, "43 s" and "43 m" do not.
    """
    one, other = plain(answer), plain(gold)
    if one == other:
        return bool(one)
    values, units = zip(*(_measured(text) for text in (one, other)), strict=True)
    if values[0] is None or values[0] != values[1]:
        return False
    return not (units[0] and units[1]) or _unit(units[0]) == _unit(units[1])


def _measured(text: str) -> tuple[Decimal | None, str]:
    """The single number of a text and what stands beside it; no number if there are several."""
    found = re.findall(r"-?(?:\d+\.?\d*|(?<!\w)\.\d+)", text)
    if len(found) != 1:
        return None, ""
    return number(found[0]), text.replace(found[0], "", 1)


def _unit(text: str) -> str:
    return re.sub(r"[^a-z%°]", "", text).rstrip("s")


def bare_name(text: str) -> str:
    """TriviaQA's normal form: no case, no articles, no punctuation, single spaces."""
    table = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
    words = text.casefold().replace("_", " ").translate(table).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def judge_value(item: GeneralItem, output: str) -> Judgement:
    """A number or an expression: as the answer calls it, else its last number or last line."""
    text = cut(output, item.of.stop)
    said = final(text)
    gold = item.expected
    if number(gold) is not None:
        # Words around a number are common and harmless: "so she has 14 eggs left."
        value = last_number(said) if said else None
        value = last_number(text) if value is None else value
        ok = value == number(gold)
        return _told(item, ok, None if value is None else str(value))
    lines = [line for line in text.strip().splitlines() if line.strip()]
    answer = said if said else (lines[-1].strip() if lines else "")
    return _told(item, same_value(answer, gold), answer)


def judge_alias(item: GeneralItem, output: str) -> Judgement:
    """The first line must be one of the names."""
    answer = _first_line(cut(output.lstrip(), item.of.stop))
    names = {bare_name(one) for one in item.facts["aliases"]} - {""}
    return _told(item, bare_name(answer) in names, answer)


def judge_target(item: GeneralItem, output: str) -> Judgement:
    """BIG-bench Hard: the target's form tells what to look for."""
    text = cut(output, item.of.stop)
    answer = _target_in(text, item.expected)
    if answer is None:
        return _told(item, False, None)
    ok = _squeezed(answer) == _squeezed(item.expected)
    return _told(item, ok, answer)


_WORDS: tuple[tuple[str, ...], ...] = (("true", "false"), ("yes", "no"), ("valid", "invalid"))


def _target_in(text: str, gold: str) -> str | None:
    said = final(text)
    if re.fullmatch(r"\([A-Z]\)", gold):
        for place in (said, text):
            if found := re.search(r"\(([A-Z])\)|^\s*([A-Z])\s*(?:[.):\n]|$)", place or ""):
                return f"({found[1] or found[2]})"
        return None
    for words in _WORDS:
        if gold.casefold() in words:
            for place in (said, text):
                if found := re.search(rf"\b({'|'.join(words)})\b", place or "", re.IGNORECASE):
                    return found[0]
            return None
    if re.fullmatch(r"-?\d+", gold):
        value = last_number(said) if said else None
        value = last_number(text) if value is None else value
        return None if value is None else str(value)
    if not re.search(r"\w", gold):  # brackets to be closed: what is not a bracket is prose
        return re.sub(r"[^\[\](){}<>]", "", said or _first_line(text))
    return said or _first_line(text)


def _squeezed(text: str) -> str:
    return re.sub(r"[\s,.\"]+", "", text).casefold()


def _told(item: GeneralItem, ok: bool, answer: str | None) -> Judgement:
    reason = "" if ok else ("another answer" if answer else "no answer found")
    return Judgement(ok, float(ok), reason, item.expected, answer)


JUDGES: dict[str, Callable[[GeneralItem, str], Judgement]] = {
    "value": judge_value,
    "alias": judge_alias,
    "target": judge_target,
}
