"""Instruction following: constraints that code can check, on DeFi and on everyday topics.

Contract: after IFEval (Zhou et al. 2023), with prompts of our own.  A case's `facts["checks"]` are
(kind, value) pairs from CHECKS; all must hold (`ok`), `score` is the share that does.  Form is
judged, not truth, on the answer without calculator calls: a reader of a list does not want a call.
An answer of fewer than `facts["least"]` words fails, so nothing is satisfied by silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from denizen.evaluate.suites._cases import asset, expect, fill, prose, spread, words
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.evaluate.suites.idiom import MIN_WORDS
from denizen.evaluate.suites.language import SHARE, read_language

_ABBREVIATION = re.compile(r"\b(e\.g|i\.e|vs|etc|approx|Dr|Mr|Mrs|No|U\.S)\.", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]*]*\s+|(?<=[。！？])|\n+")
_NUMBERED = re.compile(r"^\s*(\d{1,3})[.)]\s+\S")
_FENCE = re.compile(r"^```(?:\w+)?\s*\n?(.*?)\n?```$", re.DOTALL)
_RULE_CELL = re.compile(r":?-{1,}:?")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "string": str,
    "number": (int, float),
}


def sentences(text: str) -> list[str]:
    """Sentences by end marks and line breaks; 0.3% and "e.g." end none."""
    text = _ABBREVIATION.sub(lambda m: m.group(1).replace(".", ""), text)
    return [part for part in _SENTENCE_END.split(text) if words(part)]


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n[ \t]*\n", text) if part.strip()]


def _items(text: str, mark: str) -> int:
    return sum(re.match(rf"\s*{re.escape(mark)}\s+\S", line) is not None for line in _lines(text))


def _numbers(text: str) -> list[int]:
    return [int(m.group(1)) for line in _lines(text) if (m := _NUMBERED.match(line))]


def _count(text: str, phrase: str) -> int:
    """How often a word or phrase stands in the text, as whole words, in any case."""
    return len(re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE))


def _starts(text: str, phrase: str) -> bool:
    return text.startswith(phrase)


def _ends(text: str, phrase: str) -> bool:
    """The last words; a full stop after them is forgiven."""
    return text.endswith(phrase) or text.rstrip(".! ").endswith(phrase)


def unfence(text: str) -> str:
    """The inside of one code fence around the whole text, else the text."""
    match = _FENCE.match(text.strip())
    return match.group(1).strip() if match else text.strip()


def _json(text: str) -> Any:
    try:
        return json.loads(unfence(text))
    except (ValueError, RecursionError):
        return None


def _json_keys(text: str, keys: list[str]) -> bool:
    value = _json(text)
    return isinstance(value, dict) and set(value) == set(keys)


def _json_strings(text: str, n: int) -> bool:
    value = _json(text)
    return isinstance(value, list) and len(value) == n and all(isinstance(v, str) for v in value)


def _json_type(text: str, wanted: list[str]) -> bool:
    value = _json(text)
    return isinstance(value, dict) and isinstance(value.get(wanted[0]), _TYPES[wanted[1]])


def _same(text: str, other: str) -> bool:
    return text.strip(" \n\"'*`").rstrip(".!") == other.rstrip(".!")


def _one_of(text: str, options: list[str]) -> bool:
    return text.strip(" \n\"'*`.!").lower() in {option.lower() for option in options}


def _table(text: str, wanted: list[Any]) -> bool:
    """A header of these columns, a rule, and n rows of as many cells (0: any number)."""
    columns, n = wanted
    rows = [
        [cell.strip(" *") for cell in line.strip().strip("|").split("|")]
        for line in _lines(unfence(text))
        if "|" in line
    ]
    if len(rows) < 3 or [c.lower() for c in rows[0]] != [c.lower() for c in columns]:
        return False
    if not all(_RULE_CELL.fullmatch(cell) for cell in rows[1]):
        return False
    body = rows[2:]
    return all(len(row) == len(columns) for row in body) and len(body) == (n or len(body))


def _csv(text: str, wanted: list[int]) -> bool:
    """A header and n lines, each of as many non-empty cells."""
    columns, n = wanted
    rows = [[cell.strip() for cell in line.split(",")] for line in _lines(unfence(text))]
    return len(rows) == n + 1 and all(len(row) == columns and all(row) for row in rows)


def _order(text: str, phrases: list[str]) -> bool:
    places = [
        match.start() if (match := re.search(rf"\b{re.escape(p)}", text, re.IGNORECASE)) else -1
        for p in phrases
    ]
    return min(places) >= 0 and places == sorted(places)


def _alphabetical(text: str, _: Any) -> bool:
    found = [line.strip(" -*").lower() for line in _lines(text)]
    return len(found) > 1 and found == sorted(found)


def _ascending(text: str, n: int) -> bool:
    if not re.fullmatch(r"[\d\s]+", text):
        return False
    found = [int(piece) for piece in text.split()]
    return len(found) == n and found == sorted(found)


def _language(text: str, code: str) -> bool:
    found = read_language(text, code)
    return not found.stray and found.share >= SHARE and found.amount >= MIN_WORDS


def _cased(text: str) -> bool:
    return any(c.isalpha() for c in text)


CHECKS: dict[str, Callable[[str, Any], bool]] = {
    "max_words": lambda text, n: len(words(text)) <= n,
    "min_words": lambda text, n: len(words(text)) >= n,
    "sentences": lambda text, n: len(sentences(text)) == n,
    "max_sentences": lambda text, n: len(sentences(text)) <= n,
    "lines": lambda text, n: len(_lines(text)) == n,
    "paragraphs": lambda text, n: len(_paragraphs(text)) == n,
    "paragraph_starts": lambda text, v: (
        len(_paragraphs(text)) >= v[0] and _paragraphs(text)[v[0] - 1].strip().startswith(v[1])
    ),
    "bullets": lambda text, v: _items(text, v[0]) == v[1],
    "only_items": lambda text, _: all(line.lstrip()[0] in "-*•" for line in _lines(text)),
    "numbered": lambda text, n: _numbers(text) == list(range(1, n + 1)),
    "contains": lambda text, phrases: all(_count(text, p) for p in phrases),
    "at_least": lambda text, v: _count(text, v[0]) >= v[1],
    "excludes": lambda text, phrases: not any(_count(text, p) for p in phrases),
    "upper": lambda text, _: _cased(text) and text == text.upper(),
    "lower": lambda text, _: _cased(text) and text == text.lower(),
    "starts": _starts,
    "ends": _ends,
    "no_chars": lambda text, chars: not set(text) & set(chars),
    "json_keys": _json_keys,
    "json_strings": _json_strings,
    "json_type": _json_type,
    "exact": _same,
    "one_of": _one_of,
    "table": _table,
    "csv": _csv,
    "order": _order,
    "alphabetical": _alphabetical,
    "ascending": _ascending,
    "language": _language,
}


def judge(case: Case, output: str) -> Judgement:
    """Every constraint of the case on what a reader sees."""
    text, checks = prose(output), case.facts["checks"]
    expected = ", ".join(kind for kind, _ in checks)
    if len(words(text)) < case.facts["least"]:
        return Judgement(False, 0.0, "too little was written", expected)
    missed = [kind for kind, value in checks if not CHECKS[kind](text, value)]
    reason = f"not kept: {', '.join(missed)}" if missed else "all kept"
    return Judgement(not missed, 1 - len(missed) / len(checks), reason, expected)


def _made(value: Any, slots: dict[str, Any]) -> Any:
    """A check's value with its slots filled; a slot alone keeps its type."""
    if isinstance(value, list):
        return [_made(one, slots) for one in value]
    if not isinstance(value, str):
        return value
    alone = value[1:-1] if value.startswith("{") and value.endswith("}") else ""
    return slots[alone] if alone in slots else fill(value, slots)


def _slots(template: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """One dictionary a case; a shared list is entered at another place by each template."""
    own = template["slots"]
    count = max((len(v) for v in own.values() if isinstance(v, list)), default=4)
    rows = []
    for i in range(count):
        row = {}
        for name, values in own.items():
            if isinstance(values, str):
                shared = asset("instructions")["lists"][values[1:]]
                row[name] = shared[(number * count + i) % len(shared)]
            else:
                row[name] = values[i]
        rows.append(row)
    return rows


def suite() -> Behaviour:
    """Fourteen kinds of constraint, three or more wordings each, four topics a wording."""
    cases = []
    for number, template in enumerate(asset("instructions")["templates"]):
        for i, slots in enumerate(_slots(template, number)):
            checks = tuple((kind, _made(value, slots)) for kind, value in template["checks"])
            cases.append(
                Case(
                    f"instructions/{template['id']}-{i}",
                    template["family"],
                    fill(template["text"], slots),
                    template["id"],
                    facts={"checks": checks, "least": template.get("least", 1)},
                )
            )
    title = "Instruction following (checkable constraints)"
    return Behaviour("instructions", title, spread(cases), judge, "noninferior",
                     max_tokens=160, validate=validate)  # fmt: skip


def validate() -> None:
    """Every template's good answer passes its first case, its near misses and silence do not."""
    by_id = {case.id: case for case in suite().cases}
    for number, template in enumerate(asset("instructions")["templates"]):
        slots = _slots(template, number)[0]
        good, *bad = (fill(text, slots) for text in (template["good"], *template["bad"]))
        expect(judge, by_id[f"instructions/{template['id']}-0"], [good], [*bad, "", "<calc>x(a=1)"])
