"""The model card: claims only what the report holds, and no text in it can act."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from denizen.export.model_card import CardFacts, model_card


def rate(value: float, n: int = 240) -> dict[str, Any]:
    return {"value": value, "low": value - 0.04, "high": value + 0.04, "n": n}


ROW = {
    "base": rate(0.08), "specialist": rate(0.86), "wins": 192, "losses": 5, "both_right": 14,
    "both_wrong": 29, "p": 0.0,
}  # fmt: skip
REPORT: dict[str, Any] = {
    "title": "Denizen quickstart",
    "created": "2026-11-21",
    "version": "0.1.0",
    "base": "SmolLM2-135M-Instruct",
    "verdict": {
        "status": "PASS",
        "sentence": "It may be released: all 3 checks passed.",
        "checks": [
            {"name": "family fee_apr", "against": "base", "status": "PASS", "sentence": "better"}
        ],
    },
    "overall": ROW | {"family": "overall"},
    "families": [ROW | {"family": "fee_apr"}],
    "forgetting": {
        "before": rate(0.64), "after": rate(0.62), "difference": -0.016, "low": -0.069,
    },
    "radar": [
        {"set": "piqa", "before": rate(0.7), "after": rate(0.69), "difference": -0.01, "low": -0.03}
    ],
    "ladder": [
        {"quant": "F16", "bytes": 271_000_000, "accuracy": rate(0.86)},
        {"quant": "Q4_K_M", "bytes": 105_000_000, "accuracy": rate(0.85), "difference": -0.01,
         "low": -0.02, "status": "PASS"},
    ],
    "behaviour": [
        {"suite": "language_drift", "candidate": rate(1.0), "base": None, "status": "PASS"}
    ],
    "training": {"facts": {"Method": "LoRA, rank 16"}},
    "ledger": [{"name": "supervised", "count": 61_930, "unit": "tokens"}],
    "lineage": [
        {"name": "training rows", "kind": "rows", "hash": "ab" * 32, "parents": ["swaps"]},
        {"name": "adapter", "kind": "LoRA", "hash": "cd" * 32, "parents": ["training rows"]},
    ],
    "limits": ["64 general questions show large losses only."],
}  # fmt: skip
FACTS = CardFacts(
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "apache-2.0",
    files=("denizen-smollm2.Q4_K_M.gguf",),
    datasets=("org/public-set",),
)


def front(card: str) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


def test_a_model_that_did_not_pass_says_so_first() -> None:
    report = copy.deepcopy(REPORT)
    report["verdict"]["status"] = "INCONCLUSIVE"
    card = model_card(report, FACTS)
    body = card.split("---\n", 2)[2]
    assert body.index("**INCONCLUSIVE**") < body.index("should not be released") < 300
    assert "should not be released" not in model_card(REPORT, FACTS)


def test_front_matter_is_what_the_hub_reads() -> None:
    found = front(model_card(REPORT, FACTS))
    assert found["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert found["license"] == "apache-2.0" and found["metrics"] == ["accuracy"]
    assert {"denizen", "defi"} <= set(found["tags"]) and found["datasets"] == ["org/public-set"]
    result = found["model-index"][0]["results"][0]
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.86, "verified": False}


def test_the_evidence_is_there_with_its_intervals() -> None:
    card = model_card(REPORT, FACTS)
    order = [
        "# Denizen quickstart", "## Intended use", "## How to run", "## Evaluation",
        "## What the gate asked", "## What it forgot", "## Quantised files", "## Behaviour",
        "## Training", "## Lineage", "## Limits", "## Generated text",
    ]  # fmt: skip
    places = [card.index(title) for title in order]
    assert places == sorted(places)
    for text in (
        "86.0% (82.0 to 90.0)", "\u22121.6 points, at worst \u22126.9", "105 MB", "ab" * 32,
        "61,930 tokens", "LoRA, rank 16", "ollama create denizen -f Modelfile",
        "llama-server -m denizen-smollm2.Q4_K_M.gguf", "vllm serve", "denizen serve",
        "no person checked",
    ):  # fmt: skip
        assert text in card, text


def test_what_was_not_measured_is_not_claimed() -> None:
    bare = {"title": "t", "verdict": {"status": "FAIL", "sentence": "no"}}
    card = model_card(bare, CardFacts("org/base", "other"))
    for title in (
        "Evaluation",
        "forgot",
        "Quantised",
        "Behaviour",
        "Training",
        "Lineage",
        "Limits",
        "ollama",
        "model-index",
    ):
        assert title not in card
    assert "## Intended use" in card and "denizen serve" in card
    nothing = {**REPORT, "overall": None, "families": [], "ladder": [], "radar": []}
    assert "## Evaluation" not in model_card(nothing, FACTS)


EVIL = "<script>x</script> | `a` [x](javascript:1) https://evil.example \u202e\n---\n# h"


def test_no_text_can_act_or_break_the_front_matter() -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: poison(v) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v) for v in value]
        return EVIL if isinstance(value, str) and value != "PASS" else value

    facts = CardFacts(EVIL, EVIL, name=EVIL, datasets=(EVIL,), tags=(EVIL,), files=(EVIL + ".gguf",),
                      recipe={EVIL: EVIL}, system=EVIL, use=EVIL, misuse=EVIL)  # fmt: skip
    card = model_card(poison(REPORT), facts)
    head = card.split("\n---\n")[0]
    assert json.loads(head.split("license: ")[1].split("\n")[0]) == EVIL
    body = card[len(head) :]
    assert "<script" not in body and "\u202e" not in body and "\n# h" not in body
    assert not re.search(r"(?<!\\):(?=//)", body) and not re.search(r"(?<!\\)\]\(", body)
    for line in body.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5, 6, 7)
    # Commands that people paste hold plain characters only.
    for command in re.findall(r"```\n(.*?)\n```", body, re.S):
        assert re.fullmatch(r"[\w .\-\n]+", command), command


def test_the_report_of_evaluate_is_what_it_reads() -> None:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
    from evaluate_sample import report_data

    card = model_card(json.loads(report_data().to_json()), FACTS)
    for text in ("## Evaluation", "## Quantised files", "## Behaviour", "fee apr", "hellaswag"):
        assert text in card, text
