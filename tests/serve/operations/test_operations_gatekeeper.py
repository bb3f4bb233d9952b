"""Operations as the interfaces use it: who is asked for a key, what a key opens, what it costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from denizen.project.config import ServeConfig
from denizen.project.errors import ConfigError, DataError
from denizen.serve.exchange import Caller, Fault, Usage
from denizen.serve.operations import SCOPES, KeyStore, Operations
from denizen.serve.operations.keyring import KeyRing
from denizen.serve.operations.limits import Limits
from denizen.serve.operations.operations import is_loopback
from denizen.serve.operations.quotas import Quotas


def refused(status: int, act: object, *words: object) -> Fault:
    with pytest.raises(Fault) as fault:
        act(*words)  # type: ignore[operator]
    assert fault.value.status == status, fault.value.message
    return fault.value


def test_on_loopback_nobody_is_asked_until_a_key_is_made(tmp_path: Path) -> None:
    now = [0.0]
    operations = Operations(KeyRing(tmp_path, clock=lambda: now[0]), Quotas(tmp_path))
    caller = operations.admit("Bearer none", "127.0.0.1")
    assert caller == Caller("local", frozenset(SCOPES), "127.0.0.1")
    secret = KeyStore(tmp_path).create("a", ("chat",)).secret
    now[0] = 2.0
    fault = refused(401, operations.admit, "", "127.0.0.1")
    assert "Bearer dnz_" in fault.message and fault.code == "invalid_api_key"
    assert operations.admit(f"Bearer {secret}", "127.0.0.1").scopes == {"chat"}
    operations.close()


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic dTpw", "dnz_x", "Bearer " + "x" * 600, "Bearer dnz_\x00é"]
)
def test_bad_authorizations_are_401(tmp_path: Path, header: str) -> None:
    KeyStore(tmp_path).create("a", ("chat",))
    operations = Operations.from_config(ServeConfig(), tmp_path)
    refused(401, operations.admit, header, "127.0.0.1")
    operations.close()


def test_scopes(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    chat, admin = (store.create(s, (s,)).secret for s in ("chat", "admin"))
    operations = Operations.from_config(ServeConfig(), tmp_path)
    caller = operations.admit(f"bearer  {chat}", "127.0.0.1")
    operations.need(caller, "chat")
    assert refused(403, operations.need, caller, "metrics").code == "insufficient_scope"
    boss = operations.admit(f"Bearer {admin}", "127.0.0.1")
    for scope in SCOPES:
        operations.need(boss, scope)
    operations.close()


def test_a_reachable_server_without_a_key_does_not_start(tmp_path: Path) -> None:
    for serve in (ServeConfig(host="0.0.0.0"), ServeConfig(keys="on")):
        with pytest.raises(ConfigError, match="denizen keys create"):
            Operations.from_config(serve, tmp_path)
    key = KeyStore(tmp_path).create("a", ("chat",)).key
    Operations.from_config(ServeConfig(host="0.0.0.0"), tmp_path).close()
    KeyStore(tmp_path).revoke(key.id)
    for serve in (ServeConfig(host="::"), ServeConfig()):
        with pytest.raises(ConfigError):
            Operations.from_config(serve, tmp_path)
    (tmp_path / "keys.json").write_text("{}")
    with pytest.raises(DataError):
        Operations.from_config(ServeConfig(), tmp_path)


def test_keys_off_and_reachable_warns_and_gives_little(tmp_path: Path) -> None:
    said: list[str] = []
    serve = ServeConfig(host="0.0.0.0", keys="off")
    operations = Operations.from_config(serve, tmp_path, warn=said.append)
    assert len(said) == 1 and "not loopback" in said[0] and "\n" not in said[0]
    caller = operations.admit("", "203.0.113.5")
    operations.need(caller, "chat")
    for scope in ("logprobs", "metrics", "traces", "admin"):
        refused(403, operations.need, caller, scope)
    operations.close()
    Operations.from_config(ServeConfig(keys="off"), tmp_path, warn=said.append).close()
    assert len(said) == 1


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("", False), ("192.168.1.4", False), ("example.org", False),
     ("localhost.example.org", False), ("127.0.0.1.example.org", False)],
)  # fmt: skip
def test_what_loopback_is(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_guessing_is_slowed_but_a_right_key_always_opens(tmp_path: Path) -> None:
    secret = KeyStore(tmp_path).create("a", ("chat",)).secret
    operations = Operations(
        KeyRing(tmp_path), Quotas(tmp_path), limits=Limits(failures_per_minute=3)
    )
    for _ in range(3):
        refused(401, operations.admit, "Bearer dnz_wrong", "203.0.113.5")
    fault = refused(429, operations.admit, "Bearer dnz_wrong", "203.0.113.5")
    assert fault.retry_after is not None and 19 < fault.retry_after <= 20
    assert operations.admit(f"Bearer {secret}", "203.0.113.5").id != "local"
    refused(401, operations.admit, "Bearer dnz_wrong", "203.0.113.6")
    operations.close()


def test_limits_quotas_and_headers_are_the_keys(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    small = store.create("s", ("chat",), requests_per_minute=2, tokens_per_day=100)
    large = store.create("l", ("chat",))
    operations = Operations.from_config(
        ServeConfig(requests_per_minute=5, tokens_per_minute=1000), tmp_path
    )
    one, other = (operations.admit(f"Bearer {m.secret}", "127.0.0.1") for m in (small, large))
    operations.take(one)
    operations.take(one)
    assert refused(429, operations.take, one).code == "rate_limit_exceeded"
    assert operations.headers(one)["x-ratelimit-limit-requests"] == "2"
    assert operations.headers(other)["x-ratelimit-limit-requests"] == "5"
    operations.take(other)
    operations.spend(one, Usage(90, 20))
    assert refused(429, operations.take, one).code == "insufficient_quota"
    operations.spend(other, Usage(2000, 0))
    assert refused(429, operations.take, other).kind == "tokens"
    operations.close()
    again = Operations.from_config(ServeConfig(), tmp_path)
    assert refused(429, again.take, one).code == "insufficient_quota"
    again.take(other)
    again.close()


def test_without_keys_limits_are_the_networks(tmp_path: Path) -> None:
    serve = ServeConfig(host="0.0.0.0", keys="off", requests_per_minute=1)
    operations = Operations.from_config(serve, tmp_path, warn=lambda _: None)
    operations.take(operations.admit("", "2001:db8::1"))
    refused(429, operations.take, operations.admit("", "2001:db8::2"))
    operations.take(operations.admit("", "2001:db8:0:1::2"))
    operations.close()


def test_draining_refuses_and_places_are_shared(tmp_path: Path) -> None:
    async def main() -> None:
        operations = Operations.from_config(ServeConfig(parallel=1, queue=1), tmp_path)
        caller = operations.admit("", "127.0.0.1")
        async with operations.place():
            waiting = asyncio.create_task(held(operations, caller))
            await asyncio.sleep(0)
            with pytest.raises(Fault) as fault:
                await held(operations, caller)
            assert fault.value.code == "overloaded" and fault.value.retry_after
            assert "denizen_queue_waiting 1.0" in operations.metrics.text()
            assert not operations.draining
            operations.drain()
            assert operations.draining
            assert refused(503, operations.take, caller).code == "shutting_down"
        await waiting
        with pytest.raises(Fault):
            await held(operations, caller)
        assert "denizen_draining 1.0" in operations.metrics.text()
        operations.close()

    asyncio.run(main())


async def held(operations: Operations, caller: Caller) -> None:
    async with operations.place(caller):
        await asyncio.sleep(0)
