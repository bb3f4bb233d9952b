"""HTML by selectolax (lexbor): the page's own text, block by block, with its headings.

Contract: `Parsed.text` is made here: one block a paragraph, list item, heading, table row or
preformatted text, separated by blank lines. Menus, forms, scripts and footers are left out. What
the page hides from a reader (styles, `hidden`, comments) is not part of the text but handed over
as hidden text, deceptive ways of hiding (no size, no opacity, ink on ink) marked as such.
"""

from __future__ import annotations

import re
from typing import Any

from denizen.retrieve.documents import Block, BlockKind, Parsed
from denizen.retrieve.formats.outline import Outline

# Put before hidden text whose hiding has no innocent use; see poison.py.
DECEPTIVE = "\x01"
_DROPPED = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "nav",
        "footer",
        "aside",
        "form",
        "button",
        "select",
        "iframe",
        "object",
    ]
)
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "main",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "blockquote",
        "figure",
        "figcaption",
        "header",
        "hr",
        "br",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "table",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "pre",
        "body",
        "details",
        "summary",
        "address",
    ]
)
_FRONT = {
    "author": "author",
    "description": "description",
    "article:modified_time": "updated",
    "article:published_time": "date",
    "last-modified": "updated",
    "dcterms.modified": "updated",
    "dcterms.license": "license",
    "license": "license",
}
_STRUCTURAL = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SLY = re.compile(
    r"font-size\s*:\s*0*\.?0*(?:px|pt|em|rem|%|\s*(?:;|$))"
    r"|(?<![\w-])opacity\s*:\s*0*\.?0*\s*(?:%|;|$)"
    r"|(?:text-indent|left|top|right|margin-left)\s*:\s*-\d{3,}"
    r"|(?<![\w-])color\s*:\s*transparent|clip(?:-path)?\s*:\s*(?:rect\(0|inset\((?:50|100)%)"
    r"|(?<![\w-])(?:width|height)\s*:\s*0(?:px)?\s*(?:;|$)",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"\s*[0-5](?:\.\d*)?\s*[;,]\s*url\s*=", re.IGNORECASE)
_INK = re.compile(r"(?<![\w-])(color|background(?:-color)?)\s*:\s*([^;]+)", re.IGNORECASE)
_WHITE = re.compile(r"^(?:#f{3}(?:f{3})?|white|rgb\(255,\s*255,\s*255\))$", re.IGNORECASE)


def read_html(text: str, name: str) -> Parsed:
    """Parse a page."""
    from selectolax.lexbor import LexborHTMLParser

    page: Any = LexborHTMLParser(text)
    front = _front(page)
    walk = _Walk()
    root = _article(page) or page.body or page.root
    if root is not None:
        # Hidden text counts wherever it stands on the page, also outside the article.
        walk.hide(page.body or root)
        walk.visit(root)
    walk.close()
    title = front.get("title", "") or walk.outline.first or name
    return Parsed("".join(walk.text), tuple(walk.blocks), title, front, tuple(walk.hidden))


def _article(page: Any) -> Any:
    """The one element that is the page's content; None where several, or none, claim to be."""
    for selector in ("main, [role=main]", "article"):
        if found := page.css(selector):
            return found[0] if len(found) == 1 else None
    return None


def _front(page: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    if page.head is None:
        return found
    if (title := page.head.css_first("title")) is not None:
        found["title"] = " ".join(title.text().split())
    for node in page.head.css("meta"):
        attributes = node.attributes
        key = (attributes.get("name") or attributes.get("property") or "").lower()
        if key in _FRONT and (value := attributes.get("content")):
            found.setdefault(_FRONT[key], " ".join(value.split()))
    for node in page.css("meta[http-equiv=refresh i]"):
        # A page that sends its reader elsewhere at once has nothing of its own to say.
        if _ELSEWHERE.match(node.attributes.get("content") or ""):
            found["status"] = "moved"
    if (link := page.css_first("link[rel=license], a[rel=license]")) is not None:
        found.setdefault("license", link.attributes.get("href") or "")
    return found


class _Walk:
    """Goes through a page and writes its text."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.blocks: list[Block] = []
        self.hidden: list[str] = []
        self.outline = Outline()
        self._length = 0
        self._line: list[str] = []
        self._has_words = False

    def hide(self, root: Any) -> None:
        """Take hidden elements and comments out of the tree, keeping what they say."""
        doomed = []
        stack: list[tuple[Any, bool]] = [(root, False)]
        while stack:
            node, inside = stack.pop()
            if node.is_comment_node:
                self.hidden.append(node.comment_content or "")
            elif node.is_element_node:
                # What is hidden within what is hidden goes with it.
                if not inside and (mark := _hiding(node)) is not None:
                    self.hidden.append(mark + " ".join(node.text(deep=True, separator=" ").split()))
                    doomed.append(node)
                    inside = True
                stack.extend((child, inside) for child in reversed(list(_children(node))))
        for node in doomed:
            node.remove()

    def visit(self, node: Any) -> None:
        """Write a node's text; without recursion, since pages can be nested without end."""
        stack: list[tuple[Any, bool]] = [(node, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                self.close(node.tag)
            elif node.is_text_node:
                text = node.text(deep=False) or ""
                self._line.append(text)
                self._has_words = self._has_words or bool(text.strip())
            elif node.is_element_node and node.tag not in _DROPPED:
                if node.tag == "pre":
                    self.close()
                    self._write(node.text(deep=True).strip("\n"), "code")
                    continue
                if node.tag in _BLOCKS:
                    self.close()
                    stack.append((node, True))
                elif node.tag in ("td", "th") and self._has_words:
                    self._line.append(" | ")
                elif node.tag == "sup" and self._line and self._line[-1][-1:].isalnum():
                    # Without a mark 10<sup>18</sup> would say 1018.
                    first = node.child.text(deep=False) if node.child is not None else ""
                    self._line += ["^"] * bool(re.match(r"\s*[\w+\u2212-]", first or ""))
                stack.extend((child, False) for child in reversed(list(_children(node))))

    def close(self, tag: str = "") -> None:
        """End the line: it becomes a block."""
        line, self._line = " ".join("".join(self._line).split()), []
        self._has_words = False
        if not line:
            return
        if re.fullmatch("h[1-6]", tag):
            self.outline.enter(int(tag[1]), line)
            self._write(line, "heading")
        else:
            self._write(line, "table" if tag == "tr" else "prose")

    def _write(self, line: str, kind: BlockKind) -> None:
        if not line.strip():
            return
        if self.text:
            self.text.append("\n\n")
            self._length += 2
        self.blocks.append(Block(self._length, self._length + len(line), kind, self.outline.path))
        self.text.append(line)
        self._length += len(line)


def _children(node: Any) -> Any:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _hiding(node: Any) -> str | None:
    """How an element hides its text: DECEPTIVE, "" (ordinary), or None if it does not."""
    attributes = node.attributes
    style = attributes.get("style") or ""
    inks = {key.split("-")[0].lower(): value.strip() for key, value in _INK.findall(style)}
    ink, ground = inks.get("color"), inks.get("background")
    if _SLY.search(style) or (ink and (ink == ground or (_WHITE.match(ink) and not ground))):
        return DECEPTIVE
    if "hidden" in attributes or _STRUCTURAL.search(style):
        return ""
    return None
