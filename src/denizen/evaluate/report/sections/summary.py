"""What a reader sees first: the verdict, four figures, and what the holdout could show at all."""

from __future__ import annotations

from denizen.evaluate.gate import Status
from denizen.evaluate.report.data import ReportData
from denizen.evaluate.report.text import duration, e, interval, percent, size

WORDS = {
    Status.PASS: "Proven on unseen questions.",
    Status.FAIL: "Do not release this model.",
    Status.INCONCLUSIVE: "Not proven, and not disproven.",
}


def verdict(data: ReportData) -> str:
    judged = data.verdict
    more = ""
    if judged.n_needed is not None:
        more = (
            f'<p class="next">About {judged.n_needed:,} paired items would settle the largest '
            "open question.</p>"
        )
    if (power := data.power) is not None:
        more += f'<p class="next">{e(power_sentence(data))}</p>'
        if power.clusters:
            more = more.removesuffix("</p>") + f" It holds {power.clusters:,} templates.</p>"
    return (
        f'<div class="verdict {e(judged.status)}"><b>{e(judged.status)}</b>'
        f"<p>{WORDS[judged.status]} {e(judged.sentence)}</p>{more}</div>"
    )


def power_sentence(data: ReportData) -> str:
    """What was told before the run; "" without a power statement."""
    power = data.power
    if power is None:
        return ""
    share = ""
    if power.discordance is not None:
        share = f" when the two disagree on {percent(power.discordance)} of the questions"
    return (
        f"Told before the run: {power.n:,} paired items can detect "
        f"{100 * power.detectable:.1f} points{share}, at \u03b1 = {power.alpha:g} with power "
        f"{percent(power.power)}."
    )


def tile_rows(data: ReportData) -> list[tuple[str, str, str]]:
    """(name, figure, note) of the most telling figures; the page and the Markdown show the same."""
    tiles: list[tuple[str, str, str]] = []
    if (total := data.overall) is not None:
        span = interval(total.specialist.low, total.specialist.high)
        tiles += [
            ("Exact answers", percent(total.specialist.value), f"95% interval {span}"),
            ("Before training", percent(total.base.value), f"the same {total.base.n} questions"),
            (
                "Won / lost",
                f"{total.wins} / {total.losses}",
                "questions only the specialist, or only the base, got right",
            ),
        ]
    if data.stages:
        longest = max(data.stages, key=lambda stage: stage.seconds)
        took = duration(sum(stage.seconds for stage in data.stages))
        note = f"longest stage: {longest.name}, {duration(longest.seconds)}"
        tiles.append(("Made in", took, note))
    elif (quant := data.quantisation) is not None and quant.bytes_after:
        tiles.append(("Ships as", size(quant.bytes_after), quant.kind))
    return tiles


def tiles(data: ReportData) -> str:
    body = "".join(
        f'<div class="tile"><span>{e(label)}</span><b>{e(value)}</b><small>{e(note)}</small></div>'
        for label, value, note in tile_rows(data)
    )
    return f'<div class="tiles">{body}</div>' if body else ""
