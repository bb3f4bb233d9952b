"""Attacks and honest texts made by code: the data of the injection classifier and the red team.

Contract: `rows(part)` gives labelled rows of "fit", "validation" or "held"; the parts share neither
techniques nor families of honest texts, and held has goals and carriers of its own, so its figures
are about attacks of a kind that was never seen. `dress` is one attack in one technique; `digest` is
the hash of every row, by which a classifier names its data. The same code gives the same rows.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Literal, NamedTuple

from denizen.project.hashing import content_hash

Part = Literal["fit", "validation", "held"]
PARTS: tuple[Part, ...] = ("fit", "validation", "held")
_PER_TECHNIQUE, _PER_FAMILY, _LONG = 96, 110, 120
_IN_CARRIER = 0.5  # share of attacks that lie in a document
_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_ALIKE = str.maketrans("aeopcxy", "аеорсху")
_ZERO_WIDTH = "\u200b"
_WHOLE = ("homoglyph",)  # codes that take the wrapper with the goal


class Row(NamedTuple):
    """A text and what it is; `payload` is the attack in it, `group` the wording it came from.

    `goal` is what the attack wants; "" where the technique says it all.
    """

    text: str
    attack: bool
    family: str
    group: str
    part: Part
    payload: str = ""
    goal: str = ""


@cache
def data() -> dict[str, Any]:
    """The carried wordings; the caller must not change them."""
    path = resources.files("denizen.serve.guard") / "assets" / "attacks.json"
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


def rows(part: Part) -> list[Row]:
    """Every row of a part, each text once."""
    made: dict[str, Row] = {}
    for row in (*_attacks(part), *_honest(part), *_long(part)):
        made.setdefault(row.text, row)
    return list(made.values())


@cache
def digest() -> str:
    """The hash of all rows of all parts."""
    return content_hash([list(row) for part in PARTS for row in rows(part)])


def techniques(part: Part) -> list[str]:
    """Names of a part's techniques."""
    return [name for name, about in data()["techniques"].items() if about["part"] == part]


def goal(name: str, part: Part, rng: Random, **slots: str) -> str:
    """A wording of what an attacker wants; held has its own."""
    wordings = data()["goals"][name]["held" if part == "held" else "fit"]
    return fill(rng.choice(wordings), rng, **slots)


def dress(technique: str, wanted: str, number: int) -> str:
    """One goal in one technique's wrapper; `number` chooses among its wrappers."""
    about = data()["techniques"][technique]
    how, wrappers = about.get("encode", "plain"), about["wrappers"]
    wrapper = str(wrappers[number % len(wrappers)])
    if how in _WHOLE:
        return _CODES[how](wrapper.replace("{goal}", wanted))
    return wrapper.replace("{goal}", _CODES[how](wanted))


def carry(payload: str, number: int, rng: Random, part: Part) -> str:
    """A payload in the hole of a document."""
    carriers = data()["carriers"]["held" if part == "held" else "fit"]
    return fill(carriers[number % len(carriers)], rng).replace("{hole}", payload)


def fill(text: str, rng: Random, **slots: str) -> str:
    """Every slot drawn anew wherever it stands; those given are as given."""
    for name, choices in data()["slots"].items():
        while f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", slots.get(name) or rng.choice(choices), 1)
    return text


def _attacks(part: Part) -> Iterator[Row]:
    goals = list(data()["goals"])
    for technique in techniques(part):
        about = data()["techniques"][technique]
        wordings = about.get("wrappers") or about["texts"]
        for number in range(_PER_TECHNIQUE):
            rng = Random(f"attack/{part}/{technique}/{number}")
            wanted = "" if "texts" in about else rng.choice(goals)
            if wanted:
                payload = dress(technique, goal(wanted, part, rng), number)
            else:
                payload = fill(wordings[number % len(wordings)], rng)
            group = f"{technique}/{number % len(wordings)}"
            if rng.random() < _IN_CARRIER:
                text = carry(payload, rng.randrange(8), rng, part)
            else:
                text = payload
            yield Row(text, True, technique, group, part, payload, wanted)


def _honest(part: Part) -> Iterator[Row]:
    for family, about in data()["benign"].items():
        if about["part"] != part:
            continue
        texts = about["texts"]
        for number in range(_PER_FAMILY):
            rng = Random(f"honest/{part}/{family}/{number}")
            yield Row(
                fill(texts[number % len(texts)], rng),
                False,
                family,
                f"{family}/{number % len(texts)}",
                part,
            )


def _long(part: Part) -> Iterator[Row]:
    """Documents of several honest texts: a window of them must not trip the classifier."""
    texts = [
        t for about in data()["benign"].values() if about["part"] == part for t in about["texts"]
    ]
    calm = ["The remark field is empty.", "No further notes.", "See the appendix for details."]
    for number in range(_LONG):
        rng = Random(f"long/{part}/{number}")
        body = "\n".join(fill(rng.choice(texts), rng) for _ in range(rng.randint(2, 8)))
        if rng.random() < _IN_CARRIER:
            body = carry(rng.choice(calm), rng.randrange(8), rng, part) + "\n" + body
        yield Row(body, False, "long", f"long/{number}", part)


def _hex(text: str) -> str:
    return text.encode().hex()


def _zero_width(text: str) -> str:
    return _ZERO_WIDTH.join(text)


def _spaced(text: str) -> str:
    return "  ".join(" ".join(word) for word in text.split(" "))


def _split(text: str) -> str:
    half = len(text) // 2
    return f'a = "{text[:half]}" and b = "{text[half:]}".'


_CODES: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "reversed": lambda text: text[::-1],
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "zero width": _zero_width,
    "leet": lambda text: text.translate(_LEET),
    "hex": _hex,
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "spaced": _spaced,
    "homoglyph": lambda text: text.translate(_ALIKE),
    "split": _split,
}
