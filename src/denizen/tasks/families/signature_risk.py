"""Is it safe to sign: allowances, signatures, bait functions and look-alike addresses.

Trap: approve of 0 takes rights away; a permit gives an allowance though nothing shows on chain; a
known router makes an unlimited approval less bad, not good; a poisoned address differs only in the
middle.  Complete calldata of at most 36 bytes is assessed, longer data named by its pattern.
"""

from __future__ import annotations

from denizen.protocols.fixed_point import MAX_UINT256
from denizen.tasks import signature_rules as rules
from denizen.tasks.families import _signatures as draws
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._transactions import address, shown
from denizen.tasks.phrasing import significant
from denizen.tasks.quantities import decimals_of
from denizen.tasks.types import Family, Item, Split

NAME = "signature_risk"
KINDS = {"allowance": 0.25, "request": 0.3, "calldata": 0.25, "address": 0.2}
MAX_COPIED = 36
_CONFUSED = {
    "high": ("exact approval", "revocation"),
    "medium": ("exact approval", "unlimited approval"),
    "none": ("unlimited approval", "fake claim"),
}


def generate(seed: int, split: Split) -> Item:
    """Dangerous and harmless requests in about equal parts; addresses from the generator."""
    draw = Draw(NAME, seed, split, KINDS)
    return {
        "allowance": _allowance,
        "request": _request,
        "calldata": _calldata,
        "address": _address,
    }[draw.kind](draw)


def _allowance(draw: Draw) -> Item:
    rng = draw.rng
    size, known = rng.choice(("none", "some", "some", "huge", "max")), rng.random() < 0.5
    token = rng.choice((draw.pool.base, draw.pool.quote))
    match size:
        case "none":
            amount = "0"
        case "some":
            amount = f"{significant(rng, 3, 80_000, rng.choice((1, 2, 3))):,f}"
        case "huge":
            amount = f"{rng.choice((2, 5, 10, 100, 1000)) * 10**6:,}"
        case _:
            amount = f"{MAX_UINT256 // 10 ** decimals_of(token):,}"
    if rng.random() < 0.4:
        amount = amount.replace(",", "")
    slots = {"amount": f"{amount} {token}", "spender": draws.party(rng, draw.split, known).told}
    word = "known" if known else "unknown"
    gold = f"allowance(amount={slots['amount']}; spender={word})"
    return make_item(draw, draw.ask(slots), gold, version="any", difficulty=1)


def _request(draw: Draw) -> Item:
    pattern = draw.rng.choice(draws.PATTERNS)
    request = draws.request(draw.rng, draw.split, pattern, draw.pool.base)
    gold = f"risk(pattern={pattern})"
    return make_item(draw, draw.ask({"request": request}), gold, version="any", difficulty=2)


def _calldata(draw: Draw) -> Item:
    data, party = draws.pending(draw.rng, draw.split)
    word = "known" if party.known else "unknown"
    slots = {"data": shown(draw.rng, data), "spender": party.told}
    if len(data) <= MAX_COPIED:
        gold = f"assess(data={slots['data']}; spender={word})"
    else:
        gold = f"risk(pattern={rules.call_pattern(data, party.known)})"
    return make_item(draw, draw.ask(slots), gold, version="any", difficulty=3)


def _address(draw: Draw) -> Item:
    rng, digits = draw.rng, rules.SHOWN_DIGITS
    saved, other = address(rng)[2:], address(rng)[2:]
    match rng.choice(("same", "poisoned", "poisoned", "head", "other")):
        case "same":
            other = saved
        case "poisoned":
            other = saved[:digits] + other[digits:-digits] + saved[-digits:]
        case "head":
            other = saved[:digits] + other[digits:]
    # Digits in capitals are the same address; only then can the two texts of one differ.
    if other == saved or rng.random() < 0.4:
        other = other.upper()
    slots = {"saved": f"0x{saved}", "shown": f"0x{other}"}
    gold = f"lookalike(saved={slots['saved']}; shown={slots['shown']})"
    return make_item(draw, draw.ask(slots), gold, version="any", difficulty=2)


def near_misses(item: Item) -> tuple[str, ...]:
    """The other spender, harmless and alarming patterns instead, and words that wave it through."""
    from denizen.tasks.verify import gold_result

    result = gold_result(item.gold)
    level, pattern = result.values["level"], result.values["pattern"]
    misses = [answer(f"risk(pattern={other})") for other in _CONFUSED[level] if other != pattern]
    if item.kind == "allowance" and pattern != "revocation":
        other = "unknown" if "spender=known" in item.gold else "known"
        misses.append(answer(replace_argument(item.gold, "spender", other)))
    if level != "none":
        misses += [f"{pattern}, but it is safe to sign", "Looks fine, go ahead and sign."]
    return tuple(misses)


FAMILY = Family(
    NAME,
    "risk of pending signatures, approvals and payments",
    tuple(KINDS),
    generate,
    near_misses,
    tools=("risk", "allowance", "assess", "lookalike"),
    levels=(1, 2, 3),
)
