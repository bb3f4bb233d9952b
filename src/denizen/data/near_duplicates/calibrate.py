"""Where the thresholds come from: what is normal, what planted copies score, what is lost.

Contract: `calibrate(rows, items, embedder)` compares honest rows with the exam (the similarity of
wordings written apart is what is normal) and then planted copies, kind by kind; it returns the
how many of each every detector catches, and how many honest rows it refuses.  `python -m
denizen.data.near_duplicates.calibrate` measures the project's own data and prints the table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from denizen.data.near_duplicates.check import ExamItem, TrainingRow, compare
from denizen.data.near_duplicates.planting import PLANTS, paraphrases, plant
from denizen.data.near_duplicates.report import KINDS, NearDuplicateReport, Thresholds

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds


@dataclass(frozen=True)
class Planted:
    """How many of `n` planted copies each detector refused; `any` is all together."""

    plant: str
    n: int
    caught: dict[str, int]


@dataclass(frozen=True)
class Calibration:
    """Natural similarities, refused honest rows, and the planted copies caught."""

    thresholds: Thresholds
    honest: NearDuplicateReport
    planted: tuple[Planted, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            "thresholds": asdict(self.thresholds),
            "honest": self.honest.to_json(),
            "planted": [asdict(p) for p in self.planted],
        }


@dataclass(frozen=True)
class _Row:
    id: str
    question: str


def calibrate(
    rows: Sequence[TrainingRow],
    items: Sequence[ExamItem],
    embedder: Embeds | None = None,
    thresholds: Thresholds | None = None,
    seed: int = 1,
) -> Calibration:
    """Measure the thresholds on honest rows and on planted copies of every item."""
    limits = thresholds or Thresholds()
    made = [_caught(kind, plant(items, kind, seed), items, embedder, limits) for kind in PLANTS]
    known = {item.id for item in items}
    reworded = [pair for pair in paraphrases() if pair[0] in known]
    if reworded:
        made.append(_caught("paraphrase by hand", reworded, items, embedder, limits))
    return Calibration(limits, compare(rows, items, embedder, limits), tuple(made))


def _caught(
    name: str,
    copies: Sequence[tuple[str, str]],
    items: Sequence[ExamItem],
    embedder: Embeds | None,
    limits: Thresholds,
) -> Planted:
    rows = [_Row(f"planted/{i}", text) for i, text in copies]
    # Down to the review threshold in one go; what is refused is told from the similarity.
    report = compare(rows, items, embedder, replace(limits, embedding=limits.review))
    refused = [p for p in report.refused if p.similarity >= limits.of(p.kind) - 1e-4]
    caught = {kind: len({p.row for p in refused if p.kind == kind}) for kind in KINDS}
    together = {
        "any": len({pair.row for pair in refused}),
        "any or review": len(report.refused_rows),
    }
    return Planted(name, len(copies), caught | together)


def table(found: Calibration) -> str:
    """The calibration as Markdown."""
    columns = [*KINDS, "any", "any or review"]
    lines = [
        f"| planted (n) | {' | '.join(columns)} |",
        f"|{'---|' * (len(columns) + 1)}",
    ]
    for row in found.planted:
        cells = [f"{row.caught[name] / row.n:.1%}" for name in columns]
        lines.append(f"| {row.plant} ({row.n}) | {' | '.join(cells)} |")
    lines += ["", f"honest rows: {found.honest.sentence}"]
    for kind in found.honest.kinds:
        quantiles = " ".join(map(str, kind.nearest_item_quantiles))
        lines.append(
            f"{kind.kind}: threshold {kind.threshold}, refused {kind.refused}, "
            f"to review {len(kind.review)}, nearest row of an item 50/90/99/100%: {quantiles}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the carried exam against 6,000 rows of every family's training templates."""
    from denizen.data.build import build_rows
    from denizen.data.holdout import load_holdout
    from denizen.models.embedder import Embedder
    from denizen.tasks import suite_of

    items = load_holdout()
    rows, _ = build_rows(6000, 3, items, suite=suite_of("all"), system="")
    sys.stdout.write(table(calibrate(rows, items, Embedder.load())) + "\n")


if __name__ == "__main__":
    main()
