"""A text in pieces: whatever the pieces, calls and sums come out whole and right."""

from __future__ import annotations

import random
import time

import pytest

from denizen.serve.answering.holding import HELD, Held

ASKED = "IL if ETH goes from 1000 to 4000?"
TEXT = (
    "First the sum: 4.5 x 2,500 = 11,200, then plain words that go on for a while. "
    "The loss is <calc>il_full(entry=1000; now=4000)</calc>. Is 2 < 3? Yes, 12 / 48 is 30%."
)
RIGHT = (
    "First the sum: 4.5 x 2,500 = 11,250, then plain words that go on for a while. "
    "The loss is -20.00% against holding. Is 2 < 3? Yes, 12 / 48 is 25%."
)


@pytest.mark.parametrize("seed", range(30))
def test_pieces_do_not_matter(seed: int) -> None:
    rng, held, out, at = random.Random(seed), Held(ASKED, ASKED), "", 0
    while at < len(TEXT):
        step = rng.choice((1, 1, 2, 3, 7, 30))
        out += held.feed(TEXT[at : at + step])
        at += step
    out += held.close()
    assert out == RIGHT
    assert sum(len(found.corrections) for found in held.found) == 2


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize(
    "text",
    ["so 2 ^ 3 + 1 = 9 ", "price x 3 + 4 = 10 ", "1.05**2 * 3 + 1 = 4.3 ", "2 x 5 = 10 ** 1 "],
)
def test_what_stands_before_a_sum_is_not_forgotten(text: str, step: int) -> None:
    held = Held("", "")
    parts = [held.feed(text[at : at + step]) for at in range(0, len(text), step)]
    assert "".join([*parts, held.close()]) == text
    assert not any(found.corrections for found in held.found)


def test_plain_words_are_not_held() -> None:
    held = Held("", "")
    assert held.feed("Liquidity providers earn ") == "Liquidity providers "
    assert held.feed("fees. ") == "earn "
    assert held.close() == "fees. "


def test_a_figure_waits_only_while_it_may_become_a_sum() -> None:
    held = Held("", "")
    assert held.feed("It costs 12 USDC ") == "It costs "
    assert held.feed("for each ").startswith("12 USDC")


def test_a_call_that_never_closes_does_not_hold_for_ever() -> None:
    held = Held("", "")
    out = held.feed("so <calc>" + "x" * (HELD + 10))
    assert "[not calculated]" in out


@pytest.mark.parametrize(
    "text", ["5% of ", "1 + ", "12, 13, ", "<", "4.5 WETH x 2,500 USDC per WETH "]
)
def test_hostile_text_takes_no_time(text: str) -> None:
    held, began = Held("", ""), time.process_time()
    for _ in range(400):
        held.feed(text)
    held.close()
    assert time.process_time() - began < 4


def test_without_checks_everything_goes_out_at_once() -> None:
    held = Held("", "", checks=False)
    assert held.feed("4 x 4 = 17") == "4 x 4 = 17" and not held.found
