"""One reader a format: bytes in, text with blocks out.

Contract: `read(form, data, name)` gives a Parsed whose blocks are ordered, disjoint ranges of its
text; it raises DataError in one line for bytes that are not of that format. Nothing of a document
is run, fetched or included; what no store takes (NUL, lone surrogates) becomes U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from denizen.project.errors import DataError
from denizen.retrieve.documents import Parsed
from denizen.retrieve.formats.asciidoc import read_asciidoc
from denizen.retrieve.formats.html import read_html
from denizen.retrieve.formats.markdown import read_markdown, read_mdx
from denizen.retrieve.formats.pdf import read_pdf
from denizen.retrieve.formats.solidity import read_solidity

_SUFFIXES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "mdx",
    ".adoc": "asciidoc",
    ".asciidoc": "asciidoc",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".sol": "solidity",
}
_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "text/markdown": "markdown",
    "text/plain": "markdown",
    "text/asciidoc": "asciidoc",
}
_TEXT: dict[str, Callable[[str, str], Parsed]] = {
    "markdown": read_markdown,
    "mdx": read_mdx,
    "asciidoc": read_asciidoc,
    "html": read_html,
    "solidity": read_solidity,
}
FORMS = (*_TEXT, "pdf")
# Raised whenever a reader gives other blocks or text: documents are then read anew.
READERS = 2
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def form_of(name: str, content_type: str = "") -> str | None:
    """The format of a file name or media type, or None; a plain-text type leaves it to the name."""
    by_name = _SUFFIXES.get(PurePosixPath(name.split("?")[0]).suffix.lower())
    by_type = _TYPES.get(content_type.split(";")[0].strip().lower())
    return by_name if by_name and by_type in (None, "markdown") else by_type


def read(form: str, data: bytes, name: str, charset: str = "") -> Parsed:
    """Parse a document; `name` is its fallback title and stands in errors.

    `charset` is what a server named; it counts where the bytes are not UTF-8.
    """
    if form == "pdf":
        return _storable(read_pdf(data, name))
    # A PDF or picture under another name, or UTF-16: no reader would make sense of it.
    if b"\x00" in data[:4096]:
        raise DataError("not a text file", where=name, fix="convert it to UTF-8 text")
    text = _decoded(form, data, name, charset).replace("\x00", "\ufffd")
    return _storable(_TEXT[form](text, name))


def _decoded(form: str, data: bytes, name: str, charset: str) -> str:
    """UTF-8, else what the server named, else what a page names, else Windows-1252 (HTML's own)."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refusal = DataError(
            f"not UTF-8 text (byte {error.start})", where=name, fix="convert it to UTF-8"
        )
    named = re.search(rb"charset\s*=\s*[\"']?([\w-]{2,20})", data[:2048])
    own = [named[1].decode("ascii", "replace") if named else "", "cp1252"]
    for candidate in filter(None, [charset, *(own if form == "html" else [])]):
        try:
            return data.decode(candidate, "replace" if form == "html" else "strict")
        except (LookupError, UnicodeError):  # no charset, or not one of text
            continue
    raise refusal


def _storable(parsed: Parsed) -> Parsed:
    """The same without what no store takes; each such character is replaced by one."""

    def clean(text: str) -> str:
        return _UNSTORABLE.sub("\ufffd", text)

    return replace(
        parsed,
        text=clean(parsed.text),
        title=clean(parsed.title),
        front={clean(key): clean(value) for key, value in parsed.front.items()},
        blocks=tuple(replace(b, headings=tuple(map(clean, b.headings))) for b in parsed.blocks),
    )
