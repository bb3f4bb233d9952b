"""TLS and ports: what is wrong is said in one line before the server starts."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from denizen.project.errors import ConfigError, DenizenError
from denizen.serve.operations.certificates import tls_context
from denizen.serve.operations.listening import listen, notify

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


def make_pair(folder: Path, name: str, *more: str) -> tuple[str, str]:
    """A self-signed certificate for loopback and its key, made by openssl."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-out", str(certificate), "-keyout", str(key), *(more or ("-days", "30"))],
        check=True, capture_output=True,
    )  # fmt: skip
    return str(certificate), str(key)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make_pair(tmp_path_factory.mktemp("tls"), "good")


def refusal(certificate: str, key: str) -> str:
    with pytest.raises(ConfigError) as error:
        tls_context(certificate, key)
    assert "\n" not in str(error.value) and error.value.fix
    return str(error.value)


def test_a_good_pair_and_none_at_all(pair: tuple[str, str]) -> None:
    made = tls_context(*pair)
    assert made is not None and made.days == pytest.approx(30, abs=0.1)
    assert tls_context("", "") is None


def test_every_wrong_pair_is_one_line(pair: tuple[str, str], tmp_path: Path) -> None:
    certificate, key = pair
    other = make_pair(tmp_path, "other")
    assert "belong together" in refusal(certificate, "") and "belong" in refusal("", key)
    assert "no such file" in refusal(str(tmp_path / "none.pem"), key)
    assert "directory" in refusal(str(tmp_path), key)
    assert "not the certificate's" in refusal(certificate, other[1])
    (tmp_path / "text.pem").write_text("hello")
    assert "BEGIN CERTIFICATE" in refusal(str(tmp_path / "text.pem"), key)
    assert "PRIVATE KEY" in refusal(certificate, certificate)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "cannot be used" in refusal(str(broken), key)


def test_an_encrypted_key_does_not_ask_for_its_password(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", pair[1], "-out", str(locked), "-passout", "pass:x"],
        check=True,
        capture_output=True,
    )
    assert "encrypted" in refusal(pair[0], str(locked))


CA = """
[ca]
default_ca = own
[own]
new_certs_dir = {folder}
database = {folder}/index
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def make_dated(folder: Path, name: str, start: str, end: str) -> tuple[str, str]:
    """A self-signed certificate for a time of one's choice (`openssl req` of 3.0 has none)."""
    key, request, out = (folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
    (folder / "index").write_text("")
    (folder / "ca.conf").write_text(CA.format(folder=folder))
    commands = [
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=localhost", "-keyout", key, "-out", request],
        ["ca", "-batch", "-selfsign", "-config", folder / "ca.conf", "-keyfile", key,
         "-in", request, "-out", out, "-startdate", start, "-enddate", end, "-notext"],
    ]  # fmt: skip
    for command in commands:
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return str(out), str(key)


def test_a_certificate_out_of_its_time_is_refused(tmp_path: Path) -> None:
    old = make_dated(tmp_path, "old", "20200101000000Z", "20200201000000Z")
    assert "has expired" in refusal(*old)
    early = make_dated(tmp_path, "early", "20990101000000Z", "20990201000000Z")
    assert "not valid yet" in refusal(*early)


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DenizenError, match="port is in use") as error:
            listen("127.0.0.1", port)
        assert error.value.exit_code == 2 and str(port) in str(error.value)


def test_wrong_hosts_are_one_line() -> None:
    with pytest.raises(DenizenError, match="no such host"):
        listen("no-such-host.invalid", 8484)
    with pytest.raises(DenizenError, match="no such address"):
        listen("192.0.2.1", 8484)


def test_a_name_with_two_addresses_is_heard_on_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    sockets = listen("localhost", port)
    try:
        assert {s.getsockname()[1] for s in sockets} == {port}
        socket.create_connection(("127.0.0.1", port), 1).close()
    finally:
        for one in sockets:
            one.close()


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")  # nobody listens
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(path)
        channel.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify("READY=1")
        assert channel.recv(64) == b"READY=1"
    notify("STOPPING=1")  # gone
    name = f"denizen-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}")
        channel.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1")
        assert channel.recv(64) == b"READY=1"
