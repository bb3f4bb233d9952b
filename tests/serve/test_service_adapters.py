"""Adapters over HTTP: taken in and let go while serving, from the workspace's artefacts alone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.backend.tiny_gguf import adapter, hollow, loud, run

from denizen.project.config import Config, ServeConfig
from denizen.serve.backend import LocalBackend
from denizen.serve.operations import KeyStore, Operations
from denizen.serve.service import Service
from denizen.serve.web.app import create_server
from denizen.tasks import suite_of

QUESTION = "Is a position from 2,400 to 3,100 in range at 2,655?"


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path, str]]:
    """An application over a tiny model, its workspace, and an admin's key."""
    work = tmp_path_factory.mktemp("served-adapters")
    gguf, store = loud(tiny, work), work / "artefacts" / "adapter-1"
    store.mkdir(parents=True)
    real = adapter(work / "loud", work, "yield", 0.5)
    shutil.copy(real, store / "yield.gguf")
    shutil.copy(hollow(real), store / "hollow.gguf")
    shutil.copy(gguf, store / "model.gguf")
    (store / "secret.txt").write_text("secret")
    (store / "link.gguf").symlink_to(real)
    settings = ServeConfig(keys="on")
    secrets = [
        KeyStore(work).create(name, (name,))[1]  # type: ignore[arg-type]
        for name in ("admin", "chat")
    ]
    operations = Operations.from_config(settings, work)
    backend = LocalBackend(gguf, context=512, parallel=2, threads=1)
    service = Service(
        backend, suite_of("core"), name="tiny", config=Config(), artefacts=work / "artefacts"
    )
    app = create_server(service, operations, name="tiny", version="1", settings=settings)
    yield app, work, " ".join(secrets)
    run(service.close())
    operations.close()


def asked(app: Any, key: str, *calls: tuple[str, str, Any]) -> list[httpx.Response]:
    """The replies to (method, path, body)."""

    async def go() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers, timeout=60
        ) as client:
            return [await client.request(m, p, json=body) for m, p, body in calls]

    return asyncio.run(go())


def test_an_adapter_comes_answers_and_goes(made: tuple[Any, Path, str]) -> None:
    app, _, keys = made
    admin, stranger = keys.split()
    body = {"name": "yield", "path": "adapter-1/yield.gguf"}
    said = {
        "model": "yield",
        "messages": [{"role": "user", "content": "Say."}],
        "max_tokens": 5,
        "n": 2,
    }
    before, loaded, again, listed, answer, gone, unknown, after = asked(
        app,
        admin,
        ("POST", "/v1/chat/completions", said),
        ("POST", "/admin/adapters", body),
        ("POST", "/admin/adapters", body),
        ("GET", "/v1/models", None),
        ("POST", "/v1/chat/completions", said),
        ("DELETE", "/admin/adapters/yield", None),
        ("DELETE", "/admin/adapters/yield", None),
        ("GET", "/v1/models", None),
    )
    assert before.status_code == 404
    assert loaded.status_code == 200 and loaded.json()["change"] > 1e-2, loaded.text
    assert again.status_code == 400 and again.json()["error"]["code"] == "name_taken"
    assert [c["id"] for c in listed.json()["data"]] == ["tiny", "yield", "tiny-base"]
    assert answer.status_code == 200 and answer.json()["denizen"]["adapter"] == "yield"
    assert gone.status_code == 200 and unknown.status_code == 404
    assert "yield" not in after.text
    (refused,) = asked(app, stranger, ("POST", "/admin/adapters", body))
    assert refused.status_code == 403


def test_an_adapter_answers_its_families_until_it_goes(made: tuple[Any, Path, str]) -> None:
    app, _, keys = made
    path = "adapter-1/yield.gguf"
    body = {"name": "yield", "path": path, "families": ["range_status", "range_status"]}
    said = {"model": "tiny", "messages": [{"role": "user", "content": QUESTION}]}
    unknown, before, loaded, listed, taken, answer, gone, after, again, free = asked(
        app,
        keys.split()[0],
        ("POST", "/admin/adapters", {**body, "families": ["range_status", "nonsense"]}),
        ("POST", "/v1/chat/completions", said),
        ("POST", "/admin/adapters", body),
        ("GET", "/v1/models", None),
        ("POST", "/admin/adapters", {**body, "name": "second"}),
        ("POST", "/v1/chat/completions", said),
        ("DELETE", "/admin/adapters/yield", None),
        ("POST", "/v1/chat/completions", said),
        ("POST", "/admin/adapters", {**body, "name": "second"}),
        ("DELETE", "/admin/adapters/second", None),
    )
    error = unknown.json()["error"]
    assert unknown.status_code == 400 and error["code"] == "unknown_family"
    assert "'nonsense'" in error["message"] and "range_status" in error["message"]
    assert loaded.status_code == 200 and loaded.json()["families"] == ["range_status"] * 2
    families = [card["denizen"].get("families") for card in listed.json()["data"]]
    assert families == [None, ["range_status"], None]
    assert taken.status_code == 400 and taken.json()["error"]["code"] == "family_taken"
    assert "'yield' answers the family 'range_status'" in taken.json()["error"]["message"]
    spoke = [one.json()["denizen"]["adapter"] for one in (before, answer, after)]
    assert spoke == ["", "yield", ""] or spoke == [None, "yield", None], spoke
    assert gone.status_code == again.status_code == free.status_code == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("adapter-1/hollow.gguf", "changes nothing"),
        ("adapter-1/model.gguf", "not a LoRA adapter"),
        ("adapter-1/none.gguf", "no such GGUF"),
        ("adapter-1/secret.txt", "no such GGUF"),
        ("adapter-1/link.gguf", "no such GGUF"),
        ("../yield.gguf", "no such GGUF"),
        ("/etc/passwd", "no such GGUF"),
        ("{outside}", "no such GGUF"),
        ("a\0b.gguf", "NUL"),
    ],
)
def test_what_is_no_adapter_of_the_workspace_is_a_400(
    made: tuple[Any, Path, str], path: str, words: str
) -> None:
    app, work, keys = made
    path = path.format(outside=work / "yield.gguf")
    body = {"name": "stranger", "path": path}
    reply, listed = asked(
        app, keys.split()[0], ("POST", "/admin/adapters", body), ("GET", "/v1/models", None)
    )
    assert reply.status_code == 400 and words in reply.json()["error"]["message"], reply.text
    assert str(work) not in reply.text and "stranger" not in listed.text
