"""MoRA as a PEFT method of its own: one square matrix a layer (arXiv:2405.12130).

Contract: importing this module registers the method in PEFT's public mappings, after which
get_peft_model, save_pretrained, PeftModel.from_pretrained and merge_and_unload know it; a folder
that PEFT alone opens is refused, never half read.  The update is linear in x without any other
parameter, so its weight is exact.  Import it inside functions only: it imports torch and PEFT.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING, PeftConfig
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, check_adapters_to_merge
from torch import nn

MORA = "MORA"
# The paper shares rows and columns from rank 128 on, where its 4,096-wide layers have a matrix of
# 1,024: four to a group.  With more to a group it rotates instead (equations 6 and 9).
SHARED = 4


def side(in_features: int, out_features: int, rank: int) -> int:
    """Side of the matrix with (at most) LoRA's number of weights; even, for pairs to rotate."""
    largest = min(in_features, out_features)
    return max(min(math.isqrt((in_features + out_features) * rank), largest) // 2 * 2, 2)


def update(x: torch.Tensor, matrix: torch.Tensor, out_features: int) -> torch.Tensor:
    """decompress(M compress(x)): (..., in) -> (..., out), linear in x; `matrix` is (side, side).

    x is cut into parts of `side` (the last one padded with zeros).  Sharing adds the parts and
    repeats the product.  Rotation turns part i as RoPE turns position i and multiplies each;
    part i gives part i of the output.  Where there are fewer parts out than in, those that fall on
    the same one are added; where there are more, they repeat.
    """
    width = matrix.shape[0]
    parts = F.pad(x, (0, -x.shape[-1] % width)).unflatten(-1, (-1, width))
    blocks = -(-out_features // width)
    share = max(x.shape[-1], out_features) <= SHARED * width
    parts, groups = (parts, 1) if share else (_turned(parts), min(parts.shape[-2], blocks))
    folded = F.pad(parts, (0, 0, 0, -parts.shape[-2] % groups)).unflatten(-2, (-1, groups)).sum(-3)
    product = folded @ matrix.T
    repeated = product[..., torch.arange(blocks, device=x.device) % groups, :]
    return repeated.flatten(-2)[..., :out_features]


def _turned(parts: torch.Tensor) -> torch.Tensor:
    """Part i (of shape (..., count, width)) turned by the angles of RoPE at position i."""
    count, width = parts.shape[-2:]
    pairs = torch.arange(width // 2, device=parts.device, dtype=torch.float32)
    place = torch.arange(count, device=parts.device, dtype=torch.float32)
    angle = place[:, None] * 10_000.0 ** (-2 * pairs / width)
    cosine, sine = angle.cos().to(parts.dtype), angle.sin().to(parts.dtype)
    one, two = parts.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((one * cosine - two * sine, one * sine + two * cosine), -1).flatten(-2)


@dataclass
class MoraConfig(PeftConfig):  # type: ignore[misc]
    """`r` is the rank of the LoRA with as many weights; the rest is as in LoraConfig."""

    r: int = 8
    target_modules: list[str] | set[str] | str | None = None
    exclude_modules: list[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    rank_pattern: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = MORA
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)


class MoraLinear(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A linear layer and its square matrices, one an adapter; they start at zero."""

    adapter_layer_names = ("mora_matrix",)
    other_param_names = ()

    def __init__(self, base_layer: nn.Module, adapter_name: str, rank: int, frozen: bool) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.mora_matrix = nn.ParameterDict({})
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, rank, frozen)

    def update_layer(self, adapter_name: str, rank: int, frozen: bool) -> None:
        """Add an adapter."""
        base = self.get_base_layer()
        self.in_features, self.out_features = base.in_features, base.out_features
        width = side(self.in_features, self.out_features, rank)
        self.mora_matrix[adapter_name] = nn.Parameter(torch.zeros(width, width))
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=frozen)

    def get_delta_weight(self, adapter: str) -> torch.Tensor:
        """The update as a weight, shape (out, in)."""
        matrix = self.mora_matrix[adapter]
        numbers = torch.arange(self.in_features, device=matrix.device).split(1024)
        units = (F.one_hot(part, self.in_features).to(matrix.dtype) for part in numbers)
        return torch.cat([update(unit, matrix, self.out_features) for unit in units]).T

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The base layer's output and the active adapters' updates."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result = self.base_layer(x, *args, **kwargs)
        if not self.disable_adapters and not self.merged:
            for adapter in self.active_adapters:
                if adapter in self.mora_matrix:
                    matrix = self.mora_matrix[adapter]
                    cast = self._cast_input_dtype(x, matrix.dtype)
                    result = result + update(cast, matrix, self.out_features).to(result.dtype)
        return result

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the updates to the base's weight; with `safe_merge` ValueError if one is NaN."""
        for adapter in check_adapters_to_merge(self, adapter_names):
            if adapter not in self.mora_matrix:
                continue
            weight = self.get_base_layer().weight
            merged = weight + self.get_delta_weight(adapter).to(weight.dtype)
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(f"NaN in the merged weights of adapter {adapter}")
            weight.copy_(merged)
            self.merged_adapters.append(adapter)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def unmerge(self) -> None:
        """Take merged updates off again."""
        while self.merged_adapters:
            weight = self.get_base_layer().weight
            weight -= self.get_delta_weight(self.merged_adapters.pop()).to(weight.dtype)


class MoraModel(BaseTuner):  # type: ignore[misc]
    """Puts MoRA layers in the place of the chosen linear layers."""

    prefix = "mora_"
    tuner_layer_cls = MoraLinear
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012

    def _create_and_replace(
        self,
        peft_config: MoraConfig,
        adapter_name: str,
        target: Any,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        patterns = (p for p in peft_config.rank_pattern if re.match(rf"(.*\.)?({p})$", current_key))
        rank = peft_config.rank_pattern.get(next(patterns, ""), peft_config.r)
        if isinstance(target, MoraLinear):
            target.update_layer(adapter_name, rank, peft_config.inference_mode)
            return
        if not hasattr(target, "in_features"):
            raise ValueError(f"MoRA adapts linear layers; {current_key} is {type(target).__name__}")
        layer = MoraLinear(target, adapter_name, rank, peft_config.inference_mode)
        if adapter_name != self.active_adapter:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)


# What PEFT's own register_peft_method does, which admits the names of its own enumeration only.
PEFT_TYPE_TO_CONFIG_MAPPING[MORA] = MoraConfig
PEFT_TYPE_TO_TUNER_MAPPING[MORA] = MoraModel
PEFT_TYPE_TO_PREFIX_MAPPING[MORA] = MoraModel.prefix
