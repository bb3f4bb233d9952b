"""The certificate: how far the engine was compared with real bytecode, tied to the engine's source.

Contract: `certify` runs the chosen protocols and gives a Certificate (versions, hashes, cases,
mismatches); a certificate counts only for the engine it was made with, told by the hash of the
source of `protocols/`.  One is carried with the package; a workspace's own goes first.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from denizen import __version__
from denizen.evm.certify.outcome import Outcome
from denizen.project.atomic import atomic_write_text
from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash, source_hash
from denizen.project.machine import facts
from denizen.project.workspace import Workspace

# Protocol -> module with `run(cases, seed, on_case) -> Outcome`.
RUNNERS: dict[str, str] = {
    "uniswap-v2": "denizen.evm.certify.uniswap_v2",
    "uniswap-v3": "denizen.evm.certify.uniswap_v3",
    "uniswap-v4": "denizen.evm.certify.uniswap_v4",
    "aave-v3": "denizen.evm.certify.aave_v3",
    "balancer-v2": "denizen.evm.certify.balancer",
    "erc-4626": "denizen.evm.certify.erc4626",
}
NAME = "certificate.json"
CASES = 10_000


@dataclass(frozen=True)
class Certificate:
    """What was run, against what, with which result."""

    made: str
    version: str
    engine: str
    evm: str
    outcomes: tuple[Mapping[str, Any], ...]
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Every protocol had cases and no mismatch."""
        return bool(self.outcomes) and all(
            o["cases"] > 0 and o["mismatches"] == 0 for o in self.outcomes
        )

    @property
    def current(self) -> bool:
        """Made with the engine that is installed now."""
        return self.engine == engine_hash()

    @property
    def short(self) -> tuple[str, ...]:
        """Protocols that were left out, or compared in fewer cases than a certificate takes."""
        cases = {o["protocol"]: o["cases"] for o in self.outcomes}
        return tuple(name for name in RUNNERS if cases.get(name, 0) < CASES)

    @property
    def cases(self) -> int:
        """All cases."""
        return sum(int(o["cases"]) for o in self.outcomes)

    @property
    def hash(self) -> str:
        """Content hash of the whole certificate."""
        return content_hash(self.to_json())

    def line(self) -> str:
        """One line for people."""
        told = ", ".join(
            f"{o['protocol']} {o['cases']:,}"
            + (f" ({o['mismatches']} MISMATCHES)" if o["mismatches"] else "")
            for o in self.outcomes
        )
        stale = "" if self.current else "; of another engine than the one installed"
        found = "0 mismatches" if self.ok else "NOT certified"
        short = f"; under {CASES:,} cases of {', '.join(self.short)}" if self.short else ""
        return f"{self.cases:,} cases against real bytecode, {found} ({told}){short}{stale}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {
            "made": self.made,
            "version": self.version,
            "engine": self.engine,
            "evm": self.evm,
            "outcomes": [dict(o) for o in self.outcomes],
            "machine": dict(self.machine),
        }


def engine_hash() -> str:
    """Hash of the source of `protocols/`."""
    return source_hash("protocols")


def known(protocols: Sequence[str]) -> tuple[str, ...]:
    """Each protocol once (none given: all); raises ArtefactError for one without a runner."""
    if unknown := [name for name in protocols if name not in RUNNERS]:
        raise ArtefactError(
            f"no certification for {unknown[0]!r}",
            where="protocols certify",
            fix=f"known: {', '.join(RUNNERS)}",
        )
    return tuple(dict.fromkeys(protocols or RUNNERS))


def certify(
    protocols: Sequence[str],
    cases: int = CASES,
    seed: int = 0,
    on_start: Callable[[str], None] = lambda _: None,
    on_case: Callable[[int], None] = lambda _: None,
    workspace: Workspace | None = None,
) -> Certificate:
    """Run the protocols' differential fuzz; raises ArtefactError for an unknown protocol.

    With a workspace, protocols that an interrupted run had finished are not run again, and the
    certificate is written there, whole.
    """
    outcomes: list[Mapping[str, Any]] = []
    kept: list[Path] = []
    for name in known(protocols):
        on_start(name)
        key = content_hash([name, cases, seed, source_hash("protocols", "evm")])[:16]
        path = workspace.path("work", f"certify-{key}.json") if workspace else None
        if path is not None:
            kept.append(path)
        if path is not None and path.exists():
            outcomes.append(json.loads(path.read_text("utf-8")))
            on_case(cases)
            continue
        found: Outcome = importlib.import_module(RUNNERS[name]).run(cases, seed, on_case)
        outcomes.append(replace(found, protocol=name).to_json())
        if path is not None:
            atomic_write_text(path, json.dumps(outcomes[-1]))
    made = Certificate(
        made=datetime.now(UTC).isoformat("T", "seconds"),
        version=__version__,
        engine=engine_hash(),
        evm=f"pyrevm {metadata.version('pyrevm')}",
        outcomes=tuple(outcomes),
        machine=facts(),
    )
    if workspace is not None:
        atomic_write_text(workspace.path(NAME), json.dumps(made.to_json(), indent=1) + "\n")
        for path in kept:
            path.unlink(missing_ok=True)
    return made


def find(workspace: Workspace | None = None) -> Certificate | None:
    """The certificate that counts here: the workspace's own, or the carried one, or None.

    A workspace's goes first, unless it is of another engine, or clean but only of a part, and the
    carried one is whole; a mismatch found with this engine is never hidden.
    """
    asset = files("denizen.evm") / "assets" / NAME
    carried = _read(asset.read_text("utf-8")) if asset.is_file() else None
    own = _own(workspace)
    if own is None or carried is None or not carried.current or carried.short:
        return own or carried
    return carried if not own.current or (own.ok and own.short) else own


def _own(workspace: Workspace | None) -> Certificate | None:
    if workspace is not None and workspace.path(NAME).exists():
        path = workspace.path(NAME)
        try:
            return _read(path.read_text("utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtefactError(
                "the certificate cannot be read",
                where=str(path),
                fix="delete it, or run `denizen protocols certify` again",
            ) from error
    return None


def _read(text: str) -> Certificate:
    loaded = json.loads(text)
    for outcome in loaded["outcomes"]:
        figures = outcome["cases"], outcome["mismatches"]
        if not isinstance(outcome["protocol"], str) or any(type(n) is not int for n in figures):
            raise ValueError("not an outcome")
    return Certificate(**{**loaded, "outcomes": tuple(loaded["outcomes"])})
