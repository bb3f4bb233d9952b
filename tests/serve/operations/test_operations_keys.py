"""Keys: shown once, kept as a hash, private on the disk, and closed within a second."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from denizen.project.errors import DataError, DenizenError, WorkspaceError
from denizen.serve.exchange import Fault
from denizen.serve.operations.keyring import KeyRing
from denizen.serve.operations.keys import SCOPES, KeyStore
from denizen.serve.operations.secret import digest, key_id, new_id, new_secret


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path)


def test_the_secret_is_kept_nowhere(store: KeyStore, tmp_path: Path) -> None:
    key, secret = store.create("wallet", ("logprobs", "chat"))
    assert secret.startswith(f"dnz_{key.id}_") and key_id(secret) == key.id
    assert key.scopes == ("chat", "logprobs")  # in the order of SCOPES
    random_part = secret.rpartition("_")[2]
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.name for p in files} >= {"keys.json", "keys.pepper"}
    for path in files:
        assert random_part not in path.read_text("utf-8")
    assert digest(secret, store.pepper()) == store.read()[0].hash
    assert "hash" not in key.public() and "old_hash" not in key.public()


def test_files_are_private(store: KeyStore, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store.create("a", ("chat",))
        store.create("b", ("chat",))
    finally:
        os.umask(before)
    for name in ("keys.json", "keys.pepper"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    (tmp_path / "keys.pepper").chmod(0o644)
    with pytest.raises(WorkspaceError, match="chmod 600"):
        store.pepper()


def test_secrets_differ_and_a_typing_error_is_seen_without_looking_up() -> None:
    secrets = {new_secret(new_id()) for _ in range(200)}
    assert len(secrets) == 200
    secret = new_secret("AbCd1234")
    assert key_id(secret) == "AbCd1234"
    for place in range(4, len(secret)):
        wrong = secret[:place] + ("x" if secret[place] != "x" else "y") + secret[place + 1 :]
        assert key_id(wrong) is None
    for wrong in (
        "",
        "dnz_",
        secret[:-1],
        secret + "a",
        " " + secret,
        secret.upper(),
        "sk-" + secret,
    ):
        assert key_id(wrong) is None


def test_hashes_depend_on_the_pepper() -> None:
    assert digest("x", b"1" * 32) != digest("x", b"2" * 32)


def test_a_right_key_is_found_and_others_are_not(store: KeyStore, tmp_path: Path) -> None:
    key, secret = store.create("a", ("chat",))
    _, other = store.create("b", ("chat",))
    ring = KeyRing(tmp_path)
    assert ring.find(secret).id == key.id and ring.find(other).name == "b"
    for wrong in (new_secret(key.id), new_secret(new_id()), "dnz_x", "", "é" * 50):
        with pytest.raises(Fault) as refused:
            ring.find(wrong)
        assert refused.value.status == 401 and refused.value.code == "invalid_api_key"
        assert secret not in refused.value.message


def test_an_unknown_id_and_a_wrong_secret_are_told_alike(store: KeyStore, tmp_path: Path) -> None:
    key, _ = store.create("a", ("chat",))
    ring, messages = KeyRing(tmp_path), set()
    for secret in (new_secret(key.id), new_secret(new_id())):
        with pytest.raises(Fault) as refused:
            ring.find(secret)
        messages.add(refused.value.message)
    assert len(messages) == 1


def test_revoking_acts_within_a_second(store: KeyStore, tmp_path: Path) -> None:
    key, secret = store.create("a", ("chat",))
    clock = Clock()
    ring = KeyRing(tmp_path, clock=clock)
    assert ring.find(secret)
    store.revoke(key.id)
    clock.at = 0.99
    assert ring.find(secret)  # the file is not looked at more than once a second
    clock.at = 1.0
    with pytest.raises(Fault, match="revoked"):
        ring.find(secret)
    assert ring.made and ring.usable == 0
    assert store.revoke(key.id).revoked == store.read()[0].revoked  # twice is once


def test_rotation_with_and_without_an_overlap(store: KeyStore, tmp_path: Path) -> None:
    key, first = store.create("a", ("chat",), tokens_per_day=7)
    second = store.rotate("a").secret
    ring = KeyRing(tmp_path)
    assert ring.find(second).id == key.id and ring.find(second).tokens_per_day == 7
    with pytest.raises(Fault):
        ring.find(first)
    third = store.rotate(key.id, overlap_hours=1).secret
    now = datetime.now(UTC)
    soon, late = (KeyRing(tmp_path, now=lambda h=h: now + timedelta(hours=h)) for h in (0.9, 1.1))
    assert soon.find(second).id == soon.find(third).id == late.find(third).id == key.id
    with pytest.raises(Fault):
        late.find(second)
    store.revoke(key.id)
    for secret in (second, third):
        with pytest.raises(Fault):
            KeyRing(tmp_path).find(secret)
    with pytest.raises(DataError, match="revoked"):
        store.rotate(key.id)


def test_a_key_expires(store: KeyStore, tmp_path: Path) -> None:
    _, secret = store.create("a", ("chat",), expires_days=2)
    now = datetime.now(UTC)
    assert KeyRing(tmp_path, now=lambda: now + timedelta(days=1.99)).find(secret)
    with pytest.raises(Fault, match="expired"):
        KeyRing(tmp_path, now=lambda: now + timedelta(days=2.01)).find(secret)


def test_wrong_orders_are_one_clear_line(store: KeyStore) -> None:
    store.create("a", ("chat",))
    for wrong, words in [
        (lambda: store.create("b", ("chta",)), "did you mean 'chat'"),
        (lambda: store.create("b", ()), "--scope chat"),
        (lambda: store.create(" ", ("chat",)), "one line"),
        (lambda: store.create("x\ny", ("chat",)), "one line"),
        (lambda: store.create("\x1b[31m", ("chat",)), "one line"),
        (lambda: store.create("a", ("chat",)), "called 'a' already"),
        (lambda: store.create("b", ("chat",), tokens_per_day=-1), "below 0"),
        (lambda: store.create("b", ("chat",), expires_days=0), "above 0"),
        (lambda: store.create("b", ("chat",), expires_days=float("nan")), "above 0"),
        (lambda: store.revoke("nobody"), "no key 'nobody'"),
    ]:
        with pytest.raises(DenizenError) as error:
            wrong()
        assert words in str(error.value) and "\n" not in str(error.value)
    assert [k.name for k in store.read()] == ["a"]
    store.revoke("a")
    assert store.create("a", ("chat",)).key.id != store.read()[0].id  # a freed name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": 3}',
        '{"keys": [{"id": "x"}]}',
        '{"keys": [{"id": "x", "name": "n", "scopes": ["chat"], "hash": "h", "created": "soon"}]}',
        '{"keys": [{"id": "x", "name": "n", "scopes": [], "hash": "é", "created": "2026-11-22T00:00:00Z"}]}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_a_damaged_file_opens_nothing_and_is_mended(
    store: KeyStore, tmp_path: Path, text: str
) -> None:
    _, secret = store.create("a", ("chat",))
    good, clock = store.path.read_text(), Clock()
    ring = KeyRing(tmp_path, clock=clock)
    assert ring.find(secret)
    store.path.write_text(text)
    with pytest.raises(DataError, match="cannot be used"):
        store.read()
    clock.at = 2
    with pytest.raises(Fault) as refused:
        ring.find(secret)
    assert refused.value.status == 503 and ring.made
    store.path.write_text(good)
    clock.at = 4
    assert ring.find(secret)


def test_a_server_with_keys_does_not_open_when_their_file_goes(
    store: KeyStore, tmp_path: Path
) -> None:
    _, secret = store.create("a", ("chat",))
    clock = Clock()
    ring = KeyRing(tmp_path, clock=clock)
    assert ring.made
    store.path.unlink()
    clock.at = 2
    assert ring.made
    with pytest.raises(Fault):
        ring.find(secret)


def test_a_lost_pepper_is_never_replaced_in_silence(store: KeyStore, tmp_path: Path) -> None:
    store.create("a", ("chat",))
    (tmp_path / "keys.pepper").unlink()
    with pytest.raises(DataError, match="missing or damaged"):
        store.create("b", ("chat",))
    assert not (tmp_path / "keys.pepper").exists()
    ring = KeyRing(tmp_path)
    assert ring.made and ring.broken is not None


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=lambda i=i: KeyStore(tmp_path).create(f"k{i}", ("chat",)))
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {k.name for k in KeyStore(tmp_path).read()} == {f"k{i}" for i in range(12)}


def run(*words: str, workspace: Path) -> str:
    from denizen.cli.keys import app

    done = CliRunner().invoke(app, [*words, "--workspace", str(workspace)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_line(tmp_path: Path) -> None:
    assert "no keys yet" in run("list", workspace=tmp_path)
    secret = run(
        "create", "wallet", "--scope", "chat", "--scope", "logprobs", "--requests-per-minute", "60",
        "--tokens-per-day", "1000", "--expires", "30", workspace=tmp_path,
    ).strip()  # fmt: skip
    identity = key_id(secret)
    assert identity  # the secret stands alone on standard output
    listed = run("list", workspace=tmp_path)
    assert identity in listed and "60/min" in listed and secret not in listed
    shown = json.loads(run("list", "--json", workspace=tmp_path))[0]
    assert shown["state"] == "active" and shown["tokens_today"] == 0 and "hash" not in shown
    rotated = json.loads(run("rotate", "wallet", "--overlap", "2", "--json", workspace=tmp_path))
    assert key_id(rotated["secret"]) == identity and rotated["secret"] != secret
    assert "revoked" in run("revoke", identity, workspace=tmp_path)
    assert json.loads(run("list", "--json", workspace=tmp_path))[0]["state"] == "revoked"
    with pytest.raises(DataError):
        run("revoke", "nobody", workspace=tmp_path)
    assert set(shown["scopes"]) <= set(SCOPES)
