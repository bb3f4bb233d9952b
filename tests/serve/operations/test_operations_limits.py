"""Rates and quotas: exact waiting times, fair identities, bounded memory, nothing forgotten."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.serve.exchange import Fault
from denizen.serve.operations.limits import Limits, network
from denizen.serve.operations.quotas import Quotas, used_today


class Clock:
    def __init__(self, at: float = 1e6) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def refused(limits: Limits, who: str = "a", **more: int) -> Fault:
    with pytest.raises(Fault) as fault:
        limits.take(who, **more)
    return fault.value


@given(limit=st.integers(1, 500), late=st.floats(0, 100))
def test_retry_after_is_exact(limit: int, late: float) -> None:
    clock = Clock()
    limits = Limits(limit, clock=clock)
    for _ in range(limit):
        limits.take("a")
    clock.at += late / limit
    while True:
        try:
            limits.take("a")
        except Fault as fault:
            wait = fault.retry_after
            break
    assert wait is not None and 0 < wait <= 60 / limit + 1e-6
    clock.at += wait * 0.99 - 1e-5
    if wait > 1e-3:
        assert refused(limits).status == 429
    clock.at += wait * 0.01 + 1e-5
    limits.take("a")


def test_a_refusal_costs_nothing_and_speaks_openai() -> None:
    clock = Clock()
    limits = Limits(2, clock=clock)
    limits.take("a")
    limits.take("a")
    for _ in range(50):
        fault = refused(limits)
    assert (fault.kind, fault.code) == ("requests", "rate_limit_exceeded")
    assert fault.retry_after == pytest.approx(30)
    limits.take("b")  # others are not concerned
    clock.at += 30
    limits.take("a")


def test_tokens_are_owed_and_waited_for() -> None:
    clock = Clock()
    limits = Limits(tokens_per_minute=100, clock=clock)
    limits.take("a")
    limits.spend("a", 250)
    assert limits.headers("a")["x-ratelimit-remaining-tokens"] == "0"
    fault = refused(limits)
    assert fault.kind == "tokens"
    assert fault.retry_after == pytest.approx(151 / 100 * 60)
    clock.at += 151 / 100 * 60
    limits.take("a")


def test_headers_tell_limit_rest_and_reset() -> None:
    clock = Clock()
    limits = Limits(60, 1000, clock=clock)
    assert limits.headers("a")["x-ratelimit-remaining-requests"] == "60"
    limits.take("a")
    limits.spend("a", 500)
    assert limits.headers("a") == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1.000s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "30.000s",
    }
    assert Limits().headers("a") == {}


def test_a_key_has_its_own_limit_which_may_change() -> None:
    clock = Clock()
    limits = Limits(100, clock=clock)
    limits.take("k", key=True, requests=1)
    assert refused(limits, "k", key=True, requests=1).retry_after == pytest.approx(60)
    clock.at += 120
    for _ in range(5):
        if limits.headers("k", key=True, requests=5)["x-ratelimit-remaining-requests"] == "0":
            break
        limits.take("k", key=True, requests=5)
    limits.take("k")  # an address called like a key is somebody else


def test_no_limit_never_refuses_and_remembers_nobody() -> None:
    limits = Limits()
    for number in range(1000):
        limits.take(f"a{number}")
        limits.spend(f"a{number}", 10**9)
    assert all(len(buckets) == 0 for buckets in limits._of.values())


def test_memory_is_bounded_and_a_flood_of_addresses_frees_no_key() -> None:
    clock = Clock()
    limits = Limits(1, remembered=100, clock=clock)
    limits.take("key", key=True)
    for number in range(1000):
        limits.take(f"address{number}")
    assert len(limits._of["address"]) == 100
    assert refused(limits, "key", key=True).status == 429


def test_failures_are_limited_by_network() -> None:
    clock = Clock()
    limits = Limits(failures_per_minute=3, clock=clock)
    for host in range(3):
        limits.failed(f"2001:db8:0:1::{host + 1}")
    with pytest.raises(Fault) as fault:
        limits.failed("2001:db8:0:1:ffff::9")
    assert fault.value.status == 429 and fault.value.retry_after == pytest.approx(20)
    limits.failed("2001:db8:0:2::1")
    clock.at += 20
    limits.failed("2001:db8:0:1::1")


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("203.0.113.9, 10.0.0.1", "unknown"),
        ("x" * 10_000, "unknown"),
    ],
)
def test_whose_an_address_is(address: str, whose: str) -> None:
    assert network(address) == whose


class Day:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 23, 59, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_daily_quota_survives_restarts_and_ends_at_midnight(tmp_path: Path) -> None:
    day = Day()
    quotas = Quotas(tmp_path, now=day)
    quotas.check("k", 100)
    quotas.add("k", 60)
    quotas.check("k", 100)
    quotas.add("k", 60)
    # Not closed: this is what a kill leaves behind.
    again = Quotas(tmp_path, now=day)
    assert again.used("k") == 120 and again.used("other") == 0
    with pytest.raises(Fault) as fault:
        again.check("k", 100)
    assert fault.value.retry_after == pytest.approx(30)
    assert (fault.value.status, fault.value.code) == (429, "insufficient_quota")
    again.check("k", 0)  # no quota
    day.now += timedelta(seconds=30)
    again.check("k", 100)
    quotas.close()
    again.close()
    assert (tmp_path / "quotas.sqlite").stat().st_mode & 0o777 == 0o600


def test_two_servers_share_a_quota(tmp_path: Path) -> None:
    one, two = Quotas(tmp_path), Quotas(tmp_path)
    for _ in range(20):
        one.add("k", 1)
        two.add("k", 2)
    assert one.used("k") == two.used("k") == 60 == used_today(tmp_path)["k"]
    one.close()
    two.close()


def test_a_database_that_cannot_be_written_fails_no_request(tmp_path: Path) -> None:
    quotas = Quotas(tmp_path)
    quotas.add("k", 5)
    other = sqlite3.connect(tmp_path / "quotas.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    quotas.add("k", 7)
    assert quotas.used("k") == 12  # counted, not yet written
    other.execute("ROLLBACK")
    other.close()
    quotas.add("k", 1)
    assert used_today(tmp_path) == {"k": 13}
    quotas.close()


def test_old_days_are_forgotten_and_nothing_counted_is_empty(tmp_path: Path) -> None:
    assert used_today(tmp_path) == {}
    day = Day()
    quotas = Quotas(tmp_path, now=day)
    quotas.add("k", 5)
    quotas.add("k", 0)
    quotas.close()
    day.now += timedelta(days=40)
    Quotas(tmp_path, now=day).close()
    with sqlite3.connect(tmp_path / "quotas.sqlite") as database:
        assert database.execute("SELECT count(*) FROM used").fetchone() == (0,)
