"""Fetching: never from inside, never without end, and a real server's odd answers are one line."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.retrieve.retrieve_sample import WordEncoder

from denizen.project.errors import DataError
from denizen.retrieve import Index, Limits, Raw, Unread, UrlList, ingest
from denizen.retrieve.fetching import is_public, read_list, source_of

PUBLIC = "93.184.215.14"


def urls(
    tmp_path: Path,
    handler: Callable[[httpx.Request], httpx.Response],
    addresses: dict[str, list[str]] | None = None,
    *lines: str,
) -> UrlList:
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(lines or ["https://docs.example/a.md"]))
    known = addresses or {}
    return UrlList(
        path,
        "web",
        resolve=lambda host, _: known.get(host, [PUBLIC]),
        transport=httpx.MockTransport(handler),
    )


def page(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="# Fees\n\nLow.\n", headers={"content-type": "text/markdown"})


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1",
     "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b:1::a00:1", "fec0::1", "64:ff9b::a00:1", "2002:7f00:1::", "224.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused(tmp_path: Path, address: str) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return page(request)

    assert not is_public(address)
    source = urls(tmp_path, handler, {"docs.example": [PUBLIC, address]})
    (found,) = source.read()
    assert isinstance(found, Unread) and "private address" in found.reason and not asked


def test_a_redirect_inside_is_refused(tmp_path: Path) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "http://meta.example/latest"})

    source = urls(tmp_path, handler, {"meta.example": ["169.254.169.254"]})
    (found,) = source.read()
    assert isinstance(found, Unread) and "meta.example is at the private address" in found.reason
    for target, why in {
        "file:///etc/passwd": "only http and https",
        "https://u:p@docs.example/": "user name",
        "https://docs.example/a.md": "more than 5 redirects",
    }.items():
        source = urls(tmp_path, lambda _, t=target: httpx.Response(301, headers={"location": t}))
        (found,) = source.read()
        assert isinstance(found, Unread) and why in found.reason


def test_it_connects_to_the_address_that_was_checked(tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return page(request)

    (found,) = urls(tmp_path, handler, None, "https://docs.example:8443/a.md?x=1").read()
    assert isinstance(found, Raw) and found.name == "https://docs.example:8443/a.md?x=1"
    assert seen[0].url.host == PUBLIC and seen[0].headers["host"] == "docs.example:8443"
    assert seen[0].extensions["sni_hostname"] == "docs.example"
    assert str(seen[0].url) == f"https://{PUBLIC}:8443/a.md?x=1"


def test_what_does_not_fit_is_a_reason(tmp_path: Path) -> None:
    def answers(status: int, body: bytes = b"x", kind: str = "text/html") -> Unread | Raw:
        def handler(_: httpx.Request) -> httpx.Response:
            return httpx.Response(status, content=body, headers={"content-type": kind})

        source = urls(tmp_path, handler, None, "https://docs.example/p")
        return UrlList(source.path, "web", limits=Limits(size=1000), resolve=source.resolve,
                       transport=source.transport).fetch("https://docs.example/p")  # fmt: skip

    assert answers(500) == Unread("https://docs.example/p", "the server answered 500")
    assert answers(404) == Unread("https://docs.example/p", "gone (404)", gone=True)
    assert "over 0 MiB" in getattr(answers(200, b"x" * 2000), "reason", "")
    assert "no document format (image/png)" in getattr(answers(200, kind="image/png"), "reason", "")
    assert isinstance(answers(200), Raw)


def test_a_server_says_charset_and_packing(tmp_path: Path) -> None:
    def fetched(body: bytes, **headers: str) -> Raw | Unread:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        source = urls(tmp_path, lambda _: httpx.Response(200, stream=_Body(body), headers=names))
        return source.fetch("https://docs.example/p")

    page = "<p>\u041a\u0443\u0440\u0441".encode("cp1251")
    found = fetched(page, content_type="text/html; charset=windows-1251")
    assert isinstance(found, Raw) and found.charset == "windows-1251"
    index = Index.open(tmp_path / "index", WordEncoder(), create=True)
    assert ingest(index, [Given((found,))]).added == ["web/https://docs.example/p"]
    document = index.store.document("web/https://docs.example/p")
    assert document is not None and document.text == "\u041a\u0443\u0440\u0441"
    found = fetched(b"\x8b\x00\x80", content_type="text/html", content_encoding="br")
    assert isinstance(found, Unread) and "packed in a way that was not asked for" in found.reason


class _Body(httpx.SyncByteStream):
    """Bytes as they are on the wire."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


@dataclass
class Given:
    """A source of what it is given."""

    found: tuple[Raw | Unread, ...]
    collection: str = "web"

    def read(self) -> Iterator[Raw | Unread]:
        return iter(self.found)


def test_a_list_is_read_or_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("\ufeff# docs\nhttps://a.example/\n\nhttps://a.example/\n http://b.example/x\n")
    assert read_list(path) == ["https://a.example/", "http://b.example/x"]
    for text, why in {
        "ftp://x": "not an http or https address",
        "http://[x": "not an http or https address",
        "# none": "no addresses",
    }.items():
        path.write_text(text)
        with pytest.raises(DataError, match=why):
            read_list(path)


def test_a_path_is_a_folder_a_document_or_a_list(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("https://a.example/")
    (tmp_path / "a.md").write_text("# A\n")
    assert isinstance(source_of(tmp_path / "urls.txt"), UrlList)
    assert source_of(tmp_path).collection == tmp_path.name
    (found,) = source_of(tmp_path / "a.md", "notes").read()
    assert isinstance(found, Raw) and found.name == "a.md"
    with pytest.raises(DataError, match="no such file or folder"):
        list(source_of(tmp_path / "nothing").read())


def test_pages_are_indexed_and_gone_ones_removed(tmp_path: Path) -> None:
    gone: set[str] = set()

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path in gone:
            return httpx.Response(410)
        text = f"<title>{request.url.path}</title><main><p>Words of {request.url.path}.</p></main>"
        headers = {"content-type": "text/html", "last-modified": "Wed, 04 Mar 2026 10:00:00 GMT"}
        return httpx.Response(200, text=text, headers=headers)

    lines = ("https://docs.example/a#top", "https://docs.example/b")
    index = Index.open(tmp_path / "index", WordEncoder(), create=True)
    report = ingest(index, [urls(tmp_path, handler, None, *lines)])
    assert report.added == ["web/https://docs.example/a%23top", "web/https://docs.example/b"]
    document = index.store.document("web/https://docs.example/b")
    assert document and document.as_of == "2026-03-04" and document.licence == "unknown"
    assert document.source == "https://docs.example/b"
    gone.add("/b")
    report = ingest(index, [urls(tmp_path, handler, None, *lines)])
    assert report.removed == ["web/https://docs.example/b"] and report.unchanged == 1


@contextmanager
def served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                self.wfile.write(b"x-a: b\r\n")
                time.sleep(0.1)
            return
        body = b"# Local\n\nText.\n"
        self.send_response(200)
        self.send_header("content-type", "text/markdown")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_real_server(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    with served(Server) as base:
        path.write_text(f"{base}/a.md\n{base}/drip\n")
        refused = list(UrlList(path, "web").read())
        assert all("private address" in getattr(f, "reason", "") for f in refused)
        start = time.monotonic()
        source = UrlList(path, "web", limits=Limits(seconds=1), allow_private=True)
        good, slow = source.read()
        assert isinstance(good, Raw) and good.data.startswith(b"# Local")
        assert isinstance(slow, Unread) and slow.reason == "not done within 1 s"
        assert time.monotonic() - start < 5
    (closed, _) = UrlList(path, "web", allow_private=True, limits=Limits(seconds=5)).read()
    assert isinstance(closed, Unread) and "ConnectError" in closed.reason
