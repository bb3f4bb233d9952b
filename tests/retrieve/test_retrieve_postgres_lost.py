"""A PostgreSQL that hangs up, dawdles or stops: once more, then one line, and never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.retrieve.retrieve_sample import GUIDE, WordEncoder, collection, postgres, write
from tests.serve.answering.answering_sample import FakeBackend
from tests.serve.integrations.served_sample import application

from denizen.project.errors import WorkspaceError
from denizen.retrieve import Folder, Index, PostgresStore, Stated, ingest, search
from denizen.serve.background import serving
from denizen.serve.service import Service
from denizen.tasks import suite_of

pytestmark = pytest.mark.slow
PREMIUM = "What is the premium of a flash loan?"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.fixture
def index(tmp_path: Path, url: str, request: pytest.FixtureRequest) -> Iterator[Index]:
    schema = f"t{abs(hash(request.node.name)) % 10**8}"
    store = PostgresStore(url, schema=schema, patience=1.0)
    made = Index.open(tmp_path / "index", WordEncoder(), store=store, create=True)
    ingest(made, [Folder(collection(tmp_path / "docs"), "docs", Stated(licence="MIT"))])
    yield made
    made.close()


@pytest.fixture
def other(url: str) -> Iterator[Any]:
    """A connection of somebody else's."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def hang_up(other: Any) -> int:
    """End every other connection; how many there were."""
    return len(
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    )


def test_a_search_goes_on_after_the_server_hung_up(index: Index, other: Any) -> None:
    before = search(index, PREMIUM)
    for _ in range(3):
        assert hang_up(other) == 1
        assert search(index, PREMIUM).hits == before.hits
    assert hang_up(other) == 1, "lost connections are not kept beside the new one"
    index._snapshot = None  # as a server that has just started
    assert search(index, PREMIUM).hits == before.hits


def test_a_statement_that_takes_too_long_ends(index: Index, other: Any) -> None:
    schema = index.store._schema  # type: ignore[attr-defined]
    search(index, PREMIUM)
    with other.transaction():
        other.execute(f"LOCK TABLE {schema}.chunks IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(WorkspaceError, match="took too long"):
            search(index, PREMIUM)
    assert search(index, PREMIUM).hits


def test_an_ingest_that_loses_its_server_leaves_the_old_index(
    index: Index, other: Any, tmp_path: Path
) -> None:
    before = (index.store.known(), index.store.settings())
    whole = index.encoder.embed

    def embed(texts: list[str]) -> Any:
        if any("0.09%" in text for text in texts):
            hang_up(other)
        return whole(texts)

    index.encoder.embed = embed  # type: ignore[method-assign,assignment]
    write(tmp_path / "docs", guides__flash_md=GUIDE.replace("0.05%", "0.09%"))
    source = Folder(tmp_path / "docs", "docs", Stated(licence="MIT"))
    with pytest.raises(WorkspaceError, match="connection to PostgreSQL was lost") as error:
        ingest(index, [source])
    assert "\n" not in str(error.value) and error.value.fix
    assert (index.store.known(), index.store.settings()) == before
    index.encoder.embed = whole  # type: ignore[method-assign]
    assert ingest(index, [source]).changed == ["docs/guides/flash.md"], "the lock went, too"


def test_the_server_says_503_with_retry_after_and_recovers(
    index: Index, other: Any, tmp_path: Path
) -> None:
    body = {"model": "denizen", "messages": [{"role": "user", "content": PREMIUM}]}
    service = Service(FakeBackend("I cannot say."), suite_of("core"), name="denizen", index=index)
    schema = index.store._schema  # type: ignore[attr-defined]
    with (
        serving(application(tmp_path, service)) as address,  # type: ignore[arg-type]
        httpx.Client(base_url=address, timeout=30) as client,
    ):

        def ask() -> httpx.Response:
            return client.post("/chat/completions", json=body)

        first = ask()
        assert first.status_code == 200 and "0.05%" in first.text
        hang_up(other)
        again = ask()
        assert again.status_code == 200 and "0.05%" in again.text
        with other.transaction():
            other.execute(f"LOCK TABLE {schema}.settings IN ACCESS EXCLUSIVE MODE")
            away = ask()
        assert away.status_code == 503 and int(away.headers["retry-after"]) > 0
        assert away.json()["error"]["code"] == "sources_unavailable"
        assert "postgres" not in away.text.lower(), "our machines are nobody's business"
        assert ask().status_code == 200


def test_a_server_that_stopped_is_one_line(tmp_path: Path) -> None:
    with postgres() as address:
        store = PostgresStore(address, schema="stopped")
        index = Index.open(tmp_path / "index", WordEncoder(), store=store, create=True)
        ingest(index, [Folder(collection(tmp_path / "docs"), "docs", Stated(licence="MIT"))])
        assert search(index, PREMIUM).hits
    with pytest.raises(WorkspaceError, match="cannot reach PostgreSQL") as error:
        search(index, PREMIUM)
    assert "\n" not in str(error.value)
    index.close()
