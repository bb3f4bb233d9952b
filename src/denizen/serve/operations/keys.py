"""API keys at rest: made, listed, revoked, rotated; only a keyed hash of a secret is kept.

Contract: a secret is `dnz_ID_SECRET` with 256 random bits and a checksum, and is returned once, by
`create` or `rotate`. `<workspace>/keys.json` holds names, scopes, quotas and hashes, and
`keys.pepper` the hashes' key; both have mode 0600 and are written whole or not at all, under a
lock. DataError for a wrong name, scope or id and for a file that is not what it should be.
"""

from __future__ import annotations

import difflib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from denizen.project.atomic import atomic_path
from denizen.project.errors import DataError, WorkspaceError
from denizen.project.locking import exclusive
from denizen.serve.operations.secret import digest, new_id, new_secret

SCOPES = ("chat", "embeddings", "logprobs", "feedback", "metrics", "traces", "admin")
_LONGEST_NAME = 80
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Times are ISO 8601 in UTC, empty: never. Quotas: 0 is none.

    `old_hash` is that of the secret before a rotation, which opens until `old_until`.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    hash: str
    created: str
    expires: str = ""
    revoked: str = ""
    requests_per_minute: int = 0
    tokens_per_day: int = 0
    old_hash: str = ""
    old_until: str = ""

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Whether it opens anything at `now` (aware)."""
        if self.revoked:
            return "revoked"
        return "expired" if _passed(self.expires, now) else "active"

    def matches(self, digest: str, now: datetime) -> bool:
        """Whether a secret's hash is this key's, compared in constant time."""
        current = hmac.compare_digest(self.hash, digest)
        old = hmac.compare_digest(self.old_hash or "-" * len(digest), digest)
        return current or (old and not _passed(self.old_until, now))

    def public(self) -> dict[str, Any]:
        """Everything but the hashes, for a list."""
        return {k: v for k, v in asdict(self).items() if k not in ("hash", "old_hash")}


class Made(NamedTuple):
    """A key and its secret, which is shown now and never again."""

    key: Key
    secret: str


class KeyStore:
    """The keys of a workspace, as the command line sees them."""

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / "keys.json"
        self._pepper = workspace / "keys.pepper"
        self._lock = workspace / "keys.lock"

    def create(
        self,
        name: str,
        scopes: tuple[str, ...],
        *,
        requests_per_minute: int = 0,
        tokens_per_day: int = 0,
        expires_days: float | None = None,
    ) -> Made:
        """Make a key. Raises DataError for a wrong name, scope, limit or a name in use."""
        name = _checked_name(name)
        scopes = _checked_scopes(scopes)
        if min(requests_per_minute, tokens_per_day) < 0:
            raise DataError("a limit below 0", where=name, fix="give 0 for no limit")
        if expires_days is not None and not 0 < expires_days <= 36_500:
            raise DataError("a key must live for a while", where=name, fix="give days above 0")
        now = datetime.now(UTC)
        with exclusive(self._lock, "keys"):
            keys = self.read()
            if any(k.name == name and k.state(now) == "active" for k in keys):
                raise DataError(
                    f"an active key is called {name!r} already",
                    where=str(self.path),
                    fix="choose another name, or rotate that one",
                )
            identity = new_id()
            while any(k.id == identity for k in keys):
                identity = new_id()
            secret = new_secret(identity)
            key = Key(
                identity,
                name,
                scopes,
                digest(secret, self._pepper_for(keys)),
                _iso(now),
                "" if expires_days is None else _iso(now + timedelta(days=expires_days)),
                "",
                requests_per_minute,
                tokens_per_day,
            )
            self._write((*keys, key))
        return Made(key, secret)

    def revoke(self, which: str) -> Key:
        """Close a key for good, by id or by name; a running server sees it within a second."""
        now = datetime.now(UTC)
        with exclusive(self._lock, "keys"):
            keys = self.read()
            key = self._find(keys, which)
            if key.revoked:
                return key
            closed = replace(key, revoked=_iso(now), old_hash="", old_until="")
            self._write(tuple(closed if k.id == key.id else k for k in keys))
        return closed

    def rotate(self, which: str, *, overlap_hours: float = 0) -> Made:
        """A new secret for the same key; the old one opens for `overlap_hours` more."""
        if not 0 <= overlap_hours <= 24 * 30:
            raise DataError("an overlap must be from 0 to 720 hours", fix="give fewer hours")
        now = datetime.now(UTC)
        with exclusive(self._lock, "keys"):
            keys = self.read()
            key = self._find(keys, which)
            if (state := key.state(now)) != "active":
                raise DataError(
                    f"the key is {state}", where=key.id, fix="make a new one: denizen keys create"
                )
            secret = new_secret(key.id)
            changed = replace(
                key,
                hash=digest(secret, self._pepper_for(keys)),
                old_hash=key.hash if overlap_hours else "",
                old_until=_iso(now + timedelta(hours=overlap_hours)) if overlap_hours else "",
            )
            self._write(tuple(changed if k.id == key.id else k for k in keys))
        return Made(changed, secret)

    def read(self) -> tuple[Key, ...]:
        """Every key that was made; none when there is no file. Raises DataError."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise self._broken("it cannot be read") from error
        return self._parsed(text)

    def pepper(self) -> bytes:
        """The key of the hashes. Raises DataError when it is missing, WorkspaceError when open."""
        try:
            mode = self._pepper.stat().st_mode
            text = self._pepper.read_text("ascii").strip()
            pepper = bytes.fromhex(text)
            if len(pepper) < 32:
                raise ValueError("too short")
        except (OSError, ValueError) as error:
            raise DataError(
                "the file that the keys are checked with is missing or damaged",
                where=str(self._pepper),
                fix="restore it from a backup, or remove keys.json and make new keys",
            ) from error
        if mode & 0o077:
            raise WorkspaceError(
                "others may read the file that the keys are checked with",
                where=str(self._pepper),
                fix=f"chmod 600 {self._pepper}",
            )
        return pepper

    def _pepper_for(self, keys: tuple[Key, ...]) -> bytes:
        # Never a new pepper while there are keys: it would close them all without a word.
        if not keys and not self._pepper.exists():
            _write_private(self._pepper, secrets.token_hex(32) + "\n")
        return self.pepper()

    def _find(self, keys: tuple[Key, ...], which: str) -> Key:
        found = [k for k in keys if k.id == which]
        found = found or [k for k in keys if k.name == which and not k.revoked]
        found = found or [k for k in keys if k.name == which]
        if len(found) == 1:
            return found[0]
        near = difflib.get_close_matches(which, [n for k in keys for n in (k.id, k.name)], 1)
        raise DataError(
            f"{len(found)} keys are called {which!r}" if found else f"no key {which!r}",
            where=str(self.path),
            fix=f"did you mean {near[0]!r}?" if near and not found else "see `denizen keys list`",
        )

    def _parsed(self, text: str) -> tuple[Key, ...]:
        from pydantic import TypeAdapter, ValidationError

        try:
            keys: tuple[Key, ...] = TypeAdapter(tuple[Key, ...]).validate_python(
                json.loads(text)["keys"]
            )
            for key in keys:
                if not _HASH.fullmatch(key.hash) or not _HASH.fullmatch(key.old_hash or key.hash):
                    raise ValueError("a hash that is none")
                if min(key.requests_per_minute, key.tokens_per_day) < 0:
                    raise ValueError("a limit below 0")
                for time in (key.created, key.expires, key.revoked, key.old_until):
                    if time and datetime.fromisoformat(time).tzinfo is None:
                        raise ValueError("a time without a zone")
        except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._broken("it is not a file of keys") from error
        if len({k.id for k in keys}) != len(keys):
            raise self._broken("an id stands there twice")
        return keys

    def _broken(self, how: str) -> DataError:
        return DataError(
            f"the keys cannot be used: {how}",
            where=str(self.path),
            fix="restore the file from a backup, or remove it and make new keys",
        )

    def _write(self, keys: tuple[Key, ...]) -> None:
        _write_private(self.path, json.dumps({"keys": [asdict(k) for k in keys]}, indent=1) + "\n")


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise DataError(
            f"a key's name must be one line of 1 to {_LONGEST_NAME} characters",
            where="NAME",
            fix="name it after who uses it, as `wallet-backend`",
        )
    return name


def _checked_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    for scope in scopes:
        if scope not in SCOPES:
            near = difflib.get_close_matches(scope, SCOPES, 1)
            raise DataError(
                f"no scope {scope!r}",
                where="--scope",
                fix=f"did you mean {near[0]!r}?" if near else f"scopes are {', '.join(SCOPES)}",
            )
    if not scopes:
        raise DataError("a key without a scope opens nothing", fix="add --scope chat")
    return tuple(s for s in SCOPES if s in scopes)


def _iso(when: datetime) -> str:
    return when.isoformat("T", "milliseconds")


def _passed(time: str, now: datetime) -> bool:
    return bool(time) and datetime.fromisoformat(time) <= now


def _write_private(path: Path, text: str) -> None:
    # Opened with its mode: a file that is closed only afterwards can be read in between.
    with atomic_path(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
