"""Training rows as the audits read them: what stood before, and what the model was taught to write.

Contract: `passages` gives one `Passage` a row, in order, by the one chat renderer; a row is a
conversation (`messages`), a preference (`prompt` with `chosen` or `completion`), a `text`, or a
plain string.  Both halves of a passage have at least one token; a row that cannot give that is a
DataError that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from denizen.models import SYSTEM, conversation, encode, render, render_prompt
from denizen.project.errors import DataError


class Passage(NamedTuple):
    """Ids of the prompt and of what follows it (of a text: its first token, and the rest)."""

    id: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def passages(tokenizer: Any, rows: Sequence[Any]) -> list[Passage]:
    """The passages of rows; raises DataError for a row without text to learn."""
    return [_passage(tokenizer, row, number) for number, row in enumerate(rows)]


def prompt_ids(tokenizer: Any, question: str, system: str = SYSTEM) -> list[int]:
    """A question as the assistant meets it."""
    return encode(tokenizer, render_prompt(tokenizer, conversation(question, system=system)))


def messages_of(row: Any) -> list[dict[str, str]]:
    """The conversation of a row, its right answer last; empty for a text."""
    if found := getattr(row, "messages", None):
        return [dict(message) for message in found]
    answer = getattr(row, "chosen", None) or getattr(row, "completion", None)
    return [*row.prompt, *answer] if answer else []


def question_and_answer(row: Any) -> tuple[str, str]:
    """The last thing asked and what is answered; of a text, nothing and the text."""
    messages = messages_of(row)
    if not messages:
        return "", str(getattr(row, "text", row))
    asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    return asked, messages[-1]["content"]


def _passage(tokenizer: Any, row: Any, number: int) -> Passage:
    name = str(getattr(row, "id", f"row {number}"))
    messages = messages_of(row)
    if messages:
        rendered = render(tokenizer, messages)
        end = len(rendered.supervised)
        while end and not rendered.supervised[end - 1]:
            end -= 1
        start = end
        while start and rendered.supervised[start - 1]:
            start -= 1
        ids = rendered.input_ids
    else:
        text = str(getattr(row, "text", row))
        # What looks like a special token in a text is text.
        ids = tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)
        start, end = 1, len(ids)
    if not 0 < start < end:
        raise DataError(
            "a row holds nothing that a model could have learnt",
            where=name,
            fix="audit rows with an answer or a text of at least two tokens",
        )
    return Passage(name, ids[:start], ids[start:end])
