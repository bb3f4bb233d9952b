"""What a transaction does, from its calldata, its logs, a batch's inner calls or command bytes.

Trap: names and selectors that look alike (mint of v2, v3 and ERC-4626), an Approval in a swap's
receipt, a repaid debt that is a liquidation, a batch that unwraps after it has swapped.  A hex
string of at most 36 bytes that decides is decoded; longer or cut data is named.
"""

from __future__ import annotations

from denizen.protocols import calldata
from denizen.protocols.calldata_table import functions
from denizen.protocols.fixed_point import MathError
from denizen.tasks.families import _transactions as draws
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._transaction_tables import BATCHES, PLANS, PROTOCOLS, RECEIPTS
from denizen.tasks.quantities import find_spans
from denizen.tasks.types import Family, Item, Split

NAME = "transaction"
KINDS = {"calldata": 0.45, "logs": 0.3, "multicall": 0.15, "commands": 0.1}
# The longest hex that is copied into an answer: a selector and one word.
MAX_COPIED = 36
_CONFUSED = {
    "swap": ("add liquidity", "approve"),
    "add liquidity": ("swap", "vault deposit"),
    "remove liquidity": ("collect fees", "withdraw"),
    "collect fees": ("remove liquidity", "claim rewards"),
    "supply": ("vault deposit", "stake"),
    "withdraw": ("vault redemption", "unwrap"),
    "borrow": ("flash loan", "supply"),
    "repay": ("liquidate", "supply"),
    "liquidate": ("repay", "swap"),
    "approve": ("permit", "transfer"),
    "permit": ("approve", "transfer"),
    "transfer": ("approve", "swap"),
    "wrap": ("unwrap", "vault deposit"),
    "unwrap": ("wrap", "withdraw"),
    "stake": ("vault deposit", "unstake"),
    "unstake": ("stake", "claim rewards"),
    "claim rewards": ("collect fees", "transfer"),
}


def generate(seed: int, split: Split) -> Item:
    """Classes drawn evenly, then one of their functions; receipts and batches from tables."""
    draw = Draw(NAME, seed, split, KINDS)
    match draw.kind:
        case "calldata":
            return _calldata(draw)
        case "logs":
            return _logs(draw)
        case "multicall":
            return _multicall(draw)
    numbers = draws.command_bytes(draw.rng, draw.rng.choice(PLANS))
    prompt = draw.ask({"commands": f"0x{numbers.hex()}"})
    gold = f"tx(kind={calldata.label_of_commands(numbers)})"
    return make_item(draw, prompt, gold, version="universal router", difficulty=3)


def _calldata(draw: Draw) -> Item:
    rng, by_label = draw.rng, draws.drawable()
    function = rng.choice(by_label[rng.choice(tuple(by_label))])
    data = draws.calldata_of(rng, function)
    slots = {
        "data": draws.shown(rng, data),
        "contract": draws.called(function, draw.pool.base),
    }
    if len(data) <= MAX_COPIED:
        gold = f"decode(data={slots['data']})"
    else:
        gold = f"tx(kind={calldata.decode_call(data).label})"
    prompt = draw.ask(slots)
    hard = 1 if len(data) <= MAX_COPIED or function.protocol.startswith("erc") else 2
    return make_item(draw, prompt, gold, version=function.protocol, difficulty=hard)


def _logs(draw: Draw) -> Item:
    names = draw.rng.choice(RECEIPTS)
    logs = [draws.log_of(draw.rng, draws.event_named(name)) for name in names]
    label = calldata.classify_logs(logs)
    decisive = next(n for n, log in enumerate(logs) if _topic_label(log.topics[0]) == label)
    prompt = draw.ask({"logs": draws.receipt(draw.rng, logs)})
    gold = f"decode(data=0x{logs[decisive].topics[0].hex()})"
    version = draws.event_named(names[decisive]).protocol
    hard = 1 if len(logs) == 1 else 2
    return make_item(draw, prompt, gold, version=version, difficulty=hard)


def _multicall(draw: Draw) -> Item:
    rng = draw.rng
    contract, names = rng.choice(BATCHES)
    inner = [draws.function_named(name) for name in names]
    label = calldata.combine(f.label for f in inner)
    joint, tail = rng.choice(((", ", ""), (", ", draws.ELLIPSIS), ("; ", ""), (" + ", "")))
    calls = joint.join(f"0x{f.selector.hex()}{tail}" for f in inner)
    decisive = [f.selector.hex() for f in inner if f.label == label]
    gold = f"decode(data=0x{decisive[0]})" if decisive else f"tx(kind={label})"
    prompt = draw.ask({"calls": calls, "contract": contract})
    return make_item(draw, prompt, gold, version="uniswap v3", difficulty=2 if decisive else 3)


def _topic_label(topic: bytes) -> str:
    try:
        return calldata.label_of_topic(topic)
    except MathError:
        return ""


def near_misses(item: Item) -> tuple[str, ...]:
    """Classes it is mistaken for, a companion log or call instead of the decisive one, cut data."""
    from denizen.tasks.verify import gold_result

    label = gold_result(item.gold).values["kind"]
    misses = [answer(f"tx(kind={other})") for other in _CONFUSED.get(label, ("swap", "transfer"))]
    for span in find_spans(item.prompt):
        if not span.startswith("0x"):
            continue
        data = bytes.fromhex(span[2:])
        other = _topic_label(data) if len(data) == 32 else ""
        if len(data) == 4 and data in functions():
            other = functions()[data].label
        if other and other != label:
            misses.append(answer(f"decode(data={span})"))
        elif len(data) > MAX_COPIED:
            misses.append(answer(f"decode(data={span[:-8]})"))
    return (*misses, f"It is a {label} or a multicall or a swap and a transfer.")


FAMILY = Family(
    NAME,
    "what a transaction does, from calldata, logs, batches and router commands",
    tuple(KINDS),
    generate,
    near_misses,
    tools=("tx", "decode"),
    levels=(1, 2, 3),
    versions=(*PROTOCOLS, "universal router"),
)
