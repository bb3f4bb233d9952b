"""Audit pairs: constant answers score nothing, no side gives itself away, readers lose nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from denizen.evaluate.runner import run_suite
from denizen.evaluate.suites.audit import (
    audit_categories,
    audit_figures,
    audit_suite,
    judge,
    paired_result,
    read_verdict,
    suite,
)
from denizen.evaluate.suites.audit_reading import (
    ContractPair,
    carried_pairs,
    neutral,
    smartbugs_pairs,
    swc_pairs,
)
from denizen.project import DataError


def run(say, pairs=None):
    made = audit_suite(pairs)
    return run_suite(made.cases, lambda batch: [say(case) for case in batch], judge, "model")


@pytest.mark.parametrize("verdict", ["VULNERABLE", "SAFE", "It is vulnerable.", ""])
def test_a_constant_answer_scores_no_pair(verdict: str) -> None:
    result = run(lambda case: verdict)
    figures = audit_figures(result.scores)
    assert paired_result(result).accuracy == figures.paired.value == 0
    assert result.accuracy in (0.0, 0.5)  # what a suite without pairs would have reported
    assert figures.unread == (0 if verdict else result.n)


def test_a_perfect_auditor_scores_all() -> None:
    result = run(lambda case: f"{case.facts['side'].upper()}: because.")
    folded = paired_result(result)
    figures = audit_figures(result.scores)
    assert folded.n == len(carried_pairs()) == figures.paired.n and folded.accuracy == 1
    assert figures.flagged.value == figures.cleared.value == 1 and figures.incomplete == 0
    assert figures.paired.low < 1
    assert len({score.cluster for score in folded.scores}) == folded.n
    assert all(f.paired.value == 1 for f in audit_categories(result.scores).values())


def test_sides_are_told_apart() -> None:
    def cautious(case) -> str:
        return "VULNERABLE" if "require" not in case.prompt else "SAFE"

    figures = audit_figures(run(cautious).scores)
    assert figures.paired.value <= min(figures.flagged.value, figures.cleared.value)
    half = [s for s in run(lambda case: "SAFE").scores if s.item_id.endswith("/v")]
    figures = audit_figures(half)
    assert figures.paired is None and figures.cleared is None
    assert figures.incomplete == len(half)
    with pytest.raises(DataError, match="no pair was scored on both sides"):
        paired_result(type(run(lambda case: ""))("half", tuple(half)))


def test_the_carried_pairs() -> None:
    pairs = carried_pairs()
    assert len(pairs) >= 30 and len({p.id for p in pairs}) == len(pairs)
    needed = "reentrancy tx-origin unchecked-call arithmetic access-control oracle-manipulation "
    needed += "timestamp-dependence delegatecall storage-collision share-inflation rounding "
    needed += "signature-replay missing-slippage approval-race"
    assert set(needed.split()) <= {p.category for p in pairs}
    for pair in pairs:
        assert pair.fixed is not None and pair.fixed != pair.vulnerable, pair.id
        for code in (pair.vulnerable, pair.fixed):
            assert code.count("{") == code.count("}") and "//" not in code, pair.id
            assert not re.search(r"fixed|vulnerab|attack|unsafe", code, re.IGNORECASE), pair.id
        # Both sides share their frame: names and most lines.
        shared = set(pair.vulnerable.split("\n")) & set(pair.fixed.split("\n"))
        assert len(shared) >= 0.6 * len(set(pair.vulnerable.split("\n"))) - 1, pair.id
    suite().validate()
    prompts = [case.prompt for case in suite().cases]
    assert len(set(prompts)) == len(prompts) and max(map(len, prompts)) < 4000


def test_length_does_not_give_the_side_away() -> None:
    """Calling the longer side fixed needs both sides at once; one side alone says little."""
    lengths = sorted(
        (len(code), side)
        for p in carried_pairs()
        for side, code in ((0, p.vulnerable), (1, p.fixed))
    )
    best = 0.0
    total = len(lengths) / 2
    for cut in range(len(lengths)):
        below = sum(1 - side for _, side in lengths[:cut])
        above = sum(side for _, side in lengths[cut:])
        best = max(best, (below + above) / 2 / total)
    assert best < 0.65


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("VULNERABLE. The call comes first.", "vulnerable"),
        ("**SAFE**\nThe state is updated before it is not vulnerable", "safe"),
        ("Verdict: safe. A vulnerable contract would differ.", "safe"),
        ("The contract is not vulnerable.", "safe"),
        ("I see no reentrancy vulnerability here.", "safe"),
        ("This code isn\u2019t safe.", "vulnerable"),
        ("It is exploitable.", "vulnerable"),
        ("VULNERABLE or SAFE", None),
        ("Safe? It is vulnerable.", None),
        ("It may be vulnerable, it may be safe.", None),
        ("Safeguards exist.", None),
        ("", None),
    ],
)
def test_reading_verdicts(text: str, verdict: str | None) -> None:
    assert read_verdict(text) == verdict


def test_answers_in_the_source_are_removed() -> None:
    code = """
    /* @vulnerable_at_lines: 7 */
    contract VulnerableBank { // fixed version follows
        string url = "http://x.y/*not a comment*/";
        fixed128x18 rate;
        // <yes> <report> REENTRANCY
        function attack_fixed() public { VulnerableBank(this); }
    }"""
    bare = neutral(code)
    assert "REENTRANCY" not in bare and "report" not in bare and "vulnerable" not in bare.lower()
    assert '"http://x.y/*not a comment*/"' in bare and "fixed128x18" in bare
    name = re.search(r"contract (\w+)", bare)
    assert name is not None and bare.count(name.group(1)) == 2


def markdown(*samples: tuple[str, str]) -> str:
    parts = [f"### {name}\n\n```solidity\n{code}\n```\n" for name, code in samples]
    return "# Title\n\nUnprotected Thing\n\n## Samples\n\n" + "\n".join(parts)


def test_swc_layout(tmp_path: Path) -> None:
    docs = tmp_path / "entries" / "docs"
    docs.mkdir(parents=True)
    (docs / "SWC-999.md").write_text(
        markdown(
            ("a.sol", "contract A { uint x; }"),
            ("a_fixed.sol", "contract A { uint y; } // better"),
            ("alone.sol", "contract B {}"),
            ("long.sol", "contract C {" + "uint x;" * 900 + "}"),
            ("long_fixed.sol", "contract C {}"),
            ("same.sol", "contract D {}"),
            ("same_fixed.sol", "contract D {} // only a comment"),
            ("m_vulnerable.sol", "contract E { uint x; }"),
            ("m_not_vulnerable.sol", "contract E { uint y; }"),
        )
    )
    loaded = swc_pairs(tmp_path)
    assert [p.id for p in loaded.pairs] == ["swc-999/a", "swc-999/m"]
    assert {p.category for p in loaded.pairs} == {"unprotected-thing"}
    assert len(loaded.left_out) == 2 and "long" in loaded.left_out[0]
    audit_suite(loaded.pairs).validate()
    with pytest.raises(DataError, match="no contract pairs"):
        swc_pairs(tmp_path / "none")


def test_smartbugs_layout(tmp_path: Path) -> None:
    (tmp_path / "dataset" / "reentrancy").mkdir(parents=True)
    (tmp_path / "fixed" / "dataset" / "reentrancy").mkdir(parents=True)
    body = "// @vulnerable_at_lines: 1\ncontract A {{ uint {}; }} // <yes> <report> REENTRANCY"
    for name in ("one", "two"):
        (tmp_path / "dataset" / "reentrancy" / f"{name}.sol").write_text(body.format("x"))
    (tmp_path / "fixed" / "dataset" / "reentrancy" / "one.sol").write_text(body.format("y"))
    entries = [
        {"name": n, "path": p, "vulnerabilities": [{"lines": [1], "category": "reentrancy"}]}
        for n, p in (
            ("one", "dataset/reentrancy/one.sol"),
            ("two", "dataset/reentrancy/two.sol"),
            ("out", "../../../../etc/hostname"),
            ("gone", "dataset/reentrancy/gone.sol"),
        )
    ]
    (tmp_path / "vulnerabilities.json").write_text(json.dumps(entries))
    loaded = smartbugs_pairs(tmp_path)
    assert [(p.id, p.fixed is None) for p in loaded.pairs] == [
        ("smartbugs/reentrancy/one", False),
        ("smartbugs/reentrancy/two", True),
    ]
    assert len(loaded.left_out) == 2
    assert not any("REENTRANCY" in p.vulnerable for p in loaded.pairs)
    result = run(lambda case: case.facts["side"], loaded.pairs)
    figures = audit_figures(result.scores)
    # A contract without a twin shows what is flagged, and never counts as a pair.
    assert figures.flagged.n == 2 and figures.paired.n == 1 and figures.incomplete == 1
    (tmp_path / "vulnerabilities.json").unlink()
    plain = smartbugs_pairs(tmp_path / "dataset")
    assert [p.category for p in plain.pairs] == ["reentrancy", "reentrancy"]
    (tmp_path / "vulnerabilities.json").write_text("[1]")
    with pytest.raises(DataError, match="not SmartBugs"):
        smartbugs_pairs(tmp_path)


def test_an_empty_suite_is_refused() -> None:
    with pytest.raises(DataError, match="no contract pairs"):
        audit_suite([])
    lone = ContractPair("x/y", "something-else", "contract A {}", None, "mine")
    assert len(audit_suite([lone]).cases) == 1


@pytest.mark.slow
def test_the_carried_pairs_compile() -> None:
    from denizen.evm.solc import compile_source

    for pair in carried_pairs():
        for code in (pair.vulnerable, pair.fixed):
            assert code is not None
            compile_source(code)
