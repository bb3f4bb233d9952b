"""The cost-quality and risk curves as a picture file, for slides and papers (matplotlib).

Contract: `draw` writes a .png or .svg; the page's own charts are inline and need no library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project.errors import ConfigError

if TYPE_CHECKING:
    from denizen.serve.route.report import RouteReport


def check_target(path: Path) -> None:
    """Raises ConfigError for a file that cannot be drawn to, before anything is computed."""
    if path.suffix not in (".png", ".svg") or not path.parent.is_dir():
        raise ConfigError(
            "cannot draw there",
            where=f"--plot {path}",
            fix="name a .png or .svg file in a folder that exists",
        )


def draw(report: RouteReport, path: Path) -> None:
    """Quality (if a frontier answered) and risk against the share that escalates."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from denizen.project.atomic import atomic_path

    count = 1 + bool(report.lines)
    figure, axes = plt.subplots(1, count, figsize=(6 * count, 4.5), layout="constrained")
    panels = list(axes) if count > 1 else [axes]
    if report.lines:
        for line in report.lines:
            panels[0].plot(*zip(*line.points, strict=True), label=line.name)
        panels[0].axvline(report.budget, linestyle=":", color="grey")
        panels[0].set(xlabel="share escalated", ylabel="share right", title="Quality")
        panels[0].legend()
    points = sorted(report.risk_curve)
    shares = [x for x, _, _ in points]
    panels[-1].plot(shares, [y for _, y, _ in points], label="observed")
    panels[-1].plot(shares, [y for _, _, y in points], label="bound")
    panels[-1].axhline(report.promise, linestyle="--", color="grey", label="promised")
    panels[-1].set(xlabel="share escalated", ylabel="wrong among local answers", title="Risk")
    panels[-1].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=140, format=path.suffix[1:])
    plt.close(figure)
