"""Adapters taken in and let go over HTTP: which files, which names, and what a refusal says.

Contract: a path is read only inside the workspace's artefacts, symbolic links resolved, and what is
elsewhere is as what is not there; an adapter that does not fit, or does not change a probe's
logits, is a Fault 400 and nothing changes.  A name in use is not taken over, nor is a family that
has an adapter; a name that a skill of the config needs stays.  `parts.learnt` holds the families of
adapters that came while serving, until these go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from denizen.project.errors import ArtefactError
from denizen.serve.answering.naming import Names
from denizen.serve.answering.ports import Parts
from denizen.serve.exchange import Fault


class Adapting:
    """The adapters of a backend. No `artefacts`: none are taken."""

    def __init__(self, parts: Parts, names: Names, artefacts: Path | None) -> None:
        self._parts, self._names, self._artefacts = parts, names, artefacts
        self._changing = asyncio.Lock()

    async def load(self, name: str, path: str, families: Sequence[str] = ()) -> float:
        """The largest change it made to a logit of the probes; raises Fault 400 or 404.

        Questions of `families` are answered with it from then on.
        """
        work, root = self._able("load_adapter")
        async with self._changing:
            if any(card.id == name for card in self._names.cards):
                raise Fault(400, f"the name '{name}' is taken", code="name_taken", param="name")
            self._check(families)
            try:
                change = float(await work(name, _inside(root, path)))
            except ArtefactError as error:  # its place names a folder of this machine
                raise Fault(400, error.what, code="adapter_refused", param="path") from error
            self._parts.learnt.update(dict.fromkeys(families, name))
            return change

    async def unload(self, name: str) -> None:
        """Answers that speak with it are finished first; raises Fault 400 or 404."""
        work, _ = self._able("unload_adapter")
        async with self._changing:
            if name not in self._parts.backend.facts.adapters:
                raise Fault(404, "there is no adapter of that name", code="model_not_found")
            if name in self._parts.config.serve.skills.values():
                told = "a skill of serve.skills needs this adapter"
                raise Fault(400, told, code="adapter_needed")
            learnt = self._parts.learnt
            for family in [family for family, adapter in learnt.items() if adapter == name]:
                del learnt[family]  # first: no new question begins with it
            await work(name)

    def _check(self, families: Sequence[str]) -> None:
        """Raises Fault 400 for a family that is not served here, or has an adapter."""
        held = self._parts.skills
        for family in families:
            if family not in self._parts.suite.families:
                known = ", ".join(self._parts.suite.families)
                told = f"there is no task family '{family}' here; there are: {known}"
                raise Fault(400, told, code="unknown_family", param="families")
            if family in held:
                told = f"the adapter '{held[family]}' answers the family '{family}' already"
                raise Fault(400, told, code="family_taken", param="families")

    def _able(self, verb: str) -> tuple[Any, Path]:
        work = getattr(self._parts.backend, verb, None)
        if work is None or self._artefacts is None:
            raise Fault(404, "this server takes no adapters", code="adapters_not_served")
        return work, self._artefacts.resolve()


def _inside(root: Path, path: str) -> Path:
    with suppress(OSError, ValueError):
        found = (root / path).resolve()
        if found.is_relative_to(root) and found.suffix == ".gguf" and found.is_file():
            return found
    raise Fault(
        400, "there is no such GGUF in the artefacts", code="adapter_not_found", param="path"
    )
