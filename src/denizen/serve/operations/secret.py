"""The secret of an API key: its shape, its checksum, and the hash that is kept of it.

Contract: `dnz_` and an id of 8 letters, `_`, then 43 random letters of 62 (256 bits) and a
checksum of 6. The id is public: lists, logs and traces name a key by it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib

_LETTERS = string.digits + string.ascii_letters
_ID, _RANDOM, _CHECKSUM = 8, 43, 6
_SHAPE = re.compile(rf"dnz_([0-9A-Za-z]{{{_ID}}})_[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def new_id() -> str:
    """A random public id."""
    return _random(_ID)


def new_secret(identity: str) -> str:
    """A random secret of the key with this id."""
    body = f"dnz_{identity}_{_random(_RANDOM)}"
    return body + _checksum(body)


def key_id(secret: str) -> str | None:
    """The public id inside a secret; None when its shape or its checksum is wrong."""
    found = _SHAPE.fullmatch(secret)
    if found is None or _checksum(secret[:-_CHECKSUM]) != secret[-_CHECKSUM:]:
        return None
    return found[1]


def digest(secret: str, pepper: bytes) -> str:
    """HMAC-SHA256 of a secret (RFC 2104), in hex.

    A slow hash (scrypt, argon2) protects words that people choose; nobody guesses 256 random bits,
    and a slow hash at every request would be a way to stall the server. The pepper, in a file of
    its own, makes a stolen keys.json useless even to check a secret that leaked elsewhere.
    """
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


def _random(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _checksum(body: str) -> str:
    """CRC-32 in base 62: a scanner tells a leaked key from a lookalike without asking us."""
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, place = divmod(number, len(_LETTERS))
        letters = _LETTERS[place] + letters
    return letters
