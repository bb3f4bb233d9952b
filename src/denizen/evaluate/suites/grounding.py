"""Generation over passages: faithful to them, cited rightly, and silent where they are.

Contract: each topic (a passage of our own about DeFi mechanics, or about a protocol that does not
exist) gives three cases: `faithful` (answer from two passages), `cited` (from three, naming the
passage) and `unknown` (the same question, the passage replaced by near ones that do not answer it).
`judge` is lexical and strict; `grounding_figures` takes a scored suite apart into faithfulness,
citation precision and recall, and both ways of saying "I do not know", each with its interval.
Retrieval is scored elsewhere (`retrieval.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from denizen.evaluate.records import Score
from denizen.evaluate.stats import RESAMPLES, SEED, paired_bootstrap
from denizen.evaluate.suites._cases import asset, expect, shown
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.evaluate.suites.grounding_claims import added, citations, claims, mention
from denizen.evaluate.suites.ranking import Estimate

NAME = "grounding"
KINDS = ("faithful", "cited", "unknown")
UNKNOWN = "I do not know"
_TASK = "Answer the question from the passages alone, in one or two sentences."
_CITE = " End every sentence with the number of the passage it rests on, as [1]."
_ELSE = f" If the passages do not answer it, write: {UNKNOWN}."
_DECLINES = re.compile(
    r"\b(?:i|we) (?:do not|don['’]t|cannot|can['’]t|could not) (?:know|tell|say|find|answer)\b"
    r"|\b(?:do|does|did)(?: not|n['’]t) (?:say|state|mention|give|tell|contain|hold|answer|provide|"
    r"specify|include|cover|explain|address)\b"
    r"|\b(?:is|are) (?:not|n['’]t) (?:stated|mentioned|given|provided|specified|said|known|covered)"
    r"|\b(?:cannot|can['’]t) be (?:answered|determined|known|found)\b|\bunknown\b"
    r"|\b(?:no|not enough|insufficient) information\b|\bunable to (?:answer|say|tell|find)\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(r"\b(?:or|maybe|perhaps)\W+(?:\w+\W+){0,2}$", re.IGNORECASE)


@cache
def suite() -> Behaviour:
    """All cases; no worse than the base, by at most the margin."""
    topics = asset(NAME)["topics"]
    cases = tuple(
        case for place, topic in enumerate(topics) for case in _cases(topic, place, topics)
    )
    return Behaviour(
        NAME,
        "Answers from passages",
        cases,
        judge,
        "noninferior",
        margin=0.10,
        max_tokens=96,
        validate=lambda: _validate(cases, {topic["id"]: topic for topic in topics}),
    )


def judge(case: Case, output: str) -> Judgement:
    """Right when what was asked is said first, nothing is added, and citations hold."""
    text, facts = shown(output), case.facts
    expected = UNKNOWN if case.difficulty == "unknown" else " or ".join(facts["keys"])
    share = faithfulness(case, text)
    if not claims(text):
        return Judgement(False, 0.0, "nothing is said", expected, text)
    if case.difficulty == "unknown":
        told = _first(text, facts["keys"])
        ok = declines(text) and told is None and share == 1.0
        reason = "declined" if ok else "answered without a passage"
        return Judgement(ok, float(ok), reason, expected, text)
    right = answered(case, text)
    if share < 1.0:
        extra = [a for c in claims(text) for a in added(c.text, _known(case))]
        return Judgement(False, 0.0, f"not in the passages: {', '.join(extra[:4])}", expected, text)
    if not right:
        why = "declined though the passages answer" if declines(text) else "another answer"
        return Judgement(False, 0.0, why, expected, text)
    if case.difficulty == "faithful":
        return Judgement(True, 1.0, "faithful", expected, text)
    found = citations(text, facts["passages"], facts["question"])
    total = found.precision + found.recall
    f1 = 2 * found.precision * found.recall / total if total else 0.0
    reason = f"citation precision {found.precision:.2f}, recall {found.recall:.2f}"
    return Judgement(f1 == 1.0, f1, reason, expected, text)


def faithfulness(case: Case, text: str) -> float:
    """Share of an answer's claims that add no figure and no name to passages and question."""
    said = claims(text)
    return sum(not added(c.text, _known(case)) for c in said) / len(said) if said else 1.0


def answered(case: Case, text: str) -> bool:
    """Whether the right answer stands before any wrong one, and not beside one by "or"."""
    right = _first(text, case.facts["keys"])
    wrong = _first(text, case.facts["wrong"])
    if right is None:
        return False
    if wrong is None:
        return True
    return right < wrong and not _HEDGE.search(text[right:wrong])


def declines(text: str) -> bool:
    """Whether a text says that it does not know or that the passages do not say."""
    return bool(_DECLINES.search(text))


def grounding_figures(
    scores: Iterable[Score],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Estimate]:
    """The sub-scores of a scored suite, judged again from its outputs.

    Clusters are topics: the three cases of one share their passage. Scores of other suites are
    ignored; a figure appears when there are answers to measure it on.
    """
    cases = {case.id: case for case in suite().cases}
    rows: dict[str, list[tuple[float, str]]] = {}
    for score in scores:
        case = cases.get(score.item_id)
        if case is None:
            continue
        text = shown(score.output)
        found = {"faithfulness": faithfulness(case, text) if claims(text) else 0.0}
        if case.difficulty == "unknown":
            found["unknown_declined"] = float(judge(case, score.output).ok)
        else:
            right = answered(case, text)
            found["answered"] = float(right)
            found["known_declined"] = float(declines(text) and not right)
        if case.difficulty == "cited":
            cited = citations(text, case.facts["passages"], case.facts["question"])
            found["citation_precision"], found["citation_recall"] = cited.precision, cited.recall
        for name, value in found.items():
            rows.setdefault(name, []).append((value, case.template))
    return {name: _estimate(rows[name], confidence, resamples, seed) for name in sorted(rows)}


def _estimate(
    rows: Sequence[tuple[float, str]], confidence: float, resamples: int, seed: int
) -> Estimate:
    found = paired_bootstrap(
        [0.0] * len(rows),
        [value for value, _ in rows],
        clusters=[cluster for _, cluster in rows],
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    low = max(0.0, found.low)
    return Estimate(found.value, low, found.high, confidence, found.n, found.clusters)


def _first(text: str, keys: Iterable[str]) -> int | None:
    spots = [spot for key in keys if (spot := mention(text, key)) is not None]
    return min(spots) if spots else None


def _known(case: Case) -> str:
    return "\n".join([*case.facts["passages"], case.facts["question"]])


def _cases(topic: dict[str, Any], place: int, topics: list[dict[str, Any]]) -> list[Case]:
    near = _near(topic, place, topics)
    made = []
    for kind in KINDS:
        others = near[: 1 if kind == "faithful" else 2]
        passages = list(others)
        if kind != "unknown":
            # The right passage takes each position in turn: its place is no clue.
            passages.insert(place % (len(others) + 1), topic["passage"])
        listed = "\n".join(f"[{n}] {text}" for n, text in enumerate(passages, start=1))
        task = _TASK + (_CITE if kind == "cited" else "") + _ELSE
        made.append(
            Case(
                id=f"{NAME}-{topic['id']}-{kind}",
                family=f"{NAME}/{kind}",
                prompt=f"{task}\n\n{listed}\n\nQuestion: {topic['question']}",
                template=topic["id"],
                version=topic["protocol"],
                difficulty=kind,
                facts={
                    "passages": tuple(passages),
                    "question": topic["question"],
                    "keys": tuple(topic["keys"]),
                    "wrong": tuple(topic["wrong"]),
                },
            )
        )
    return made


def _near(topic: dict[str, Any], place: int, topics: list[dict[str, Any]]) -> list[str]:
    """Passages that do not hold the answer, those of the same protocol first."""
    order = topics[place + 1 :] + topics[:place]
    order.sort(key=lambda other: other["protocol"] != topic["protocol"])
    return [other["passage"] for other in order if _first(other["passage"], topic["keys"]) is None]


def _validate(cases: tuple[Case, ...], topics: dict[str, dict[str, Any]]) -> None:
    for case in cases:
        topic = topics[case.template]
        said, bare = topic["answer"], topic["answer"].rstrip(".")
        made_up = f"{bare}, as Zephyrine set it at 31.7%."
        if case.difficulty == "unknown":
            expect(judge, case, [f"{UNKNOWN}."], [said, f"{UNKNOWN}, but {said}", ""])
        elif case.difficulty == "faithful":
            expect(judge, case, [said], [made_up, f"{UNKNOWN}.", ""])
        else:
            right = case.facts["passages"].index(topic["passage"]) + 1
            wrong = right % 3 + 1
            good = f"{bare} [{right}]."
            bad = [said, f"{bare} [{wrong}].", f"{bare} [{right}][{wrong}].", f"{bare} [9]."]
            expect(judge, case, [good, f"{said} [{right}]"], [*bad, made_up, f"{UNKNOWN}."])
