"""The input rules at work: every wording that fires in a text, or under one of its disguises.

Contract: `find(text)` gives Hits, one a rule and coat, each with its name, an excerpt, and whether
it is `certain`: enough alone. A rule that fires only once a disguise is off is certain whatever it
says: nobody encodes "reply only with" by accident. Deterministic, without a model.
"""

from __future__ import annotations

import re
from functools import cache

from denizen.retrieve.disguise import disguises
from denizen.serve.guard.english import ENGLISH
from denizen.serve.guard.languages import FOREIGN
from denizen.serve.guard.layers import PLAIN, layers
from denizen.serve.guard.rule import Hit, Rule, one_line
from denizen.serve.guard.wishes import WISHES


@cache
def _compiled() -> tuple[tuple[Rule, re.Pattern[str]], ...]:
    flags = re.IGNORECASE | re.MULTILINE
    return tuple((rule, re.compile(rule.pattern, flags)) for rule in everything())


def everything() -> tuple[Rule, ...]:
    """All rules, in order."""
    return (*ENGLISH, *WISHES, *FOREIGN)


def names() -> tuple[str, ...]:
    """Their names, each once."""
    return tuple(dict.fromkeys(rule.name for rule in everything()))


def find(text: str) -> tuple[Hit, ...]:
    """Every rule that fires, in the text or under one of its coats; the first excerpt of each."""
    found: dict[tuple[str, str], Hit] = {}
    plain: set[str] = set()
    for coat, layer in layers(text):
        lowered = layer.lower()
        for rule, pattern in _compiled():
            if coat and rule.name in plain:
                continue
            if rule.needs and not any(word in lowered for word in rule.needs):
                continue
            if match := pattern.search(layer):
                if not coat:
                    plain.add(rule.name)
                hit = Hit(rule.name, rule.certain or bool(coat), one_line(match[0]), coat)
                found.setdefault((rule.name, coat), hit)
    for kind, what in disguises(text):
        found.setdefault((kind, PLAIN), Hit(kind, False, one_line(what)))
    return tuple(found.values())
