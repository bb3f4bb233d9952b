"""Governance documents as one object: the schema, its wording in prose, and real documents.

Contract: `word_document` states every field of a record once, in a layout of the split, and never
as a front-matter block.  `items_from_documents` turns Markdown files with YAML-like front matter
(EIPs, ERCs, SIPs, SCCPs, LIPs) into items whose truth is that front matter; stubs that moved, and
documents whose truth is incomplete or does not fit the schema, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random

from denizen.tasks.phrasing import fill, pick_template, rng_for, templates
from denizen.tasks.structured import Field, Schema
from denizen.tasks.types import Item, Split

NAME = "document_schema"
# Sentences and words of the layouts: templates/{split}/document_parts.json.
PARTS = "document_parts"
AS_OF = "2026-11-01"
BODY = 1500
LONGEST = 150

STATUSES = (
    *("draft", "review", "last call", "final", "stagnant", "withdrawn", "living"),
    *("proposed", "approved", "implemented", "rejected", "deprecated"),
)
CATEGORIES = (
    *("core", "networking", "interface", "ERC", "meta", "informational"),
    *("governance", "meta-governance"),
)
ACTIONS = ("parameter change", "asset listing", "treasury transfer", "upgrade", "signalling")
NETWORKS = ("ethereum", "optimism", "base", "arbitrum", "polygon", "avalanche")
# What a document is, by the layout it is told in.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "standard": ("EIP", "ERC"),
    "sip": ("SIP", "SCCP"),
    "lip": ("LIP",),
    "vote": ("AIP", "Uniswap", "ENS"),
}
_NAMED = {"Uniswap": "Uniswap governance proposal {}", "ENS": "ENS DAO proposal {}"}

SCHEMA = Schema(
    "document",
    "A governance or protocol document; what it does not have is null or an empty list.",
    (
        Field(
            "kind", "what it is", "choice", tuple(k for kinds in LAYOUTS.values() for k in kinds)
        ),
        Field("number", "its own number", "integer"),
        Field("title", "its title", "text"),
        Field("author", "the first author's name, without handle or mail address", "text"),
        Field("authors", "how many authors it has", "integer"),
        Field("status", "its status now, not an earlier one", "choice", STATUSES),
        Field("category", "of EIP, ERC, SIP and SCCP only", "choice", CATEGORIES, optional=True),
        Field("created", "the day it was created or filed", "date"),
        Field("requires", "numbers of the proposals it requires, not of others named", "integers"),
        Field("networks", "networks it is meant for, if it names any as such", "choices", NETWORKS),
        Field("discussion", "whether a discussion thread is given", "choice", ("yes", "no")),
        Field("action", "what an AIP, Uniswap or ENS vote does", "choice", ACTIONS, optional=True),
    ),
)


@dataclass(frozen=True)
class Record:
    """A document's fields; `names` are the authors in order, `link` the discussion thread."""

    kind: str
    number: int
    title: str
    names: tuple[str, ...]
    status: str
    category: str | None
    created: date
    requires: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    link: str = ""
    action: str | None = None

    @property
    def layout(self) -> str:
        """The layouts that this kind is told in."""
        return next(layout for layout, kinds in LAYOUTS.items() if self.kind in kinds)

    def gold(self) -> str:
        """The object."""
        return SCHEMA.dump(
            {
                "kind": self.kind,
                "number": self.number,
                "title": self.title,
                "author": self.names[0],
                "authors": len(self.names),
                "status": self.status,
                "category": self.category,
                "created": self.created.isoformat(),
                "requires": list(self.requires),
                "networks": list(self.networks),
                "discussion": "yes" if self.link else "no",
                "action": self.action,
            }
        )


def part(rng: Random, split: Split, key: str) -> str:
    """One of the split's sentences or words of a sort."""
    return rng.choice(templates(split, PARTS)[key].rows)


def say_date(rng: Random, day: date) -> str:
    """ "2025-03-04", "4 March 2025" or "March 4, 2025"."""
    return rng.choice((f"{day}", f"{day:%-d %B %Y}", f"{day:%B %-d, %Y}"))


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def word_document(
    rng: Random, split: Split, record: Record, body: str, noise: str = ""
) -> tuple[str, str]:
    """(template id, text): the record in prose, with its body and distracting sentences."""
    template, text = pick_template(rng, split, NAME, record.layout)
    # A SIP or SCCP requires SIPs; what an EIP or ERC requires is told as EIPs.
    prefix = "SIP" if record.layout == "sip" else "EIP"
    requires = part(rng, split, "requires_some" if record.requires else "requires_none")
    discussion = part(rng, split, "discussion_yes" if record.link else "discussion_no")
    slots = {
        "name": _NAMED.get(record.kind, f"{record.kind}-{{}}").format(record.number),
        "title": record.title,
        "authors": listed(record.names),
        "status": record.status.title(),
        "category": (record.category or "").title() if record.category != "ERC" else "ERC",
        "created": say_date(rng, record.created),
        "requires": requires.replace(
            "{numbers}", listed([f"{prefix}-{n}" for n in record.requires] or [""])
        ),
        "networks": listed([n.title() for n in record.networks] or [""]),
        "discussion": discussion.replace("{link}", record.link),
        "noise": noise,
        "body": "{body}",
    }
    # Empty sentences leave double spaces; the body's own layout stays as it is.
    worded = re.sub(r"[ \t]+", " ", fill(text, **slots)).strip()
    return template, worded.replace("{body}", body)


def document_item(
    record: Record,
    prompt: str,
    *,
    template: str,
    split: Split,
    seed: int,
    difficulty: int,
    key: str,
) -> Item:
    """The finished item."""
    return Item(
        id=f"{NAME}-{split}-{key}",
        family=NAME,
        kind=record.layout,
        split=split,
        seed=seed,
        prompt=prompt,
        gold=record.gold(),
        template=template,
        pool="",
        version=record.kind.lower(),
        difficulty=difficulty,
        as_of=AS_OF,
        form="object",
    )


_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*\n(.*)\Z", re.DOTALL)
_PAIR = re.compile(r"^([A-Za-z-]+):[ \t]*(.*)$", re.MULTILINE)
_QUOTED = re.compile(r"^(['\"])(.*)\1$")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CONTACT = re.compile(r"\s*(?:\([^)]*\)|<[^>]*>)")
_NUMBERS = re.compile(r"(?:(?:EIP-|SIP-)?\d+(?:, *|$))+")
_STATUS = {"wip": "draft"}
_TYPES = {"standards track": "", "governance": "governance", "meta-governance": "meta-governance"}


def read_document(text: str) -> tuple[Record, str] | None:
    """(record, body) of a Markdown document, or None if its front matter is not whole."""
    match = _FRONT.match(text)
    if match is None:
        return None
    front = {
        key.lower(): _QUOTED.sub(r"\2", value.strip()) for key, value in _PAIR.findall(match[1])
    }
    kind = next((k for k in ("eip", "sip", "sccp", "lip") if front.get(k, "").isdigit()), None)
    status = front.get("status", "").lower()
    status = _STATUS.get(status, status)
    names = tuple(_CONTACT.sub("", name).strip() for name in front.get("author", "").split(","))
    title, requires = front.get("title", ""), front.get("requires", "")
    if kind is None or status not in STATUSES or not all(names):
        return None
    created = _day(front.get("created", ""))
    if created is None or not 0 < len(title) <= LONGEST:
        return None
    if re.search(r'["\\]|^>', title + "".join(names)):
        return None
    if requires and not _NUMBERS.fullmatch(requires):
        return None
    sort = front.get("type", "").lower()
    category: str | None = front.get("category", "").lower() or _TYPES.get(sort, sort) or None
    category = "ERC" if category == "erc" else category
    networks = tuple(n for n in NETWORKS if n in front.get("network", "").lower())
    record = Record(
        "ERC" if category == "ERC" else kind.upper(),
        int(front[kind]),
        title,
        names,
        status,
        category,
        created,
        tuple(map(int, re.findall(r"\d+", requires))),
        networks,
        front.get("discussions-to", ""),
    )
    whole = (record.category in CATEGORIES) == (record.layout != "lip")
    has_networks = bool(networks) == (record.layout == "sip")
    return (record, _cut(match[2])) if whole and has_networks else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _cut(body: str) -> str:
    """The first `BODY` characters, ended at a word."""
    body = re.sub(r"\n{3,}", "\n\n", _COMMENT.sub("", body)).strip()
    return body if len(body) <= BODY else body[:BODY].rpartition(" ")[0] + " ..."


def items_from_documents(folder: Path, split: Split = "train") -> list[Item]:
    """An item for each usable document under a folder, in the order of their paths."""
    items = []
    for number, path in enumerate(sorted(folder.rglob("*.md"))):
        if (read := read_document(path.read_text("utf-8"))) is None:
            continue
        record, body = read
        rng = rng_for(f"{NAME}/{path.stem}", number, split)
        template, prompt = word_document(rng, split, record, body)
        key = f"real-{record.kind.lower()}-{path.stem}"
        items.append(
            document_item(
                record, prompt, template=template, split=split, seed=number, difficulty=3, key=key
            )
        )
    return items
