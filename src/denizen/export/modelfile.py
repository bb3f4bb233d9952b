"""An Ollama Modelfile for the shipped GGUF: template, stop tokens, context, system prompt.

The template is ChatML in Go's template language, as the base model's own chat template renders it;
a test compares the two on golden conversations.
"""

from __future__ import annotations

from collections.abc import Sequence

# Every turn is "<|im_start|>role\ncontent<|im_end|>\n"; Ollama passes turns as .Messages.
TEMPLATE = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n"
    "{{ .Content }}<|im_end|>\n"
    "{{ end }}<|im_start|>assistant\n"
)
STOPS = ("<|im_end|>", "<|im_start|>", "<|endoftext|>")


def modelfile(gguf_name: str, system: str, *, context: int, stops: Sequence[str] = STOPS) -> str:
    """The Modelfile's text."""
    lines = [
        "# Numbers come from the calculator: evaluate the <calc> call of an answer with",
        "# `denizen tasks verify`, or serve with `denizen serve`, which does it in the turn.",
        f"FROM ./{gguf_name}",
        f'TEMPLATE """{TEMPLATE}"""',
        f'SYSTEM """{system}"""',
        "PARAMETER temperature 0",
        f"PARAMETER num_ctx {context}",
        *(f'PARAMETER stop "{stop}"' for stop in stops),
    ]
    return "\n".join(lines) + "\n"


def render_template(messages: Sequence[dict[str, str]]) -> str:
    """What Ollama makes of TEMPLATE for these messages (the constructs used, faithfully)."""
    head, rest = TEMPLATE.split("{{- range .Messages }}")
    body, tail = rest.split("{{ end }}")
    turns = (
        body.replace("{{ .Role }}", m["role"]).replace("{{ .Content }}", m["content"])
        for m in messages
    )
    return head + "".join(turns) + tail
