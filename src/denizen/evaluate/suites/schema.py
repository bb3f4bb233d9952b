"""Schema conformance: is the analyst's report the object it must be, with no grammar to force it?

Contract: questions of `tasks/families/analyst_report.py` (holdout wordings, seeds of their own)
with the fields told in the prompt.  Form is judged, not the analysis: one JSON object alone (a code
fence is forgiven), every field, none more, and each value of the type, options and bounds of the
family's JSON Schema.  `ok` needs all of it; `score` is 0 without an object, else the share of the
checks that hold.  Raises nothing on any answer.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import Any

from denizen.evaluate.suites._cases import expect, fill, spread
from denizen.evaluate.suites.base import Behaviour, Case, Judgement
from denizen.evaluate.suites.instructions import unfence

# Far from the seeds of the frozen holdout.
FIRST_SEED = 5_000_000
PER_KIND = 30
_WORDINGS = (
    "{question}\n\nAnswer with one JSON object and nothing else. Its fields, all required and no "
    "others: {fields}.",
    "Return a JSON object with exactly these fields: {fields}. No text around it.\n\n{question}",
    "{question}\n\nOutput format: a single JSON object.\n{fields}\nNo further keys, no comment.",
)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "integer": (int,), "array": (list,),
    "boolean": (bool,), "null": (type(None),), "object": (dict,),
}  # fmt: skip


def problems(value: Any, schema: dict[str, Any], where: str = "report") -> list[str]:
    """What keeps a JSON value from a JSON Schema; of the keywords, those `Schema` writes."""
    if "anyOf" in schema:
        tries = [problems(value, one, where) for one in schema["anyOf"]]
        return min(tries, key=len)
    kind = schema.get("type")
    if kind is not None and not _is(value, kind):
        return [f"{where} is not of type {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {str(value)[:40]!r} is no option")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not low <= value <= high:
            found.append(f"{where} is out of bounds")
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", math.inf):
            found.append(f"{where} is too long")
        if not re.search(schema.get("pattern", ""), value):
            found.append(f"{where} has another form")
    if isinstance(value, list):
        if schema.get("uniqueItems") and len({json.dumps(v) for v in value}) < len(value):
            found.append(f"{where} repeats itself")
        for one in value:
            found += problems(one, schema.get("items", {}), f"an entry of {where}")
    return found


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _object(text: str) -> tuple[dict[str, Any] | None, bool]:
    """The answer's object (None if there is none or a key is doubled); does it stand alone?"""
    for body, alone in ((unfence(text), True), (text[text.find("{") : text.rfind("}") + 1], False)):
        try:
            value = json.loads(body, object_pairs_hook=_once, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value, alone
    return None, False


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def judge(case: Case, output: str) -> Judgement:
    """Standing alone, no extra key, and each field: one check each."""
    properties: dict[str, Any] = case.facts["schema"]["properties"]
    value, alone = _object(output)
    if value is None:
        return Judgement(False, 0.0, "no JSON object can be read", "an object of the schema")
    wrong = [] if alone else ["text around the object"]
    if extra := sorted(set(value) - set(properties)):
        wrong.append(f"no field {extra[0][:40]!r}")
    for name, field in properties.items():
        found = problems(value[name], field, name) if name in value else [f"{name} is missing"]
        wrong += found[:1]
    score = 1 - len(wrong) / (len(properties) + 2)
    return Judgement(not wrong, score, "; ".join(wrong) or "valid", "an object of the schema")


@cache
def _report() -> tuple[dict[str, Any], str]:
    """The report's JSON Schema, and its fields in words."""
    from denizen.tasks import FAMILIES

    schema = FAMILIES["analyst_report"].schema
    assert schema is not None
    told = schema.json_schema()
    return told, "; ".join(_told(name, field) for name, field in told["properties"].items())


def _told(name: str, field: dict[str, Any]) -> str:
    if "enum" in field:
        return f'"{name}": one of {json.dumps(field["enum"])}'
    if field["type"] == "array":
        return f'"{name}": a list of any of {json.dumps(field["items"]["enum"])}, without repeats'
    return f'"{name}": a number from {field["minimum"]} to {field["maximum"]}'


def suite() -> Behaviour:
    """As many questions of each kind of report, in three wordings of the format."""
    from denizen.tasks import FAMILIES

    family, (schema, fields) = FAMILIES["analyst_report"], _report()
    left = {kind: PER_KIND for kind in family.kinds}
    cases, seed = [], FIRST_SEED
    while any(left.values()):
        item = family.generate(seed, "holdout")
        seed += 1
        if not left[item.kind]:
            continue
        left[item.kind] -= 1
        w = left[item.kind] % len(_WORDINGS)
        prompt = fill(_WORDINGS[w], {"fields": fields, "question": item.prompt})
        cases.append(
            Case(f"schema/{item.kind}-{PER_KIND - left[item.kind]:02d}", item.kind, prompt,
                 f"{item.kind}/{w}", difficulty=str(item.difficulty),
                 facts={"schema": schema, "gold": item.gold})
        )  # fmt: skip
    title = "Analyst's reports keep their schema without a grammar"
    return Behaviour("schema", title, spread(cases), judge, "noninferior",
                     max_tokens=160, validate=validate)  # fmt: skip


def validate() -> None:
    """Each gold report passes, alone or fenced; each kind of fault fails."""
    for case in suite().cases:
        text = case.facts["gold"]
        gold = json.loads(text)
        short = {key: value for key, value in gold.items() if key != "confidence"}
        faults: list[dict[str, Any]] = [
            {"confidence": 1.2}, {"confidence": "0.9"}, {"confidence": True}, {"confidence": None},
            {"risk_flags": "unaudited"}, {"risk_flags": ["unaudited", "unaudited"]},
            {"risk_flags": ["rain"]}, {"recommendation": "buy"}, {"recommendation": ["hold"]},
            {"yield_assessment": "High"}, {"note": "x"},
        ]  # fmt: skip
        bad = ["", "[]", text[:-1], f"Here it is: {text}", json.dumps(short), f"{text}\n{text}",
               text.replace('"risk_flags"', '"recommendation": "hold", "risk_flags"'),
               re.sub(r'"confidence": [\d.]+', '"confidence": NaN', text)]  # fmt: skip
        bad += [json.dumps(gold | fault) for fault in faults]
        good = [text, f"```json\n{text}\n```", json.dumps(dict(reversed(gold.items())), indent=1)]
        expect(judge, case, good, bad)
        if not 0 < judge(case, json.dumps(short)).score < 1:
            raise AssertionError(f"{case.id}: a missing field must cost a part of the score")
