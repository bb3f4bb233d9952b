"""Which linear layers are adapted: `adapter.modules`, `adapter.layers` and `adapter.ranks`.

Contract: only linear layers inside the decoder layers are ever chosen, so never the output head
or the embeddings.  A name, a layer or a pattern that the model does not have is refused with
ConfigError, which names what there is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, NamedTuple

from denizen.project.config import AdapterConfig
from denizen.project.errors import ConfigError

_INSIDE_A_LAYER = re.compile(r"\.(\d+)\.(?:.*\.)?([^.]+)$")


class Targets(NamedTuple):
    """In PEFT's terms: names of linear layers, decoder layers (None: all), rank of a pattern."""

    modules: list[str]
    layers: list[int] | None
    ranks: dict[str, int]
    paths: dict[str, int]
    """Each chosen layer's path and rank."""


def find_targets(model: Any, settings: AdapterConfig) -> Targets:
    """What the settings choose in `model`, a transformers causal LM; raises ConfigError."""
    found = linear_layers(model)
    if not found:
        raise ConfigError(
            "the model has no linear layer inside numbered decoder layers",
            where=f"model type {model.config.model_type}",
            fix="use adapter.method: full",
        )
    modules = _modules(
        settings.modules, sorted({n for names in found.values() for n in names.values()})
    )
    layers = parse_layers(settings.layers, len(found))
    chosen = [
        path
        for layer in (found if layers is None else layers)
        for path, name in found[layer].items()
        if name in modules
    ]
    if not chosen:
        raise ConfigError(
            f"no layer of {settings.layers} has {', '.join(modules)}",
            where="adapter.layers",
            fix="choose other layers, or all",
        )
    for pattern, rank in settings.ranks.items():
        _check_rank(pattern, rank, chosen)
    paths = {path: _rank(path, settings) for path in chosen}
    return Targets(modules, layers, dict(settings.ranks), paths)


def linear_layers(model: Any) -> dict[int, dict[str, str]]:
    """Decoder layer -> path of a linear layer -> its name (`q_proj`); quantised ones included."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for path, module in model.named_modules():
        inside = _INSIDE_A_LAYER.search(path)
        if inside and hasattr(module, "in_features") and hasattr(module, "out_features"):
            found[int(inside[1])][path] = inside[2]
    return {layer: found[layer] for layer in sorted(found)}


def parse_layers(text: str, count: int) -> list[int] | None:
    """`0-7,20` -> [0, ..., 7, 20]; None for `all`; raises ConfigError outside 0 to count - 1."""
    if text.strip() == "all":
        return None
    layers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first = int(match[1]) if match else -1
        last = int(match[2] or first) if match else -1
        if not 0 <= first <= last < count:
            raise ConfigError(
                f"no such decoder layers: {part.strip()!r}",
                where="adapter.layers",
                fix=f"the model has layers 0 to {count - 1}; write all, or as 0-{count - 1}",
            )
        layers.update(range(first, last + 1))
    return sorted(layers)


def _modules(text: str, known: list[str]) -> list[str]:
    if text.strip() == "all-linear":
        return known
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigError(
            f"no linear layer of the decoder is called {', '.join(unknown) or 'nothing'}",
            where="adapter.modules",
            fix=f"the model has {', '.join(known)}; or write all-linear",
        )
    return names


def _match(pattern: str, path: str) -> bool:
    """As PEFT matches a pattern of `rank_pattern`."""
    return re.match(rf"(.*\.)?({pattern})$", path) is not None


def _rank(path: str, settings: AdapterConfig) -> int:
    return next((r for p, r in settings.ranks.items() if _match(p, path)), settings.rank)


def _check_rank(pattern: str, rank: int, paths: list[str]) -> None:
    if rank < 1:
        raise ConfigError(
            f"the rank of {pattern!r} is {rank}",
            where="adapter.ranks",
            fix="give a rank of 1 or more; leave a layer out with adapter.layers",
        )
    try:
        matches = any(_match(pattern, path) for path in paths)
    except re.error as error:
        raise ConfigError(
            f"{pattern!r} is no regular expression: {error}",
            where="adapter.ranks",
            fix="write a name as q_proj, or a path as layers.0.self_attn.q_proj",
        ) from error
    if not matches:
        raise ConfigError(
            f"{pattern!r} matches no adapted layer",
            where="adapter.ranks",
            fix=f"write a name as {paths[0].rsplit('.', 1)[1]}, or the end of a path as {paths[0]}",
        )
