"""Duplicates made on purpose, to measure what the near-duplicate check catches.

Contract: `plant(items, kind, seed)` gives disguised copies of exam questions: each is a pure
function of the question and the seed.  From "numbers" on every copy also has other figures, as a
leaked template would.  `paraphrases()` are 30 exam questions (one of most families) reworded by
hand, with other figures.  They are used to measure and never to train.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

from denizen.data.near_duplicates.check import ExamItem
from denizen.tasks import find_spans

_SYNONYMS = {
    "what": "which", "which": "what", "much": "many", "give": "tell", "tell": "give",
    "compute": "calculate", "calculate": "work out", "price": "rate", "position": "holding",
    "swap": "trade", "swapping": "trading", "pool": "market", "deposit": "put in",
    "fee": "charge", "after": "once past", "before": "ahead of", "please": "kindly",
    "market": "venue", "get": "obtain", "receive": "get", "show": "display", "now": "currently",
    "shows": "displays", "total": "overall", "value": "worth", "out": "back",
    "client": "customer", "amount": "quantity", "borrow": "take out", "owe": "have to repay",
    "debt": "loan", "loan": "debt", "between": "in between", "from": "starting at",
    "want": "would like", "need": "require", "should": "ought to", "yearly": "annual",
    "my": "our", "i": "we", "the": "this", "a": "one", "is": "stands at", "for": "on",
}  # fmt: skip
_BEFORE = ("Hi there, quick one. ", "Question from a colleague: ", "Hello! ", "Urgent: ")
_AFTER = (" Many thanks in advance!", " Answer briefly.", " Thanks, no rush.", " Show your work.")
_PAGE = (
    "Minutes of the weekly treasury call. The team went over open items and the budget for the "
    "coming quarter, and agreed to move the review to Thursday. ",
    " The next call is in two weeks; the notes are kept in the shared folder, and everyone is "
    "asked to add their own corrections before Friday evening at the latest.",
)


def plant(items: Sequence[ExamItem], kind: str, seed: int) -> list[tuple[str, str]]:
    """(item id, disguised text) of every item, by one of PLANTS; KeyError names no kind."""
    made = []
    for item in items:
        rng = random.Random(f"{seed}:{kind}:{item.id}")
        text = item.prompt if kind in ("exact", "typing") else _other_numbers(item.prompt, rng)
        made.append((item.id, PLANTS[kind](text, rng)))
    return made


@cache
def paraphrases() -> tuple[tuple[str, str], ...]:
    """(item id, paraphrase) pairs."""
    text = (files("denizen.data.near_duplicates") / "assets" / "paraphrases.jsonl").read_text(
        "utf-8"
    )
    return tuple((d["item"], d["text"]) for d in map(json.loads, text.splitlines()))


def _other_numbers(text: str, rng: random.Random) -> str:
    for span in sorted(find_spans(text), key=len, reverse=True):
        text = text.replace(span, re.sub(r"[1-9]", lambda _: rng.choice("123456789"), span))
    return text


def _typing(text: str, rng: random.Random) -> str:
    shouted = text.upper() if rng.random() < 0.5 else text.lower()
    return "  " + shouted.replace(" ", "  ").rstrip("?.!") + " ?"


def _dropped(text: str, rng: random.Random) -> str:
    kept = [word for word in text.split() if _is_figure(word) or rng.random() > 0.1]
    return " ".join(kept)


def _swapped(text: str, rng: random.Random) -> str:
    words = text.split()
    for place in range(len(words) - 1):
        if rng.random() < 0.1:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def _synonyms(text: str, rng: random.Random) -> str:
    def other(found: re.Match[str]) -> str:
        new = _SYNONYMS.get(found.group(0).lower())
        return new if new and rng.random() < 0.5 else found.group(0)

    return re.sub(r"[A-Za-z]+", other, text)


def _reordered(text: str, rng: random.Random) -> str:
    parts = re.split(r"(?<=[.?!;,])\s+", text)
    rng.shuffle(parts)
    return " ".join(parts)


def _is_figure(word: str) -> bool:
    return bool(find_spans(word))


PLANTS: dict[str, Callable[[str, random.Random], str]] = {
    "exact": lambda text, _: text,
    "typing": _typing,
    "numbers": lambda text, _: text,
    "chatter": lambda text, rng: rng.choice(_BEFORE) + text + rng.choice(_AFTER),
    "in a document": lambda text, _: _PAGE[0] + text + _PAGE[1],
    "words dropped": _dropped,
    "words swapped": _swapped,
    "sentences shuffled": _reordered,
    "synonyms": _synonyms,
}
