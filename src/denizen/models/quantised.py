"""A base model whose linear layers are frozen in 4 or 8 bits, for QLoRA (arXiv:2305.14314).

Contract: 4 bits are NF4 in blocks of 64 with doubly quantised scales (4.13 bits a weight), through
bitsandbytes on the CPU and on a GPU; 8 bits are int8 rows (`int8.py`), because bitsandbytes' own
8-bit layer computes something else in evaluation than in training.  The output head and the
embeddings stay floats.  One layer at a time is a float, in loading as in use.  Merging starts from
`dequantise_base`, which gives the very weights that `load_quantised` multiplies by.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from denizen.models.loading import Precision
from denizen.project.errors import TrainingError
from denizen.project.machine import give_back_freed

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Bits = Literal[4, 8]

_BLOCK = 64


def load_quantised(folder: Path, bits: Bits, precision: Precision = "float32") -> PreTrainedModel:
    """The model of a transformers folder in eval mode: 4 bits on the GPU if there is one.

    What stays a float has `precision`.  Raises TrainingError without bitsandbytes (4 bits).
    """
    import torch

    dtype = getattr(torch, precision)
    model = _load_nf4(folder, dtype) if bits == 4 else _load_int8(folder)
    for parameter in model.parameters():
        # A copy: a tensor that stays a view of the file keeps all of the file in memory.
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype, copy=True)
    give_back_freed()
    return model.eval()


def frozen_layers(model: Any) -> dict[str, Any]:
    """Path -> linear layer of all that are quantised: every one but the output head."""
    import torch

    head = model.get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }


def is_quantised(layer: Any) -> bool:
    """Whether a layer is one that `load_quantised` made."""
    import torch

    from denizen.models.int8 import Int8Linear

    return isinstance(layer, Int8Linear) or (
        isinstance(layer, torch.nn.Linear)
        and getattr(layer.weight, "quant_state", None) is not None
    )


def frozen_weight(layer: Any) -> torch.Tensor:
    """The float32 weight (out, in) that a quantised layer multiplies by, made anew."""
    from denizen.models.int8 import Int8Linear, to_float

    if isinstance(layer, Int8Linear):
        return to_float(layer.weight, layer.scale)
    return _from_nf4(layer.weight.data, layer.weight.quant_state)


class FrozenWeight:
    """A quantised layer's weight (out, in) as something that is made when it is asked for."""

    def __init__(self, layer: Any) -> None:
        import torch

        self._layer = layer
        self.shape = (layer.out_features, layer.in_features)
        self.dtype = torch.float32

    @property
    def device(self) -> torch.device:
        """Where the layer is now."""
        device: torch.device = self._layer.weight.device
        return device

    def __len__(self) -> int:
        return int(self.shape[0])

    def made(self) -> torch.Tensor:
        """The float32 weight."""
        return frozen_weight(self._layer)

    def write(self, place: torch.Tensor) -> torch.Tensor:
        """The same into `place`, float32 (out, in)."""
        import torch

        from denizen.models.int8 import Int8Linear

        if isinstance(self._layer, Int8Linear):
            return torch.mul(self._layer.weight, self._layer.scale, out=place)
        return place.copy_(self.made())


def dequantised(weight: torch.Tensor, bits: Bits) -> torch.Tensor:
    """The float32 weight that is left of a matrix after quantisation, shape (out, in)."""
    from denizen.models.int8 import to_float, to_int8

    if bits == 8:
        return to_float(*to_int8(weight))
    _need_bitsandbytes()
    from bitsandbytes.functional import quantize_4bit

    return _from_nf4(
        *quantize_4bit(
            weight.detach().float(), blocksize=_BLOCK, compress_statistics=True, quant_type="nf4"
        )
    )


def dequantise_base(model: Any, bits: Bits) -> None:
    """Put in place of each frozen layer's weight what `load_quantised` would multiply by."""
    for layer in frozen_layers(model).values():
        layer.weight.data = dequantised(layer.weight.data, bits)


def _load_nf4(folder: Path, dtype: torch.dtype) -> Any:
    _need_bitsandbytes()
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=dtype, quantization_config=settings, device_map={"": device}
    )
    for layer in frozen_layers(model).values():
        # Else a forward pass in evaluation repacks the weight for CPUs with bf16 instructions,
        # and no gradient passes through it from then on.
        layer.support_avx512bf16_for_cpu = False
    return model


def _load_int8(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    from denizen.models.int8 import Int8Linear

    # "auto" leaves the weights where they are, in the mapped file, until a layer asks for them.
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype="auto")
    for name, layer in frozen_layers(model).items():
        model.set_submodule(name, Int8Linear(layer))
    return model


def _from_nf4(codes: torch.Tensor, state: Any) -> torch.Tensor:
    from bitsandbytes.functional import dequantize_4bit

    weight: torch.Tensor = dequantize_4bit(codes, state)
    return weight.float()


def _need_bitsandbytes() -> None:
    if find_spec("bitsandbytes") is None:
        raise TrainingError(
            "4-bit weights need the package bitsandbytes",
            where="adapter.bits",
            fix="pip install 'denizen[qlora]', or set adapter.bits: 8",
        )
