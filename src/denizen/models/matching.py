"""One way to follow a GBNF grammar token by token, for both generators and for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer


def matcher_of(table: LLTokenizer, grammar: str) -> LLMatcher:
    """A fresh matcher of `grammar` over a compiled token table."""
    from llguidance import LLMatcher
    from llguidance.gbnf_to_lark import any_to_lark

    return LLMatcher(table, any_to_lark(grammar))
