"""`denizen keys`: who may ask the endpoint, for what, and how much."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from denizen.cli._common import JsonOption, WorkspaceOption, emit, say, workspace_of

if TYPE_CHECKING:
    from denizen.serve.operations.keys import Key, Made

app = typer.Typer(no_args_is_help=True)
Which = Annotated[str, typer.Argument(metavar="ID", help="The key's id, or its name.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses it, as wallet-backend.")],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            help="chat, embeddings, logprobs, feedback, metrics, traces or admin; repeatable.",
        ),
    ],
    requests_per_minute: Annotated[
        int, typer.Option(min=0, help="Its own limit; 0: the server's.")
    ] = 0,
    tokens_per_day: Annotated[int, typer.Option(min=0, help="0: no limit.")] = 0,
    expires: Annotated[
        float | None, typer.Option(help="Days until it ends; never if left out.")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key; its secret is shown now and never again."""
    from denizen.serve.operations.keys import KeyStore

    store = KeyStore(workspace_of(workspace).root)
    made = store.create(
        name,
        tuple(scope),
        requests_per_minute=requests_per_minute,
        tokens_per_day=tokens_per_day,
        expires_days=expires,
    )
    _show(made, json, "made")


@app.command("list")
def list_all(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """All keys with their state and the tokens they used today (UTC)."""
    from denizen.serve.operations.keys import KeyStore
    from denizen.serve.operations.quotas import used_today

    root, now = workspace_of(workspace).root, datetime.now(UTC)
    keys, used = KeyStore(root).read(), used_today(root)
    value = [{**k.public(), "state": k.state(now), "tokens_today": used.get(k.id, 0)} for k in keys]
    rows = [_row(k, k.state(now), used.get(k.id, 0)) for k in keys]
    emit(value, json, "\n".join(rows) or "no keys yet: denizen keys create NAME --scope chat")


@app.command()
def revoke(key: Which, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Close a key for good; a running server refuses it within a second."""
    from denizen.serve.operations.keys import KeyStore

    closed = KeyStore(workspace_of(workspace).root).revoke(key)
    emit(closed.public(), json, f"{closed.id}  {closed.name}  revoked")


@app.command()
def rotate(
    key: Which,
    overlap: Annotated[
        float, typer.Option(min=0, help="Hours for which the old secret opens as well.")
    ] = 0,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Give a key a new secret; id, scopes and quotas stay."""
    from denizen.serve.operations.keys import KeyStore

    _show(
        KeyStore(workspace_of(workspace).root).rotate(key, overlap_hours=overlap), json, "rotated"
    )


def _show(made: Made, as_json: bool, verb: str) -> None:
    key = made.key
    # The secret alone on standard output, so that KEY=$(denizen keys create ...) works.
    emit({**key.public(), "secret": made.secret}, as_json, made.secret)
    if not as_json:
        say(f"{verb} {key.name} ({key.id}) for {', '.join(key.scopes)}")
        say("keep the secret now: it is not shown again")


def _row(key: Key, state: str, used: int) -> str:
    limits = [f"{key.requests_per_minute}/min"] if key.requests_per_minute else []
    limits += [f"{key.tokens_per_day} tokens/day"] if key.tokens_per_day else []
    until = f"until {key.expires[:10]}" if key.expires else ""
    parts = (*limits, until, f"{used} tokens today" if used else "")
    rest = "  ".join(p for p in parts if p)
    return f"{key.id}  {state:<8} {key.name:<24} {','.join(key.scopes)}  {rest}".rstrip()
