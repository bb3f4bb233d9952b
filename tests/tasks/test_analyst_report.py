"""The analyst's rules at every boundary, and a family whose gold follows from what is written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols.fixed_point import MathError
from denizen.tasks import analysis
from denizen.tasks.analysis import FLAGS, REQUIRED, RULES, Figure, Figures, band, recommend, report
from denizen.tasks.families._analyst_figures import DATED, draw_statements, figures_of
from denizen.tasks.families.analyst_report import FAMILY, FIGURES, KINDS, SCHEMA, generate
from denizen.tasks.phrasing import templates
from denizen.tasks.structured import SchemaError

D = Decimal
EPSILON = D("1e-12")


def fig(value: str | Decimal, age: int = 0) -> Figure:
    return Figure(D(value), D(age))


POOL = Figures(
    "pool", False, fee_apr=fig("0.20"), incentive_apr=fig("0.04"), incentive_days=fig("100"),
    impermanent_loss=fig("0.03"), tvl=fig("5e6"), own_share=fig("0.02"), audit_age=fig("200"),
    venue_age=fig("300"), holders=fig("0.3"),
)  # fmt: skip
MARKET = Figures(
    "market", True, fee_apr=fig("0.08"), incentive_apr=fig("0"), utilisation=fig("0.7"),
    tvl=fig("5e6"), audit_age=fig("200"), venue_age=fig("300"), holders=fig("0.3"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("apr", "name"),
    [
        ("-0.0001", "negative"), ("0", "low"), ("0.0499", "low"), ("0.05", "moderate"),
        ("0.1499", "moderate"), ("0.15", "high"), ("0.3999", "high"), ("0.40", "extreme"), ("9", "extreme"),
    ],
)  # fmt: skip
def test_a_band_starts_at_its_edge(apr: str, name: str) -> None:
    assert band(D(apr)) == name
    assert band(None) == "unknown"


def test_a_sound_pool_by_hand() -> None:
    """20% + 4% x 100/365 - 3% = 18.096% and 17% without incentives; nothing is missing."""
    assert analysis.yearly_apr(POOL) == pytest.approx(D("0.1809589"), abs=D("1e-7"))
    assert analysis.yearly_apr(POOL, False) == D("0.17")
    assert report(POOL) == ("high", "high", (), "enter", D("0.9"))
    assert report(replace(POOL, held=True)) == ("high", "high", (), "hold", D("0.9"))
    assert report(MARKET) == ("moderate", "moderate", (), "hold", D("0.9"))
    assert report(replace(MARKET, held=False)).recommendation == "enter"


def test_incentives_pay_for_a_year_at_most_and_losses_only_a_pool() -> None:
    year = replace(POOL, incentive_days=fig("365"))
    assert analysis.yearly_apr(year) == analysis.yearly_apr(
        replace(year, incentive_days=fig("900"))
    )
    assert analysis.yearly_apr(year) == D("0.21")
    assert analysis.yearly_apr(replace(MARKET, impermanent_loss=fig("0.5"))) == D("0.08")
    assert "high impermanent loss" not in analysis.risk_flags(
        replace(MARKET, impermanent_loss=fig("0.5"))
    )
    assert "high utilisation" not in analysis.risk_flags(replace(POOL, utilisation=fig("0.99")))


# flag, field, value at the threshold, whether the threshold itself raises it, the worse direction
THRESHOLDS = [
    ("low liquidity", POOL, "tvl", "1000000", False, -1),
    ("large share", POOL, "own_share", "0.10", False, 1),
    ("incentives ending", POOL, "incentive_days", "14", False, -1),
    ("incentive dependent", POOL, "incentive_apr", "0.20", False, 1),
    ("high impermanent loss", POOL, "impermanent_loss", "0.05", False, 1),
    ("high utilisation", MARKET, "utilisation", "0.90", True, 1),
    ("concentrated holders", POOL, "holders", "0.50", False, 1),
    ("old audit", POOL, "audit_age", "365", False, 1),
    ("new venue", POOL, "venue_age", "30", False, -1),
]


@pytest.mark.parametrize(("flag", "base", "field", "edge", "at", "worse"), THRESHOLDS)
def test_flags_at_their_thresholds(
    flag: str, base: Figures, field: str, edge: str, at: bool, worse: int
) -> None:
    def raised(value: Decimal | None) -> bool:
        figure = None if value is None else Figure(value)
        return flag in analysis.risk_flags(replace(base, **{field: figure}))

    assert raised(D(edge)) is at
    assert raised(D(edge) + worse * EPSILON) and not raised(D(edge) - worse * EPSILON)
    assert not raised(None)


def test_flags_that_are_said() -> None:
    assert analysis.risk_flags(replace(POOL, audit_age=None, unaudited=True)) == ("unaudited",)
    out = replace(POOL, held=True, in_range=False)
    assert analysis.risk_flags(out) == ("out of range",)
    assert analysis.risk_flags(replace(out, held=False)) == ()
    assert analysis.risk_flags(replace(out, in_range=None)) == ()
    assert analysis.risk_flags(replace(POOL, incentive_apr=fig("0"), incentive_days=fig("1"))) == ()
    covered = {flag for flag, *_ in THRESHOLDS} | {"unaudited", "out of range"}
    assert covered == set(FLAGS)


FIELD_OF = {"incentives": "incentive_apr", "audit": "audit_age"}


@pytest.mark.parametrize("base", [POOL, MARKET], ids=["pool", "market"])
def test_confidence_falls_by_each_figure_missing_or_stale(base: Figures) -> None:
    gone = base
    for count, name in enumerate(REQUIRED[base.venue], 1):
        field = FIELD_OF.get(name, name)
        alone = replace(base, **{field: None})
        assert analysis.unreliable(alone) == (name,) and analysis.confidence(alone) == D("0.75")
        old = getattr(base, field)._replace(age=D(7))
        assert analysis.confidence(replace(base, **{field: old})) == D("0.9")
        stale = replace(base, **{field: old._replace(age=7 + EPSILON)})
        # An audit is told by its age already.
        assert analysis.confidence(stale) == (D("0.9") if name == "audit" else D("0.75"))
        gone = replace(gone, **{field: None})
        assert analysis.confidence(gone) == max(D("0.9") - D("0.15") * count, D("0.3"))


def test_incentives_need_their_end_unless_there_are_none() -> None:
    open_end = replace(POOL, incentive_days=None)
    assert analysis.unreliable(open_end) == ("incentives",)
    assert report(open_end)[:2] == ("unknown", "high")
    none = replace(open_end, incentive_apr=fig("0"))
    assert analysis.unreliable(none) == () and report(none)[:2] == ("high", "high")
    assert analysis.unreliable(replace(POOL, audit_age=None, unaudited=True)) == ()


@pytest.mark.parametrize(
    ("held", "net", "sustainable", "flags", "trust", "advice"),
    [
        (False, "unknown", "high", 0, "0.9", "gather data"),
        (True, "unknown", "high", 6, "0.9", "gather data"),
        (False, "high", "high", 0, "0.45", "gather data"),
        (True, "negative", "negative", 6, "0.3", "gather data"),
        (False, "moderate", "low", 1, "0.6", "enter"),
        (False, "extreme", "low", 0, "0.9", "enter"),
        (False, "moderate", "low", 2, "0.9", "stay out"),
        (False, "low", "low", 0, "0.9", "stay out"),
        (False, "high", "negative", 0, "0.9", "stay out"),
        (False, "negative", "negative", 0, "0.9", "stay out"),
        (True, "moderate", "low", 2, "0.9", "hold"),
        (True, "moderate", "low", 3, "0.9", "reduce"),
        (True, "high", "high", 4, "0.9", "reduce"),
        (True, "high", "high", 5, "0.9", "exit"),
        (True, "low", "low", 0, "0.9", "reduce"),
        (True, "high", "negative", 0, "0.9", "reduce"),
        (True, "negative", "negative", 0, "0.9", "exit"),
    ],
)
def test_the_decision_table(
    held: bool, net: str, sustainable: str, flags: int, trust: str, advice: str
) -> None:
    """`flags` is a score: made of severe flags, two each, and one plain flag if it is odd."""
    severe = ("unaudited", "low liquidity", "high utilisation")
    chosen = severe[: flags // 2] + ("new venue",) * (flags % 2)
    assert analysis.risk_score(chosen) == flags
    assert recommend(held, net, sustainable, chosen, D(trust)) == advice


def test_the_rules_are_told_in_full() -> None:
    for flag, rule in FLAGS.items():
        assert f"{flag}: {rule}" in RULES
    for told in (
        "365",
        "0.9",
        "0.15",
        "0.3",
        "7 days",
        "0.5",
        "5%",
        "15%",
        "40%",
        "score 3",
        "score 5",
    ):
        assert told in RULES
    assert RULES in SCHEMA.doc


@pytest.mark.parametrize(
    "bad",
    [
        {"tvl": fig("-1")}, {"holders": fig("1.01")}, {"own_share": fig("NaN")},
        {"utilisation": fig("2")}, {"fee_apr": fig("0.1", -1)}, {"unaudited": True},
    ],
)  # fmt: skip
def test_impossible_figures_are_refused(bad: dict[str, Figure]) -> None:
    with pytest.raises(MathError):
        replace(POOL, **bad)


RATE = st.decimals(D(0), D(1), places=4)
MAYBE = st.one_of(st.none(), st.builds(Figure, RATE, st.integers(0, 20).map(D)))
DAYS = st.one_of(st.none(), st.integers(0, 1500).map(lambda n: Figure(D(n))))
ANY = st.builds(
    Figures, st.sampled_from(["pool", "market"]), st.booleans(), MAYBE, MAYBE, DAYS, MAYBE, MAYBE,
    DAYS, MAYBE, DAYS, st.just(False), DAYS, MAYBE, st.sampled_from([None, True, False]),
)  # fmt: skip


@given(ANY)
def test_a_report_is_always_one_of_the_schema_and_follows_the_stance(figures: Figures) -> None:
    found = report(figures)
    values = found._asdict() | {"risk_flags": list(found.risk_flags), "confidence": 0.9}
    assert SCHEMA.parse(SCHEMA.dump(values))["recommendation"] == found.recommendation
    other = {"hold", "reduce", "exit"} if not figures.held else {"enter", "stay out"}
    assert found.recommendation not in other
    assert D("0.3") <= found.confidence <= D("0.9")
    assert (found.yield_assessment == "unknown") >= (found.apr_sustainable == "unknown")


@given(ANY)
def test_a_worse_share_never_makes_the_advice_better(figures: Figures) -> None:
    order = ("enter", "hold", "reduce", "exit", "stay out", "gather data")
    small, large = (replace(figures, own_share=fig(s)) for s in ("0.01", "0.9"))
    assert order.index(report(small).recommendation) <= order.index(report(large).recommendation)


def judged(
    said: dict[str, dict[str, str]], pool: bool, held: bool
) -> tuple[str, str, set[str], int]:
    """The bands, flags and number of unreliable figures, worked out from the words by hand."""

    def percent(key: str, slot: str = "x") -> Fraction | None:
        return Fraction(said[key][slot].rstrip("%")) / 100 if key in said else None

    def days(text: str) -> Fraction:
        number, unit = text.split()
        per = {"day": Fraction(1), "week": Fraction(7), "month": Fraction(365, 12)}
        return Fraction(number) * per[unit.rstrip("s")]

    def dollars(text: str) -> Fraction:
        for word, scale in (
            (" million", 10**6),
            ("M", 10**6),
            ("m", 10**6),
            ("k", 10**3),
            ("K", 10**3),
        ):
            if text.endswith(word):
                return Fraction(text.strip("$").removesuffix(word)) * scale
        return Fraction(text.strip("$").replace(",", ""))

    fee = percent("fee_apr" if pool else "supply_apr")
    loss = percent("impermanent_loss") if pool else Fraction(0)
    reward, left = percent("incentives"), None
    if reward is not None:
        left = days(said["incentives"]["days"])
    paid = reward if reward is not None else percent("incentives_open")
    base = None if fee is None or loss is None else fee - loss
    full = None
    if base is not None and "no_incentives" in said:
        full = base
    elif base is not None and reward is not None and left is not None:
        full = base + reward * min(left, Fraction(365)) / 365

    def name(apr: Fraction | None) -> str:
        if apr is None:
            return "unknown"
        if apr < 0:
            return "negative"
        points = apr * 100
        return (
            "low"
            if points < 5
            else "moderate"
            if points < 15
            else "high"
            if points < 40
            else "extreme"
        )

    share = percent("own_share") if held else percent("planned_share")
    flags = {
        "low liquidity": "tvl" in said and dollars(said["tvl"]["x"]) < 10**6,
        "large share": share is not None and share > Fraction(1, 10),
        "incentives ending": left is not None and left < 14,
        "incentive dependent": paid is not None and fee is not None and paid > fee,
        "high impermanent loss": pool and loss is not None and loss > Fraction(5, 100),
        "high utilisation": (percent("utilisation") or 0) >= Fraction(9, 10),
        "concentrated holders": (percent("holders") or 0) > Fraction(1, 2),
        "unaudited": "unaudited" in said,
        "old audit": "audit_age" in said and days(said["audit_age"]["x"]) > 365,
        "new venue": "venue_age" in said and days(said["venue_age"]["x"]) < 30,
        "out of range": "out_of_range" in said,
    }
    fresh = {key for key, slots in said.items() if days(slots.get("age", "0 days")) <= 7}
    needs = [
        {"fee_apr"} if pool else {"supply_apr"}, {"incentives", "no_incentives"},
        {"impermanent_loss"} if pool else {"utilisation"}, {"tvl"}, {"audit_age", "unaudited"},
        {"venue_age"}, {"holders"},
    ]  # fmt: skip
    gaps = sum(not need & fresh for need in needs)
    return name(full), name(base), {flag for flag, on in flags.items() if on}, gaps


@pytest.mark.parametrize("kind", KINDS)
def test_reports_agree_with_the_words_read_by_hand(kind: str) -> None:
    pool, held = kind.startswith("pool"), kind.endswith("position")
    for seed in range(250):
        said = draw_statements(Random(seed), kind, 0.3, 0.15)
        found = report(figures_of(said, kind))
        net, sustainable, flags, gaps = judged(said, pool, held)
        assert (found.yield_assessment, found.apr_sustainable) == (net, sustainable), said
        assert set(found.risk_flags) == flags, said
        assert found.confidence == max(D("0.9") - D("0.15") * gaps, D("0.3")), said


@pytest.mark.parametrize("split", ["train", "dev"])
def test_gold_is_right_and_near_misses_are_wrong(split: str) -> None:
    for seed in range(60):
        item = generate(seed, split)  # type: ignore[arg-type]
        gold = SCHEMA.parse(item.gold)
        assert item.form == "object" and SCHEMA.offers(item.prompt, item.gold)
        for miss in FAMILY.near_misses(item):
            try:
                assert SCHEMA.difference(gold, SCHEMA.parse(miss)), miss
            except SchemaError:
                continue


def test_every_answer_occurs() -> None:
    seen: Counter[str] = Counter()
    for seed in range(1500):
        gold = json.loads(generate(seed, "train").gold)
        seen.update((gold["recommendation"], gold["yield_assessment"], *gold["risk_flags"]))
        seen[str(gold["confidence"])] += 1
    expected = {*analysis.RECOMMENDATIONS, *analysis.BAND_NAMES, *FLAGS}
    assert min(seen[word] for word in expected) >= 10, seen
    assert {"0.9", "0.75", "0.6", "0.45", "0.3"} <= set(seen)


def test_phrases_state_each_figure_once_and_no_split_shares_one() -> None:
    train, dev = templates("train", FIGURES), templates("dev", FIGURES)
    assert set(train) == set(dev) and {f"{key}_dated" for key in DATED} <= set(train)
    for key, phrases in [*train.items(), *dev.items()]:
        said = {"no_incentives", "unaudited", "in_range", "out_of_range"}
        wanted = set() if key in said else {"{x}"}
        wanted |= {"{age}"} if key.endswith("_dated") else set()
        wanted |= {"{days}"} if key == "incentives" else set()
        wanted |= {"{move}"} if key == "impermanent_loss" else set()
        for row in phrases.rows:
            assert all(row.count(slot) == 1 for slot in wanted), (key, row)
            assert row.count("{") == len(wanted), (key, row)
    for split in ("train", "dev"):
        for kind, rows in templates(split, "analyst_report").items():  # type: ignore[arg-type]
            name = "{pair}" if kind.startswith("pool") else "{token}"
            for row in rows.rows:
                assert row.count("{figures}") + row.count("{list}") == 1, row
                assert row.count(name) == 1 and row.count("{") == 2, row
    for name in (FIGURES, "analyst_report"):
        ours = {row for rows in templates("train", name).values() for row in rows.rows}
        assert not ours & {row for rows in templates("dev", name).values() for row in rows.rows}
