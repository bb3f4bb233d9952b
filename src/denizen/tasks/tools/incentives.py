"""Incentive tools: what a farm pays a staker, emission totals, early exits, vesting.

Amounts are the engine's raw integers, rounded as the contracts round them.  Emission epochs are a
day, a week, a month (a twelfth of a year) or a year of 365 days.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import incentives as engine
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import token_amount
from denizen.tasks.tools.periods import EPOCHS, seconds, whole

MINE = ("included", "on top")
_BPS = 10_000


def _tokens(key: str, raw: int, token: str, told: str, *steps: str) -> Result:
    return Result(
        {key: str(raw), "token": token},
        f"{token_amount(raw, token)} {told}",
        steps,
        key,
        Decimal(raw).scaleb(-decimals_of(token)),
        token,
    )


def stream_rewards(
    reward_: Quantity,
    over_: Quantity,
    stake_: Quantity,
    pool_: Quantity,
    mine_: str,
    held_: Quantity,
) -> Result:
    """What a staker earns of a reward streamed evenly, from its start (StakingRewards)."""
    own, stated = stake_.raw(), pool_.raw()
    others = stated - own if mine_ == "included" else stated
    if others < 0:
        raise ToolError(f"a pool of {pool_.text} does not hold a stake of {stake_.text}")
    farm = engine.StakingRewards(seconds(over_))
    farm.fund(reward_.raw())
    farm.notify_reward_amount(reward_.raw(), 0)
    farm.stake("own", own, 0)
    if others:
        farm.stake("others", others, 0)
    return _tokens(
        "earned",
        farm.earned("own", seconds(held_)),
        reward_.unit,
        "earned",
        f"rate = {reward_.raw()} / {farm.duration} s = {farm.reward_rate} raw units a second",
        f"x {min(seconds(held_), farm.duration)} s x {own} / {own + others} (own stake counted)",
    )


def chef_rewards(
    per_block_: Quantity, weight_: Quantity, stake_: Quantity, pool_: Quantity, blocks_: Quantity
) -> Result:
    """What a staker earns over blocks in one pool of a MasterChef."""
    points, of = weight_.value.as_integer_ratio()
    chef = engine.MasterChef(per_block_.raw())
    pid = chef.add(points, 0)
    chef.add(of - points, 0)
    chef.deposit(pid, "own", stake_.raw(), 0)
    chef.deposit(pid, "others", pool_.raw() - stake_.raw(), 0)
    return _tokens(
        "pending",
        chef.pending(pid, "own", int(blocks_.value)),
        per_block_.unit,
        "earned",
        f"pool: {int(blocks_.value)} blocks x {per_block_.raw()} x {points} / {of}",
        f"own part: {stake_.raw()} / {pool_.raw()}, growth per share rounded down at 1e12",
    )


def emission_constant(amount_: Quantity, per_: str, length_: Quantity) -> Result:
    """Total of an even emission."""
    schedule = engine.Constant(amount_.raw(), whole(length_, EPOCHS[per_], per_))
    return _emitted(schedule, amount_.unit, f"{schedule.epochs} x {amount_.raw()} raw units")


def emission_decay(first_: Quantity, cut_: Quantity, length_: Quantity) -> Result:
    """Total of a yearly emission that shrinks by a fixed part every year."""
    top, bottom = (1 - cut_.value).as_integer_ratio()
    years = whole(length_, EPOCHS["year"], "year")
    schedule = engine.GeometricDecay(first_.raw(), top, bottom, years)
    step = f"{first_.raw()} x (1 - q^{years}) / (1 - q), q = {top} / {bottom}"
    return _emitted(schedule, first_.unit, step)


def emission_halving(first_: Quantity, per_: str, every_: Quantity, length_: Quantity) -> Result:
    """Total of an emission that is halved after every interval."""
    unit = EPOCHS[per_]
    interval, epochs = whole(every_, unit, per_), whole(length_, unit, per_)
    schedule = engine.Halving(first_.raw(), interval, epochs)
    step = f"{epochs} {per_}s, {first_.raw()} raw units each at first, halved every {interval}"
    return _emitted(schedule, first_.unit, step)


def _emitted(schedule: engine.Schedule, token: str, step: str) -> Result:
    return _tokens("total", schedule.total(), token, "in all", step)


def exit_penalty(amount_: Quantity, term_: Quantity, elapsed_: Quantity, max_: Quantity) -> Result:
    """Penalty for leaving early, falling evenly from its maximum to nothing at the end."""
    points = max_.value * _BPS
    if points != int(points):
        raise ToolError(f"a penalty of {max_.text} is finer than a basis point")
    spent, term = seconds(elapsed_), seconds(term_)
    penalty = engine.early_exit_penalty(amount_.raw(), 0, term, spent, int(points))
    step = f"{amount_.raw()} x {max_.value:f} x ({term} - {spent}) / {term}, rounded up"
    return _tokens("penalty", penalty, amount_.unit, "penalty", step)


def vested(amount_: Quantity, duration_: Quantity, cliff_: Quantity, elapsed_: Quantity) -> Result:
    """Amount vested: even from the start, nothing before the cliff ends."""
    vesting = engine.Vesting(amount_.raw(), 0, seconds(duration_), seconds(cliff_))
    spent = seconds(elapsed_)
    step = f"{amount_.raw()} x {spent} / {vesting.duration}, nothing before {vesting.cliff} s"
    return _tokens("vested", vesting.vested(spent), amount_.unit, "vested", step)


_STAKE = Parameter("stake", "own stake", "number")
_PER = Parameter("per", "length of an epoch", choices=tuple(EPOCHS))
_LENGTH = Parameter("length", "time that the total is over", "period")
_TOTAL = {"total": "raw units", "token": "symbol"}

INCENTIVE_TOOLS = (
    Tool(
        "stream_rewards",
        "a staker's part of a reward streamed evenly over a period",
        "streamed rewards",
        (
            Parameter("reward", "the whole reward, with its token", "amount"),
            Parameter("over", "time it is streamed over", "period"),
            _STAKE,
            Parameter("pool", "stake in the pool", "number"),
            Parameter("mine", "own stake: part of the pool's figure or on top", choices=MINE),
            Parameter("held", "time staked, from the start of the stream", "period"),
        ),
        stream_rewards,
        {"earned": "raw units", "token": "symbol"},
    ),
    Tool(
        "chef_rewards",
        "a staker's rewards over blocks in a MasterChef pool",
        "block rewards",
        (
            Parameter("per_block", "reward a block for all pools, with its token", "amount"),
            Parameter("weight", "the pool's part of the allocation points", "percent"),
            _STAKE,
            Parameter("pool", "stake in the pool, own stake included", "number"),
            Parameter("blocks", "blocks staked", "integer"),
        ),
        chef_rewards,
        {"pending": "raw units", "token": "symbol"},
    ),
    Tool(
        "emission_constant",
        "total of an even emission",
        "even emission total",
        (Parameter("amount", "amount an epoch, with its token", "amount"), _PER, _LENGTH),
        emission_constant,
        _TOTAL,
    ),
    Tool(
        "emission_decay",
        "total of an emission that is cut by a fixed part every year",
        "decaying emission total",
        (
            Parameter("first", "amount of the first year, with its token", "amount"),
            Parameter("cut", "part taken off every year", "percent"),
            _LENGTH,
        ),
        emission_decay,
        _TOTAL,
    ),
    Tool(
        "emission_halving",
        "total of an emission that is halved after every interval",
        "halving emission total",
        (
            Parameter("first", "amount an epoch before the first halving", "amount"),
            _PER,
            Parameter("every", "time from one halving to the next", "period"),
            _LENGTH,
        ),
        emission_halving,
        _TOTAL,
    ),
    Tool(
        "exit_penalty",
        "penalty for leaving a lock early, falling evenly to nothing at its end",
        "early exit penalty",
        (
            Parameter("amount", "amount locked, with its token", "amount"),
            Parameter("term", "length of the lock", "period"),
            Parameter("elapsed", "time since it began", "period"),
            Parameter("max", "penalty at the start", "percent"),
        ),
        exit_penalty,
        {"penalty": "raw units", "token": "symbol"},
    ),
    Tool(
        "vested",
        "amount vested of an even vesting with a cliff",
        "vested so far",
        (
            Parameter("amount", "amount granted, with its token", "amount"),
            Parameter("duration", "length of the vesting, cliff included", "period"),
            Parameter("cliff", "time before which nothing is vested", "period"),
            Parameter("elapsed", "time since the start", "period"),
        ),
        vested,
        {"vested": "raw units", "token": "symbol"},
    ),
)
