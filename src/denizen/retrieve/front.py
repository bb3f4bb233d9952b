"""Front matter in its four dresses, read without running anything.

Contract: `split_front(text)` finds the YAML block between `---` lines at the start; `preamble`
finds `Key: value` lines in a fence under a "Preamble" heading (Maker's MIPs). Values are plain
strings, lists joined with ", ", keys in lower case without marks. YAML anchors and tags are not
honoured (a front matter is data, and aliases can blow up); what is not YAML is read line by line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_PAIR = re.compile(r"^([A-Za-z][\w#() /-]{0,40}?)[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_PREAMBLE = re.compile(
    r"^#{1,4}[ \t]*preamble[ \t]*\r?\n\s*^(```+|~~~+)[^\n]*\n(.*?)^\1",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_LONGEST = 16_384
_SHORTHAND = re.compile(r"^(?:eip|erc|sip|sccp|lip|aip|ensip|tip|bip)$")
_MAKER = re.compile(r"^mip(?:\d+c\d+-sp)?#?$")


class Front(NamedTuple):
    """The fields, and [start, end) of the whole block in the text."""

    fields: dict[str, str]
    start: int
    end: int


def split_front(text: str) -> Front | None:
    """The YAML front matter at the start of a text, or None."""
    match = _FRONT.match(text)
    if match is None or len(match[1]) > _LONGEST:
        return None
    return Front(_fields(match[1]), 0, match.end())


def preamble(text: str) -> Front | None:
    """The fenced preamble, or None; [start, end) covers the lines inside the fence."""
    match = _PREAMBLE.search(text, 0, _LONGEST)
    if match is None:
        return None
    return Front(_lines(match[2]), match.start(2), match.end(2))


def proposal_name(fields: Mapping[str, str]) -> str:
    """ "EIP-20", or "ERC-20 (EIP-20)" for an ERC; "" for what has no number."""
    for key, value in fields.items():
        if _SHORTHAND.match(key) and value.isdigit():
            name = f"{key.upper()}-{value}"
            is_erc = key == "eip" and fields.get("category", "").upper() == "ERC"
            return f"ERC-{value} ({name})" if is_erc else name
        if _MAKER.match(key) and value.isdigit():  # MIP51, MIP39c2-SP5
            return key.rstrip("#").replace("mip", "MIP").replace("sp", "SP") + value
    return ""


def full_title(fields: Mapping[str, str], heading: str, fallback: str) -> str:
    """The proposal's number with its title, else the title, the first heading, or the fallback."""
    title = fields.get("title", "").strip() or heading.strip()
    name = proposal_name(fields)
    if name and name.split(" ")[0].lower() not in title.lower():
        return f"{name}: {title}" if title else name
    return title or fallback


def _fields(block: str) -> dict[str, str]:
    import yaml

    try:
        events = yaml.parse(block, Loader=yaml.BaseLoader)
        if any(isinstance(event, yaml.AliasEvent) for event in events):
            return _lines(block)
        loaded = yaml.load(block, Loader=yaml.BaseLoader)  # strings, lists and mappings only
    except (yaml.YAMLError, RecursionError, ValueError):
        return _lines(block)
    if not isinstance(loaded, dict):
        return _lines(block)
    return {_key(str(key)): _value(value) for key, value in loaded.items()}


def _lines(block: str) -> dict[str, str]:
    return {_key(key): value.strip("\"'") for key, value in _PAIR.findall(block)}


def _key(key: str) -> str:
    return re.sub(r"[()]", "", key).strip().lower()


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_value(inner) for inner in value)
    return " ".join(str(value).split())
