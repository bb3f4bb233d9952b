"""The ONE chat renderer: messages to token ids, with the supervised positions marked.

Contract: the model's own chat template does the rendering; what is supervised is each assistant
turn's content and its end-of-turn token, found by rendering prefixes and proven token by token.
A template that hides or rewrites the assistant's text raises TemplateError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from denizen.project.errors import TemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM = "You are Denizen, a DeFi analyst."
Message = dict[str, str]


@dataclass(frozen=True)
class Rendered:
    """A conversation as ids; `supervised[i]` tells whether position i is learnt."""

    input_ids: tuple[int, ...]
    supervised: tuple[bool, ...]
    text: str


def conversation(question: str, answer: str | None = None, system: str = SYSTEM) -> list[Message]:
    """System, user and (if given) assistant messages."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return messages


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of rendered text: special tokens are parsed, none is added."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def render_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """The text up to where the assistant begins to write."""
    return _template(tokenizer, messages, add_generation_prompt=True)


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> Rendered:
    """Ids and supervision of a whole conversation; raises TemplateError."""
    text = _template(tokenizer, messages)
    spans = [
        _assistant_span(tokenizer, messages, index, text)
        for index, message in enumerate(messages)
        if message["role"] == "assistant"
    ]
    if not spans:
        raise TemplateError(
            "the conversation has no assistant turn", fix="every training row needs an answer"
        )
    ids: list[int] = []
    supervised: list[bool] = []
    position = 0
    for start, end in spans:
        for piece, learnt in ((text[position:start], False), (text[start:end], True)):
            new = encode(tokenizer, piece)
            ids += new
            supervised += [learnt] * len(new)
        position = end
    tail = encode(tokenizer, text[position:])
    ids, supervised = ids + tail, supervised + [False] * len(tail)
    if ids != encode(tokenizer, text):
        raise TemplateError(
            "the assistant's text does not start or end at a token of the rendered conversation",
            where=repr(text[-60:]),
            fix="use a chat template that sets turns apart with special tokens or newlines",
        )
    return Rendered(tuple(ids), tuple(supervised), text)


def _assistant_span(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], index: int, text: str
) -> tuple[int, int]:
    """Character span of turn `index`: its content and its end-of-turn token."""
    before = _template(tokenizer, messages[:index], add_generation_prompt=True)
    through = _template(tokenizer, messages[: index + 1])
    content = messages[index]["content"]
    if not text.startswith(before) or not text.startswith(through):
        raise _no_span("the template rewrites earlier text when a turn is added", text)
    span = text[len(before) : len(through)]
    if not content or not span.startswith(content):
        raise _no_span("the template does not show the assistant's text as it is", span)
    end = len(before) + len(content)
    rest = text[end : len(through)]
    # The end-of-turn token is learnt, the newline some templates put after it is not.
    return len(before), end + len(rest.rstrip("\n"))


def _template(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    add_generation_prompt: bool = False,
) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise TemplateError(
            "the tokenizer has no chat template", fix="choose an instruction-tuned base model"
        )
    rendered: Any = tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
    )
    return str(rendered)


def _no_span(what: str, text: str) -> TemplateError:
    return TemplateError(
        f"no assistant span: {what}",
        where=repr(text[:60]),
        fix="use the base model's own chat template",
    )
