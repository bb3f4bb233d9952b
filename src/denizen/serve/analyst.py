"""The Analyst: a question in, an exact answer with its derivation out.

Contract: the released GGUF drafts and writes one calculator call under the grammar of the
question; the exact engine evaluates it; the answer's figure is the engine's.  A question the
calculator cannot serve is answered by saying so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from denizen.models import SYSTEM, Completion, LlamaEngine
from denizen.tasks import Suite, ToolError, evaluate, find_call


@dataclass(frozen=True)
class Answer:
    """What the Analyst says: the text, the call behind it and the steps of its evaluation."""

    question: str
    text: str
    draft: str
    call: str | None
    derivation: tuple[str, ...]
    ok: bool
    prompt_tokens: int
    completion_tokens: int

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


class Analyst:
    """A loaded release."""

    def __init__(
        self, gguf: Path, suite: Suite, *, context: int = 2048, max_new_tokens: int = 128
    ) -> None:
        self._suite = suite
        self._engine = LlamaEngine(gguf, context=context)
        self._max = max_new_tokens

    def ask(self, question: str) -> Answer:
        """Answer one question."""
        question = question.strip()
        done = self._engine.complete(
            chat_prompt(question), max_tokens=self._max, grammar=self._suite.grammar(question)
        )
        return compose(question, done, self._suite)

    def close(self) -> None:
        """Free the model."""
        self._engine.close()


def chat_prompt(question: str, system: str = SYSTEM) -> str:
    """The prompt text of the shipped chat template (proven equal to the trainer's at export)."""
    from denizen.export.modelfile import render_template

    return render_template(
        [{"role": "system", "content": system}, {"role": "user", "content": _plain(question)}]
    )


def compose(question: str, done: Completion, suite: Suite) -> Answer:
    """Evaluate the call of a completion and word the answer; a valid object is the answer."""
    draft = done.text.split("<calc>")[0].strip().rstrip(".")
    call = find_call(done.text)
    steps: tuple[str, ...] = ()
    ok = False
    if call is None and (schema := suite.object_in(done.text)) is not None:
        said, draft, ok = done.text.strip(), schema.name, True
    elif call is None:
        said = "I could not turn this into an exact calculation."
    else:
        try:
            result = evaluate(call)
            said, steps, ok = result.text, result.derivation, True
        except ToolError as error:
            said = f"I could not calculate this: {error}."
    return Answer(
        question, said, draft, call, steps, ok, done.prompt_tokens, done.completion_tokens
    )


def _plain(question: str) -> str:
    """User text is data: it cannot open or close a turn."""
    return question.replace("<|im_start|>", "< |im_start|>").replace("<|im_end|>", "< |im_end|>")
