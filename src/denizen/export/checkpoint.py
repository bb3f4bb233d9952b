"""The weights of a transformers folder: one safetensors file or shards behind an index.

Contract: names and shapes without reading values; values one tensor at a time.  A missing, torn or
misplaced file raises ArtefactError.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from denizen.project.errors import ArtefactError

if TYPE_CHECKING:
    import torch

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


class Weights:
    """A context manager over the open files."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self._files: dict[str, Any] = {}

    def __enter__(self) -> Weights:
        from safetensors import SafetensorError, safe_open

        try:
            for name, keys in self._places().items():
                opened = self._stack.enter_context(
                    safe_open(str(self._folder / name), framework="pt")
                )
                held = set(opened.keys())
                if keys is not None and keys - held:
                    raise self._broken(f"{name} lacks {min(keys - held)}")
                self._files |= dict.fromkeys(held if keys is None else keys, opened)
        except (AttributeError, KeyError, OSError, ValueError, SafetensorError) as error:
            self._stack.close()
            raise self._broken(str(error)) from error
        except ArtefactError:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _places(self) -> dict[str, set[str] | None]:
        """Each file and the tensors it is to give; None: all it holds."""
        index = self._folder / _INDEX
        if (self._folder / _SINGLE).exists() or not index.exists():
            return {_SINGLE: None}
        found: dict[str, set[str]] = {}
        for key, name in json.loads(index.read_text("utf-8"))["weight_map"].items():
            # The index is a downloaded file: it names files beside it, and no others.
            if not isinstance(name, str) or Path(name).name != name:
                raise self._broken(f"the index names a file elsewhere: {name!r}")
            found.setdefault(name, set()).add(key)
        return dict(found)

    def names(self) -> list[str]:
        """All tensors, in the order of their names."""
        return sorted(self._files)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape, without reading the values."""
        return tuple(self._files[name].get_slice(name).get_shape())

    def tensor(self, name: str) -> torch.Tensor:
        """Values."""
        found: torch.Tensor = self._files[name].get_tensor(name)
        return found

    def _broken(self, what: str) -> ArtefactError:
        return ArtefactError(
            f"the weights cannot be read: {what}",
            where=str(self._folder),
            fix="merge or download the model again",
        )
