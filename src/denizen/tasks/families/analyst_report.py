"""The analyst's four outputs in one object, from the figures of one pool, position or market.

Trap: figures are left out or stale, incentives run out before the year does, and decoys (the price
move behind an impermanent loss, the age of a figure) stand among the ones the rules need.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from denizen.tasks import analysis
from denizen.tasks.analysis import BAND_NAMES, BANDS, FLAGS, Figures, Report
from denizen.tasks.families._analyst_figures import draw_statements, figures_of
from denizen.tasks.families._make import Draw, make_item
from denizen.tasks.phrasing import fill, pick_template, templates
from denizen.tasks.structured import Field, Schema
from denizen.tasks.types import Family, Item, Split

NAME = "analyst_report"
# The phrases that state one figure each: templates/{split}/analyst_figures.json.
FIGURES = "analyst_figures"
KINDS = {"pool_entry": 0.3, "pool_position": 0.3, "market_entry": 0.2, "market_position": 0.2}
SCHEMA = Schema(
    NAME,
    f"An analyst's report on one pool, position or lending market. {analysis.RULES}",
    (
        Field("yield_assessment", "band of the net APR over a year", "choice", BAND_NAMES),
        Field("apr_sustainable", "band of the net APR without incentives", "choice", BAND_NAMES),
        Field("risk_flags", "every flag whose rule holds", "choices", tuple(FLAGS)),
        Field("recommendation", "by the decision table", "choice", analysis.RECOMMENDATIONS),
        Field("confidence", "by the figures not stated or stale", "share"),
    ),
)
# No net APR lies closer to a band's edge: the question is the rule, not the third digit.
MARGIN = Decimal("0.004")


def generate(seed: int, split: Split) -> Item:
    """Sound to rotten figures; in two items of five some are missing or stale."""
    draw = Draw(NAME, seed, split, KINDS)
    rng = draw.rng
    trouble, gaps = rng.choice((0.03, 0.15, 0.4)), rng.choice((0.0, 0.0, 0.0, 0.12, 0.3))
    said = draw_statements(rng, draw.kind, trouble, gaps)
    while not _clear(figures := figures_of(said, draw.kind)):
        said = draw_statements(rng, draw.kind, trouble, gaps)
    phrases = templates(split, FIGURES)
    parts = []
    for key, slots in said.items():
        rows = phrases[f"{key}_dated" if "age" in slots else key].rows
        parts.append(fill(rng.choice(rows), **slots))
    rng.shuffle(parts)
    draw.template, text = pick_template(rng, split, NAME, draw.kind)
    listed = "\n".join(f"- {part}" for part in parts)
    names = {"pair": draw.pool.name, "token": draw.pool.base}
    prompt = fill(text, figures="; ".join(parts), list=listed, **names)
    prompt = prompt.replace("\n ", "\n").strip()
    found = analysis.report(figures)
    hard = 1 + bool(analysis.unreliable(figures)) + (len(found.risk_flags) > 1)
    item = make_item(draw, prompt, dump(found), version="any", difficulty=hard)
    return replace(item, form="object")


def dump(found: Report) -> str:
    """A report as the object of SCHEMA."""
    flags, share = list(found.risk_flags), float(found.confidence)
    return SCHEMA.dump(found._asdict() | {"risk_flags": flags, "confidence": share})


def _clear(figures: Figures) -> bool:
    known = (analysis.yearly_apr(figures, paid) for paid in (True, False))
    return all(abs(apr - e) >= MARGIN for apr in known if apr is not None for _, e in BANDS)


def near_misses(item: Item) -> tuple[str, ...]:
    """Another band, flag, recommendation or confidence; a field short, one too many, no JSON."""
    gold = json.loads(item.gold)
    flags = gold["risk_flags"]
    edits: list[dict[str, Any]] = [
        {"yield_assessment": _next(BAND_NAMES, gold["yield_assessment"])},
        {"apr_sustainable": _next(BAND_NAMES, gold["apr_sustainable"])},
        {"recommendation": _next(analysis.RECOMMENDATIONS, gold["recommendation"])},
        {"risk_flags": [*flags, next(f for f in FLAGS if f not in flags)]},
        {"confidence": 0.6 if gold["confidence"] != 0.6 else 0.75},
        {"position_size": "large"},
    ]
    if flags:
        edits.append({"risk_flags": flags[1:]})
    short = {key: value for key, value in gold.items() if key != "confidence"}
    return (*(json.dumps(gold | e) for e in edits), json.dumps(short), gold["recommendation"])


def _next(words: tuple[str, ...], word: str) -> str:
    return words[(words.index(word) + 1) % len(words)]


FAMILY = Family(
    NAME,
    "an analyst's report by documented rules: yield, risk flags, recommendation, confidence",
    tuple(KINDS),
    generate,
    near_misses,
    schema=SCHEMA,
    levels=(1, 2, 3),
)
