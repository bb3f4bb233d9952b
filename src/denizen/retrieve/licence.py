"""Licence, as-of and expiry of a document, each from the best source that states it.

Contract: an explicit setting beats the document's own words (front matter, SPDX line, a CC0
waiver), which beat the nearest licence file above it. What nobody states is "unknown": it may be
indexed, and says so in every citation. Names are SPDX where one fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path

from denizen.retrieve.documents import UNKNOWN_LICENCE

LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "COPYING",
                 "COPYING.md", "UNLICENSE")  # fmt: skip
# A line of its own, behind a comment's marks: what is named within a sentence is an example.
_SPDX = re.compile(
    r"^[ \t/*#<!-]*SPDX-License-Identifier:[ \t]*"
    r"([\w.+-]+(?:[ \t]+(?:OR|AND|WITH)[ \t]+[\w.+-]+)*)",
    re.MULTILINE,
)
_WAIVED = re.compile(r"rights\s+waived\s+via\s+\[?CC0", re.IGNORECASE)
_ADDRESSES = {
    "creativecommons.org/publicdomain/zero/1.0": "CC0-1.0",
    "opensource.org/licenses/mit": "MIT",
    "apache.org/licenses/license-2.0": "Apache-2.0",
}
_COMMONS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
# Words of each licence's own text; what is named first is it (others are named further down).
_TEXTS = (
    ("CC0-1.0", r"CC0 1\.0 Universal|creativecommons\.org/publicdomain/zero"),
    ("BUSL-1.1", r"Business Source License"),
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE"),
    ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE,? Version 3"),
    ("LGPL-2.1", r"GNU LESSER GENERAL PUBLIC LICENSE,? Version 2\.1"),
    ("LGPL-2.0", r"GNU LIBRARY GENERAL PUBLIC LICENSE,? Version 2"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE,? Version 3"),
    ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE,? Version 2"),
    ("Apache-2.0", r"Apache License,? Version 2\.0"),
    ("MPL-2.0", r"Mozilla Public License,? (?:v\.|Version) ?2\.0"),
    ("CC-BY-SA-4.0", r"Attribution-ShareAlike 4\.0"),
    ("CC-BY-4.0", r"Attribution 4\.0 International"),
    ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD", r"Redistribution and use in source and binary forms"),
    ("Unlicense", r"This is free and unencumbered software released into the public domain"),
)
# No word boundary after it: a time may follow, 2026-11-01T12:00:00Z.
_ISO = re.compile(r"(?<!\d)(\d{4})([-/])(\d{2})\2(\d{2})(?!\d)")
# Not "created": a document of 2016 that was kept up since holds today.
_UPDATED = (
    *("updated", "last_updated", "last-updated", "lastmod", "last_modified", "modified"),
    *("last_update", "as_of", "as-of", "date"),
)
_EXPIRES = ("expires", "expiry", "valid_until", "valid-until")


def stated_licence(front: Mapping[str, str], text: str) -> str | None:
    """What the document says of itself, or None."""
    for key in ("license", "licence", "spdx", "rights"):
        if value := front.get(key, "").strip():
            if commons := _COMMONS.search(value.lower()):
                return f"CC-{commons[1].upper()}-{commons[2]}"
            known = [name for part, name in _ADDRESSES.items() if part in value.lower()]
            return known[0] if known else value[:80]
    if match := _SPDX.search(text):
        return match[1]
    return "CC0-1.0" if _WAIVED.search(text) else None


def folder_licence(folder: Path, root: Path) -> str:
    """The licence file nearest above a folder, up to `root`; "unknown" without one."""
    while True:
        for name in LICENCE_FILES:
            if (found := _classify(folder / name)) is not None:
                return found
        if folder == root or folder == folder.parent:
            return UNKNOWN_LICENCE
        folder = folder.parent


def _classify(path: Path) -> str | None:
    """The licence in a file; "unknown" for another text, None without the file."""
    try:
        facts = path.stat()
        return _classified(path, facts.st_mtime_ns, facts.st_size)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _classified(path: Path, _changed: int, _size: int) -> str:
    # Lines end where they please.
    text = " ".join(path.read_text("utf-8", errors="replace")[:20_000].split())
    found = ((re.search(words, text, re.IGNORECASE), name) for name, words in _TEXTS)
    places = [(match.start(), name) for match, name in found if match]
    return min(places)[1] if places else UNKNOWN_LICENCE


def stated_date(front: Mapping[str, str]) -> str | None:
    """The newest date a document gives as its own, ISO; None if it gives none."""
    return _first(front, _UPDATED)


def stated_expiry(front: Mapping[str, str]) -> str | None:
    """The day from which a document says it no longer holds, ISO."""
    return _first(front, _EXPIRES)


def _first(front: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        if match := _ISO.search(front.get(key, "")):
            try:
                return date(*map(int, match.group(1, 3, 4))).isoformat()
            except ValueError:
                continue
    return None
