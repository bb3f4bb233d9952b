"""DMind, the Web3 benchmark, from a user's own copy: its multiple-choice part, judged by sets.

Contract: `read_dmind(path)` reads its CSV files (columns No, Question, Option A ... Option E,
Correct option) or JSONL with those names; `dmind_suite` makes a Behaviour. Options are shuffled by
the content of each item, the same in every run, so that position is no clue. An answer is right
when it names exactly the right set; an incomplete set without a wrong option gets DMind's partial
credit. Nothing of DMind is shipped. Source: arXiv 2504.16116 and DMindAI/DMind-Benchmark.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from denizen.evaluate.records import Score
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.project.errors import DataError
from denizen.project.hashing import content_hash

NAME = "dmind"
LETTERS = "ABCDE"
# DMind's points: a single answer is worth 2, a set 3, an incomplete but unspoilt set 1.
SINGLE, SEVERAL, PARTIAL = 2, 3, 1
_SEPARATED = re.compile(r"\(?[A-E]\)?(?:\s*(?:[/,;&+]|\band\b|\s)\s*\(?[A-E]\)?)*", re.IGNORECASE)
_SAID = re.compile(
    r"\b(?:answers?|options?|choices?)\b[^A-Za-z\n]*(?:(?:is|are)\b)?[\s:*(]*"
    r"((?-i:[A-E])\)?(?:\s*(?:[/,;&+]|\band\b)\s*\(?(?-i:[A-E])\)?)*)(?![A-Za-z'’])",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^\s*(?:[-*]\s*)?\**\(?([A-E])\**[.):]", re.MULTILINE)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
# Options that speak of other options: by letter they forbid a shuffle, by "above" they stay last.
_BY_LETTER = re.compile(
    r"\b(?:both|options?|neither)\s+[A-E]\b|^\s*[A-E]\s*(?:and|or|&|/|,)\s*[A-E]\b", re.IGNORECASE
)
_LAST = re.compile(
    r"\b(?:all|none|both|any|neither|some) of (?:the )?(?:above|these)\b", re.IGNORECASE
)


class DmindQuestion(NamedTuple):
    """One question as DMind has it; `answer` indexes `options`."""

    id: str
    subject: str
    question: str
    options: tuple[str, ...]
    answer: frozenset[int]
    difficulty: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read, and which rows were not usable and why (DMind has a few shifted rows)."""

    questions: tuple[DmindQuestion, ...]
    left_out: tuple[str, ...]


def read_dmind(path: Path) -> Loaded:
    """Read a CSV or JSONL file, or every one under a folder that holds such questions.

    A row whose answer names no option, or that lacks two options, is left out and named. Raises
    DataError when nothing is usable or a named file is not such a file.
    """
    files = [path] if path.is_file() else sorted((*path.rglob("*.csv"), *path.rglob("*.jsonl")))
    questions: dict[str, DmindQuestion] = {}
    left_out: list[str] = []
    for file in files:
        rows = _rows(file)
        if path.is_dir() and not (rows and _field(rows[0], "Question") and _key(rows[0])):
            continue  # the open-ended part lies beside it
        for number, row in enumerate(rows, start=1):
            where = f"{file.name}:{number}"
            try:
                question = _question(row, file.stem, number)
            except ValueError as error:
                left_out.append(f"{where}: {error}")
                continue
            if question.id in questions:
                left_out.append(f"{where}: the same question as before")
            else:
                questions[question.id] = question
    if not questions:
        raise DataError(
            "no multiple-choice question of DMind here",
            where=str(path),
            fix="give its test_data/objective folder, or a file with the columns Question, "
            "Option A ... and Correct option",
        )
    return Loaded(tuple(questions.values()), tuple(left_out))


def dmind_suite(questions: Iterable[DmindQuestion], *, seed: int = 0) -> Behaviour:
    """The questions as a behaviour; `seed` changes every item's order of options."""
    cases = tuple(_case(question, seed) for question in questions)
    return Behaviour(
        NAME,
        "Web3 knowledge (DMind)",
        cases,
        judge,
        "noninferior",
        margin=0.05,
        max_tokens=64,
        validate=lambda: _validate(cases),
    )


def judge(case: Case, output: str) -> Judgement:
    """Exact set 1, an incomplete set of a several-answer question 1/3, anything else 0."""
    right = set(case.facts["answer"])
    expected = "/".join(sorted(right))
    named = read_letters(output)
    if named is None:
        return Judgement(False, 0.0, "no option is named", expected)
    answer = "/".join(sorted(named))
    if named == right:
        return Judgement(True, 1.0, "exact", expected, answer)
    if named < right:
        return Judgement(False, PARTIAL / SEVERAL, "incomplete", expected, answer)
    return Judgement(False, 0.0, "a wrong option", expected, answer)


def points(scores: Iterable[Score]) -> float:
    """DMind's own figure: points won of points there are, in [0, 1]; ValueError for no scores."""
    won = total = 0
    for score in scores:
        worth = SEVERAL if "/" in (score.expected or "") else SINGLE
        total += worth
        won += worth if score.ok else PARTIAL if score.score > 0 else 0
    if not total:
        raise ValueError("no scores")
    return won / total


def read_letters(text: str) -> set[str] | None:
    """The options an answer names, or None.

    Read are, in this order: a text or last line that is letters alone ("A/C", "ACD"), "the answer
    is A and C", and lines that begin with an option ("B. Proof of stake"). A letter inside prose
    ("a pool", "plan B") is not read.
    """
    text = _THOUGHT.sub("", text).strip()
    if not text:
        return None
    lines = [line.strip().strip("*`.").strip() for line in text.splitlines() if line.strip()]
    for line in (lines[0], lines[-1]):
        if (_SEPARATED.fullmatch(line) and line != "a") or re.fullmatch(r"[A-E]{1,5}", line):
            return {
                letter for letter in re.sub(r"(?i)\band\b", "", line).upper() if letter in LETTERS
            }
    if said := _SAID.findall(text):
        return {letter for letter in said[-1] if letter in LETTERS}
    listed = _LISTED.findall(text)
    return set(listed) or None


def _case(question: DmindQuestion, seed: int) -> Case:
    order = shuffled(question, seed)
    options = [question.options[index] for index in order]
    answer = sorted(LETTERS[place] for place, index in enumerate(order) if index in question.answer)
    listed = "\n".join(f"{LETTERS[i]}. {option}" for i, option in enumerate(options))
    prompt = (
        "Answer the question with the letter of every right option and nothing else; several "
        f"letters are separated by slashes (A/C).\n\nQuestion: {question.question}\n\n{listed}"
    )
    several = "several" if len(answer) > 1 else "single"
    return Case(
        id=question.id,
        family=f"{NAME}/{question.subject}",
        prompt=prompt,
        template=question.id,
        version=several,
        difficulty=question.difficulty or several,
        facts={"answer": answer},
    )


def shuffled(question: DmindQuestion, seed: int) -> list[int]:
    """The options' order: by content and seed alone; options that need their place keep it."""
    order = list(range(len(question.options)))
    if any(_BY_LETTER.search(option) for option in question.options):
        return order
    free = [index for index in order if not _LAST.search(question.options[index])]
    fixed = [index for index in order if index not in free]
    random.Random(f"{NAME}|{seed}|{question.id}").shuffle(free)
    return free + fixed


def _question(row: Mapping[str, Any], subject: str, number: int) -> DmindQuestion:
    text = " ".join(str(_field(row, "Question") or "").split())
    if not text:
        raise ValueError("no question")
    given = _field(row, "Options")
    if isinstance(given, Mapping):
        listed = [given[key] for key in sorted(given)]
    elif isinstance(given, list):
        listed = given
    else:
        listed = [_field(row, f"Option {letter}") for letter in LETTERS]
    options = [" ".join(str(value).split()) if value is not None else "" for value in listed]
    while options and not options[-1]:
        options.pop()
    if len(options) < 2 or not all(options) or len(options) > len(LETTERS):
        raise ValueError(f"{len([o for o in options if o])} usable options")
    key = _key(row)
    letters = set(re.sub(r"[\s,/;&]|\band\b", "", key))
    if not letters or not letters <= set(LETTERS[: len(options)]):
        raise ValueError(f"the answer {key[:40]!r} names no options")
    answer = frozenset(LETTERS.index(letter) for letter in letters)
    digest = content_hash([text, options])[:12]
    return DmindQuestion(
        f"{NAME}-{subject}-{digest}",
        subject,
        text,
        tuple(options),
        answer,
        str(_field(row, "difficulty") or "").lower(),
    )


def _key(row: Mapping[str, Any]) -> str:
    raw = next(
        (v for n in ("Correct option", "Correct answer", "Answer") if (v := _field(row, n))), ""
    )
    return "/".join(map(str, raw)) if isinstance(raw, list) else str(raw).strip()


def _field(row: Mapping[str, Any], name: str) -> Any:
    """A column by name, whatever its case, spaces or underscores."""
    wanted = name.lower().replace(" ", "")
    for key, value in row.items():
        if isinstance(key, str) and re.sub(r"[\s_\ufeff]", "", key.lower()) == wanted:
            return value
    return None


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text("utf-8-sig")
        if file.suffix == ".jsonl":
            return [dict(json.loads(line)) for line in text.splitlines() if line.strip()]
        return list(csv.DictReader(io.StringIO(text)))
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataError(
            f"cannot read these questions: {error}", where=str(file), fix="give CSV or JSONL"
        ) from error


def _validate(cases: tuple[Case, ...]) -> None:
    for case in cases:
        right = case.facts["answer"]
        assert judge(case, "/".join(right)).score == 1.0, case.id
        wrong = next((letter for letter in LETTERS if letter not in right), None)
        assert wrong is None or judge(case, "/".join([*right, wrong])).score == 0.0, case.id
        assert judge(case, "It depends.").score == 0.0, case.id
