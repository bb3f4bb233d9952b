"""The report's section on what watched the run: rewards, hacking, forgetting, early stopping.

Contract: `guard_rails` takes the training figures of a run's record as plain data (the curve's
points with their metrics, each guard's summary) and keeps what there is; `rails_section` draws it,
and draws nothing where nothing watched.  Forgetting in nats a token, lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from denizen.evaluate.report import draw
from denizen.evaluate.report.data import GuardRails, HackingCheck, Trend
from denizen.evaluate.report.parts import section, table, tag
from denizen.evaluate.report.text import e

# A metric of the curve, its title, and what it means.
_METRICS = (
    ("reward", "Reward", "mean over the sampled answers"),
    ("reward_answer", "Right answers", "share of the sampled answers that are exactly right"),
    ("reward_format", "Readable answers", "share that holds a call or an object"),
    ("entropy", "Entropy", "nats a token that was a choice"),
    ("length", "Length of answers", "tokens"),
    ("kl", "Distance from the start", "KL to the reference, nats a token"),
    ("zero_advantage", "Groups with equal rewards", "share; nothing is learnt from them"),
)


def guard_rails(training: Mapping[str, Any]) -> GuardRails | None:
    """Of the figures of a train stage (`points`, `guards`, `stopped`); None if nothing watched."""
    points, guards = training.get("points", ()), training.get("guards", {})
    trends = [_of_curve(points, *metric) for metric in _METRICS]
    if (probe := guards.get("forgetting")) is not None:
        note = "nats a token the base's own answers to neutral questions have lost"
        trends.append(_of_saves("Forgetting", probe["trend"], note, probe["limit"] or None))
    if (early := guards.get("development")) is not None:
        note = f"loss on {early['items']} development items; saved: step {early['best']}"
        trends.append(_of_saves("Development loss", early["trend"], note))
    found = guards.get("hacking", {}).get("findings", ())
    checks = tuple(HackingCheck(f["name"], f["flagged"], f["sentence"]) for f in found)
    drawn = tuple(trend for trend in trends if trend.points)
    stopped = str(training.get("stopped", ""))
    return GuardRails(drawn, checks, stopped) if drawn or checks or stopped else None


def _of_curve(points: Sequence[Mapping[str, Any]], key: str, name: str, note: str) -> Trend:
    seen = [(p["step"], p["metrics"][key]) for p in points if key in p.get("metrics", {})]
    return Trend(name, tuple(seen), note)


def _of_saves(
    name: str, trend: Sequence[Sequence[float]], note: str, limit: float | None = None
) -> Trend:
    return Trend(name, tuple((int(step), value) for step, value in trend), note, limit)


def rails_section(rails: GuardRails | None) -> str:
    """Markup of the section; "" without rails."""
    if rails is None:
        return ""
    stopped = ""
    if rails.stopped:
        stopped = (
            f'<div class="card ex"><p>{tag("stopped early", "INCONCLUSIVE")} '
            f"{e(rails.stopped)}</p></div>"
        )
    charts = "".join(map(_chart, rails.trends))
    pictures = f'<div class="pair">{charts}</div>' if charts else ""
    return section(
        "What watched the run",
        "Figures that say whether training went wrong while the loss looked well. None of them "
        "looks at the holdout.",
        stopped + pictures + _checks(rails.checks),
    )


def _chart(trend: Trend) -> str:
    seen = [(step, value) for step, value in trend.points if value is not None]
    picture = draw.curve(
        [step for step, _ in seen],
        [value for _, value in seen],
        name=f"{trend.name} by step",
        smooth=len(seen) > 24,
    )
    if not picture and seen:
        picture = f'<p class="big">{seen[-1][1]:.3g}</p>'
    limit = f"; the limit is {trend.limit:g}" if trend.limit is not None else ""
    return (
        f'<div class="card"><h3>{e(trend.name)} by step</h3>{picture}'
        f"<p>{e(trend.note)}{limit}</p></div>"
    )


def _checks(checks: Sequence[HackingCheck]) -> str:
    if not checks:
        return ""
    words = {
        True: ("look", "wrong"),
        False: ("clear", "right"),
        None: ("not judged", "INCONCLUSIVE"),
    }
    rows = [(e(c.name.capitalize()), tag(*words[c.flagged]), e(c.sentence)) for c in checks]
    head = (("Reward hacking", "lead"), ("Finding", ""), ("What was seen", ""))
    return f'<div class="card ex">{table(head, rows)}</div>'
