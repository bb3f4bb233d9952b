"""The fields of a user's line: texts and messages, or a DataError that names file:line and the fix.

Contract: what comes back is checked: roles are known, nothing is empty, a prompt ends where the
assistant is to speak and an answer is the assistant's.
"""

from __future__ import annotations

import json
from typing import Any

from denizen.data.preferences import Messages
from denizen.project.errors import DataError

ROLES = ("system", "user", "assistant", "tool")


def prompt_of(record: dict[str, Any], where: str, system: str) -> Messages:
    """The messages of `prompt`; a string becomes the `system` message and the user's."""
    value = record["prompt"]
    if isinstance(value, str):
        value = [
            {"role": "system", "content": system},
            {"role": "user", "content": text_of(value, "prompt", where)},
        ]
    messages = messages_of(value, "prompt", where)
    if messages[-1]["role"] not in ("user", "tool"):
        raise DataError(
            f"the prompt ends with the {messages[-1]['role']}",
            where=where,
            fix="end it with the user's message; the answer is a key of its own",
        )
    return messages


def answer_of(record: dict[str, Any], key: str, where: str) -> Messages:
    """The assistant's messages under `key`; a string becomes one."""
    value = record[key]
    if isinstance(value, str):
        value = [{"role": "assistant", "content": value}]
    messages = messages_of(value, key, where)
    if messages[0]["role"] != "assistant" or messages[-1]["role"] != "assistant":
        raise DataError(
            f"{key} begins or ends with another than the assistant",
            where=where,
            fix=f"give the assistant's messages in {key} and the rest in prompt",
        )
    return messages


def messages_of(value: Any, key: str, where: str) -> Messages:
    """A list of messages, each with a known role and a content that is not empty."""
    if not isinstance(value, list) or not value:
        raise DataError(
            f"{key} is {json.dumps(value)[:40]}",
            where=where,
            fix="give text or a list of messages with role and content",
        )
    for message in value:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise DataError(
                f"a message of {key} is {json.dumps(message)[:60]}",
                where=where,
                fix="a message has a role and a content, and no more",
            )
        if message["role"] not in ROLES:
            raise DataError(
                f"no such role: {json.dumps(message['role'])[:40]}",
                where=where,
                fix=f"roles are {', '.join(ROLES)}",
            )
        text_of(message["content"], f"the {message['role']}'s message in {key}", where)
    return tuple({"role": m["role"], "content": m["content"]} for m in value)


def text_of(value: Any, name: str, where: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        found = "empty" if isinstance(value, str) else json.dumps(value)[:40]
        raise DataError(f"{name} is {found}", where=where, fix="give it text, or remove the row")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{name} holds half a character (a lone surrogate)",
            where=where,
            fix="write it anew from the original text",
        ) from error
    return value
