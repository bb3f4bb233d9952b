"""What is proven of a release, as plain data: differences, calibration, behaviour, trust.

Contract: frozen dataclasses with defaults, JSON-serialisable; `ReportData` holds them and every one
is optional, so an older report still loads.  Rates, differences and margins are fractions of 1
(never percent), sizes bytes, times seconds.  `status` is a gate's word (PASS, FAIL, INCONCLUSIVE)
or "" where nothing was judged.  Text may be model output: it is untrusted, the renderers escape it.
"""

from __future__ import annotations

from dataclasses import dataclass

from denizen.evaluate.stats import Proportion


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its interval, in [0, 1]."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, proportion: Proportion) -> Rate:
        return cls(proportion.value, proportion.low, proportion.high, proportion.n)


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A paired difference (candidate - `against`) with its interval.

    `threshold` is what `low` must exceed: 0 for superiority, minus the margin for non-inferiority.
    """

    name: str
    difference: float
    low: float
    high: float
    n: int
    against: str = ""
    kind: str = "superiority"
    status: str = ""
    threshold: float = 0.0
    p: float | None = None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers of like confidence: their mean confidence and how many were right."""

    low: float
    high: float
    confidence: float
    accuracy: Rate


@dataclass(frozen=True, slots=True)
class Reliability:
    """Stated confidence against accuracy. `ece`: expected calibration error (Naeini et al. 2015).

    `chance` is the ECE that a perfectly calibrated model of this size would stay under 95 times in
    100: an `ece` below it shows no miscalibration.
    """

    system: str
    measure: str
    bins: tuple[ReliabilityBin, ...]
    ece: float
    low: float
    high: float
    n: int
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class RadarPoint:
    """One public set before and after; `low` is the one-sided bound of the difference."""

    set: str
    before: Rate
    after: Rate
    difference: float
    low: float
    margin: float | None = None
    status: str = ""
    scoring: str = ""


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One quant's file on the holdout; difference and one-sided bound are to the merged model.

    The merged model itself is a row without them.
    """

    quant: str
    bytes: int
    accuracy: Rate
    difference: float | None = None
    low: float | None = None
    margin: float | None = None
    status: str = ""
    seconds_per_item: float | None = None
    hash: str = ""


@dataclass(frozen=True, slots=True)
class BehaviourRow:
    """One behaviour suite. `rule`: "noninferior", "floor" or "zero" (see `suites.base`).

    `limit` is the rule's figure: the margin, the floor, or the failure rate to be excluded. A
    suite that was not finished has no rates.
    """

    suite: str
    rule: str
    candidate: Rate | None
    base: Rate | None = None
    limit: float | None = None
    difference: float | None = None
    low: float | None = None
    status: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class PlotPoint:
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class PlotLine:
    name: str
    points: tuple[PlotPoint, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over one pair of axes; `diagonal` draws y = x, e.g. where an ROC curve is chance.

    Logarithmic axes leave out what is not above zero.
    """

    name: str
    x: str
    y: str
    lines: tuple[PlotLine, ...]
    log_x: bool = False
    log_y: bool = False
    diagonal: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A named number with its interval; `unit` is "share" (shown as percent), or any word."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """A piece of text shown as it is; `generated` marks what a model wrote."""

    text: str
    generated: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class PrivacyPart:
    """One audit: exposure, extraction, membership inference, canary words, trigger scan."""

    name: str
    status: str
    sentence: str
    figures: tuple[Figure, ...] = ()
    plots: tuple[Plot, ...] = ()
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class IntegrityCheck:
    """E.g. near-duplicates, template leaks, canary strings: what was looked for, and found."""

    name: str
    status: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Judge:
    """The optional judge's agreement with human labels (Cohen 1960); never the generator."""

    model: str
    kappa: float
    low: float
    high: float
    n: int
    status: str = ""


@dataclass(frozen=True, slots=True)
class IntegrityPart:
    """The frozen holdout and what guards it."""

    holdout_hash: str
    items: int
    training_rows: int
    checks: tuple[IntegrityCheck, ...] = ()
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the holdout and the alpha it was allowed; `status` is that gate's verdict."""

    number: int
    when: str
    candidate: str
    alpha: float
    status: str = ""


@dataclass(frozen=True, slots=True)
class Looks:
    """The ledger of looks at one holdout: `alpha` for all of them, `left` still unspent."""

    looks: tuple[Look, ...]
    alpha: float
    spent: float
    left: float
    planned: int | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class PowerStatement:
    """Told before the run: the smallest difference that `n` paired items detect."""

    n: int
    detectable: float
    alpha: float
    power: float
    discordance: float | None = None
    clusters: int | None = None
