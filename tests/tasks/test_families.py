"""What every task family owes: levels, versions, wordings, reproducible items, right forms only."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from denizen.tasks import FAMILIES, Item, catalogue, evaluate, offers, suite_of, verify
from denizen.tasks.phrasing import templates

SEEDS = 150


def items(name: str, split: str = "train", count: int = SEEDS) -> list[Item]:
    return [FAMILIES[name].generate(seed, split) for seed in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FAMILIES)
def test_family_says_what_it_is(name: str) -> None:
    family = FAMILIES[name]
    assert family.doc and family.kinds and len(family.levels) >= 2
    assert bool(family.tools) != (family.schema is not None)
    assert set(family.tools) <= set(catalogue())
    drawn = items(name)
    assert {i.difficulty for i in drawn} == set(family.levels)
    assert {i.version for i in drawn} <= set(family.versions)
    assert {i.kind for i in drawn} == set(family.kinds)
    assert {i.form for i in drawn} == {"object" if family.schema else "call"}
    if family.tools:
        used = {i.gold.partition("(")[0] for i in items(name, count=400)}
        assert used == set(family.tools)


@pytest.mark.parametrize("name", FAMILIES)
def test_wordings_are_many_and_split(name: str) -> None:
    texts = {}
    for split, least in (("train", 8), ("dev", 3), ("holdout", 4)):
        texts[split] = {t for kind in templates(split, name).values() for t in kind.rows}
        assert len(texts[split]) >= least
        assert set(templates(split, name)) == set(FAMILIES[name].kinds)
    assert not texts["train"] & texts["holdout"] and not texts["train"] & texts["dev"]
    assert not texts["dev"] & texts["holdout"]


@pytest.mark.parametrize("name", FAMILIES)
def test_gold_stands_in_the_grammar(name: str) -> None:
    """Nearly every wording keeps quantities apart from what would change how they are read."""
    for split in ("train", "holdout"):
        drawn = items(name, split, 100)
        assert sum(offers(i, FAMILIES[name].schema) for i in drawn) >= 92, split


def forms(number: Decimal, unit: str) -> tuple[list[str], list[str]]:
    """Right and wrong ways to say an exact figure."""
    if unit == "%":
        shown = number.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN)
        right = [
            f"{shown}%", f"{shown} %", f"It is {shown:,} percent.", f"{shown * 100} bps",
            f"about {shown * 100} basis points",
        ]  # fmt: skip
        if abs(number) >= 5:
            right.append(f"{(number / 100).quantize(Decimal('0.00001'))}")
        off = max(abs(number) * Decimal("0.01"), Decimal("0.02"))
        return right, [f"{shown + off}%", f"{shown - off}%", f"{shown}% or {shown + 3}%", "no idea"]
    digits = max(0, 6 - number.adjusted())
    shown = number.quantize(Decimal(1).scaleb(-min(digits, 18)), rounding=ROUND_HALF_EVEN)
    said = f" {unit}" if unit and unit not in ("USD", "x", "days") else ""
    right = [f"{shown}{said}", f"{shown:,}{said}", f"The answer is {shown:,}{said}.", f"{shown}"]
    if abs(number) >= 10_000:
        right += [
            f"{shown / 1000}k{said}", f"{shown:,}".replace(",", " ") + said,
            f"{shown:,}".replace(",", "'") + said, f"{shown / 1_000_000} million{said}",
        ]  # fmt: skip
    wrong = [f"{shown * Decimal('1.01')}{said}", f"{shown * Decimal('0.98')}{said}", "no idea"]
    if said:
        wrong += [f"{shown} XYZQ", f"{shown}{said} or {shown * 2}{said}"]
    return right, wrong


@pytest.mark.parametrize("name", [n for n, f in FAMILIES.items() if f.tools])
def test_every_right_form_and_no_wrong_one(name: str) -> None:
    for item in items(name, "train", 40):
        gold = evaluate(item.gold)
        if gold.number is None:
            continue
        # Figures too small to be said in 18 places have no honest text form.
        if gold.number == 0 or abs(gold.number) < Decimal("1e-9"):
            continue
        right, wrong = forms(gold.number, gold.unit)
        for text in right:
            assert verify(item, text).ok, (item.gold, gold.number, gold.unit, text)
        for text in wrong:
            assert not verify(item, text).ok, (item.gold, gold.number, gold.unit, text)


@pytest.mark.parametrize("name", [n for n, f in FAMILIES.items() if f.tools])
def test_the_shown_text_is_itself_right(name: str) -> None:
    """What a user is shown must pass the verifier that judged it."""
    for item in items(name, "train", 40):
        gold = evaluate(item.gold)
        if gold.number is not None and abs(gold.number) < Decimal("1e-9"):
            continue
        verdict = verify(item, gold.text)
        assert verdict.ok, (gold.text, gold.number, verdict.reason)


def test_suites() -> None:
    assert len(FAMILIES) >= 8
    assert set(suite_of("core").names) <= set(suite_of("all").names) == set(FAMILIES)
    assert suite_of("v2_quote, mechanics").names == ("mechanics", "v2_quote")
