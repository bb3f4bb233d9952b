"""Fill the report from a finished run: every figure comes from a stage record or a score file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from denizen import __version__
from denizen.evaluate import GateVerdict, ReportData, compare_general, family_rows, pick_examples
from denizen.evaluate.report import Artefact as Node
from denizen.evaluate.report import (
    ForgettingLeg,
    LedgerRow,
    Quantisation,
    Rate,
    Stage,
    SystemRow,
    TokenParity,
    Training,
    TrainingPoint,
)
from denizen.evaluate.report.rails import guard_rails
from denizen.evaluate.stats import wilson
from denizen.evaluate.suites import BEHAVIOURS
from denizen.evm import certificate
from denizen.improve import evidence
from denizen.project import Artefact, source_hash
from denizen.protocols import swap_sample

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine


def report_data(line: MainLine, verdict: GateVerdict, gguf: Artefact, seconds: float) -> ReportData:
    """Everything the report says about a run."""
    base, merged, shipped = (line.scoring.result(n) for n in ("base", "merged", "shipped"))
    overall, families = family_rows(base, shipped, verdict)
    previous = [True] if line.scoring.scored("previous") else []
    systems = tuple(
        SystemRow(r.system, Rate.of(wilson(r.passed, r.n)), _seconds(r.scores), note)
        for r, note in (
            (base, "same prompt and grammar as the specialist"),
            (merged, "float32"),
            (shipped, "the file that ships"),
            *((line.scoring.result("previous"), "its file, scored again") for _ in previous),
        )
    )
    return ReportData(
        title=f"{line.config.name}: specialist report",
        created=datetime.now(UTC).isoformat("T", "seconds"),
        command=line.run.record.command,
        version=__version__,
        base=line.entry.id,
        specialist=gguf.path.name,
        verdict=verdict,
        overall=overall,
        families=families,
        systems=systems,
        examples=pick_examples(base, shipped),
        training=_training(line),
        rails=guard_rails(line.done["train"].figures["training"]),
        ledger=_ledger(line),
        quantisation=_quantisation(line, verdict, merged, shipped, gguf),
        parity=_parity(line),
        forgetting=_forgetting(line),
        lineage=_lineage(line, gguf),
        stages=tuple(Stage(s.name, s.seconds) for s in line.done.values()),
        machine=_machine(line),
        limits=_limits(line),
        reliability=evidence.calibration(line),
        radar=evidence.radar(line),
        ladder=evidence.ladder(line, verdict),
        privacy=evidence.privacy(line),
        integrity=evidence.integrity(line, verdict),
        looks=evidence.looks(line, verdict),
        power=evidence.power(line, verdict),
    )


def _seconds(scores: object) -> float | None:
    rows = list(scores)  # type: ignore[call-overload]
    return round(sum(s.seconds for s in rows) / len(rows), 3) if rows else None


def _training(line: MainLine) -> Training:
    figures = line.done["train"].figures["training"]
    points = tuple(
        TrainingPoint(p["step"], p["loss"], p["tokens_per_second"]) for p in figures["points"]
    )
    facts = {
        "steps": f"{figures['steps']:,}",
        "trainable parameters": f"{figures['trainable']:,}",
        "precision": figures["precision"],
        "checkpointing": "on" if figures["checkpointing"] else "off",
        "memory forecast": f"{figures['memory_forecast'] / 2**30:.1f} GiB",
        "padded tokens": f"{figures['padded_tokens']:,}",
    }
    return Training(points, facts)


def _ledger(line: MainLine) -> tuple[LedgerRow, ...]:
    ledger = line.done["train"].figures["ledger"]
    kept = ledger["tokens_kept"]
    replayed = (
        LedgerRow("rows replayed", ledger.get("replayed_rows", 0), "rows", note="the base's own"),
    )
    return (
        LedgerRow("rows in", ledger["rows_in"], "rows"),
        LedgerRow("rows dropped", ledger["rows_dropped"], "rows"),
        LedgerRow("tokens in", ledger["tokens_in"]),
        LedgerRow("supervised", ledger["supervised"], share=ledger["supervised"] / kept),
        LedgerRow("forced by the grammar", ledger["forced"], note="answer tokens not trained on"),
        LedgerRow("truncated", ledger["truncated"], note="rows are never cut in silence"),
        LedgerRow("dropped", ledger["dropped"]),
        *(replayed if ledger.get("replayed_rows") else ()),
    )


def _quantisation(
    line: MainLine, verdict: GateVerdict, merged: object, shipped: object, gguf: Artefact
) -> Quantisation | None:
    check = next((c for c in verdict.checks if c.name == "quantisation"), None)
    if check is None:
        return None
    from denizen.evaluate import SuiteResult

    assert isinstance(merged, SuiteResult) and isinstance(shipped, SuiteResult)
    before = line.stages.artefact(line.done["merge"], "merged").path.glob("*.safetensors")
    return Quantisation(
        line.config.export.quant.upper(),
        Rate.of(wilson(merged.passed, merged.n)),
        Rate.of(wilson(shipped.passed, shipped.n)),
        check.figure,
        check.low,
        line.config.export.quant_margin,
        sum(shard.stat().st_size for shard in before),
        gguf.path.stat().st_size,
    )


def _parity(line: MainLine) -> TokenParity:
    proof = line.done["export"].figures["parity"]
    return TokenParity(proof["conversations"], proof["tokens"], not proof["mismatches"])


def _forgetting(line: MainLine) -> ForgettingLeg:
    margin = line.config.evaluate.forgetting_margin
    found = compare_general(line.scoring.general("base"), line.scoring.general("shipped"), margin)
    return ForgettingLeg(
        Rate.of(found.before),
        Rate.of(found.after),
        found.test.value,
        found.test.low,
        margin,
        found.drift.value,
        found.drift.low,
        found.drift.high,
    )


_ORIGINS = ("real v4 swaps", "exact engine")


def _rows_from(line: MainLine) -> tuple[str, str]:
    return "training rows", "a file of your own" if line.config.train.data else "rows"


def _lineage(line: MainLine, gguf: Artefact) -> tuple[Node, ...]:
    rows = line.stages.artefact(line.done["data"], "rows")
    adapter = line.stages.artefact(line.done["train"], "adapter")
    merged = line.stages.artefact(line.done["merge"], "merged")
    proof = certificate.find(line.workspace)
    return (
        Node("real v4 swaps", "source", swap_sample.SHA256),
        Node(
            "exact engine",
            "certificate" if proof else "not certified",
            proof.hash if proof else source_hash("protocols"),
            note=proof.line() if proof else "run `denizen protocols certify`",
        ),
        Node(
            "holdout", "exam", line.sample_hash, note=f"{len(line.sample)} items, never trained on"
        ),
        Node(line.entry.id, "base model", line.files.hash),
        Node(*_rows_from(line), rows.hash, () if line.config.train.data else _ORIGINS),
        Node("adapter", line.config.adapter.method, adapter.hash, ("training rows", line.entry.id)),
        Node("merged model", "float32", merged.hash, ("adapter", line.entry.id)),
        Node(gguf.path.name, "GGUF", gguf.hash, ("merged model",)),
    )


def _machine(line: MainLine) -> dict[str, str]:
    machine = dict(line.run.record.machine)
    libraries = machine.pop("libraries", {})
    flat = {key.replace("_", " "): str(value) for key, value in machine.items()}
    return flat | {name: str(version) for name, version in libraries.items()}


def _limits(line: MainLine) -> tuple[str, ...]:
    truth = line.done["ground truth"].figures
    return (
        f"Scored on {len(line.sample)} of {len(line.holdout)} frozen holdout items.",
        f"The engine reproduces {truth['reproduced']} of {truth['swaps']} carried real swaps "
        "exactly; the others crossed a tick, which an event alone does not show.",
        f"Questions outside the {len(line.suite.names)} families are not covered by this proof.",
        *_unasked(line),
    )


def _unasked(line: MainLine) -> tuple[str, ...]:
    """What the gate could have asked and was not told to."""
    evaluate = line.config.evaluate
    found = []
    missing = [name for name in BEHAVIOURS if name not in {s.name for s in line.conduct.suites}]
    if missing:
        found.append(f"Behaviour suites not asked (evaluate.suites): {', '.join(missing)}.")
    if not evaluate.public_sets:
        found.append("Public general sets not asked (evaluate.public_sets).")
    if not evaluate.privacy:
        found.append("What the model remembers was not audited (evaluate.privacy).")
    return tuple(found)
