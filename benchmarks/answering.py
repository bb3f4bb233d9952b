"""Exact answers of a model in memory to items of the core families, as the exam asks them.

Contract: greedy, under each question's grammar, judged by the exact verifier; one bool an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def answered(model: Any, tokenizer: Any, items: Sequence[Any]) -> list[bool]:
    """Which items a transformers model (or PeftModel) answers rightly, in order."""
    from denizen.models import Generator, conversation, render_prompt
    from denizen.tasks import suite_of, verify

    suite = suite_of("core")
    prompts = [render_prompt(tokenizer, conversation(i.prompt)) for i in items]
    grammars = [suite.grammar(i.prompt) for i in items]
    answers = Generator(model, tokenizer).answer(prompts, grammars)
    return [verify(i, a).ok for i, a in zip(items, answers, strict=True)]
