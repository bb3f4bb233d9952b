"""Events from threads: in order, none lost, and an end that everyone sees."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from tests.serve.backend.tiny_gguf import run

from denizen.serve.backend.flow import Event, Flow
from denizen.serve.exchange import Fault


async def read(flow: Flow, choices: int) -> list[Event]:
    return [event async for event in flow.events(choices)]


def test_no_event_is_lost_or_out_of_order() -> None:
    async def many() -> list[Event]:
        flow = Flow()

        def write(choice: int) -> None:
            for n in range(2000):
                flow.put(Event(choice, str(n).encode()))
            flow.put(Event(choice, None))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for one in threads:
            one.start()
        found = await read(flow, 4)
        for one in threads:
            one.join()
        return found

    found = run(many())
    for choice in range(4):
        mine = [event.data for event in found if event.choice == choice]
        assert mine == [*(str(n).encode() for n in range(2000)), None]


def test_what_a_worker_raises_is_raised_after_what_it_said() -> None:
    async def broken() -> None:
        flow = Flow()
        flow.put(Event(0, b"a"))
        flow.put(Fault(500, "broken"))
        events = flow.events(1)
        assert await anext(events) == Event(0, b"a")
        with pytest.raises(Fault, match="broken"):
            await anext(events)

    run(broken())


def test_an_end_wakes_the_reader_and_stops_the_writer() -> None:
    async def end() -> None:
        flow = Flow()
        reader = asyncio.create_task(read(flow, 1))
        await asyncio.sleep(0.01)
        assert not flow.put(Event(0, b"a"))
        flow.end(Fault(503, "closing"))
        assert flow.put(Event(0, b"b"))
        with pytest.raises(Fault, match="closing"):
            await reader

    run(end())


def test_a_paused_flow_wakes_for_the_first_event_and_the_end() -> None:
    async def paused() -> list[int]:
        flow, sizes = Flow(pause=60), []
        flow.put(Event(0, b"a"))
        events = flow.events(1)
        assert await anext(events) == Event(0, b"a")
        reader = asyncio.create_task(read_on(events))
        await asyncio.sleep(0.01)
        for _ in range(5):
            flow.put(Event(0, b"b"))
            await asyncio.sleep(0.002)
        sizes.append(len(flow.waiting))  # nobody was woken
        flow.put(Event(0, None))
        sizes.append(len(await reader))
        return sizes

    assert run(paused()) == [5, 6]


async def read_on(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def test_a_cancelled_flow_and_a_closed_loop_want_nothing() -> None:
    flows: list[Flow] = []

    async def cancel() -> None:
        flow = Flow()
        flow.put(Event(0, b"a"))
        flow.cancel()
        assert flow.cancelled and flow.put(Event(0, b"b"))
        waiting = Flow()
        flows.append(waiting)
        reader = asyncio.create_task(read(waiting, 1))
        await asyncio.sleep(0.01)
        reader.cancel()

    run(cancel())
    assert flows[0].put(Event(0, b"late"))
