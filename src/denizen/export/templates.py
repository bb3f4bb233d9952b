"""Chat template families: each one's Ollama template and stop tokens, recognised by behaviour.

Contract: `find_template(tokenizer)` renders probe conversations with the base's own chat template
and returns the one family whose Go template gives the same text (names are not looked at); one
that no family matches is refused with one line.  A BOS token that the base's template writes is
written by the Modelfile's too: our GGUF files tell llama.cpp to add none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from denizen.export.gotemplate import parse
from denizen.models import encode
from denizen.project.errors import TemplateError


@dataclass(frozen=True)
class ChatTemplate:
    """One family.  `stops`: the end of a turn first, then tokens that may never be written.

    `multi_turn`: adding a turn leaves the earlier text as it was, so the trainer can mark every
    answer of a conversation.  Set by `find_template`: `bos` is the token the base writes first,
    `trims` tells that it strips white space around contents, which Go's templates cannot.
    """

    name: str
    go: str
    stops: tuple[str, ...]
    multi_turn: bool = True
    bos: str = ""
    trims: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        """The Modelfile's TEMPLATE."""
        return self.bos + self.go

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """What Ollama makes of the template for these messages."""
        joined = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
        return parse(self.text).render(joined, messages)


_DATE = "@DATE@"
_HEADER = "<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>"
_ANSWER = "<|start_header_id|>assistant<|end_header_id|>\n\n"
_LLAMA_STOPS = (
    "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
)  # fmt: skip
_LAST = "(eq (len (slice $.Messages $i)) 1)"


def _inst(system: str, opened: str, closed: str, answer: str) -> str:
    """Mistral's turns; `system` says when its text goes before a user's."""
    return (
        '{{- range $i, $m := .Messages }}{{ if eq .Role "user" }}'
        f"{opened}{{{{ if and $.System {system} }}}}{{{{ $.System }}}}\n\n{{{{ end }}}}"
        f'{{{{ .Content }}}}{closed}{{{{ else if eq .Role "assistant" }}}}'
        f"{answer}{{{{ .Content }}}}</s>{{{{ end }}}}{{{{ end }}}}"
    )


CHATML = ChatTemplate(
    "chatml",
    # Every turn is "<|im_start|>role\ncontent<|im_end|>\n"; Ollama passes turns as .Messages.
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n"
    "{{ .Content }}<|im_end|>\n"
    "{{ end }}<|im_start|>assistant\n",
    ("<|im_end|>", "<|im_start|>", "<|endoftext|>"),
)

FAMILIES = (
    CHATML,
    ChatTemplate(
        "llama-3", "{{- range .Messages }}" + _HEADER + "{{ end }}" + _ANSWER, _LLAMA_STOPS
    ),
    ChatTemplate(
        "llama-3.1",
        "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
        f"Today Date: {_DATE}\n\n{{{{ .System }}}}<|eot_id|>"
        '{{ range .Messages }}{{ if ne .Role "system" }}'
        f"{_HEADER}{{{{ end }}}}{{{{ end }}}}{_ANSWER}",
        _LLAMA_STOPS,
        note="the date in the system turn is frozen at the day of the export",
    ),
    ChatTemplate(
        "gemma-3",
        '{{- range $i, $m := .Messages }}{{ if eq .Role "user" }}<start_of_turn>user\n'
        "{{ if and $.System (eq $i 1) }}{{ $.System }}\n\n{{ end }}{{ .Content }}<end_of_turn>\n"
        '{{ else if eq .Role "assistant" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n'
        "{{ end }}{{ end }}<start_of_turn>model\n",
        ("<end_of_turn>", "<start_of_turn>", "<eos>"),
    ),
    ChatTemplate(
        "mistral-v1", _inst("(eq $i 1)", " [INST] ", " [/INST]", " "), ("</s>", "[INST]", "[/INST]")
    ),
    ChatTemplate(
        "mistral-v3",
        _inst(_LAST, "[INST] ", "[/INST]", " "),
        ("</s>", "[INST]", "[/INST]"),
        multi_turn=False,
    ),
    ChatTemplate(
        "mistral-v3-tekken",
        _inst(_LAST, "[INST]", "[/INST]", ""),
        ("</s>", "[INST]", "[/INST]"),
        multi_turn=False,
    ),
    ChatTemplate(
        "mistral-v7",
        '{{- range .Messages }}{{ if eq .Role "system" }}[SYSTEM_PROMPT]{{ .Content }}'
        '[/SYSTEM_PROMPT]{{ else if eq .Role "user" }}[INST]{{ .Content }}[/INST]'
        '{{ else if eq .Role "assistant" }}{{ .Content }}</s>{{ end }}{{ end }}',
        ("</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]"),
    ),
    ChatTemplate(
        "phi-3",
        "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
        ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>"),
        multi_turn=False,
    ),
    ChatTemplate(
        "phi-4-mini",
        "{{- range .Messages }}<|{{ .Role }}|>{{ .Content }}<|end|>{{ end }}<|assistant|>",
        ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>"),
        multi_turn=False,
    ),
    ChatTemplate(
        "phi-4",
        "{{- range .Messages }}<|im_start|>{{ .Role }}<|im_sep|>{{ .Content }}<|im_end|>{{ end }}"
        "<|im_start|>assistant<|im_sep|>",
        ("<|im_end|>", "<|im_start|>", "<|im_sep|>", "<|endoftext|>"),
    ),
)  # fmt: skip


def _talk(*turns: str) -> list[dict[str, str]]:
    roles = ("system", *("user", "assistant") * len(turns))
    return [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]


_PROBES = (
    _talk("Be brief.", "What is 2+2?"),
    _talk("Be brief.\nAnd exact.", "One.", "Two.", "Three\n\nfour?"),
    _talk("S", "a", "b", "c", "d", "e"),
)
_SPACED = _talk("S", "  a\n", "b", " c ")


def find_template(tokenizer: Any) -> ChatTemplate:
    """The family of a tokenizer's chat template, with the stops its vocabulary has.

    Raises TemplateError when there is no template, or none of the families renders as it does.
    """
    texts = [own_prompt(tokenizer, probe) for probe in _PROBES]
    bos = tokenizer.bos_token or ""
    # ChatML's BOS opens every turn and is part of the family's own text.
    written = bos if bos and all(t.startswith(bos) and t.count(bos) == 1 for t in texts) else ""
    for family in FAMILIES:
        candidate = _dated(replace(family, bos=written), texts[0])
        if all(candidate.render(p) == t for p, t in zip(_PROBES, texts, strict=True)):
            break
    else:
        raise TemplateError(
            "no known family renders as this base's chat template does",
            where=repr(texts[0][:80]),
            fix="add its Ollama template to FAMILIES in export/templates.py, or choose a base of "
            "the Llama 3, ChatML, Gemma 3, Mistral or Phi family",
        )
    spaced = own_prompt(tokenizer, _SPACED)
    trims = candidate.render(_SPACED) != spaced
    if trims and candidate.render(stripped(_SPACED)) != spaced:
        raise TemplateError(
            f"the chat template treats white space as no template of the {candidate.name} family",
            where=repr(spaced[:80]),
            fix="add its Ollama template to FAMILIES in export/templates.py",
        )
    end, *others = candidate.stops
    # The end of a turn stays: without it in the vocabulary the proof of stops fails, as it should.
    known = tuple(stop for stop in others if single_token(tokenizer, stop) is not None)
    return replace(candidate, trims=trims, stops=(end, *known))


def _dated(family: ChatTemplate, text: str) -> ChatTemplate:
    found = re.search(r"Today Date: (\d{2} \w{3} \d{4})\n", text)
    return replace(family, go=family.go.replace(_DATE, found[1])) if found else family


def own_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """What the base's own template renders before an answer; raises TemplateError."""
    from jinja2.exceptions import TemplateError as JinjaError

    if not getattr(tokenizer, "chat_template", None):
        raise TemplateError(
            "the tokenizer has no chat template", fix="choose an instruction-tuned base model"
        )
    try:
        return str(
            tokenizer.apply_chat_template(
                [dict(m) for m in messages], tokenize=False, add_generation_prompt=True
            )
        )
    except JinjaError as error:
        raise TemplateError(
            f"the chat template refuses a conversation with a system turn: {error}",
            fix="choose a base whose template knows the system role",
        ) from error


def stripped(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The same conversation as a template that trims sees it."""
    return [{"role": m["role"], "content": m["content"].strip()} for m in messages]


def single_token(tokenizer: Any, text: str) -> int | None:
    """The id of a text that is one token of its own, else None."""
    ids = encode(tokenizer, text)
    return ids[0] if len(ids) == 1 and tokenizer.convert_ids_to_tokens(ids[0]) == text else None
