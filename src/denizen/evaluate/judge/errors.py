"""What can go wrong with a judge: a fault that stops the suite, and one that costs an item.

Contract: JudgeError is the user's to mend (settings, key, a judge that may not be used) and stops
everything; Unjudged is one item's fate after all retries, and makes its suite INCONCLUSIVE.  No
message holds a key or anything that a server sent.
"""

from __future__ import annotations

from denizen.project.errors import DenizenError


class JudgeError(DenizenError):
    """The judge cannot or may not be used."""


class Unjudged(Exception):
    """This item has no verdict; the message says why, in our own words."""
