"""Are int8 products for the frozen base worth it on this machine: their speed and their price.

Contract: torch's public ways to multiply in int8 against a float32 product of the same shape, in
one process, interleaved; and the base's loss on task rows with its linear layers in each form.
`worth_it` needs both: a training step that would be at least TARGET_RATIO faster even with
everything but the forward products of the frozen weights left as it is (their backward products
take gradients, and a folded adapter changes the weight each step, so both stay float32), and a
loss that moves by less than TARGET_LOSS.
"""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

SHAPE = (1200, 576, 1536)
ROUNDS = 15
TARGET_RATIO, TARGET_LOSS = 1.2, 0.01
_TEXTS = 12
# Of a step's products with a frozen weight half are forward, half backward.
_FORWARD = 0.5


def measure() -> dict[str, Any]:
    """Milliseconds a product, relative errors, losses and the verdict."""
    import torch

    from denizen.project.machine import cores, cpu_flags

    torch.set_num_threads(cores())
    products, losses = _products(), _losses()
    ratio = products["float32"]["ms"] / products["dynamic"]["ms"]
    step = 1 / (1 - _FORWARD * (1 - 1 / ratio))
    moved = abs(losses["dynamic"] - losses["float32"])
    return {
        "shape": dict(zip(("tokens", "in", "out"), SHAPE, strict=True)),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "vnni": bool(cpu_flags() & {"avx512_vnni", "avx_vnni"}),
        "products": products,
        "loss_of_the_base": losses,
        "product_ratio": round(ratio, 2),
        "step_ratio_at_most": round(step, 2),
        "loss_moved": round(moved, 4),
        "target": {"step_ratio": TARGET_RATIO, "loss_moved": TARGET_LOSS},
        "worth_it": bool(step >= TARGET_RATIO and moved < TARGET_LOSS),
    }


def _products() -> dict[str, dict[str, float]]:
    import torch

    from denizen.models.int8 import Int8Linear, to_int8

    tokens, inside, outside = SHAPE
    torch.manual_seed(0)
    linear = torch.nn.Linear(inside, outside, bias=False)
    x = torch.randn(tokens, inside)
    codes, scale = to_int8(linear.weight.detach())
    rows, rows_scale = to_int8(x)
    frozen, dynamic = Int8Linear(linear), _dynamic(torch.nn.Sequential(linear))
    ways: dict[str, Callable[[], Any]] = {
        "float32": lambda: linear(x),
        # int8 times int8 to int32; quantising the rows is not even counted.
        "int_mm": lambda: torch._int_mm(rows, codes.T) * rows_scale * scale.T,
        "dynamic": lambda: dynamic(x),
        "int8_weight_float32_product": lambda: frozen(x),
    }
    with torch.no_grad():
        exact = linear(x)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(ROUNDS + 1):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                if turn:
                    times[name].append(time.perf_counter() - began)
        return {
            name: {
                "ms": round(1e3 * statistics.median(times[name]), 2),
                "relative_error": round(float((way() - exact).norm() / exact.norm()), 5),
            }
            for name, way in ways.items()
        }


def _losses() -> dict[str, float]:
    """Mean loss a supervised token of task rows, the decoder's linear layers in each form."""
    import torch

    from denizen.data import build_rows, load_holdout
    from denizen.models import SYSTEM, checkpoint, ensure, find_model, load_model, load_tokenizer
    from denizen.models.quantised import load_quantised
    from denizen.tasks import CORE
    from denizen.train import rendered_example, tabulate
    from denizen.train.batch import collate_rows
    from denizen.train.loss import supervised_loss

    folder = checkpoint(ensure(find_model("smollm2-135m-instruct")))
    rows, _ = build_rows(_TEXTS, 11, load_holdout(CORE), system=SYSTEM)
    rendered, _ = tabulate(
        load_tokenizer(folder), [r.messages for r in rows], max_length=512, drop_budget=0.0
    )
    batch = collate_rows([rendered_example(r).fields for r in rendered])
    base = load_model(folder)
    dynamic = copy.deepcopy(base)
    dynamic.model.layers = _dynamic(dynamic.model.layers)
    forms = {"float32": base, "dynamic": dynamic, "int8_weight": load_quantised(folder, 8)}
    with torch.no_grad():
        return {
            name: round(float(supervised_loss(model, batch["input_ids"], batch["labels"])), 4)
            for name, model in forms.items()
        }


def _dynamic(module: Any) -> Any:
    """Linear layers with packed int8 weights and activations quantised as they come."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(module, {torch.nn.Linear}, dtype=torch.qint8)
