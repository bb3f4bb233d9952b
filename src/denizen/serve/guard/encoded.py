"""Secrets in Base64: a private key's 32 bytes, and text that holds what must not be shown.

Contract: `find_encoded(folded, known, ...)` gives ranges to hide, beside those found before it, by
`is_key` and `decoded`.
Thirty-two bytes look like any digest: they are a key only where the words right before them say so
("private key", "secret key", a JWK's "d"), whoever wrote them.  What decodes to text is searched as
if it stood there in clear, unless the input or the sources had it.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Sequence

from denizen.serve.guard.addresses import KEY, Hidden, Known, find_hex
from denizen.serve.guard.seedwords import find_secrets

BEFORE = 48  # characters before a run that are read: no more than a stream keeps
RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{43,}={0,2}(?![A-Za-z0-9+/_-])")
# Of 43 characters the last has four bits of 32 bytes: the others are zero.
_WORD = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/_-]{42}[AEIMQUYcgkosw048]=?")
_CALLED = re.compile(
    r"""(?:(?:priv|private|secret|signing)[\s_-]{0,2}key
    (?!.*(?:public|hash|sha|digest|fingerprint|signature|address)).{0,32}
    |["']d["']\s{0,4}:\s{0,4}["'])\Z""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
SHORTEST = 54  # of forty hex digits
_URL = str.maketrans("-_", "+/")
_TEXT = bytes((*range(32, 127), 9, 10, 13))


def find_encoded(
    folded: str, known: Known, found: Sequence[Hidden], *, addresses: bool = True
) -> list[Hidden]:
    """Ranges to hide; words before a run count only behind what is hidden before it."""
    ends = sorted(hidden.end for hidden in found)
    made: list[Hidden] = []
    for match in RUN.finditer(folded):
        start, run = match.start(), match[0]
        place = bisect_right(ends, start)
        behind = max(ends[place - 1] if place else 0, made[-1].end if made else 0)
        if is_key(run, folded[max(behind, start - BEFORE) : start]):
            made.append(Hidden(*match.span(), KEY))
        elif len(run) >= SHORTEST and run.lower() not in known.text:
            made += [Hidden(*match.span(), why) for why in _inside(run, known, addresses)]
    return made


def is_key(run: str, before: str) -> bool:
    """Whether a run is 32 bytes that the words right before it call a private key."""
    return bool(_WORD.fullmatch(run) and _CALLED.search(before))


def decoded(run: str) -> str:
    """The text that a run stands for; "" if it stands for none."""
    bare = run.rstrip("=").translate(_URL)
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return ""
    return "" if data.translate(None, _TEXT) else data.decode("ascii")


def _inside(run: str, known: Known, addresses: bool) -> list[str]:
    """Why the text of a run must not be shown, at most one reason."""
    text = decoded(run)
    hidden = [*find_secrets(text), *find_hex(text, known, addresses=addresses)]
    return [one.why for one in hidden[:1]]
