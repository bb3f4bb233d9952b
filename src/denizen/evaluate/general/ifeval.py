"""IFEval's instructions as checkers of a text, by the identifiers its file uses.

Contract: `follows(id, arguments, response)` says whether a response follows one
instruction, strictly (no part of the response is forgiven), after the published meaning of the
identifiers (Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023).
Sentences and languages are told by rules of our own, so figures may differ a little from those of
the original code.  An unknown identifier or a missing argument raises DataError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from denizen.evaluate.general.items import GeneralItem
from denizen.evaluate.general.languages import language_of
from denizen.evaluate.suites.base import Judgement
from denizen.project.errors import DataError

Arguments = Mapping[str, Any]
Checker = Callable[[str, Arguments], bool]

_OPTIONS = ("my answer is yes.", "my answer is no.", "my answer is maybe.")
_ABBREVIATIONS = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|U\.S|a\.m|p\.m|No)\.", re.IGNORECASE
)


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores."""
    return re.findall(r"\w+", text)


def sentences(text: str) -> list[str]:
    """Sentences end at ., ! or ? before a space or the end, and at line breaks after them."""
    text = _ABBREVIATIONS.sub(lambda found: found[0].replace(".", "\u2024"), text)
    text = re.sub(r"(?<=\d)\.(?=\d)", "\u2024", text)
    pieces = re.split(r"(?<=[.!?])[\"')\]*_]*\s+|\n{2,}", text.strip())
    return [piece for piece in pieces if re.search(r"\w", piece)]


def _related(count: int, relation: str, bound: int) -> bool:
    if relation == "at least":
        return count >= bound
    if relation == "less than":
        return count < bound
    raise KeyError(f"relation {relation!r}")


def _occurrences(text: str, phrase: str) -> int:
    return len(re.findall(re.escape(phrase), text, re.IGNORECASE))


def _english(text: str) -> bool:
    """English, or too little to tell."""
    return language_of(text.lower()) in ("en", "")


def _paragraphs(text: str, a: Arguments) -> bool:
    pieces = [piece.strip() for piece in re.split(r"\s?\*\*\*\s?", text)]
    inner = pieces[1 if not pieces[0] else 0 : -1 if len(pieces) > 1 and not pieces[-1] else None]
    return all(inner) and len(inner) == int(a["num_paragraphs"])


def _first_word(text: str, a: Arguments) -> bool:
    pieces = [piece.strip() for piece in re.split(r"\n\n", text) if piece.strip()]
    wanted = a["nth_paragraph"]
    if len(pieces) != a["num_paragraphs"] or wanted > len(pieces):
        return False
    first = pieces[wanted - 1].split()[0].lstrip("'\"“‘*_")
    return re.split(r"[.,?!'\"”’:;*_]", first)[0].casefold() == str(a["first_word"]).casefold()


def _postscript(text: str, a: Arguments) -> bool:
    letters = [re.escape(letter) for letter in a["postscript_marker"].rstrip(".").split(".")]
    return re.search(r"(?m)(?<!\w)" + r"\.\s?".join(letters) + r"\b", text, re.I) is not None


def _bullets(text: str, a: Arguments) -> bool:
    starred = re.findall(r"(?m)^\s*\*[^*\n].*$", text)
    return len(starred) + len(re.findall(r"(?m)^\s*-.*$", text)) == int(a["num_bullets"])


def _highlights(text: str, a: Arguments) -> bool:
    twice = re.findall(r"\*\*([^\n*]+)\*\*", text)
    once = re.findall(r"\*([^\n*]+)\*", re.sub(r"\*\*[^\n*]+\*\*", " ", text))
    return sum(bool(found.strip()) for found in twice + once) >= int(a["num_highlights"])


def _sections(text: str, a: Arguments) -> bool:
    found = re.findall(rf"(?<!\w){re.escape(a['section_spliter'])}\s?\d+", text)
    return len(found) >= int(a["num_sections"])


def _json(text: str, a: Arguments) -> bool:
    bare = re.sub(r"^```(?:json)?|```$", "", text.strip(), flags=re.IGNORECASE).strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _two(text: str, a: Arguments) -> bool:
    pieces = [piece.strip() for piece in text.split("******")]
    if not all(pieces[1:-1]):
        return False
    pieces = [piece for piece in pieces if piece]
    return len(pieces) == 2 and pieces[0] != pieces[1]


def _ends(text: str, a: Arguments) -> bool:
    return text.strip().strip('"').casefold().endswith(a["end_phrase"].strip().casefold())


def _capitals(text: str, a: Arguments) -> bool:
    shouted = [word for word in re.findall(r"[^\W\d_][\w'-]*", text) if word.isupper()]
    return _related(len(shouted), a["capital_relation"], a["capital_frequency"])


CHECKERS: dict[str, Checker] = {
    "keywords:existence": lambda t, a: all(_occurrences(t, k) for k in a["keywords"]),
    "keywords:frequency": lambda t, a: _related(
        _occurrences(t, a["keyword"]), a["relation"], a["frequency"]
    ),
    "keywords:forbidden_words": lambda t, a: (
        not any(
            re.search(rf"(?<!\w){re.escape(w)}(?!\w)", t, re.IGNORECASE)
            for w in a["forbidden_words"]
        )
    ),
    "keywords:letter_frequency": lambda t, a: _related(
        t.lower().count(a["letter"].lower()), a["let_relation"], a["let_frequency"]
    ),
    "language:response_language": lambda t, a: language_of(t) == a["language"],
    "length_constraints:number_sentences": lambda t, a: _related(
        len(sentences(t)), a["relation"], a["num_sentences"]
    ),
    "length_constraints:number_words": lambda t, a: _related(
        len(words(t)), a["relation"], a["num_words"]
    ),
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": lambda t, a: (
        len(re.findall(r"\[[^\]]+\]", t)) >= a["num_placeholders"]
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": lambda t, a: any(o in t.lower() for o in _OPTIONS),
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": lambda t, a: any(
        found.strip(" <>") for found in re.findall(r"<<([^\n]+?)>>", t)
    ),
    "combination:two_responses": _two,
    "combination:repeat_prompt": lambda t, a: (
        t.strip().casefold().startswith(a["prompt_to_repeat"].strip().casefold())
    ),
    "startend:end_checker": _ends,
    "startend:quotation": lambda t, a: (
        len(t.strip()) > 1 and t.strip()[0] == '"' and t.strip()[-1] == '"'
    ),
    "change_case:capital_word_frequency": _capitals,
    "change_case:english_capital": lambda t, a: t.isupper() and _english(t),
    "change_case:english_lowercase": lambda t, a: t.islower() and _english(t),
    "punctuation:no_comma": lambda t, a: "," not in t,
}


def follows(instruction: str, arguments: Arguments, response: str) -> bool:
    """Whether a response follows one instruction; an empty response follows none."""
    checker = CHECKERS.get(instruction)
    if checker is None:
        raise DataError(
            f"no checker for the instruction {instruction!r}",
            where="ifeval",
            fix=f"known: {', '.join(CHECKERS)}",
        )
    try:
        return bool(response.strip()) and checker(response, arguments)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{instruction} lacks or misstates its argument {error}",
            where="ifeval",
            fix="correct the record's kwargs",
        ) from error


def judge_constraints(item: GeneralItem, output: str) -> Judgement:
    """All instructions must be followed; the score is the share that were."""
    from denizen.evaluate.general.generation import cut

    response = cut(output, item.of.stop)
    told = zip(item.facts["instructions"], item.facts["arguments"], strict=True)
    broken = [name for name, arguments in told if not follows(name, arguments, response)]
    share = 1 - len(broken) / len(item.facts["instructions"])
    reason = f"not followed: {', '.join(broken)}" if broken else ""
    return Judgement(not broken, share, reason, item.expected)
