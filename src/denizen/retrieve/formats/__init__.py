"""One reader a format: bytes in, text with blocks out.

Contract: `read(form, data, name)` gives a Parsed whose blocks are ordered, disjoint ranges of its
text; it raises DataError in one line for bytes that are not of that format. Nothing of a document
is run, fetched or included.
"""

from __future__ import annotations

from collections.abc import Callable
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
READERS = 1


def form_of(name: str, content_type: str = "") -> str | None:
    """The format of a file name or media type, or None; a plain-text type leaves it to the name."""
    by_name = _SUFFIXES.get(PurePosixPath(name.split("?")[0]).suffix.lower())
    by_type = _TYPES.get(content_type.split(";")[0].strip().lower())
    return by_name if by_name and by_type in (None, "markdown") else by_type


def read(form: str, data: bytes, name: str) -> Parsed:
    """Parse a document; `name` is its fallback title and stands in errors."""
    if form == "pdf":
        return read_pdf(data, name)
    # A PDF or picture under another name, or UTF-16: no reader would make sense of it.
    if b"\x00" in data[:4096]:
        raise DataError("not a text file", where=name, fix="convert it to UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if form != "html":
            raise DataError(
                f"not UTF-8 text (byte {error.start})", where=name, fix="convert it to UTF-8"
            ) from error
        text = data.decode(_charset(data), "replace")
    return _TEXT[form](text, name)


def _charset(data: bytes) -> str:
    """The charset an HTML page names in its head, else Windows-1252 (the standard's default)."""
    import codecs
    import re

    match = re.search(rb"charset=[\"']?([\w-]{2,20})", data[:2048])
    try:
        return codecs.lookup(match[1].decode()).name if match else "cp1252"
    except LookupError:
        return "cp1252"
