"""A user's own JSON-lines file (`train.data`), in the form its objective learns from.

Contract: every line is one object of the objective's kind, given with file:line where it is not:
a conversation or a prompt and its completion (sft), a text (pretrain), a prompt with a chosen and a
rejected answer (dpo, orpo, reward), with a completion and a label (kto), or with a gold calculator
call, or an item (rloo, ppo, grpo).  A prompt or an answer is a string or a list of messages.
Anything else is a DataError that says what is there and what is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from denizen.data.own_fields import answer_of, messages_of, prompt_of, text_of
from denizen.data.preferences import Messages, Pair, Single
from denizen.project.errors import DataError
from denizen.tasks import Item, ToolError, evaluate, verify

# What a line holds, for each objective: one of these sets of keys.
FORMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "sft": (("messages",), ("prompt", "completion")),
    "pretrain": (("text",),),
    "dpo": (("prompt", "chosen", "rejected"),),
    "orpo": (("prompt", "chosen", "rejected"),),
    "reward": (("prompt", "chosen", "rejected"),),
    "kto": (("prompt", "completion", "label"),),
    "rloo": (("prompt", "gold"),),
    "ppo": (("prompt", "gold"),),
    "grpo": (("prompt", "gold"),),
}


@dataclass(frozen=True)
class Conversation:
    """A conversation of the user's; `id` is file:line.  `data.check_leaks` takes it as it is."""

    id: str
    messages: Messages
    family: str = ""
    template: str = ""
    pool: str = ""

    @property
    def question(self) -> str:
        """The user's last text."""
        return next((m["content"] for m in reversed(self.messages) if m["role"] == "user"), "")


@dataclass(frozen=True)
class Text:
    """A text of the user's; `id` is file:line."""

    id: str
    text: str
    family: str = ""
    template: str = ""
    pool: str = ""

    @property
    def question(self) -> str:
        """The text, for the leak check."""
        return self.text


Own = Conversation | Text | Pair | Single | Item


def read_own(path: Path, objective: str, system: str) -> list[Own]:
    """Rows of a file for an objective; a prompt that is a string gets the `system` message.

    Raises DataError naming the line and the fix.
    """
    forms = FORMS[objective]
    rows: list[Own] = []
    seen: tuple[str, ...] = ()
    for where, record in records(path, "name a readable file in train.data"):
        form = _form(record, forms, where, objective)
        if seen and form != seen:
            raise DataError(
                f"the file mixes rows of {_keys(seen)} with rows of {_keys(form)}",
                where=where,
                fix="keep one kind of row in a file",
            )
        seen = form
        rows.append(_READ[form](record, where, system))
    if not rows:
        raise DataError(
            "the file holds no row",
            where=str(path),
            fix=f"write one JSON object a line: {_wanted(forms)}",
        )
    return rows


def records(path: Path, fix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every line that is not blank; `fix` is for an unreadable file."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"cannot read the rows: {error.strerror}",
            where=str(path),
            fix=fix,
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            "the file is not UTF-8 text", where=str(path), fix="save it as JSON lines in UTF-8"
        ) from error
    # Not splitlines: JSON strings may hold separators that are no line ends of a file.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"not JSON: {error}", where=where, fix="write one JSON object a line"
            ) from error
        if not isinstance(record, dict):
            raise DataError(
                f"a row is an object, not {type(record).__name__}",
                where=where,
                fix="write one JSON object a line",
            )
        yield where, record


def _form(
    record: dict[str, Any], forms: tuple[tuple[str, ...], ...], where: str, objective: str
) -> tuple[str, ...]:
    for form in forms:
        if all(key in record for key in form):
            return form
    raise DataError(
        f"{objective} does not learn from a row with {_keys(tuple(record)) or 'nothing'}",
        where=where,
        fix=f"give it {_wanted(forms)}",
    )


def _conversation(record: dict[str, Any], where: str, system: str) -> Conversation:
    messages = messages_of(record["messages"], "messages", where)
    if messages[-1]["role"] != "assistant":
        raise DataError(
            "a conversation ends with what the assistant says",
            where=where,
            fix="add the answer that is to be learnt",
        )
    return Conversation(where, messages)


def _completed(record: dict[str, Any], where: str, system: str) -> Conversation:
    prompt = prompt_of(record, where, system)
    return Conversation(where, prompt + answer_of(record, "completion", where))


def _text(record: dict[str, Any], where: str, system: str) -> Text:
    return Text(where, text_of(record["text"], "text", where))


def _pair(record: dict[str, Any], where: str, system: str) -> Pair:
    chosen, rejected = (answer_of(record, key, where) for key in ("chosen", "rejected"))
    if chosen == rejected:
        raise DataError(
            "the chosen and the rejected answer are the same",
            where=where,
            fix="remove the row or mend one of the two",
        )
    return Pair(id=where, prompt=prompt_of(record, where, system), chosen=chosen, rejected=rejected)


def _single(record: dict[str, Any], where: str, system: str) -> Single:
    label = record["label"]
    if not isinstance(label, bool):
        raise DataError(
            f"the label is {json.dumps(label)[:40]}", where=where, fix="write true or false"
        )
    return Single(
        id=where,
        prompt=prompt_of(record, where, system),
        completion=answer_of(record, "completion", where),
        label=label,
    )


def _item(record: dict[str, Any], where: str, system: str) -> Item:
    names = [field.name for field in fields(Item) if field.name != "form"]
    known = {field.name for field in fields(Item)}
    prompt, gold = (text_of(record[key], key, where) for key in ("prompt", "gold"))
    if all(name in record for name in names):
        item = Item.from_json({key: record[key] for key in record if key in known})
    else:
        item = Item(
            id=where,
            family="own",
            kind="own",
            split="train",
            seed=0,
            prompt=prompt,
            gold=gold,
            template=f"own-{where}",
            pool="",
            version="any",
            difficulty=1,
            as_of="",
        )
    if item.split == "holdout":
        raise DataError(
            "an item of the holdout", where=where, fix="evaluation data never enters training"
        )
    try:
        if item.form == "call":
            evaluate(item.gold)
        right = verify(item, item.answer)
    except (ToolError, AssertionError, KeyError, TypeError) as error:
        raise DataError(
            f"the gold answer cannot be evaluated: {error}",
            where=where,
            fix="write a calculator call (`denizen protocols schema` lists them) or a whole item",
        ) from error
    if not right.ok:
        raise DataError(
            f"the gold answer is judged wrong: {right.reason}", where=where, fix="mend the item"
        )
    return item


_READ: Mapping[tuple[str, ...], Callable[[dict[str, Any], str, str], Own]] = {
    ("messages",): _conversation,
    ("prompt", "completion"): _completed,
    ("text",): _text,
    ("prompt", "chosen", "rejected"): _pair,
    ("prompt", "completion", "label"): _single,
    ("prompt", "gold"): _item,
}


def _keys(form: tuple[str, ...]) -> str:
    return ", ".join(form[:6])


def _wanted(forms: tuple[tuple[str, ...], ...]) -> str:
    shown = (f"{{{', '.join(json.dumps(key) for key in form)}}}" for form in forms)
    return " or ".join(shown)
