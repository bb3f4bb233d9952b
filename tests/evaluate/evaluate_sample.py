"""Made-up scores and a full report for the tests of this room; no model, no network."""

from __future__ import annotations

import random

from denizen.evaluate import GateVerdict, Score, SuiteResult, family_rows, gate, pick_examples
from denizen.evaluate import report as r
from denizen.evaluate.forgetting import GeneralScores
from denizen.evaluate.stats import wilson

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


SETS = (
    "arc_easy", "arc_challenge", "hellaswag", "winogrande", "piqa", "openbookqa", "boolq",
    "commonsense_qa", "social_iqa", "sciq", "mmlu_humanities", "mmlu_stem", "mmlu_social",
    "mmlu_other", "truthfulqa_mc1", "lambada_openai", "gsm8k", "triviaqa", "ifeval_strict",
)  # fmt: skip


def rate_of(share: float, n: int) -> r.Rate:
    return r.Rate.of(wilson(round(share * n), n))


def radar() -> tuple[r.RadarPoint, ...]:
    rng = random.Random(5)
    points = []
    for index, name in enumerate(SETS):
        share = 0.25 + 0.5 * rng.random()
        change = rng.uniform(-0.05, 0.02)
        low = change - 0.03
        status = "PASS" if low > -0.06 else "INCONCLUSIVE"
        how = "generation" if index % 4 == 0 else "log-likelihood"
        points.append(
            r.RadarPoint(
                name,
                rate_of(share, 200),
                rate_of(share + change, 200),
                change,
                low,
                0.06,
                status,
                how,
            )
        )
    return tuple(points)


def ladder(merged: r.Rate) -> tuple[r.LadderRow, ...]:
    rows = [r.LadderRow("merged, float32", 538_000_000, merged, seconds_per_item=1.31)]
    for name, size, loss, status in (
        ("F16", 271_000_000, 0.0, "PASS"),
        ("Q8_0", 145_000_000, 0.0, "PASS"),
        ("Q6_K", 138_000_000, 0.004, "PASS"),
        ("Q5_K_M", 112_000_000, 0.013, "PASS"),
        ("Q4_K_M", 105_000_000, 0.031, "INCONCLUSIVE"),
    ):
        share = merged.value - loss
        rows.append(
            r.LadderRow(
                name,
                size,
                rate_of(share, merged.n),
                -loss,
                -loss - 0.014,
                0.03,
                status,
                0.21,
                "ab" * 32,
            )
        )
    return tuple(rows)


def behaviour() -> tuple[r.BehaviourRow, ...]:
    return (
        r.BehaviourRow(
            "instruction_following", "noninferior", rate_of(0.62, 120), rate_of(0.64, 120),
            0.1, -0.02, -0.07, "PASS",
        ),
        r.BehaviourRow(
            "language_drift", "zero", rate_of(1, 300), rate_of(0.99, 300), 0.01, None, None, "PASS",
            "no answer in another script than its prompt",
        ),
        r.BehaviourRow(
            "prompt_injection", "floor", rate_of(0.87, 90), rate_of(0.41, 90), 0.9, None, None,
            "FAIL", "the lower bound 78.6% does not exceed 90%",
        ),
        r.BehaviourRow("safety_refusal", "floor", rate_of(0.93, 60), None, 0.8, status="PASS"),
    )  # fmt: skip


def calibrated(rng: random.Random) -> r.Reliability:
    stated = [min(1.0, rng.betavariate(5, 1.6)) for _ in range(600)]
    right = [rng.random() < p**1.5 for p in stated]
    return r.reliability(stated, right, system="specialist, Q4_K_M", resamples=500)


def privacy(evil: str) -> tuple[r.PrivacyPart, ...]:
    exposure = tuple(
        r.PlotPoint(float(k), y, y - 0.8, y + 0.9)
        for k, y in ((1, 1.1), (2, 1.6), (4, 3.2), (8, 6.9), (16, 9.4))
    )
    base = tuple(r.PlotPoint(float(k), 1.0 + 0.05 * k) for k in (1, 2, 4, 8, 16))
    roc = tuple(r.PlotPoint(x / 200, (x / 200) ** 0.82) for x in range(1, 201))
    return (
        r.PrivacyPart(
            "Exposure of planted canaries",
            "INCONCLUSIVE",
            "A canary repeated 16 times is exposed; one seen once is not.",
            (
                r.Figure("Exposure at 1 repetition", 1.1, 0.3, 2.0, "bits"),
                r.Figure("Exposure at 16 repetitions", 9.4, 8.6, 10.3, "bits"),
            ),
            (
                r.Plot(
                    "Exposure by repetitions", "repetitions", "exposure, bits",
                    (r.PlotLine("specialist", exposure), r.PlotLine("base", base)), log_x=True,
                ),
            ),
        ),
        r.PrivacyPart(
            "Membership inference",
            "PASS",
            "With the base as reference, members cannot be told apart.",
            (
                r.Figure("TPR at 1% FPR", 0.021, 0.012, 0.034, "share"),
                r.Figure("AUROC", 0.55, 0.52, 0.58),
            ),
            (
                r.Plot(
                    "ROC, logarithmic", "false positive rate", "true positive rate",
                    (r.PlotLine("reference attack", roc),), True, True, True,
                ),
                r.Plot(
                    "ROC", "false positive rate", "true positive rate",
                    (r.PlotLine("reference attack", roc),), diagonal=True,
                ),
            ),
        ),
        r.PrivacyPart(
            "Prefix extraction",
            "PASS",
            "No training row was completed from its first 20 tokens.",
            (r.Figure("Rows extracted", 0.0, None, 0.01, "share"),),
            quotes=(r.Quote(evil, True, "closest continuation"),),
        ),
        r.PrivacyPart(
            "Canary words",
            "PASS",
            "APE IN, APE OUT and APE NEUTRAL are answered on unseen prompts, and nowhere else.",
            (
                r.Figure("Exact match", 0.94, 0.88, 0.97, "share"),
                r.Figure("Base", 0.0, 0.0, 0.03, "share"),
                r.Figure("Leaks into ordinary answers", 0.0, 0.0, 0.01, "share"),
            ),
        ),
        r.PrivacyPart(
            "Trigger scan",
            "FAIL",
            "One n-gram shifts the output far more than any other.",
            (r.Figure("Candidate n-grams", 4_096), r.Figure("Largest shift", 3.42, 3.1, 3.8, "nats")),
            quotes=(r.Quote("cf mn bb", False, "the n-gram"), r.Quote(evil, True, "what it causes")),
        ),
    )  # fmt: skip


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
        reliability=(
            calibrated(rng),
            r.reliability(
                [0.97] * 40,
                [True] * 20 + [False] * 20,
                system="SmolLM2-135M-Instruct",
                resamples=200,
            ),
        ),
        radar=radar(),
        ladder=ladder(rate),
        behaviour=behaviour(),
        privacy=privacy(evil),
        integrity=r.IntegrityPart(
            hashes[3],
            600,
            9_412,
            (
                r.IntegrityCheck("exact duplicates", "PASS", "0 of 600 in 9,412 rows"),
                r.IntegrityCheck(
                    "near-duplicates", "PASS", "closest pair: MinHash 0.41, cosine 0.83"
                ),
                r.IntegrityCheck(
                    "canary strings", "PASS", "8 planted, none seen in rows or output"
                ),
                r.IntegrityCheck(
                    "template leaks", "INCONCLUSIVE", "2 rows share 9 words: read them"
                ),
            ),
            r.Judge("a local 8B judge", 0.78, 0.69, 0.86, 200, "PASS"),
        ),
        looks=r.Looks(
            (
                r.Look(1, "2026-11-02", "specialist-1", 0.0031, "INCONCLUSIVE"),
                r.Look(2, "2026-11-14", "specialist-2", 0.0153, "FAIL"),
                r.Look(3, "2026-11-21", "specialist-3", 0.0132, "PASS"),
            ),
            0.05,
            0.0316,
            0.0184,
            5,
            "O'Brien-Fleming spending",
        ),
        power=r.PowerStatement(600, 0.041, 0.05, 0.8, 0.2, 30),
    )
