"""Proof that trainer, tokenizer and llama.cpp see the same tokens.

For each golden conversation the ids of the trainer's renderer, of the tokenizer's own
apply_chat_template and of llama.cpp must be equal; what the Modelfile renders must be the same
text.  Disagreement is a typed error: a model served on other tokens than it learnt is not the
model that was tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from denizen.export.modelfile import render_template
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
    """How many conversations were compared, in how many tokens, and what differed."""

    conversations: int
    tokens: int
    mismatches: tuple[str, ...]


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
) -> ParityProof:
    """Compare ids; raises ArtefactError on the first conversation that differs."""
    total = 0
    chosen = list(conversations or golden_conversations())
    for number, messages in enumerate(chosen, 1):
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
        prompt = render_prompt(tokenizer, messages[:-1])
        if render_template(messages[:-1]) != prompt:
            raise ArtefactError(
                f"the Modelfile renders golden conversation {number} differently",
                fix="mend TEMPLATE in export/modelfile.py",
            )
        total += len(own)
    return ParityProof(len(chosen), total, ())


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
