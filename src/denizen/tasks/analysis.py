"""The analyst's rules: from stated figures to yield bands, risk flags, advice and confidence.

Contract: pure functions of `Figures`, fractions and days in exact Decimals, and no figure is ever
guessed: None means not stated.  Every threshold is a named constant, and `RULES` says them all in
words.  Yield is the engine's `net_apr` over a year of 365 days.  Bad figures raise MathError.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from denizen.protocols.exact_decimal import exact, require
from denizen.protocols.yields import DAYS_PER_YEAR, net_apr

Venue = Literal["pool", "market"]

# A band starts at its lower edge, which belongs to it.
BANDS: tuple[tuple[str, Decimal], ...] = (
    ("low", Decimal("0")),
    ("moderate", Decimal("0.05")),
    ("high", Decimal("0.15")),
    ("extreme", Decimal("0.40")),
)
BAND_NAMES = ("negative", *(name for name, _ in BANDS), "unknown")
RECOMMENDATIONS = ("enter", "stay out", "hold", "reduce", "exit", "gather data")

LOW_TVL = Decimal(1_000_000)
LARGE_SHARE = Decimal("0.10")
INCENTIVE_DAYS = Decimal(14)
HIGH_LOSS = Decimal("0.05")
HIGH_UTILISATION = Decimal("0.90")
HOLDERS = Decimal("0.50")
OLD_AUDIT = Decimal(365)
NEW_VENUE = Decimal(30)
FLAGS: dict[str, str] = {
    "low liquidity": f"TVL below ${LOW_TVL:,}",
    "large share": f"own share of the TVL above {LARGE_SHARE:.0%}",
    "incentives ending": f"incentives run for fewer than {INCENTIVE_DAYS} more days",
    "incentive dependent": "incentive APR above the fee (or supply) APR",
    "high impermanent loss": f"impermanent loss of the stated move above {HIGH_LOSS:.0%}",
    "high utilisation": f"utilisation of {HIGH_UTILISATION:.0%} or more",
    "concentrated holders": f"the ten largest holders have more than {HOLDERS:.0%}",
    "unaudited": "said to have no audit",
    "old audit": f"last audit more than {OLD_AUDIT} days ago",
    "new venue": f"live for fewer than {NEW_VENUE} days",
    "out of range": "the position is said to be out of range",
}
SEVERE = frozenset({"low liquidity", "high utilisation", "unaudited", "out of range"})

REQUIRED: dict[Venue, tuple[str, ...]] = {
    "pool": (
        "fee_apr", "incentives", "impermanent_loss", "tvl", "audit", "venue_age", "holders",
    ),
    "market": ("fee_apr", "incentives", "utilisation", "tvl", "audit", "venue_age", "holders"),
}  # fmt: skip
MAX_AGE = Decimal(7)
FULL_CONFIDENCE, LEAST_CONFIDENCE = Decimal("0.9"), Decimal("0.3")
PENALTY = Decimal("0.15")
TRUSTED = Decimal("0.5")
ENTER_SCORE, REDUCE_SCORE, EXIT_SCORE = 1, 3, 5

RULES = (
    "Horizon 365 days. yield_assessment: the band of the net APR = fee (or supply) APR + incentive "
    "APR x days left (at most 365) / 365 - impermanent loss of the stated move, counted once. "
    "apr_sustainable: the band of the same without incentives. Bands: negative below 0%, "
    + ", ".join(f"{name} from {edge:.0%}" for name, edge in BANDS)
    + "; unknown if a figure it needs is not stated. risk_flags, only from stated figures: "
    + "; ".join(f"{name}: {rule}" for name, rule in FLAGS.items())
    + f". confidence: {FULL_CONFIDENCE} less {PENALTY} for every required figure not stated or "
    f"more than {MAX_AGE} days old, at least {LEAST_CONFIDENCE}; required are fee or supply APR, "
    "incentives (APR and days left, or none), impermanent loss (pool) or utilisation (market), "
    "TVL, audit, age, holders. risk score: one a flag, two for "
    + ", ".join(name for name in FLAGS if name in SEVERE)
    + ". recommendation, first that holds: gather data if yield_assessment is unknown or "
    f"confidence below {TRUSTED}; not held: enter if yield_assessment is moderate or better, "
    f"apr_sustainable not negative and the score at most {ENTER_SCORE}, else stay out; held: exit "
    f"if yield_assessment is negative or the score {EXIT_SCORE} or more, reduce if it is low, "
    f"apr_sustainable negative or the score {REDUCE_SCORE} or more, else hold."
)


class Figure(NamedTuple):
    """A stated value (fraction, dollars or days) and how many days old the statement is."""

    value: Decimal
    age: Decimal = Decimal(0)


@dataclass(frozen=True)
class Figures:
    """What is stated about a pool or lending market; None where nothing is.

    Rates, shares, utilisation and the (positive) impermanent loss are fractions, `tvl` dollars,
    `incentive_days`, `audit_age` and `venue_age` days.  No incentives is an `incentive_apr` of 0.
    `in_range` counts only for a held position in a pool.
    """

    venue: Venue
    held: bool
    fee_apr: Figure | None = None
    incentive_apr: Figure | None = None
    incentive_days: Figure | None = None
    impermanent_loss: Figure | None = None
    utilisation: Figure | None = None
    tvl: Figure | None = None
    own_share: Figure | None = None
    audit_age: Figure | None = None
    unaudited: bool = False
    venue_age: Figure | None = None
    holders: Figure | None = None
    in_range: bool | None = None

    def __post_init__(self) -> None:
        for name, figure in vars(self).items():
            if isinstance(figure, Figure):
                require(figure.value.is_finite() and figure.value >= 0, f"{name} is negative")
                require(figure.age >= 0, f"the age of {name} is negative")
        for name in ("impermanent_loss", "utilisation", "own_share", "holders"):
            figure = getattr(self, name)
            require(figure is None or figure.value <= 1, f"{name} is more than the whole")
        require(not (self.unaudited and self.audit_age), "audited and unaudited at once")


class Report(NamedTuple):
    """The four outputs; `apr_sustainable` belongs to the yield assessment."""

    yield_assessment: str
    apr_sustainable: str
    risk_flags: tuple[str, ...]
    recommendation: str
    confidence: Decimal


def band(apr: Decimal | None) -> str:
    """The band of an APR, or "unknown"."""
    if apr is None:
        return "unknown"
    return next((name for name, edge in reversed(BANDS) if apr >= edge), "negative")


@exact
def yearly_apr(figures: Figures, with_incentives: bool = True) -> Decimal | None:
    """Net APR over a year, as a fraction; None if a figure it needs is not stated."""
    loss = figures.impermanent_loss if figures.venue == "pool" else Figure(Decimal(0))
    if figures.fee_apr is None or loss is None:
        return None
    gross = figures.fee_apr.value
    if with_incentives:
        if not _incentives_known(figures):
            return None
        if figures.incentive_apr and figures.incentive_apr.value and figures.incentive_days:
            days = min(figures.incentive_days.value, Decimal(DAYS_PER_YEAR))
            gross += figures.incentive_apr.value * days / DAYS_PER_YEAR
    year = Decimal(DAYS_PER_YEAR)
    return net_apr(gross, -loss.value, Decimal(0), Decimal(1), year)


def risk_flags(figures: Figures) -> tuple[str, ...]:
    """The flags that stated figures raise, in the order of FLAGS."""
    f = figures
    pool = f.venue == "pool"
    paid = f.incentive_apr is not None and f.incentive_apr.value > 0
    raised = {
        "low liquidity": f.tvl is not None and f.tvl.value < LOW_TVL,
        "large share": _above(f.own_share, LARGE_SHARE),
        "incentives ending": paid
        and f.incentive_days is not None
        and f.incentive_days.value < INCENTIVE_DAYS,
        "incentive dependent": f.fee_apr is not None and _above(f.incentive_apr, f.fee_apr.value),
        "high impermanent loss": pool and _above(f.impermanent_loss, HIGH_LOSS),
        "high utilisation": not pool
        and f.utilisation is not None
        and f.utilisation.value >= HIGH_UTILISATION,
        "concentrated holders": _above(f.holders, HOLDERS),
        "unaudited": f.unaudited,
        "old audit": _above(f.audit_age, OLD_AUDIT),
        "new venue": f.venue_age is not None and f.venue_age.value < NEW_VENUE,
        "out of range": pool and f.held and f.in_range is False,
    }
    return tuple(name for name in FLAGS if raised[name])


def unreliable(figures: Figures) -> tuple[str, ...]:
    """The required figures that are not stated, or stated too long ago."""
    return tuple(name for name in REQUIRED[figures.venue] if not _reliable(figures, name))


def confidence(figures: Figures) -> Decimal:
    """How much the stated figures carry: 0.3 to 0.9."""
    return max(FULL_CONFIDENCE - PENALTY * len(unreliable(figures)), LEAST_CONFIDENCE)


def risk_score(flags: tuple[str, ...]) -> int:
    """One a flag, two a severe one."""
    return len(flags) + len(SEVERE & set(flags))


def recommend(
    held: bool, net: str, sustainable: str, flags: tuple[str, ...], trust: Decimal
) -> str:
    """The decision table of RULES: the first row that holds."""
    score = risk_score(flags)
    if net == "unknown" or trust < TRUSTED:
        return "gather data"
    if not held:
        pays = net not in ("negative", "low") and sustainable != "negative"
        return "enter" if pays and score <= ENTER_SCORE else "stay out"
    if net == "negative" or score >= EXIT_SCORE:
        return "exit"
    if net == "low" or sustainable == "negative" or score >= REDUCE_SCORE:
        return "reduce"
    return "hold"


def report(figures: Figures) -> Report:
    """All outputs of one set of figures."""
    net, sustainable = band(yearly_apr(figures)), band(yearly_apr(figures, False))
    flags, trust = risk_flags(figures), confidence(figures)
    advice = recommend(figures.held, net, sustainable, flags, trust)
    return Report(net, sustainable, flags, advice, trust)


def _above(figure: Figure | None, limit: Decimal) -> bool:
    return figure is not None and figure.value > limit


def _incentives_known(figures: Figures) -> bool:
    paid = figures.incentive_apr
    return paid is not None and (paid.value == 0 or figures.incentive_days is not None)


def _reliable(figures: Figures, name: str) -> bool:
    if name == "incentives":
        parts = (figures.incentive_apr, figures.incentive_days)
        return _incentives_known(figures) and all(p is None or p.age <= MAX_AGE for p in parts)
    if name == "audit":
        return figures.unaudited or figures.audit_age is not None
    figure: Figure | None = getattr(figures, name)
    return figure is not None and figure.age <= MAX_AGE
