"""`denizen serve adapters`: what a server that runs says, in one line, and exit code 2 where not."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.integrations.served_sample import Fake, application

from denizen.cli.app import main
from denizen.cli.serve import address_of
from denizen.project.config import Config
from denizen.serve.admin import Admin, AdminError
from denizen.serve.background import serving
from denizen.serve.exchange import Fault, ModelCard
from denizen.serve.operations import KeyStore

MODELS = {
    "data": [
        {"id": "denizen", "denizen": {"kind": "analyst"}},
        {"id": "yield", "denizen": {"kind": "adapter", "families": ["fee\x1b_apr"]}},
    ]
}


class Adapted(Fake):
    """Takes any adapter but one."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[str, str] = {}
        self.families: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[ModelCard, ...]:
        return (
            *super().models,
            *(ModelCard(n, "adapter", families=self.families) for n in self.taken),
        )

    async def load_adapter(self, name: str, path: str, families: tuple[str, ...] = ()) -> float:
        if "hollow" in path:
            raise Fault(400, "the adapter changes nothing.", code="adapter_refused", param="path")
        self.taken[name], self.families = path, families
        return 0.25

    async def unload_adapter(self, name: str) -> None:
        if name not in self.taken:
            raise Fault(404, "there is no adapter of that name", code="model_not_found")
        del self.taken[name]


def verb(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["serve", "adapters", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_an_adapter_is_added_listed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, work = Adapted(), tmp_path / "w"
    file = work / "artefacts" / "adapter-1" / "yield.gguf"
    file.parent.mkdir(parents=True)
    file.touch()
    for name in ("admin", "chat"):
        made = KeyStore(work).create(name, (name,))  # type: ignore[arg-type]
        monkeypatch.setenv(f"THE_{name.upper()}_KEY", made.secret)
    with serving(application(work, fake, keys="on")) as address:
        there = ("--url", address, "--key-env", "THE_ADMIN_KEY")
        added = verb(capsys, "add", "yield", str(file), *there, "-w", str(work), "--json")
        told = {"name": "yield", "change": 0.25, "families": []}
        assert json.loads(added[1]) == told and added[0] == 0 and fake.families == ()
        assert fake.taken == {"yield": "adapter-1/yield.gguf"}  # no folder of this machine
        assert verb(capsys, "list", *there) == (0, "yield\n", "")
        told = [{"name": "yield", "families": []}]
        assert json.loads(verb(capsys, "list", *there, "--json")[1]) == told
        assert verb(capsys, "remove", "yield", *there) == (0, "yield  removed\n", "")
        assert verb(capsys, "list", *there) == (0, "no adapters\n", "")
        families = ("--family", "range_status", "--family", "mechanics")
        code, out, _ = verb(capsys, "add", "ranges", "a/r.gguf", *families, *there)
        assert code == 0 and out.endswith("; it answers range_status, mechanics\n")
        assert fake.families == ("range_status", "mechanics")
        assert verb(capsys, "list", *there)[1] == "ranges  range_status, mechanics\n"
        assert verb(capsys, "remove", "ranges", *there)[0] == 0
        code, out, err = verb(capsys, "remove", "a/b", *there)
        assert code == 2 and not out and "404" in err
        code, out, err = verb(capsys, "add", "hollow", "a/hollow.gguf", *there)
        assert code == 2 and not out and err.startswith("error: the adapter changes nothing (")
        for key in ("THE_CHAT_KEY", ""):
            words = ("--url", address, *(("--key-env", key) if key else ()))
            code, _, err = verb(capsys, "add", "other", "a/b.gguf", *words)
            assert code == 2 and ("403" if key else "401") in err and "--key-env" in err
        code, out, _ = verb(capsys, "add", "other", "x.gguf", "--url", address, "--json")
        assert code == 2 and json.loads(out)["error"] == "AdminError"
    assert not fake.taken


def test_what_stands_in_the_way_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    code, out, err = verb(capsys, "list", "--url", "http://127.0.0.1:1")
    assert code == 2 and not out and "does not answer" in err and err.count("\n") == 1
    for wrong in ("nonsense", "http://[", "ftp://127.0.0.1"):
        assert verb(capsys, "list", "--url", wrong)[0] == 2
    code, _, err = verb(capsys, "list", "--key-env", "NO_SUCH_KEY")
    assert code == 2 and "NO_SUCH_KEY is not set" in err
    code, _, err = verb(capsys, "load", "x")
    assert code == 2 and "load" in err


def admin(status: int, body: Any) -> Admin:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    wire = httpx.MockTransport(lambda _: httpx.Response(status, content=data))
    return Admin("http://127.0.0.1/v1/", "key", transport=wire)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, []),
        (200, {"data": [{"id": "gpt"}]}),
        (200, {"data": [{"id": "gpt", "denizen": {"kind": "adapter"}}]}),
        (500, {"error": "words"}),
        (404, {"detail": "Not Found"}),
        (200, b"[" * 2**21),
        (200, b"[" * 2**19),
    ],
)
def test_another_server_is_told_from_ours(status: int, body: Any) -> None:
    with pytest.raises(AdminError, match="Denizen server"):
        admin(status, body).adapters()


def test_a_refusal_is_bounded_and_printable() -> None:
    told = {"error": {"message": "no\x1b[2J\r\n" + "x" * 9000}}
    with pytest.raises(AdminError) as caught:
        admin(400, told).load("a", "b")
    assert len(str(caught.value)) < 400 and "\x1b" not in str(caught.value)
    assert admin(200, MODELS).adapters() == {"yield": ["fee_apr"]}


def test_the_server_asked_by_default_is_the_configured_one() -> None:
    for serve, address in (
        ({}, "http://127.0.0.1:8484"),
        ({"host": "::1", "port": 9}, "http://[::1]:9"),
    ):
        assert address_of(Config.model_validate({"serve": serve})) == address


def test_a_port_in_use_is_told_before_a_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"no model, and nobody looks")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--gguf", str(file), "--port", port, "-w", str(tmp_path)]) == 2
    assert "the port is in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--port", "9999", "adapters", "list"], "behind `adapters VERB`"),
        (["serve", "--gguf", "gone.gguf"], "there is no such file (--gguf gone.gguf)"),
        (["serve", "-c", "remote.yaml", "--gguf", "a.gguf"], "serves no file of ours"),
    ],
)
def test_what_serve_was_told_is_never_left_unheard(
    words: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.gguf").touch()
    (tmp_path / "remote.yaml").write_text(
        "serve: {backend: openai, backend_url: 'http://127.0.0.1:9/v1', backend_model: m}\n"
    )
    assert main(words) == 2
    assert said in capsys.readouterr().err
