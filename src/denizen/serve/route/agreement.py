"""Does an upstream's answer say what the local one says?  For audits, without a gold answer.

Contract: the local answer's exact result takes the place of the gold one and the verifier of tasks/
judges the other text: by meaning, in any notation.  An answer from documents agrees where what it
cites bears the other's words.  None where nothing can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from denizen.tasks import Suite


def agrees(question: str, local: str, other: str, suite: Suite) -> bool | None:
    """Whether `other` agrees with what the model wrote locally (`local`: its draft and call, or
    its object)."""
    from denizen.tasks import Item, ToolError, evaluate, find_call, verify

    form, family, gold = "call", "", find_call(local)
    if gold is None:
        schema = suite.object_in(local)
        owner = next((n for n, f in suite.families.items() if f.schema == schema), None)
        if schema is None or owner is None:
            return None
        form, family, gold = "object", owner, local
    else:
        try:
            evaluate(gold)
        except ToolError:
            return None
    item = Item(
        id="audit",
        family=family,
        kind="",
        split="dev",
        seed=0,
        prompt=question,
        gold=gold,
        template="",
        pool="",
        version="",
        difficulty=1,
        as_of="",
        form="object" if form == "object" else "call",
    )
    return verify(item, other).ok


def agrees_with_sources(question: str, quotes: Sequence[str], other: str) -> bool | None:
    """Whether the `quotes` that the local answer cites bear a sentence of `other`, which was
    written over the same passages and may say more."""
    from denizen.evaluate.suites.grounding_claims import claims, supports

    told, cited = claims(other), "\n".join(quotes)
    if not told or not cited:
        return None
    return any(supports(cited, claim.text, question) for claim in told)
