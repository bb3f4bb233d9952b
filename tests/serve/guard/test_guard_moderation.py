"""Moderation by others: what they say, and what holds when they say nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from denizen.serve.exchange import Fault
from denizen.serve.guard.moderation import UNAVAILABLE, Moderation


def ask(
    reply: Callable[[httpx.Request], httpx.Response] | None = None, **more: Any
) -> tuple[str, ...]:
    async def main() -> tuple[str, ...]:
        url = "http://moderation.test/v1/moderations" if reply else ""
        transport = httpx.MockTransport(reply) if reply else None
        moderation = Moderation(url, "secret", transport=transport, **more)
        try:
            return await moderation.flags("some text")
        finally:
            await moderation.close()

    return asyncio.run(main())


def answers(value: Any, status: int = 200) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(status, json=value)


def test_flagged_categories_become_flags_and_the_key_is_sent() -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(
            200,
            json={"results": [{"flagged": True, "categories": {"hate": True, "self-harm": False}}]},
        )

    assert ask(reply) == ("moderation: hate",)
    assert seen[0].headers["authorization"] == "Bearer secret" and b"some text" in seen[0].content


@pytest.mark.parametrize(
    ("result", "flags"),
    [
        ({"flagged": False, "categories": {"hate": False}}, ()),
        ({"flagged": True}, ("moderation: flagged",)),
        ({"flagged": True, "categories": {"<b>\nx": True}}, ("moderation: bx",)),
        ({"flagged": True, "categories": {"💥": True}}, ("moderation: flagged",)),
    ],
)
def test_shapes_of_results(result: dict[str, Any], flags: tuple[str, ...]) -> None:
    assert ask(answers({"results": [result]})) == flags


@pytest.mark.parametrize(
    "reply",
    [
        answers({}, 500),
        answers({}),
        answers([]),
        answers({"results": []}),
        answers({"results": [{"flagged": "yes"}]}),
        lambda request: httpx.Response(200, text="<html>"),
    ],
)
def test_rubbish_fails_open_with_a_flag_or_closed_with_a_fault(reply) -> None:
    assert ask(reply, failure="open") == (UNAVAILABLE,)
    with pytest.raises(Fault) as refused:
        ask(reply)
    assert (refused.value.status, refused.value.code) == (503, "moderation_unavailable")


def test_an_unreachable_endpoint_and_one_that_is_too_slow() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    async def slow(text: str) -> tuple[str, ...]:
        await asyncio.sleep(5)
        return ()

    assert ask(gone, failure="open") == (UNAVAILABLE,)
    assert ask(hook=slow, seconds=0.01, failure="open") == (UNAVAILABLE,)
    for more in ({"hook": slow, "seconds": 0.01}, {"reply": gone}):
        with pytest.raises(Fault):
            ask(**more)


def test_hooks_of_both_kinds_and_one_that_fails() -> None:
    async def later(text: str) -> list[str]:
        return ["spam"]

    def broken(text: str) -> list[str]:
        raise RuntimeError("oops")

    assert ask(hook=lambda text: ["spam", "spam"]) == ("moderation: spam",)
    assert ask(hook=later) == ask(hook=lambda text: "spam") == ("moderation: spam",)
    assert ask(hook=broken, failure="open") == (UNAVAILABLE,)
    assert ask(answers({"results": [{"flagged": True}]}), hook=later) == (
        "moderation: spam",
        "moderation: flagged",
    )


def test_nothing_is_configured() -> None:
    assert not Moderation().configured and Moderation(hook=lambda t: []).configured


def test_a_long_text_is_judged_to_its_end() -> None:
    seen: list[Any] = []

    def reply(request: httpx.Request) -> httpx.Response:
        given = json.loads(request.content)["input"]
        seen.append(given)
        results = [{"flagged": "bad" in part, "categories": {"hate": "bad" in part}}
                   for part in given]  # fmt: skip
        return httpx.Response(200, json={"results": results})

    def short(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"results": [{"flagged": False}]})

    async def main(script: Callable[[httpx.Request], httpx.Response]) -> tuple[str, ...]:
        transport = httpx.MockTransport(script)
        moderation = Moderation("http://moderation.test", failure="open", transport=transport)
        try:
            return await moderation.flags("word " * 20_000 + "bad")
        finally:
            await moderation.close()

    assert asyncio.run(main(reply)) == ("moderation: hate",)
    assert "".join(seen[0]).endswith("bad") and len(seen[0]) == 4
    # One result for several inputs leaves the others unjudged.
    assert asyncio.run(main(short)) == (UNAVAILABLE,)
