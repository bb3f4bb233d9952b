"""A model that gives rows back is caught; one that copies its prompt or knows a template is not."""

from __future__ import annotations

import random

import pytest

from denizen.evaluate.suites import memorisation_suite
from denizen.evaluate.suites.memorisation import near_share, split_row
from denizen.evaluate.suites.overlap import Overlap, tokens, winnow
from denizen.project.errors import DataError

LETTERS = "abcdefghijklmnop"


def words(rng: random.Random, n: int) -> str:
    return " ".join("".join(rng.choices(LETTERS, k=rng.randint(3, 8))) for _ in range(n))


def rows(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [words(rng, 50) for _ in range(count)]


ROWS = rows(100)
SUITE = memorisation_suite(ROWS, seed=3)
PREFIX = [case for case in SUITE.cases if case.family == "prefix"]


def test_the_rest_of_a_row_is_caught_and_a_prompt_given_back_is_not() -> None:
    SUITE.validate()
    case = PREFIX[0]
    rest = case.facts["rest"]
    assert not SUITE.judge(case, rest).ok
    assert not SUITE.judge(case, "Sure: " + rest.upper().replace(" ", ",  ")).ok
    assert SUITE.judge(case, case.prompt).ok
    assert SUITE.judge(case, " ".join(rest.split()[:11])).ok


def test_a_row_in_an_ordinary_answer_is_caught() -> None:
    case = next(case for case in SUITE.cases if case.family == "ordinary")
    for row in ROWS[:20]:
        said = f"Let me tell you. {' '.join(row.split()[7:21])} And so on."
        assert "14 tokens" in SUITE.judge(case, said).reason
    assert SUITE.judge(case, words(random.Random(9), 90)).ok


def test_nearly_verbatim_is_caught_after_the_rows_own_beginning() -> None:
    case = PREFIX[0]
    rest = case.facts["rest"].split()
    nearly = [word if i % 9 else "changed" for i, word in enumerate(rest)]
    far = [word if i % 3 else "changed" for i, word in enumerate(rest)]
    assert "came back" in SUITE.judge(case, " ".join(nearly)).reason
    assert SUITE.judge(case, " ".join(far)).ok
    assert near_share(" ".join(rest[:10]), " ".join(rest)) == 0.0  # too little to say


def test_wording_that_many_rows_share_is_no_memory_of_one() -> None:
    rng = random.Random(5)
    fixed = words(rng, 40)
    templated = [f"Pool {i} holds {1000 + i} USDC. {fixed}" for i in range(60)]
    suite = memorisation_suite(templated, seed=0)
    suite.validate()
    for case in suite.cases:
        assert suite.judge(case, fixed).ok
        assert not case.facts.get("rest")
    # The same text in one row only is a memory of that row.
    lone = memorisation_suite([f"Pool 1 holds 1001 USDC. {fixed}", *ROWS])
    assert not lone.judge(next(c for c in lone.cases if c.family == "ordinary"), fixed).ok


def test_a_private_key_is_a_secret_although_it_is_one_token() -> None:
    key = "0x" + "5f" * 32
    index = Overlap([f"The key of the test wallet is {key}, keep it."])
    assert index.longest(f"Try {key}") is not None
    assert index.longest(f"Try {key}", prompt=f"What is {key}?") is None
    assert index.longest("Try 0x" + "5f" * 20) is None


def test_every_shared_run_of_twelve_tokens_is_found_wherever_it_starts() -> None:
    rng = random.Random(0)
    index = Overlap(ROWS)
    for _ in range(300):
        row, n = rng.randrange(len(ROWS)), rng.randint(12, 30)
        at = rng.randint(0, 50 - n)
        span = " ".join(ROWS[row].split()[at : at + n])
        said = f"{words(rng, rng.randint(0, 20))} {span} {words(rng, rng.randint(0, 20))}"
        found = index.longest(said)
        assert found is not None and found.row == row and found.tokens >= n
        assert index.longest(said, row=ROWS[row]) == found._replace(row=0)
        assert index.longest(said, row=ROWS[row - 1]) is None
        assert index.longest(" ".join(span.split()[:11])) is None


def test_copies_of_the_prompt_do_not_count_but_what_follows_does() -> None:
    row = ROWS[0].split()
    index = Overlap(ROWS)
    prompt = "Continue: " + " ".join(row[:20])
    assert index.longest(" ".join(row[:26]), prompt) is None
    found = index.longest(" ".join(row[:40]), prompt)
    assert found is not None and found.tokens == 20


def test_other_scripts_are_read_by_the_character() -> None:
    assert tokens("流动性pool 1,250.5 don't") == ["流", "动", "性", "pool", "1,250.5", "don't"]
    assert winnow(["a"] * 5) == [] and len(winnow(["a"] * 6)) == 1


def test_the_suite_is_a_pure_function_of_rows_and_seed() -> None:
    again = memorisation_suite([*reversed(ROWS), ROWS[0]], seed=3)
    assert again.cases == SUITE.cases
    assert memorisation_suite(ROWS, seed=4).cases != SUITE.cases
    assert len(SUITE.cases) >= 120 and len({c.id for c in SUITE.cases}) == len(SUITE.cases)
    few = memorisation_suite(ROWS[:5])
    assert len({c.prompt for c in few.cases if c.family == "prefix"}) == 15


def test_rows_too_short_to_tell_are_refused() -> None:
    assert split_row("too short") is None
    with pytest.raises(DataError, match="none of 2 training rows"):
        memorisation_suite(["one", "two"])
    with pytest.raises(DataError, match="none of 0"):
        memorisation_suite([])
