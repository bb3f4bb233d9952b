"""The keys as a running server sees them: found by secret, reloaded when their file changes.

Contract: the file is looked at once a second at most, so a revocation acts within a second. A file
that cannot be read opens nothing until it is mended. `made` never goes back to False: a server
that asked for keys does not open because their file was removed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from denizen.project.errors import DenizenError
from denizen.serve.exchange import Fault
from denizen.serve.operations.keys import Key, KeyStore
from denizen.serve.operations.secret import digest, key_id

_EVERY = 1.0  # seconds between looks at the file
_WRONG = "the API key is not one of this server"


def _now() -> datetime:
    return datetime.now(UTC)


class KeyRing:
    """Keys in memory; `clock` counts seconds, `now` is an aware time."""

    def __init__(
        self,
        workspace: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._store = KeyStore(workspace)
        self._clock, self._now = clock, now
        self._keys: dict[str, Key] = {}
        self._pepper = b""
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._made = False
        self.broken: DenizenError | None = None

    @property
    def made(self) -> bool:
        """Whether a key was ever made here, revoked ones included."""
        self._refresh()
        return self._made

    @property
    def usable(self) -> int:
        """Keys that open something now."""
        self._refresh()
        return sum(key.state(self._now()) == "active" for key in self._keys.values())

    def get(self, identity: str) -> Key | None:
        """A key by its public id."""
        self._refresh()
        return self._keys.get(identity)

    def find(self, secret: str) -> Key:
        """The key a secret opens; Fault 401 when there is none, 503 while none can be read."""
        self._refresh()
        if self.broken is not None:
            raise Fault(
                503,
                "the server cannot read its keys",
                kind="server_error",
                code="keys_unreadable",
                retry_after=5.0,
            )
        identity = key_id(secret)
        if identity is None:
            raise _refused("this is not a key of Denizen, or it was cut when it was copied")
        key, now = self._keys.get(identity), self._now()
        # An unknown id takes the same steps as a known one, so time tells nothing about ids.
        known = (key or _NOBODY).matches(digest(secret, self._pepper), now)
        if key is None or not known:
            raise _refused(_WRONG)
        if (state := key.state(now)) != "active":
            raise _refused(f"this API key is {state}")
        return key

    def _refresh(self) -> None:
        if (at := self._clock()) - self._looked < _EVERY:
            return
        self._looked = at
        try:
            found = self._store.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            stamp = None
        if stamp == self._seen and self.broken is None:
            return
        self._seen = stamp
        try:
            keys = self._store.read()
            self._pepper = self._store.pepper() if keys else b""
        except DenizenError as error:
            self._keys, self.broken, self._made = {}, error, True
            return
        self._keys, self.broken = {key.id: key for key in keys}, None
        self._made = self._made or bool(keys)


_NOBODY = Key("", "nobody", (), "-" * 64, "")


def _refused(message: str) -> Fault:
    return Fault(401, message, code="invalid_api_key")
