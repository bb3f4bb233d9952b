"""Incentives: farm rewards, emission totals, gauge boost, locks, bribes, early exits, vesting.

Trap: a deposit dilutes the pool it joins, boost stops at 2.5x, an unlock time is rounded down to
its week, and vesting counts from the start and not from the cliff.
"""

from __future__ import annotations

from denizen.tasks.families._edits import argument, distinct, exchanged, replace_argument, scaled
from denizen.tasks.families._incentive_slots import DRAWS, reward_pools
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.types import Family, Item, Split

NAME = "incentives"
_STREAM = "stream_rewards(reward={reward}; over={over}; stake={stake}; pool={pool}; mine="
GOLD = {
    "stream_join": _STREAM + "on top; held={held})",
    "stream_in": _STREAM + "included; held={held})",
    "chef": "chef_rewards(per_block={per_block}; weight={weight}; stake={stake}; pool={pool};"
    " blocks={blocks})",
    "constant": "emission_constant(amount={amount}; per={per}; length={length})",
    "decay": "emission_decay(first={first}; cut={cut}; length={length})",
    "halving": "emission_halving(first={first}; per={per}; every={every}; length={length})",
    "boost": "boost(stake={stake}; pool={pool}; ve={ve}; all_ve={all_ve})",
    "ve_power": "ve_power(locked={locked}; unlock={unlock}; now={now}; escrow={escrow})",
    "bribe": "bribe_apr(bribe={bribe}; votes={votes}; rounds={rounds}; price={price})",
    "exit": "exit_penalty(amount={amount}; term={term}; elapsed={elapsed}; max={max})",
    "vesting": "vested(amount={amount}; duration={duration}; cliff={cliff}; elapsed={elapsed})",
}
HARD = {"stream_join": 3, "chef": 3, "boost": 3, "constant": 1, "exit": 1, "vesting": 1}
ESCROWS = {"veCRV": "curve", "veBAL": "balancer"}
VERSIONS = {"stream_join": "synthetix", "stream_in": "synthetix", "chef": "sushiswap"}


def generate(seed: int, split: Split) -> Item:
    """Rewards worth $20k to $300M, pools 6 to 400 times a stake, locks of a month to four years."""
    draw = Draw(NAME, seed, split, dict.fromkeys(GOLD, 1.0))
    draw.pool = draw.rng.choice(reward_pools(split))
    slots = distinct(lambda: DRAWS[draw.kind](draw.rng, draw.pool)) | {"token": draw.pool.base}
    version = ESCROWS.get(slots.get("escrow", ""), VERSIONS.get(draw.kind, "any"))
    gold = GOLD[draw.kind].format(**slots)
    hard = HARD.get(draw.kind, 2)
    return make_item(draw, draw.ask(slots), gold, version=version, difficulty=hard)


def near_misses(item: Item) -> tuple[str, ...]:
    """Own stake counted the other way, another epoch, the week not rounded, periods swapped."""
    gold, kind = item.gold, item.kind
    if kind.startswith("stream"):
        mine = "on top" if kind == "stream_in" else "included"
        misses = [replace_argument(gold, "mine", mine), exchanged(gold, "over", "held")]
    elif kind == "chef":
        misses = [scaled(gold, "pool"), replace_argument(gold, "weight", "100%")]
    elif kind == "constant":
        other = "day" if argument(gold, "per") != "day" else "year"
        misses = [replace_argument(gold, "per", other), scaled(gold, "amount")]
    elif kind == "decay":
        misses = [replace_argument(gold, "length", "1 year"), scaled(gold, "cut")]
    elif kind == "halving":
        misses = [exchanged(gold, "every", "length"), scaled(gold, "first")]
    elif kind == "boost":
        misses = [scaled(gold, "stake"), exchanged(gold, "ve", "all_ve")]
    elif kind == "ve_power":
        later = str(int(argument(gold, "unlock")) + 7 * 86_400)
        escrow = "veBAL" if argument(gold, "escrow") == "veCRV" else "veCRV"
        misses = [replace_argument(gold, "unlock", later), scaled(gold, "locked")]
        misses.append(replace_argument(gold, "escrow", escrow))
    elif kind == "bribe":
        misses = [replace_argument(gold, "rounds", "1"), exchanged(gold, "bribe", "price")]
    elif kind == "exit":
        misses = [exchanged(gold, "term", "elapsed"), scaled(gold, "amount")]
    else:
        misses = [exchanged(gold, "duration", "elapsed"), exchanged(gold, "cliff", "elapsed")]
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "farm rewards, emissions, vote-escrow locks and boost, bribes, exits and vesting",
    tuple(GOLD),
    generate,
    near_misses,
    tools=(
        "stream_rewards", "chef_rewards", "emission_constant", "emission_decay",
        "emission_halving", "boost", "ve_power", "bribe_apr", "exit_penalty", "vested",
    ),
    levels=(1, 2, 3),
    versions=("any", "synthetix", "sushiswap", "curve", "balancer"),
)  # fmt: skip
