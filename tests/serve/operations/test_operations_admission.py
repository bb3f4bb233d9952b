"""The queue: never more than its places, fair, bounded, and without holes after a cancellation."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from denizen.serve.exchange import Fault
from denizen.serve.operations.admission import AdmissionQueue


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def empty(queue: AdmissionQueue) -> bool:
    return (queue.used, queue.waiting, len(queue._turns)) == (0, 0, 0)


async def hold(queue: AdmissionQueue, caller: str, log: list[str], gate: asyncio.Event) -> None:
    async with queue.place(caller):
        log.append(caller)
        await asyncio.sleep(0)
        await gate.wait()


def test_a_thousand_waiters_never_exceed_the_places() -> None:
    async def main() -> None:
        queue, most, served = AdmissionQueue(4, 2000, 30), 0, Counter[str]()

        async def one(number: int) -> None:
            nonlocal most
            async with queue.place(f"c{number % 10}"):
                most = max(most, queue.used)
                await asyncio.sleep(0)
                served[f"c{number % 10}"] += 1

        await asyncio.gather(*(one(n) for n in range(1000)))
        assert most == 4 and set(served.values()) == {100} and empty(queue)

    asyncio.run(main())


def test_first_come_first_served_for_one_caller() -> None:
    async def main() -> None:
        queue, order = AdmissionQueue(1, 100, 30), []

        async def one(number: int) -> None:
            async with queue.place("a"):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(one(n) for n in range(50)))
        assert order == list(range(50))

    asyncio.run(main())


def test_callers_take_turns_however_many_one_sends() -> None:
    async def main() -> None:
        queue, log, gate = AdmissionQueue(1, 100, 30), list[str](), asyncio.Event()
        gate.set()
        names = ["greedy"] * 40 + ["modest"] * 2 + ["late"]
        await asyncio.gather(*(hold(queue, name, log, gate) for name in names))
        # The first place is taken at once; from then on the three take turns.
        assert log[1:8] == ["greedy", "modest", "late", "greedy", "modest", "greedy", "greedy"]
        assert Counter(log) == Counter(names)

    asyncio.run(main())


def test_a_full_queue_refuses_whoever_has_most_waiting() -> None:
    async def main() -> None:
        queue, log, gate = AdmissionQueue(1, 4, 30), list[str](), asyncio.Event()
        tasks = [asyncio.create_task(hold(queue, "greedy", log, gate)) for _ in range(5)]
        await settle()
        assert (queue.used, queue.waiting) == (1, 4)
        with pytest.raises(Fault) as fault:
            await hold(queue, "greedy", log, gate)
        assert (fault.value.status, fault.value.code) == (503, "overloaded")
        modest = asyncio.create_task(hold(queue, "modest", log, gate))
        await settle()
        assert isinstance(tasks[4].exception(), Fault) and queue.waiting == 4
        gate.set()
        await asyncio.gather(*tasks[:4], modest)
        assert log == ["greedy", "greedy", "modest", "greedy", "greedy"] and empty(queue)

    asyncio.run(main())


def test_no_queue_at_all() -> None:
    async def main() -> None:
        queue = AdmissionQueue(1, 0, 30)
        async with queue.place():
            with pytest.raises(Fault, match="queue is full"):
                async with queue.place():
                    pass
        async with queue.place():
            pass
        assert empty(queue)

    asyncio.run(main())


def test_waiting_ends_and_leaves_no_hole() -> None:
    async def main() -> None:
        queue = AdmissionQueue(1, 10, 0.02)
        async with queue.place("a"):
            with pytest.raises(Fault) as fault:
                async with queue.place("b"):
                    pass
            assert fault.value.status == 503 and "0.02 s" in fault.value.message
            assert queue.waiting == 0
        assert empty(queue)

    asyncio.run(main())


def test_cancelled_waiters_leave_no_hole() -> None:
    async def main() -> None:
        queue, log, gate = AdmissionQueue(2, 100, 30), list[str](), asyncio.Event()
        tasks = [asyncio.create_task(hold(queue, f"c{n % 3}", log, gate)) for n in range(30)]
        await settle()
        for task in tasks[2:20]:
            task.cancel()
        await settle()
        assert (queue.used, queue.waiting) == (2, 10)
        gate.set()
        await asyncio.gather(*tasks[:2], *tasks[20:])
        assert len(log) == 12 and empty(queue)

    asyncio.run(main())


def test_a_waiter_cancelled_in_the_moment_it_is_called_hands_its_place_on() -> None:
    async def main() -> None:
        queue, log, gate = AdmissionQueue(1, 10, 30), list[str](), asyncio.Event()
        first = asyncio.create_task(hold(queue, "a", log, gate))
        await settle()
        second = asyncio.create_task(hold(queue, "b", log, asyncio.Event()))
        third = asyncio.create_task(hold(queue, "c", log, gate))
        await settle()
        gate.set()
        waiter = next(iter(queue._turns["b"]))
        while not waiter.done():
            await asyncio.sleep(0)
        second.cancel()  # called, but not awake yet
        await asyncio.gather(first, third)
        assert log == ["a", "c"] and second.cancelled() and empty(queue)

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_of_arrivals_cancellations_and_failures_ends_empty(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        queue, most = AdmissionQueue(3, 20, 0.01), 0

        async def one(caller: str) -> None:
            nonlocal most
            async with queue.place(caller):
                most = max(most, queue.used)
                await asyncio.sleep(chance.random() * 0.003)
                if chance.random() < 0.2:
                    raise ValueError

        tasks = []
        for _ in range(400):
            tasks.append(asyncio.create_task(one(f"c{chance.randrange(6)}")))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            if chance.random() < 0.4:
                await asyncio.sleep(chance.random() * 0.001)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 3 and empty(queue) and ended.count(None) > 20
        assert all(
            e is None or isinstance(e, ValueError | Fault | asyncio.CancelledError) for e in ended
        )

    asyncio.run(main())


def test_retry_after_follows_recent_service_times() -> None:
    async def main() -> None:
        now = 0.0
        queue = AdmissionQueue(2, 10, 30, clock=lambda: now)
        assert queue.retry_after() == 1.0
        for _ in range(10):
            async with queue.place():
                now += 8.0
        assert queue.retry_after() == pytest.approx(4.0)  # one ahead of none, two places
        for _ in range(100):
            async with queue.place():
                now += 1000.0
        assert queue.retry_after() == 120.0

    asyncio.run(main())


def test_draining_refuses_the_new_and_keeps_those_that_wait() -> None:
    async def main() -> None:
        queue, log, gate = AdmissionQueue(1, 10, 30), list[str](), asyncio.Event()
        tasks = [asyncio.create_task(hold(queue, n, log, gate)) for n in "ab"]
        await settle()
        queue.drain()
        with pytest.raises(Fault) as fault:
            await hold(queue, "c", log, gate)
        assert (fault.value.status, fault.value.code) == (503, "shutting_down")
        gate.set()
        await asyncio.gather(*tasks)
        assert log == ["a", "b"] and empty(queue)

    asyncio.run(main())


def test_at_the_end_those_that_wait_are_refused() -> None:
    async def main() -> None:
        queue, log, gate = AdmissionQueue(1, 10, 30), list[str](), asyncio.Event()
        tasks = [asyncio.create_task(hold(queue, n, log, gate)) for n in "abc"]
        await settle()
        queue.refuse_waiting()
        await settle()
        assert all(isinstance(t.exception(), Fault) for t in tasks[1:]) and queue.waiting == 0
        gate.set()
        await tasks[0]
        assert empty(queue)

    asyncio.run(main())
