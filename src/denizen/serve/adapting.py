"""Adapters taken in and let go over HTTP: which files, which names, and what a refusal says.

Contract: a path is read only inside the workspace's artefacts, symbolic links resolved, and what is
elsewhere is as what is not there; an adapter that does not fit, or does not change a probe's
logits, is a Fault 400 and nothing changes.  A name in use is not taken over, and one that a skill
of the config needs stays.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from denizen.project.errors import ArtefactError
from denizen.serve.answering.naming import Names
from denizen.serve.exchange import Backend, Fault


class Adapting:
    """The adapters of a backend; `needed` are names that stay. No `artefacts`: none are taken."""

    def __init__(
        self, backend: Backend, names: Names, artefacts: Path | None, needed: Collection[str]
    ) -> None:
        self._backend, self._names = backend, names
        self._artefacts, self._needed = artefacts, needed

    async def load(self, name: str, path: str) -> float:
        """The largest change it made to a logit of the probes; raises Fault 400 or 404."""
        work, root = self._able("load_adapter")
        if any(card.id == name for card in self._names.cards):
            raise Fault(400, f"the name '{name}' is taken", code="name_taken", param="name")
        try:
            return float(await work(name, _inside(root, path)))
        except ArtefactError as error:  # its place names a folder of this machine
            raise Fault(400, error.what, code="adapter_refused", param="path") from error

    async def unload(self, name: str) -> None:
        """Answers that speak with it are finished first; raises Fault 400 or 404."""
        work, _ = self._able("unload_adapter")
        if name not in self._backend.facts.adapters:
            raise Fault(404, "there is no adapter of that name", code="model_not_found")
        if name in self._needed:
            raise Fault(400, "a skill of serve.skills needs this adapter", code="adapter_needed")
        await work(name)

    def _able(self, verb: str) -> tuple[Any, Path]:
        work = getattr(self._backend, verb, None)
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
