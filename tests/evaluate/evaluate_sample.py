"""Made-up scores and a full report for the tests of this room; no model, no network."""

from __future__ import annotations

import random

from denizen.evaluate import GateVerdict, Score, SuiteResult, family_rows, gate, pick_examples
from denizen.evaluate import report as r
from denizen.evaluate.forgetting import GeneralScores

FAMILIES = (
    "fee_mechanics",
    "swap_quote",
    "position_value",
    "impermanent_loss",
    "fee_apr",
    "range_state",
)
EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>\u202egnp.exe & more'


def suite(
    system: str, rates: float | dict[str, float], n: int = 40, seed: int = 1, templates: int = 5
) -> SuiteResult:
    rng = random.Random(f"{system}-{seed}")
    scores = []
    for family in FAMILIES:
        rate = rates if isinstance(rates, float) else rates[family]
        for i in range(n):
            ok = rng.random() < rate
            scores.append(
                Score(
                    item_id=f"{family}-{i:03d}",
                    family=family,
                    cluster=f"{family}/t{i % templates}@v{2 + i % 3}",
                    version=f"v{2 + i % 3}",
                    difficulty="normal",
                    prompt=f"A pool holds 1,200 ETH and {i + 3}.1M USDC at a fee of 0.3%. "
                    "What does a swap of 25 ETH return, and what is its price impact?",
                    output=f'{{"tool": "swap_quote", "amount_in": "25 ETH", "pool": {i}}}'
                    if ok
                    else "The swap returns about 25 USDC because the pool is balanced. " * 3,
                    answer="61,102.55 USDC" if ok else None,
                    expected="61,102.55 USDC",
                    ok=ok,
                    score=float(ok),
                    tokens=31,
                    seconds=0.2,
                )
            )
    return SuiteResult(system, tuple(scores), f"artefact-{system}")


def general(ok: int, n: int = 64, drift: float = 0.0) -> GeneralScores:
    ids = tuple(f"q{i}" for i in range(n))
    outcomes = tuple(i < ok for i in range(n))
    return GeneralScores(
        ids, outcomes, tuple(0.1 if x else -0.1 for x in outcomes), (-3.5 + drift,) * 4
    )


def verdict() -> tuple[GateVerdict, SuiteResult, SuiteResult, SuiteResult]:
    spec = {name: 0.78 + 0.03 * i for i, name in enumerate(FAMILIES)}
    base, merged = suite("base", 0.06), suite("merged", spec)
    shipped = SuiteResult("specialist-gguf", merged.scores, "artefact-gguf")
    return (
        gate(
            base, shipped, reference=merged, forgetting=(general(41), general(40)), resamples=2000
        ),
        base,
        merged,
        shipped,
    )


def report_data(evil: str = EVIL) -> r.ReportData:
    judged, base, _merged, shipped = verdict()
    overall, families = family_rows(base, shipped, judged)
    rng = random.Random(3)
    points = tuple(
        r.TrainingPoint(
            step,
            3.2 * 2.718 ** (-step / 18) + 0.05 + rng.random() * 0.25 * 2.718 ** (-step / 40),
            610 + rng.random() * 60,
        )
        for step in range(1, 121)
    )
    examples = (
        *pick_examples(base, shipped),
        r.Example("swap_quote", f"Question with {evil}", evil, evil, False, True, evil, evil),
    )
    rate = overall.specialist
    general_rate = r.Rate(0.64, 0.52, 0.75, 64)
    hashes = [f"{i:x}" * 64 for i in range(1, 10)]
    return r.ReportData(
        title="Denizen quickstart",
        created="2026-11-21 04:30 UTC",
        command="denizen quickstart --workspace runs/first",
        version="0.1.0",
        base="SmolLM2-135M-Instruct",
        specialist="specialist, Q4_K_M",
        verdict=judged,
        overall=overall,
        families=families,
        systems=(
            r.SystemRow("specialist, Q4_K_M", rate, 0.21, "135 M parameters, 105 MB"),
            r.SystemRow(
                "Qwen2.5-Coder-1.5B", r.Rate(0.41, 0.35, 0.47, 240), 1.9, "same calculator"
            ),
            r.SystemRow("SmolLM2-135M-Instruct", overall.base, 0.33),
        ),
        examples=examples,
        training=r.Training(
            points,
            {
                "Method": "LoRA, rank 16, all linear layers",
                "Rows": "1,200 seen once",
                "Learning rate": "1e-3, cosine",
                "Precision": "float32 (bf16 is emulated on this processor)",
            },
        ),
        ledger=(
            r.LedgerRow("In", 148_220, share=1.0),
            r.LedgerRow("Supervised", 61_930, share=0.418, note="completion only"),
            r.LedgerRow("Truncated", 0, share=0.0),
            r.LedgerRow("Rows dropped", 0, "rows", 0.0),
        ),
        quantisation=r.Quantisation(
            "Q4_K_M", rate, rate, -0.004, -0.017, 0.03, 538_000_000, 105_000_000
        ),
        parity=r.TokenParity(12, 1_874, True),
        forgetting=r.ForgettingLeg(
            general_rate, r.Rate(0.625, 0.5, 0.73, 64), -0.016, -0.069, 0.1, -0.112, -0.19, -0.04
        ),
        lineage=(
            r.Artefact("Uniswap v4 swaps", "source", hashes[0], note="6,000 events, Base"),
            r.Artefact("SmolLM2-135M-Instruct", "base model", hashes[1]),
            r.Artefact("training rows", "rows", hashes[2], ("Uniswap v4 swaps",)),
            r.Artefact("holdout", "frozen", hashes[3], ("Uniswap v4 swaps",)),
            r.Artefact("adapter", "LoRA", hashes[4], ("training rows", "SmolLM2-135M-Instruct")),
            r.Artefact("merged", "safetensors", hashes[5], ("adapter",)),
            r.Artefact("specialist.gguf", "Q4_K_M", hashes[6], ("merged", "holdout")),
        ),
        stages=(
            r.Stage("data", 14.2),
            r.Stage("training", 402.0),
            r.Stage("evaluation", 201.5),
            r.Stage("export", 31.0),
        ),
        machine={
            "Processor": "2 cores, AVX-512",
            "Memory": "24 GiB, peak 3.1 GiB",
            "Python": "3.11",
        },
        limits=(
            "The holdout is generated by the same engine that verifies it; real words vary more.",
            "64 general questions only show large losses of general ability.",
        ),
    )
