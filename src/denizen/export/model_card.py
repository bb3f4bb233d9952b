"""A Hugging Face model card filled from the report: front matter, evidence, limits, how to run.

Contract: `model_card` takes the report's JSON as plain data (`ReportData.to_json`) and claims only
what is in it: a section whose figures are absent is left out, a verdict that is not PASS is said
first.  Text is untrusted and escaped; front matter is JSON scalars, which are YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from denizen.export._card_text import bullets, digits, escaped, points, rate, section, table

Report = Mapping[str, Any]


@dataclass(frozen=True)
class CardFacts:
    """What the report does not know.

    base_model  hub repository of the base; `license` an SPDX name (lower case) or "other"
    datasets    hub names of public data used in training, if any
    recipe      names and values of how it was trained
    files       names of the files released, e.g. GGUFs, shown in how to run
    use         what it is for; `misuse` what it is not for
    """

    base_model: str
    license: str
    name: str = "denizen"
    languages: Sequence[str] = ("en",)
    datasets: Sequence[str] = ()
    tags: Sequence[str] = ()
    recipe: Mapping[str, str] | None = None
    files: Sequence[str] = ()
    system: str = ""
    use: str = (
        "Answering questions about DeFi protocols as an analyst's aid, with numbers evaluated by "
        "the exact calculator that Denizen ships."
    )
    misuse: str = (
        "Not financial advice, not for signing or sending transactions without a person, and not "
        "for arithmetic without the calculator."
    )


def model_card(report: Report, facts: CardFacts) -> str:
    """README.md of the release."""
    verdict = report["verdict"]
    title = escaped(report.get("title") or facts.name)
    parts = (
        _front(report, facts),
        f"# {title}\n\n**{escaped(verdict['status'])}** {escaped(verdict['sentence'])}",
        ""
        if verdict["status"] == "PASS"
        else "> This model was not proven better than its base. It should not be released as is.",
        section("Intended use", f"{escaped(facts.use)}\n\n{escaped(facts.misuse)}"),
        section("How to run", _run(facts)),
        section("Evaluation", _evaluation(report)),
        section("What the gate asked", _gate(report)),
        section("What it forgot", _forgetting(report)),
        section("Quantised files", _quants(report)),
        section("Behaviour", _behaviour(report)),
        section("Training", _training(report, facts)),
        section("Lineage", _lineage(report)),
        section("Limits", bullets(escaped(line) for line in report.get("limits") or ())),
        section(
            "Generated text",
            "This model writes text that no person checked. Mark its answers as generated where "
            "people read them, and verify figures before acting on them. This card was filled by "
            f"Denizen {escaped(report.get('version', ''))} from the run's record"
            f" ({escaped(report.get('created', ''))}).",
        ),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(report: Report, facts: CardFacts) -> str:
    pairs: list[tuple[str, Any]] = [
        ("base_model", facts.base_model),
        ("base_model_relation", "finetune"),
        ("license", facts.license),
        ("language", list(facts.languages)),
        ("library_name", "transformers"),
        ("pipeline_tag", "text-generation"),
        ("tags", ["denizen", "defi", *facts.tags]),
        ("datasets", list(facts.datasets)),
        ("metrics", ["accuracy"]),
    ]
    lines = [f"{key}: {json.dumps(value)}" for key, value in pairs if value]
    if (index := _index(report, facts)) is not None:
        lines.append(f"model-index: {json.dumps(index)}")
    return "\n".join(("---", *lines, "---"))


def _index(report: Report, facts: CardFacts) -> list[Any] | None:
    """The exact-answer rate as the hub's tables read it."""
    if not (total := report.get("overall")):
        return None
    rate = total["specialist"]
    result = {
        "task": {"type": "text-generation", "name": "exact answers on a frozen holdout"},
        "dataset": {"type": "denizen-holdout", "name": "Denizen holdout"},
        "metrics": [{"type": "accuracy", "value": round(rate["value"], 4), "verified": False}],
    }
    return [{"name": facts.name, "results": [result]}]


def _evaluation(report: Report) -> str:
    rows = [row for row in (report.get("overall"), *(report.get("families") or ())) if row]
    if not rows:
        return ""
    lead = (
        f"Exact answers on a frozen holdout, judged by the engine; 95% intervals. Base: "
        f"{escaped(report.get('base', ''))}."
    )
    found = table(
        ("Family", "Base", "This model", "Won", "Lost", "Questions"),
        (
            (
                escaped(str(row["family"]).replace("_", " ")),
                rate(row["base"]),
                rate(row["specialist"]),
                str(row["wins"]),
                str(row["losses"]),
                str(row["specialist"]["n"]),
            )
            for row in rows
        ),
    )
    return f"{lead}\n\n{found}"


def _gate(report: Report) -> str:
    checks = report["verdict"].get("checks") or ()
    if not checks:
        return ""
    return table(
        ("Check", "Against", "Verdict", "Finding"),
        (
            (
                escaped(str(c["name"]).replace("_", " ")),
                escaped(c["against"]),
                escaped(c["status"]),
                escaped(c["sentence"]),
            )
            for c in checks
        ),
    )


def _forgetting(report: Report) -> str:
    blocks = []
    if leg := report.get("forgetting"):
        blocks.append(
            f"General questions: {rate(leg['before'])} before, {rate(leg['after'])} after; "
            f"{points(leg['difference'])} points, at worst {points(leg['low'])} "
            "(95%, one-sided)."
        )
    if sets := report.get("radar"):
        blocks.append(
            table(
                ("Set", "Before", "After", "Points", "At worst"),
                (
                    (
                        escaped(p["set"]),
                        rate(p["before"]),
                        rate(p["after"]),
                        points(p["difference"]),
                        points(p["low"]),
                    )
                    for p in sets
                ),
            )
        )
    return "\n\n".join(blocks)


def _quants(report: Report) -> str:
    if rows := report.get("ladder"):
        return table(
            ("File", "Size", "Exact", "Points to merged", "At worst", "Verdict"),
            (
                (
                    escaped(r["quant"]),
                    f"{r['bytes'] / 1e6:,.0f} MB",
                    rate(r["accuracy"]),
                    points(r.get("difference")),
                    points(r.get("low")),
                    escaped(r.get("status") or "reference"),
                )
                for r in rows
            ),
        )
    if quant := report.get("quantisation"):
        return (
            f"{escaped(quant['kind'])}: {rate(quant['shipped'])}, {points(quant['difference'])} "
            f"points to the merged model, at worst {points(quant['low'])}."
        )
    return ""


def _behaviour(report: Report) -> str:
    if not (rows := report.get("behaviour")):
        return ""
    return table(
        ("Suite", "Base", "This model", "Verdict"),
        (
            (
                escaped(str(r["suite"]).replace("_", " ")),
                rate(r["base"]) if r.get("base") else "\u2013",
                rate(r["candidate"]),
                escaped(r.get("status") or "\u2013"),
            )
            for r in rows
        ),
    )


def _training(report: Report, facts: CardFacts) -> str:
    recipe = dict(facts.recipe or {}) or dict((report.get("training") or {}).get("facts") or {})
    lines = [f"{escaped(key)}: {escaped(value)}" for key, value in recipe.items()]
    lines += [
        f"{escaped(row['name'])}: {row['count']:,} {escaped(row['unit'])}"
        for row in report.get("ledger") or ()
    ]
    kinds = ("rows", "source", "file", "data")
    for node in report.get("lineage") or ():
        if any(kind in f"{node['name']} {node['kind']}".lower() for kind in kinds):
            lines.append(f"data, {escaped(node['name'])}: `{digits(node['hash'])}`")
    return bullets(lines)


def _lineage(report: Report) -> str:
    if not (nodes := report.get("lineage")):
        return ""
    return table(
        ("Artefact", "Kind", "Content hash", "From"),
        (
            (
                escaped(n["name"]),
                escaped(n["kind"]),
                f"`{digits(n['hash'])}`",
                escaped(", ".join(n.get("parents") or ())) or "\u2013",
            )
            for n in nodes
        ),
    )


def _run(facts: CardFacts) -> str:
    gguf = next((f for f in facts.files if f.endswith(".gguf")), None)
    blocks = []
    if gguf is not None:
        # A file name goes into commands people paste: only plain characters may pass.
        file, name = re.sub(r"[^\w.-]", "_", gguf), re.sub(r"[^\w.-]", "_", facts.name)
        blocks += [
            ("Ollama, with the Modelfile beside the GGUF",
             f"ollama create {name} -f Modelfile\nollama run {name}"),
            ("llama.cpp", f"llama-server -m {file} --jinja"),
        ]  # fmt: skip
    blocks += [
        ("vLLM, from the merged folder or the adapter's (its README has the command)",
         "vllm serve ."),
        ("Denizen, with the calculator, retrieval and guardrails", "denizen serve"),
    ]  # fmt: skip
    told = [f"{what}:\n\n```\n{command}\n```" for what, command in blocks]
    if facts.system:
        told.append(f"It was trained with the system prompt: {escaped(facts.system)}")
    return "\n\n".join(told)
