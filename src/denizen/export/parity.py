"""Proof that trainer, tokenizer and llama.cpp see the same tokens.

Contract: for each golden conversation the ids of the trainer's renderer, of the tokenizer's own
apply_chat_template and of llama.cpp are equal, the Modelfile renders the same text, and all stop
at the same ids (`stops.py`).  Disagreement is a typed error: a model served on other tokens than
it learnt is not the model that was tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.export.stops import prove_stops
from denizen.export.templates import ChatTemplate, find_template, stripped
from denizen.models import SYSTEM, render, render_prompt
from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    from denizen.models import LlamaEngine

_TURNS = (
    ("What are the fee tiers of Uniswap v3?", "v3 swap fee. <calc>fact(version=v3)</calc>"),
    ("Sell 4.5 WETH into 1,200 WETH / $3.1M USDC", "v2, exact input. <calc>f(in=4.5 WETH)</calc>"),
    ("  leading and trailing spaces  ", " kept as they are "),
    ("tabs\tand\nnew\n\nlines\n", "one\n\ntwo\n"),
    ("ticks -195,714 .. -195714; L=85499379819279738", "0.05% 5 bps 24h 1e18 0x1234abcd"),
    ("caf\u00e9 \u20bf \u2248 1.000,5 \u20ac \u4f60\u597d \U0001f680", "\u2212195714 \u2264 x"),
    ("contract A { uint256 public x = 1_000e18; } // 100%", "```solidity\nrequire(a >= b);\n```"),
    ("what is <calc> and </calc>?", "<calc>v2_in(in=1 A; a=2 A)</calc>"),
    ("I'm they've we'll DON'T", "it's 1st 2nd 3rd 10x"),
    ("1234567890" * 8, "9" * 77),
    ('JSON: {"a": [1, 2.50, null], "b": "x\\ny"}', "{}"),
    ("a", "b"),
)


class ParityProof(NamedTuple):
    """How many conversations were compared, in how many tokens, and what differed.

    `stops`: the ids by side, those of `StopProof`. `trimmed`: the base's template strips white
    space around contents, and so the conversations were compared without any.
    """

    conversations: int
    tokens: int
    mismatches: tuple[str, ...]
    family: str = ""
    stops: dict[str, list[int]] | None = None
    trimmed: bool = False


def golden_conversations() -> list[list[dict[str, str]]]:
    """Single turns with our system prompt, and one conversation of all of them."""
    single = [
        [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
        for question, answer in _TURNS
    ]
    long = [{"role": "system", "content": "Be brief."}]
    for question, answer in _TURNS:
        long += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*single, long]


def prove_tokens(
    tokenizer: Any,
    engine: LlamaEngine,
    conversations: Sequence[list[dict[str, str]]] | None = None,
    *,
    template: ChatTemplate | None = None,
    folder: Path | None = None,
    gguf: Path | None = None,
) -> ParityProof:
    """Compare ids; raises ArtefactError on the first conversation or stop that differs.

    template  the family the Modelfile was written with; None: the one that is recognised
    folder    the transformers folder that was exported, for its generation_config
    gguf      the file `engine` runs, for the ids its header ends at
    """
    template = template or find_template(tokenizer)
    chosen = [list(c) for c in conversations or golden_conversations()]
    if template.trims:
        chosen = [stripped(c) for c in chosen]
    if not template.multi_turn:
        chosen = [c for c in chosen if sum(m["role"] == "assistant" for m in c) == 1]
    total = sum(
        _compare(tokenizer, engine, messages, template, number)
        for number, messages in enumerate(chosen, 1)
    )
    stops = prove_stops(tokenizer, template, folder=folder, gguf=gguf)._asdict()
    ids = {side: [ids] if isinstance(ids, int) else list(ids) for side, ids in stops.items()}
    return ParityProof(len(chosen), total, (), template.name, ids, template.trims)


def _compare(
    tokenizer: Any,
    engine: LlamaEngine,
    messages: list[dict[str, str]],
    template: ChatTemplate,
    number: int,
) -> int:
    """The tokens of a conversation on which everyone agrees."""
    rendered = render(tokenizer, messages)
    own = list(rendered.input_ids)
    stock = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)
    seen = {
        "apply_chat_template": list(stock["input_ids"]),
        "llama.cpp": engine.tokenize(rendered.text),
    }
    for name, ids in seen.items():
        if ids != own:
            raise _mismatch(name, number, own, ids)
    if template.render(messages[:-1]) != render_prompt(tokenizer, messages[:-1]):
        raise ArtefactError(
            f"the Modelfile renders golden conversation {number} differently",
            where=f"family {template.name}",
            fix="mend its template in export/templates.py",
        )
    return len(own)


def _mismatch(name: str, number: int, own: list[int], other: list[int]) -> ArtefactError:
    at = next(
        (i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b),
        min(len(own), len(other)),
    )
    return ArtefactError(
        f"{name} gives other tokens than the trainer on golden conversation {number}",
        where=f"position {at}: {other[at : at + 3]} instead of {own[at : at + 3]}",
        fix="the model must not ship: check the tokenizer metadata of the export",
    )
