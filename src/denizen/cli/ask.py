"""`denizen ask`: one question to the service, in this process, with derivation and sources."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from denizen.cli._common import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    config_of,
    emit,
    quiet_libraries,
    workspace_of,
)
from denizen.cli.serve import gguf_of

if TYPE_CHECKING:
    from denizen.serve.exchange import Outcome
    from denizen.serve.service import Service

app = typer.Typer()


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    gguf: Annotated[Path | None, typer.Option(help="Another GGUF than the release.")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="Folder of documents (`denizen ingest docs`).")
    ] = None,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Answer from the released GGUF; figures come from the exact engine."""
    settings, place = config_of(config), workspace_of(workspace)
    changed: dict[str, Any] = {"parallel": 1}
    if sources is not None:
        changed |= {"index": str(sources), "postgres": ""}
    settings = settings.model_copy(update={"serve": settings.serve.model_copy(update=changed)})
    quiet_libraries()
    from denizen.serve.assembly import build_service

    service = build_service(settings, place.root, gguf_of(settings, gguf, place.root))
    text, outcome = asyncio.run(asked(service, question))
    emit(as_json(question, text, outcome), json, as_text(text, outcome))


async def asked(service: Service, question: str) -> tuple[str, Outcome]:
    """The answer's text and its outcome; the service is closed. Raises DenizenError."""
    from denizen.project import DenizenError
    from denizen.serve.exchange import Fault, Outcome, Request, Turn, Visit

    request = Request(service.names.release, (Turn("user", question),))
    visit = Visit(f"ask-{uuid.uuid4().hex}", started=time.time())
    text, outcome = "", None
    try:
        async for thing in service.chat(request, visit):
            if isinstance(thing, Outcome):
                outcome = thing
            else:
                text += thing.text
    except Fault as fault:
        raise DenizenError(fault.message, where="ask") from fault
    finally:
        await service.close()
    assert outcome is not None, "a chat ends with its outcome or a fault"
    return text, outcome


def as_text(text: str, outcome: Outcome) -> str:
    """The answer, and below it what is to be known of it, as a terminal may see it.

    Sources and models are strangers, and a terminal obeys what is not printable.
    """
    notes = []
    if outcome.confidence is not None:
        notes.append(f"Confidence {outcome.confidence:.0%}")
    if outcome.origin == "upstream":
        notes.append("Answered by the stronger model")
    notes += [f"Corrected: {claimed} to {exact}" for claimed, exact in outcome.corrections]
    if outcome.flags:
        notes.append(f"Note: {', '.join(outcome.flags)}")
    whole = "\n\n".join([text, "\n".join(notes)]) if notes else text
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in whole)


def as_json(question: str, text: str, outcome: Outcome) -> dict[str, Any]:
    """Everything about an answer, for programs."""
    from dataclasses import asdict

    return {
        "question": question,
        "text": text,
        "generated": True,
        "ok": outcome.exact or bool(outcome.citations),
        **{key: value for key, value in asdict(outcome).items() if key != "usage"},
        "prompt_tokens": outcome.usage.prompt_tokens,
        "completion_tokens": outcome.usage.completion_tokens,
    }
