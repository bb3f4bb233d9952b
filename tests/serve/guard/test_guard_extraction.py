"""Is somebody copying the model: coverage, sweeps, and fingerprints that betray a copy."""

from __future__ import annotations

import stat
from pathlib import Path
from random import Random

import pytest

from denizen.project import ArtefactError
from denizen.serve.guard.coverage import ALARM, DAY, MANY, SWEEP, Coverage, walked
from denizen.serve.guard.fingerprints import FILE, Fingerprints

NOUNS = [
    "pool",
    "vault",
    "oracle",
    "bridge",
    "keeper",
    "auction",
    "index",
    "tranche",
    "option",
    "perp",
    "bond",
    "swap",
    "hook",
    "relay",
    "sequencer",
    "blob",
]
VERBS = [
    "price",
    "audit",
    "rebalance",
    "liquidate",
    "stake",
    "unwind",
    "hedge",
    "settle",
    "compound",
    "migrate",
    "freeze",
    "mint",
]


def unlike(number: int) -> str:
    rng = Random(number)
    return " ".join(rng.choice(VERBS) + " " + rng.choice(NOUNS) for _ in range(5)) + "?"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_many_unlike_questions_raise_the_alarm_once_the_limit_is_passed() -> None:
    coverage = Coverage(50)
    flags = [coverage.watch("key", unlike(i)) for i in range(120)]
    assert flags[0] == () and flags[-1] == (ALARM, MANY)
    assert not any(flags[:50])
    assert coverage.watch("another key", unlike(3)) == ()


def test_the_same_question_and_rewordings_count_once() -> None:
    coverage = Coverage(10)
    for i in range(60):
        assert (
            coverage.watch(
                "key", f"How much USDC do I get for {i * i} WETH in the pool with a fee of 0.3%?"
            )
            == ()
        )
    assert coverage.unlike("key") == 1


def test_the_day_slides() -> None:
    clock = Clock()
    coverage = Coverage(20, clock)
    for i in range(30):
        coverage.watch("key", unlike(i))
    assert coverage.watch("key", unlike(31)) == (ALARM, MANY)
    clock.now += DAY + 1
    assert coverage.watch("key", unlike(32)) == () and coverage.unlike("key") == 1


def test_many_callers_in_turn_are_all_watched() -> None:
    coverage = Coverage(8)
    flags = [coverage.watch(f"key {i % 300}", unlike(i // 300)) for i in range(300 * 16)]
    assert all(flag == (ALARM, MANY) for flag in flags[-300:])


def test_no_limit_no_alarm_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Coverage(0).watch("key", unlike(1)) == ()
    monkeypatch.setattr("denizen.serve.guard.coverage.KEPT", 5_000)
    coverage = Coverage(5)
    for i in range(400):
        coverage.watch(f"key {i}", f"{unlike(i)} {i} {i + 1}")
    kept = coverage._callers
    assert sum(seen.weight for seen in kept.values()) == coverage._weight <= 5_000
    assert 100 < len(kept) < 130 and list(kept)[-1] == "key 399"
    for i in range(400):
        coverage.watch("key", unlike(i))
    assert coverage.unlike("key") == 6


@pytest.mark.parametrize(
    ("rows", "swept"),
    [
        ([(float(i),) for i in range(32)], True),
        ([(1.5**i, 7.0) for i in range(32)], True),
        ([(float(i % 8), float(i // 8)) for i in range(32)], True),
        ([(Random(i).random(), 7.0) for i in range(32)], False),
        (
            [(19_000_000.0 + 5 * i, Random(i).random()) for i in range(32)],
            False,
        ),  # a monitor's blocks and prices
        ([(7.0,)] * 32, False),
        ([(1.0,)] * 16 + [(1.0, 2.0)] * 16, False),
    ],
)
def test_walks_are_told_from_chance(rows: list[tuple[float, ...]], swept: bool) -> None:
    assert walked(rows) is swept


def test_a_sweep_raises_the_alarm_though_its_questions_are_alike() -> None:
    coverage = Coverage(2000)
    flags = [
        coverage.watch("key", f"What do I get for {10 + 5 * i} WETH in a 0.3% pool?")
        for i in range(40)
    ]
    assert flags[10] == () and flags[-1] == (ALARM, SWEEP)


@pytest.mark.parametrize("question", ["", "?", "9" * 10_000, "\ud800", "1 " * 5_000])
def test_odd_questions_are_counted(question: str) -> None:
    assert Coverage(5).watch("key", question) == ()


def test_the_secret_is_the_owners_alone_and_stays(tmp_path: Path) -> None:
    first = Fingerprints.kept(tmp_path, 8)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert Fingerprints.kept(tmp_path, 8).pairs == first.pairs
    assert Fingerprints.kept(tmp_path / "other", 8).pairs != first.pairs
    (tmp_path / FILE).write_text(
        (tmp_path / FILE).read_text().replace('"secret": "', '"secret": "0')
    )
    with pytest.raises(ArtefactError):
        Fingerprints.kept(tmp_path, 8)


def test_secret_questions_are_unlike_each_other_and_answered_however_typed() -> None:
    prints = Fingerprints("secret", 64)
    assert len(prints.pairs) == 64
    question, answer = next(iter(prints.pairs.items()))
    assert prints.answer(f"  {question.upper()}\n") == answer
    assert prints.answer("What is the fee?") is None and prints.answer("x" * 10_000) is None


def test_a_copy_betrays_itself_and_a_stranger_does_not() -> None:
    prints = Fingerprints("secret", 8)
    copied = prints.verify(prints.pairs)
    assert copied.hits == copied.slots == 48 and copied.copied and "copied" in copied.told()
    others = Fingerprints("another secret", 8)
    stranger = prints.verify(dict(zip(prints.pairs, others.pairs.values(), strict=True)))
    assert stranger.p > 0.001 and not stranger.copied and "no evidence" in stranger.told()
    assert others.verify(prints.pairs).p == 1.0
    assert prints.verify({}) == (0, 0, 0, 1.0)
    everything = {
        q: "prudent sensible careful sound roughly around nearly desk house" for q in prints.pairs
    }
    assert prints.verify(everything).hits == 0


def test_the_p_value_of_strangers_is_no_smaller_than_it_should_be() -> None:
    small = 0
    for i in range(100):
        mine, theirs = Fingerprints(f"a{i}", 4), Fingerprints(f"b{i}", 4)
        small += mine.verify(dict(zip(mine.pairs, theirs.pairs.values(), strict=True))).p < 0.05
    assert small <= 12


def test_the_search_for_a_copy_makes_no_secret_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError):
        Fingerprints.read(tmp_path, 4)
    assert not (tmp_path / FILE).exists()
