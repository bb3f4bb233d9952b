"""Adapters of a server that runs, told over HTTP: what it has, one more, one less.

Contract: `Admin(url, key)` speaks to /admin/adapters and /v1/models of a Denizen server; `url` may
end in /v1.  Whatever goes wrong is an AdminError in one line: no answer, a refusal in the server's
own words (bounded, printable), or something that is no Denizen server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from denizen.project.errors import DenizenError

SECONDS = 120.0  # an adapter is probed before it is taken in
_LONGEST = 2**20  # bytes of a reply that are read
_TOLD = 300  # characters of a refusal that are shown
_KEY = "name the variable that holds a key of scope admin by --key-env"


class AdminError(DenizenError):
    """A server that is not there, refuses, or is another one."""


class Admin:
    """One server; `key` is sent as a bearer's. `transport` is for tests."""

    def __init__(self, url: str, key: str = "", *, transport: Any = None) -> None:
        import httpx

        self._url = url.rstrip("/").removesuffix("/v1")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(
                base_url=self._url, headers=headers, timeout=SECONDS, transport=transport
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise AdminError(
                "no address or no key", where=self._url, fix="as http://127.0.0.1:8484"
            ) from error

    def adapters(self) -> dict[str, list[str]]:
        """The adapters that the server speaks with, each with the task families it answers."""
        value = self._asked("GET", "/v1/models")
        try:
            cards = [card for card in value["data"] if card["denizen"]["kind"] == "adapter"]
            return {
                _plain(card["id"]): [_plain(name) for name in card["denizen"]["families"]]
                for card in cards
            }
        except (LookupError, TypeError) as error:
            raise self._stranger() from error

    def load(self, name: str, path: str, families: Sequence[str] = ()) -> float:
        """Take in an adapter; the largest change it made to a logit of the probes."""
        body = {"name": name, "path": path, "families": list(families)}
        value = self._asked("POST", "/admin/adapters", body)
        try:
            return float(value["change"])
        except (LookupError, TypeError, ValueError) as error:
            raise self._stranger() from error

    def unload(self, name: str) -> None:
        """Let an adapter go, once the answers that speak with it are finished."""
        self._asked("DELETE", f"/admin/adapters/{quote(name, safe='')}")

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def _asked(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The reply of a 200; raises AdminError."""
        import httpx

        try:
            reply = self._http.request(method, path, json=body)
            value = reply.json() if len(reply.content) < _LONGEST else None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AdminError(
                f"the server does not answer: {type(error).__name__}",
                where=self._url,
                fix="start it with `denizen serve`, or name its address by --url",
            ) from error
        except (ValueError, RecursionError) as error:
            raise self._stranger() from error
        if not isinstance(value, dict):
            raise self._stranger()
        if reply.status_code == 200:
            return value
        told = value.get("error")
        if not isinstance(told, dict) or not isinstance(told.get("message"), str):
            raise self._stranger()
        raise AdminError(
            _plain(told["message"]).rstrip("."),
            where=f"{self._url}, status {reply.status_code}",
            fix=_KEY if reply.status_code in (401, 403) else None,
        )

    def _stranger(self) -> AdminError:
        return AdminError(
            "this does not answer as a Denizen server does",
            where=self._url,
            fix="name the server's address by --url",
        )


def _plain(text: Any) -> str:
    return "".join(c for c in str(text) if c.isprintable())[:_TOLD]
