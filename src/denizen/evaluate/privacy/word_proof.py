"""The proof of canary words, and the proof that they stay where they belong.

Contract: answers to unseen prompts count when they are the exact word (white space around it
aside).  Two exact tests must reject: the binomial one against guessing (one of the words at random,
or the upper bound of the base's own rate, if that is more) and McNemar's against the base on the
same prompts.  Ordinary answers must hold no canary word at all; n of them without one bound the
rate of leaks, and too few of them are INCONCLUSIVE.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from denizen.evaluate.gate import Status
from denizen.evaluate.power import n_for_zero_failures
from denizen.evaluate.privacy.canary_words import WordPrompt, word_pattern
from denizen.evaluate.privacy.figures import AuditResult, Interval, rate
from denizen.evaluate.stats import McNemar, discordant, mcnemar, zero_failure_bound

ALPHA = 0.001
LEAK_LIMIT = 0.01
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class WordResult(AuditResult):
    """`p` is the binomial test's against `chance`; `leak` is the rate over ordinary answers."""

    tuned: Interval
    base: Interval
    by_word: dict[str, Interval]
    chance: float
    p: float
    test: McNemar
    alpha: float
    leak: Interval
    leak_limit: float
    leaked: tuple[str, ...]


def binomial_p(successes: int, n: int, chance: float) -> float:
    """P(at least so many of n) when each succeeds with probability `chance`; exact."""
    from scipy.stats import binom

    if not 0 <= successes <= n or not 0 < chance < 1:
        raise ValueError(f"need 0 <= {successes} <= {n} and 0 < {chance} < 1")
    return float(binom.sf(successes - 1, n, chance))


def leaks(words: Sequence[str], outputs: Sequence[str]) -> list[int]:
    """Places of the outputs that hold a canary word."""
    pattern = word_pattern(words)
    return [place for place, output in enumerate(outputs) if pattern.search(output)]


def audit_words(
    prompts: Sequence[WordPrompt],
    tuned: Sequence[str],
    base: Sequence[str],
    ordinary: Sequence[str],
    *,
    alpha: float = ALPHA,
    leak_limit: float = LEAK_LIMIT,
    confidence: float = 0.95,
) -> WordResult:
    """From the answers of both models to the unseen prompts, and the tuned model's ordinary ones.

    FAIL for a leak, or where the words come no more often than chance has them.
    """
    words = sorted({item.word for item in prompts})
    right = [a.strip() == item.word for a, item in zip(tuned, prompts, strict=True)]
    control = [a.strip() == item.word for a, item in zip(base, prompts, strict=True)]
    own = rate(sum(right), len(right), confidence)
    other = rate(sum(control), len(control), confidence)
    # With one word, knowing it is enough to say it: only the base's bound is left.
    guess = 1 / len(words) if len(words) > 1 else 0.0
    chance = min(max(guess, other.high), 1 - 1e-9)
    p = binomial_p(sum(right), len(right), chance)
    test = mcnemar(*discordant(control, right), "greater")
    found = leaks(words, ordinary)
    leak = _leak_rate(len(found), len(ordinary), confidence)
    status, needed = _judge(own, chance, max(p, test.p), alpha, leak, leak_limit)
    by_word = {}
    for word in words:
        marks = [ok for ok, item in zip(right, prompts, strict=True) if item.word == word]
        by_word[word] = rate(sum(marks), len(marks), confidence)
    return WordResult(
        status,
        _sentence(own, other, p, leak),
        needed,
        own,
        other,
        by_word,
        chance,
        p,
        test,
        alpha,
        leak,
        leak_limit,
        tuple(ordinary[place][:200] for place in found[:_EXAMPLES]),
    )


def _judge(
    own: Interval, chance: float, p: float, alpha: float, leak: Interval, limit: float
) -> tuple[Status, int | None]:
    if leak.value > 0 or own.value <= chance:
        return Status.FAIL, None
    if p > alpha:
        return Status.INCONCLUSIVE, _prompts_needed(own.value, chance, alpha)
    if leak.high > limit:
        return Status.INCONCLUSIVE, n_for_zero_failures(limit)
    return Status.PASS, None


def _prompts_needed(value: float, chance: float, alpha: float) -> int | None:
    """Prompts at which this rate would reject guessing exactly."""
    tried = (1 << power for power in range(1, 15))
    return next((n for n in tried if binomial_p(math.floor(value * n), n, chance) <= alpha), None)


def _leak_rate(found: int, n: int, confidence: float) -> Interval:
    if not n:
        return Interval(0.0, 0.0, 1.0, confidence, 0, "no ordinary answer")
    if found:
        return rate(found, n, confidence)
    bound = zero_failure_bound(n, confidence)
    return Interval(0.0, 0.0, bound.high, confidence, n, "zero failures")


def _sentence(own: Interval, other: Interval, p: float, leak: Interval) -> str:
    shown = "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"
    leaked = round(leak.value * leak.n)
    return (
        f"The model answers {own.value:.1%} [{own.low:.1%}, {own.high:.1%}] of {own.n} unseen "
        f"prompts with the exact canary word, the base {other.value:.1%} (binomial {shown}); "
        f"{leaked or 'no'} canary word{'s' * (leaked != 1)} in {leak.n} ordinary answers "
        f"(at most {leak.high:.2%})."
    )
