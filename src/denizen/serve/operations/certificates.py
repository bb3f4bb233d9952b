"""TLS: the context of a certificate and its key, both checked before the server starts.

Contract: `tls_context` proves the pair by a handshake in memory, or raises ConfigError in one line:
a file that is missing, unreadable, not PEM, encrypted, not the other's, expired or not valid yet.
TLS 1.2 and later.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from denizen.project.errors import ConfigError

_TURNS = 8  # a handshake in memory takes three
_NOT_YET, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class Tls(NamedTuple):
    """A server's context, and the days until its certificate expires (None: not known)."""

    context: ssl.SSLContext
    days: float | None


def tls_context(certificate: str, key: str) -> Tls | None:
    """The context of two PEM files; None when neither is named."""
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing = "serve.tls_key" if certificate else "serve.tls_certificate"
        raise ConfigError(
            "a certificate and its key belong together", where=missing, fix="name both PEM files"
        )
    _readable(certificate, "serve.tls_certificate", "-----BEGIN CERTIFICATE-----")
    _readable(key, "serve.tls_key", "PRIVATE KEY-----")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def refused() -> str:
        raise ConfigError(
            "the key is encrypted with a password",
            where=key,
            fix="name a key file without one, of mode 0600",
        )

    try:
        context.load_cert_chain(certificate, key, password=refused)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                "the key is not the certificate's",
                where=f"{certificate}, {key}",
                fix="name the key the certificate was made for; the server's own comes first",
            ) from error
        reason = (error.reason or "unreadable").replace("_", " ").lower()
        raise ConfigError(
            f"this certificate cannot be used, {reason}",
            where=f"{certificate}, {key}",
            fix="make both again: PEM, RSA of 2,048 bits or more, or ECDSA",
        ) from error
    return Tls(context, _days_left(context, certificate))


def _readable(path: str, where: str, mark: str) -> None:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}, {(error.strerror or 'no reason').lower()}",
            where=where,
            fix="name a PEM file that the server may read",
        ) from error
    if mark.encode() not in text:
        raise ConfigError(f"{path} holds no {mark.strip('-')}", where=where, fix="name a PEM file")


def _days_left(server: ssl.SSLContext, certificate: str) -> float | None:
    """Days until the certificate expires, by a client that trusts just this one."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_TURNS):
            for side in (asking, answering):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in (_NOT_YET, _EXPIRED):
            how = "is not valid yet" if error.verify_code == _NOT_YET else "has expired"
            raise ConfigError(
                f"the certificate {how}", where=certificate, fix="renew it, and check the clock"
            ) from error
        return None  # its use or its chain is for the clients to judge
    except ssl.SSLError as error:
        raise ConfigError(
            f"a handshake with this certificate fails, {error.reason}",
            where=certificate,
            fix="make certificate and key again",
        ) from error
    until = (asking.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        return None
    return (ssl.cert_time_to_seconds(until) - time.time()) / 86_400
