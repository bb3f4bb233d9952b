"""Evidence for the report beyond the holdout: ladder, general sets, behaviour, audits, looks.

Contract: pure reading of a finished line's stages and verdict; every figure comes from a score
file, a stage record or the ledger, and what was not asked is absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from denizen.evaluate import GateVerdict
from denizen.evaluate.general import compare_sets
from denizen.evaluate.report import (
    IntegrityCheck,
    IntegrityPart,
    LadderRow,
    Look,
    Looks,
    PowerStatement,
    PrivacyPart,
    RadarPoint,
    Reliability,
    Shipped,
    ladder_rows,
    privacy_parts,
    radar_points,
    reliability,
)
from denizen.improve.conduct import PUBLIC

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine


def ladder(line: MainLine, verdict: GateVerdict) -> tuple[LadderRow, ...]:
    """The merged model and every GGUF that was judged."""
    merged = line.stages.artefact(line.done["merge"], "merged")
    size = sum(path.stat().st_size for path in merged.path.glob("*.safetensors"))
    quants = {}
    for place, quant in enumerate(line.exporting.rungs):
        gguf = line.exporting.gguf(quant)
        scores = line.scoring.result(quant if place else "shipped")
        quants[quant] = Shipped(scores, gguf.path.stat().st_size, gguf.hash)
    return ladder_rows(verdict, Shipped(line.scoring.result("merged"), size, merged.hash), quants)


def radar(line: MainLine) -> tuple[RadarPoint, ...]:
    """The public sets one by one, base against the file that ships."""
    if not line.conduct.sets:
        return ()
    before, after = (line.conduct.result(PUBLIC, name) for name in ("base", "shipped"))
    return radar_points(compare_sets(before, after, line.config.evaluate.public_margin))


def calibration(line: MainLine) -> tuple[Reliability, ...]:
    """How far the file's own confidence in its choices is to be believed."""
    shipped = line.scoring.result("shipped")
    told = [(s.confidence, s.ok) for s in shipped.scores if s.confidence is not None]
    if len(told) < len(shipped.scores):
        return ()
    confidences, outcomes = zip(*told, strict=True)
    return (
        reliability(
            confidences, outcomes, system=shipped.system, measure="probability of its choices"
        ),
    )


def looks(line: MainLine, verdict: GateVerdict) -> Looks | None:
    """Every look at this holdout, from the ledger."""
    looked = line.gating.looked
    if looked is None:
        return None
    known = line.gating.ledger.looks(line.gating.exam_hash)
    rows = tuple(
        Look(
            one.number,
            "",
            one.candidate[:12],
            one.alpha,
            verdict.status.value if one.entry == looked.entry else "",
        )
        for one in known
    )
    planned = line.config.evaluate.looks or None
    rule = "O'Brien-Fleming spending" if planned else "alpha / (k (k + 1)) for look k"
    return Looks(rows, looked.total, looked.spent, looked.left, planned, rule)


def power(line: MainLine, verdict: GateVerdict) -> PowerStatement:
    """What this sample could have detected, at the level the look was given."""
    told = line.power(verdict.alpha)
    return PowerStatement(told.n, told.detectable, told.alpha, told.power, told.discordance)


def integrity(line: MainLine, verdict: GateVerdict) -> IntegrityPart:
    """The frozen exam and what guards it."""
    data = line.done["data"].figures
    wanted = ("near duplicates", "holdout canary")
    checks = [
        IntegrityCheck("Frozen by hash", "PASS", "the holdout's files have the hashes they should"),
        IntegrityCheck(
            "Leaks of templates, pools and numbers",
            "PASS",
            f"{data['leaks']['rows']:,} rows against {data['leaks']['holdout']:,} items; nearest "
            f"wording {data['leaks']['nearest']:.2f}",
        ),
    ]
    checks += [
        IntegrityCheck(c.name.capitalize(), c.status.value, c.sentence)
        for c in verdict.checks
        if c.name in wanted
    ]
    rows = int(data["leaks"]["rows"])
    judge = line.judging.row()
    return IntegrityPart(line.gating.exam_hash, len(line.holdout), rows, tuple(checks), judge)


def privacy(line: MainLine) -> tuple[PrivacyPart, ...]:
    """Every audit with its figures."""
    report = line.auditing.report()
    return privacy_parts(report.to_dict()) if report else ()
