"""The run on rented GPUs: on which it fits, how long it takes there, and for how much.

Contract: prices are quoted with date and source (assets/prices.json), peaks are the vendors' dense
bf16 figures.  Time rests on `Assumptions` and is always a range, low to high.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple

from denizen.project.config import Config
from denizen.train.forecast.flops import ASSETS, Load, Shape, forward_flops, step_flops
from denizen.train.forecast.memory import Memory, peak
from denizen.train.methods import find_adapter
from denizen.train.refusals import ONLINE
from denizen.train.scale import SHARDABLE

GPUS = (1, 2, 4, 8)
_GB = 1e9


@dataclass(frozen=True)
class Assumptions:
    """What no price list says; measured on no GPU of yours."""

    utilisation: tuple[float, float, float] = (0.20, 0.35, 0.45)
    """Low, likely, high share of the dense bf16 peak (PaLM, arXiv:2204.02311, reports 0.46)."""
    launches_a_layer: int = 300
    """Kernels of a step: forward, backward, optimiser; a forward pass alone has a sixth."""
    launch_seconds: tuple[float, float, float] = (12e-6, 6e-6, 4e-6)
    sharding: float = 0.85
    """Efficiency of FSDP2 over one GPU."""
    usable: float = 0.92
    """Share of a GPU's memory that can be had."""
    four_bit: float = 1.3
    """Time of products with 4-bit weights over bf16 ones."""
    start_seconds: float = 90.0
    disk: float = 1e9
    """Bytes a second that weights are read with."""


ASSUMED = Assumptions()


class Offer(NamedTuple):
    """A GPU for rent: USD an hour and GPU; memory in bytes, peak in FLOPs a second, bandwidth in
    bytes a second, watts.  `gpus` is the machine's size where the price is for that size only."""

    provider: str
    gpu: str
    usd: float
    date: str
    source: str
    terms: str
    gpus: int | None
    memory: float
    peak: float
    bandwidth: float
    watts: float


@dataclass(frozen=True)
class Rental:
    """A run on `gpus` rented GPUs; ranges are (low, likely, high) in seconds and USD."""

    provider: str
    gpu: str
    gpus: int
    checkpointing: bool
    memory: int
    seconds: tuple[float, float, float]
    usd: tuple[float, float, float]
    usd_hour: float
    joules: float
    date: str
    source: str
    terms: str

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


@cache
def offers() -> tuple[Offer, ...]:
    """The price table with each GPU's data sheet."""
    data = json.loads((ASSETS / "prices.json").read_text("utf-8"))
    found = []
    for offer in data["offers"]:
        gpu = data["gpus"][offer["gpu"]]
        found.append(
            Offer(
                offer["provider"],
                offer["gpu"],
                offer["usd"],
                offer["date"],
                offer["source"],
                offer.get("terms", "on demand"),
                offer.get("gpus"),
                gpu["memory"] * _GB,
                gpu["tflops"] * 1e12,
                gpu["bandwidth"] * _GB,
                gpu["watts"],
            )
        )
    return tuple(found)


class Fit(NamedTuple):
    """How a step fits: on how many GPUs, with checkpointing or not."""

    gpus: int
    checkpointing: bool
    memory: Memory


def fit(shape: Shape, config: Config, heaviest: Load, memory: float) -> Fit | None:
    """The fewest GPUs of `memory` bytes that hold a step; checkpointing only where it must be."""
    counts = GPUS if config.adapter.method in SHARDABLE else GPUS[:1]
    wish = config.train.checkpointing
    for gpus in counts:
        for checkpointing in {"on": (True,), "off": (False,), "auto": (False, True)}[wish]:
            need = peak(
                shape,
                config,
                heaviest.tokens,
                heaviest.learnt,
                gpus=gpus,
                checkpointing=checkpointing,
            )
            if need.total <= memory * ASSUMED.usable:
                return Fit(gpus, checkpointing, need)
    return None


def rent(shape: Shape, config: Config, loads: Sequence[Load], offer: Offer) -> Rental | None:
    """The run on an offer's GPUs; None where it fits on none of GPUS."""
    heaviest = max(loads, key=lambda load: load.tokens)
    if config.train.objective in ONLINE:
        # Gradients are taken in parts.
        part = max(config.train.batch_tokens, config.train.max_length)
        heaviest = Load(min(heaviest.tokens, part), min(heaviest.learnt, part), 0)
    found = fit(shape, config, heaviest, offer.memory)
    if found is None:
        return None
    ways = zip(ASSUMED.utilisation, ASSUMED.launch_seconds, strict=True)
    seconds = [_seconds(shape, config, loads, offer, found, *way) for way in ways]
    high, likely, low = seconds
    # A machine that is let only as a whole is paid as a whole.
    paid = max(found.gpus, offer.gpus or 1)
    usd = tuple(s / 3600 * offer.usd * paid for s in (low, likely, high))
    return Rental(
        offer.provider,
        offer.gpu,
        found.gpus,
        found.checkpointing,
        found.memory.total,
        (low, likely, high),
        (usd[0], usd[1], usd[2]),
        offer.usd,
        likely * found.gpus * offer.watts,
        offer.date,
        offer.source,
        offer.terms,
    )


def rentals(shape: Shape, config: Config, loads: Sequence[Load]) -> list[Rental]:
    """On every offer that holds the run, cheapest first."""
    found = (rent(shape, config, loads, offer) for offer in offers())
    return sorted((r for r in found if r is not None), key=lambda r: r.usd[1])


def _seconds(
    shape: Shape,
    config: Config,
    loads: Sequence[Load],
    offer: Offer,
    found: Fit,
    utilisation: float,
    launch: float,
) -> float:
    method = find_adapter(config.adapter.method)
    rate = offer.peak * utilisation * found.gpus
    rate *= ASSUMED.sharding if found.gpus > 1 else 1.0
    slower = ASSUMED.four_bit if method.name == "qlora" else 1.0
    launches = shape.layers * ASSUMED.launches_a_layer * launch
    passes = _passes(config)
    steps = 0.0
    for load in loads:
        flops = passes * forward_flops(shape, load)
        flops += step_flops(shape, load, whole=method.whole, checkpointing=found.checkpointing)
        steps += max(flops * slower / rate, launches)
    if config.train.objective in ONLINE:
        steps += len(loads) / config.rl.updates * _sampling(shape, config, offer, launch)
    start = ASSUMED.start_seconds
    return steps + start + 2 * shape.parameters / ASSUMED.disk


def _passes(config: Config) -> float:
    """Passes without gradients beside a step's own: of the reference, or of mismatched answers."""
    objective = config.train.objective
    if objective == "dpo":
        return 1 / config.train.epochs
    if objective == "kto":
        return 1 + 2 / config.train.epochs
    return 1.0 if objective == "ppo" or (objective in ONLINE and config.rl.kl) else 0.0


def _sampling(shape: Shape, config: Config, offer: Offer, launch: float) -> float:
    """Seconds of a rollout: each token reads all weights once, or waits for launches."""
    reading = 2 * shape.parameters / offer.bandwidth
    launches = shape.layers * ASSUMED.launches_a_layer / 6 * launch
    return float(config.rl.max_new_tokens * max(reading, launches))
