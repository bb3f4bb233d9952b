"""An Ollama Modelfile for the shipped GGUF: template, stop tokens, context, system prompt.

Contract: the template is the family's (`templates.py`), which renders as the base model's own chat
template does; a test compares the two on golden conversations.  Text that would end a Modelfile's
quotes is refused, never cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from denizen.export.templates import CHATML, ChatTemplate
from denizen.project.errors import ArtefactError

TEMPLATE = CHATML.go
STOPS = CHATML.stops


def modelfile(
    gguf_name: str,
    system: str,
    *,
    context: int,
    stops: Sequence[str] | None = None,
    template: ChatTemplate = CHATML,
) -> str:
    """The Modelfile's text; `stops` replaces the family's. Raises ArtefactError."""
    stops = template.stops if stops is None else stops
    _check("the file's name", gguf_name, ("\n", "\r", '"'))
    _check("the system prompt", system, ('"""',))
    for stop in stops:
        _check("a stop", stop, ("\n", "\r", '"'))
    if system.endswith('"'):
        raise _unquotable("the system prompt", '" at its end')
    notes = [f"# Note: {template.note}."] if template.note else []
    if template.trims:
        notes.append("# Note: the base strips white space around a message; Ollama keeps it.")
    lines = [
        "# Numbers come from the calculator: evaluate the <calc> call of an answer with",
        "# `denizen tasks verify`, or serve with `denizen serve`, which does it in the turn.",
        *notes,
        f"FROM ./{gguf_name}",
        f'TEMPLATE """{template.text}"""',
        f'SYSTEM """{system}"""',
        "PARAMETER temperature 0",
        f"PARAMETER num_ctx {context}",
        *(f'PARAMETER stop "{stop}"' for stop in stops),
    ]
    return "\n".join(lines) + "\n"


def render_template(messages: Sequence[Mapping[str, str]], template: ChatTemplate = CHATML) -> str:
    """What Ollama makes of the template for these messages."""
    return template.render(messages)


def _check(what: str, text: str, closing: Sequence[str]) -> None:
    for quote in closing:
        if quote in text:
            raise _unquotable(what, repr(quote))


def _unquotable(what: str, quote: str) -> ArtefactError:
    return ArtefactError(
        f"{what} cannot stand in a Modelfile: it holds {quote}", fix="write it without"
    )
