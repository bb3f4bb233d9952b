"""The Analyst's report: read, recomputed by its rules, corrected, and given its reasons.

Contract: `review` takes the object that the model wrote and gives one that its own rules bear out:
a flag or band that stated figures contradict is corrected, and the recommendation follows from the
fields by the decision table.  What cannot be decided is flagged (`ok` is false), and so is what
was not recomputed whole: it holds the model's word alone.  The rationale is made from the rules
that fired, without a model, and says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from denizen.serve.answering.claims import UNVERIFIED
from denizen.serve.answering.stated import Stated, read
from denizen.serve.exchange import Format
from denizen.tasks import FAMILIES, Suite, analysis
from denizen.tasks.analysis import BAND_NAMES, FLAGS, RECOMMENDATIONS, Figures
from denizen.tasks.structured import Schema

NAME = "analyst_report"
UNDECIDED = "the recommendation contradicts the report"
_HELD = {"enter": False, "stay out": False, "hold": True, "reduce": True, "exit": True}
# The figures from which each flag is decided.
_NEEDS: dict[str, frozenset[str]] = {
    "low liquidity": frozenset({"tvl"}),
    "large share": frozenset({"own_share"}),
    "incentives ending": frozenset({"incentive_apr", "incentive_days"}),
    "incentive dependent": frozenset({"fee_apr", "incentive_apr"}),
    "high impermanent loss": frozenset({"impermanent_loss"}),
    "high utilisation": frozenset({"utilisation"}),
    "concentrated holders": frozenset({"holders"}),
    "unaudited": frozenset({"unaudited"}),
    "old audit": frozenset({"audit_age"}),
    "new venue": frozenset({"venue_age"}),
    "out of range": frozenset({"in_range"}),
}
REPORT_SCHEMA: dict[str, Any] = {
    "title": "analyst",
    "description": f"An analyst's report with its reasons. {analysis.RULES}",
    "type": "object",
    "properties": {
        "yield_assessment": {"type": "string", "enum": list(BAND_NAMES)},
        "apr_sustainable": {"type": "string", "enum": list(BAND_NAMES)},
        "risk_flags": {
            "type": "array",
            "items": {"type": "string", "enum": list(FLAGS)},
            "uniqueItems": True,
        },
        "recommendations": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "action": {"type": "string", "enum": list(RECOMMENDATIONS)},
                    "rationale": {"type": "string", "minLength": 1},
                    "rationale_by": {"type": "string", "const": "rules"},
                },
                "required": ["action", "rationale", "rationale_by"],
                "additionalProperties": False,
            },
        },
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": [
        "yield_assessment", "apr_sustainable", "risk_flags", "recommendations", "confidence",
    ],
    "additionalProperties": False,
}  # fmt: skip
SIGNED = "rationale_by"  # who gives the reasons: not every client's schema has a place for it
_WHOLE = frozenset({*REPORT_SCHEMA["properties"], SIGNED})


@dataclass(frozen=True)
class Review:
    """A report that holds: its canonical `values`, what was corrected, and the reasons."""

    values: Mapping[str, Any]
    rationale: tuple[str, ...]
    corrections: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    recomputed: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is left that the rules contradict."""
        return UNDECIDED not in self.flags

    def object(self) -> dict[str, Any]:
        """The family's object (`recommendation`, without reasons)."""
        return {**self.values, "risk_flags": list(self.values["risk_flags"]),
                "confidence": float(self.values["confidence"])}  # fmt: skip

    def report(self, fields: frozenset[str] = _WHOLE) -> dict[str, Any]:
        """The object of REPORT_SCHEMA, or the `fields` of it."""
        made = self.object()
        advice = {"action": made.pop("recommendation"), "rationale": "; ".join(self.rationale)}
        made["recommendations"] = [advice | ({SIGNED: "rules"} if SIGNED in fields else {})]
        order = [name for name in REPORT_SCHEMA["properties"] if name in fields]
        return {name: made[name] for name in order}


@dataclass(frozen=True)
class Wanted:
    """An object that a response format asks for and the Analyst can write."""

    schema: Schema
    fields: frozenset[str] = frozenset()

    @property
    def with_reasons(self) -> bool:
        """Whether the report with recommendations and rationale is meant."""
        return bool(self.fields)


def wanted(format_: Format, suite: Suite) -> Wanted | None:
    """The suite's schema that a JSON Schema asks for, known by its fields; else None."""
    if format_.kind != "json_schema" or format_.schema is None:
        return None
    properties = format_.schema.get("properties")
    names = frozenset(properties) if isinstance(properties, Mapping) else frozenset()
    for schema in suite.schemas:
        if names == {field.name for field in schema.fields}:
            return Wanted(schema)
    report = FAMILIES[NAME].schema
    known = frozenset(REPORT_SCHEMA["properties"])
    # Whatever families it was trained for: its fields are recomputed by the rules.
    if report and {"yield_assessment", "recommendations"} <= names <= known:
        for fields in (names | {SIGNED}, names):
            if _fits(format_.schema, fields):
                return Wanted(report, fields)
    return None


def _fits(schema: Mapping[str, Any], fields: frozenset[str]) -> bool:
    """Whether a schema takes every word that a report of these fields may hold."""
    from denizen.serve.answering.formats import faults

    for n in range(max(len(BAND_NAMES), len(FLAGS), len(RECOMMENDATIONS))):
        band, action = BAND_NAMES[n % len(BAND_NAMES)], RECOMMENDATIONS[n % len(RECOMMENDATIONS)]
        values = {
            "yield_assessment": band,
            "apr_sustainable": band,
            "risk_flags": (list(FLAGS)[n % len(FLAGS)],),
            "recommendation": action,
            "confidence": Decimal("0.9"),
        }
        if faults(Review(values, ("-",)).report(fields), schema):
            return False
    return True


def review(question: str, text: str) -> Review:
    """Recompute a report that is a valid object of the family's schema; raises SchemaError."""
    schema = FAMILIES[NAME].schema
    assert schema is not None
    said = schema.parse(text)
    held = _HELD.get(said["recommendation"])
    stated = read(question, bool(held))
    made = dict(said)
    recomputed = stated is not None and stated.complete and held is not None
    if stated is not None and recomputed:
        made = analysis.report(_with_words(stated, said["risk_flags"]))._asdict()
    else:
        if stated is not None:
            _mend(made, stated)
        _conclude(made, held)
    made["risk_flags"] = tuple(name for name in FLAGS if name in made["risk_flags"])
    said["risk_flags"] = tuple(name for name in FLAGS if name in said["risk_flags"])
    flags: tuple[str, ...] = () if recomputed else (UNVERIFIED,)
    if made["recommendation"] is None:
        flags = (UNDECIDED, *flags)
        made["recommendation"] = said["recommendation"]
    corrections = tuple(
        (_told(field.name, said[field.name]), _told(field.name, made[field.name]))
        for field in schema.fields
        if said[field.name] != made[field.name]
    )
    return Review(made, _reasons(made, stated), corrections, flags, recomputed)


def _with_words(stated: Stated, flags: Sequence[str]) -> Figures:
    """What is told in words alone may have been told in others: the model's flag then stands."""
    figures = stated.figures
    if "out of range" in flags and "in_range" not in stated.names:
        figures = replace(figures, in_range=False)
    if "unaudited" in flags and figures.audit_age is None:
        figures = replace(figures, unaudited=True)
    return figures


def _mend(made: dict[str, Any], stated: Stated) -> None:
    """Put right what the figures that were read decide, and leave the rest."""
    figures, raised = stated.figures, analysis.risk_flags(stated.figures)
    flags = set(made["risk_flags"])
    for name, needs in _NEEDS.items():
        if name == "out of range" and not figures.held:
            continue
        if needs <= stated.names:
            flags = flags | {name} if name in raised else flags - {name}
    made["risk_flags"] = tuple(flags)
    for field, paid in (("yield_assessment", True), ("apr_sustainable", False)):
        apr = analysis.yearly_apr(figures, paid)
        if apr is not None:
            made[field] = analysis.band(apr)


def _conclude(made: dict[str, Any], held: bool | None) -> None:
    """The recommendation by the decision table; None where it depends on what is not known."""
    rows = {
        analysis.recommend(
            stance,
            made["yield_assessment"],
            made["apr_sustainable"],
            tuple(made["risk_flags"]),
            made["confidence"],
        )
        for stance in ((held,) if held is not None else (False, True))
    }
    made["recommendation"] = rows.pop() if len(rows) == 1 else None


def _reasons(made: Mapping[str, Any], stated: Stated | None) -> tuple[str, ...]:
    """The rules that fired, in words."""
    reasons = []
    for field, paid, words in (
        ("yield_assessment", True, "net APR over a year"),
        ("apr_sustainable", False, "without incentives"),
    ):
        apr = analysis.yearly_apr(stated.figures, paid) if stated else None
        known = apr is not None and analysis.band(apr) == made[field]
        figure = f" {apr * 100:.2f}%" if known and apr is not None else ""
        reasons.append(f"{words}{figure} is {made[field]}")
    reasons += [f"{name}: {FLAGS[name]}" for name in made["risk_flags"]]
    reasons.append(f"risk score {analysis.risk_score(tuple(made['risk_flags']))}")
    trust: Decimal = made["confidence"]
    below = "below" if trust < analysis.TRUSTED else "at least"
    reasons.append(f"confidence {trust:f} is {below} {analysis.TRUSTED:f}")
    return tuple(reasons)


def _told(name: str, value: Any) -> str:
    text = ", ".join(value) or "none" if isinstance(value, tuple) else f"{value}"
    return f"{name}: {text}"


def as_text(values: Mapping[str, Any]) -> str:
    """Compact JSON in the given order."""
    return json.dumps(values, ensure_ascii=False)
