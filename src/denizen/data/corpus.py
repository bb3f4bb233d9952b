"""The carried corpus for continual pre-training: the certified facts, told as plain text.

Contract: a document a protocol version and a document a standard, each sentence made from one
entry of `protocols/mechanics` or `protocols/erc_rules`, in a fixed order; nothing of a task's
wording, and so nothing of the holdout, is in it.  Expired entries are left out on their date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from denizen.protocols import erc_rules, mechanics

LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Document:
    """One text with where it comes from and until when all of it holds (ISO date or None)."""

    title: str
    text: str
    source: str
    licence: str
    as_of: str
    expires: str | None

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def corpus(on_date: date | str = mechanics.AS_OF) -> list[Document]:
    """Every document, as it holds on a date."""
    return [*_protocols(on_date), *_standards()]


def _protocols(on_date: date | str) -> Iterator[Document]:
    for protocol in mechanics.protocols():
        for version in mechanics.versions(protocol):
            facts = [f for f in _facts(protocol, version) if not mechanics.expired(f, on_date)]
            if not facts:
                continue
            title = f"{protocol.replace('_', ' ').capitalize()} {version}"
            expiries = [f.expires for f in facts if f.expires]
            yield Document(
                title,
                "\n".join([f"{title}.", *(_sentence(title, f) for f in facts)]),
                "; ".join(sorted({f.source for f in facts})),
                LICENCE,
                mechanics.AS_OF,
                min(expiries, default=None),
            )


def _facts(protocol: str, version: str) -> Iterator[mechanics.Fact]:
    for topic in mechanics.topics(protocol):
        try:
            yield mechanics.lookup(protocol, version, topic)
        except LookupError:
            continue  # a topic this version has no entry for, or one that needs a qualifier


def _sentence(title: str, fact: mechanics.Fact) -> str:
    topic = fact.topic.replace("_", " ")
    changeable = f" Who can change it: {fact.changeable_by}." if fact.changeable_by else ""
    return f"{title}, {topic}: {fact.value} ({fact.note}).{changeable}"


def _standards() -> Iterator[Document]:
    for standard in erc_rules.STANDARDS:
        rules = [rule for rule in erc_rules.RULES if rule.standard == standard]
        yield Document(
            standard,
            "\n".join([f"{standard}.", *(rule.statement for rule in rules)]),
            f"{standard} (CC0)",
            LICENCE,
            mechanics.AS_OF,
            None,
        )
