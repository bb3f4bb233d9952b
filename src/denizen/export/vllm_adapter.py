"""A LoRA adapter as a folder that vLLM serves beside its base, without merging.

Contract: the folder holds the weights, an adapter_config.json of only what vLLM reads, the
tokenizer with its chat template, and a README with the command to run.  Whatever vLLM cannot load
or would load as something else is refused: methods other than LoRA, DoRA, whole modules, biases,
ranks or scales by layer, bases changed at the start, modules it has no adapter layer for.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from denizen.export.checkpoint import Weights
from denizen.export.merge import check_adapter, tensors
from denizen.project.atomic import atomic_path
from denizen.project.errors import ArtefactError

# The values vLLM takes for --max-lora-rank (its LoRAConfig).
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# Linear layers of the decoders exported here; vLLM packs q, k, v and gate, up by itself.
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")
MODULES = frozenset((*_ATTENTION, "gate_proj", "up_proj", "down_proj", "gate_up_proj"))
_WEIGHTS = "adapter_model.safetensors"
_NAME = re.compile(r"base_model\.model\.((?:.+\.)?layers\.\d+\..+\.(\w+))\.lora_([AB])\.weight")
# What may be set without changing what the adapter computes, or is read here.
_READ = {
    *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path"),
    *("revision", "inference_mode", "r", "target_modules", "exclude_modules", "lora_alpha"),
    *("lora_dropout", "use_rslora", "init_lora_weights", "layers_to_transform", "layers_pattern"),
    *("megatron_core", "qalora_group_size", "runtime_config", "loftq_config", "eva_config"),
    *("ensure_weight_tying",),
}
# Starts that leave the base's weights alone; PiSSA, OLoRA, CorDA and LoftQ subtract from them.
_STARTS = (True, False, "gaussian", "orthogonal", "eva")
_WORDS = {
    "use_dora": "DoRA is not supported by vLLM",
    "modules_to_save": "vLLM loads no whole modules (modules_to_save)",
    "bias": "vLLM loads no biases",
    "lora_bias": "vLLM loads no biases",
    "rank_pattern": "vLLM scales every layer by one rank (rank_pattern)",
    "alpha_pattern": "vLLM scales every layer by one alpha (alpha_pattern)",
    "trainable_token_indices": "vLLM loads no trained embeddings",
}


class VllmAdapter(NamedTuple):
    """What was written: the rank to allow, the modules adapted, and the command that serves it."""

    rank: int
    modules: tuple[str, ...]
    command: str


def write_vllm_adapter(
    adapter: Path,
    base: Path,
    target: Path,
    *,
    base_hash: str,
    base_name: str,
    name: str = "denizen",
    tokenizer: Path | None = None,
) -> VllmAdapter:
    """Write `target` from a PEFT folder; raises ArtefactError for what vLLM cannot serve.

    base       the transformers folder it was trained on; `tokenizer` defaults to it
    base_name  what `vllm serve` shall load: a hub repository or a folder
    name       what clients call the adapted model
    """
    from denizen.models import load_tokenizer

    for where, text, plain in (("name", name, r"[\w.-]+"), ("base_name", base_name, r"[\w./ -]+")):
        if not re.fullmatch(plain, text):
            raise ArtefactError(
                f"{text!r} cannot stand in a command", where=where, fix="use letters, digits, . _ -"
            )
    settings = _settings(adapter)
    check_adapter(adapter, base_hash)
    modules = _check_tensors(adapter, base, int(settings["r"]))
    rank = next(rank for rank in RANKS if rank >= settings["r"])
    kept: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": settings["r"],
        "lora_alpha": settings["lora_alpha"],
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(modules),
        "modules_to_save": None,
        "use_rslora": bool(settings.get("use_rslora")),
        "use_dora": False,
        "inference_mode": True,
    }
    quantised = _origin(adapter).get("adapter", {}).get("method") == "qlora"
    with atomic_path(target) as folder:
        folder.mkdir()
        shutil.copyfile(adapter / _WEIGHTS, folder / _WEIGHTS)
        load_tokenizer(tokenizer or base).save_pretrained(folder)
        command = _command(base_name, name, rank, (folder / "chat_template.jinja").exists())
        (folder / "adapter_config.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        (folder / "README.md").write_text(_readme(kept, name, command, quantised), "utf-8")
    return VllmAdapter(rank, modules, command)


def _settings(adapter: Path) -> dict[str, Any]:
    """adapter_config.json of a LoRA that vLLM loads as it was trained."""
    path = adapter / "adapter_config.json"
    if _origin(adapter).get("whole"):
        raise _refused(adapter, "it is a whole model: serve the merged folder with `vllm serve`")
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind = found["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(
            f"no adapter can be read here: {error}",
            where=str(path),
            fix="train one, or serve the merged model",
        ) from error
    if kind != "LORA":
        raise _refused(adapter, f"it is {kind}, and vLLM adds LORA only")
    start = found.get("init_lora_weights", True)
    if start not in _STARTS:
        raise _refused(adapter, f"it began by changing the base (init_lora_weights: {start})")
    for key, value in found.items():
        if value and key not in _READ and (key, value) != ("bias", "none"):
            raise _refused(adapter, _WORDS.get(key, f"it uses {key}"))
    rank, alpha = found.get("r"), found.get("lora_alpha")
    if not isinstance(rank, int) or not 1 <= rank <= RANKS[-1]:
        raise _refused(adapter, f"its rank is {rank}, and vLLM serves 1 to {RANKS[-1]}")
    if not isinstance(alpha, int | float) or not alpha > 0:
        raise _refused(adapter, f"its lora_alpha is {alpha}")
    return found


def _check_tensors(adapter: Path, base: Path, rank: int) -> tuple[str, ...]:
    """Names, halves and shapes of every tensor; the adapted modules, in order of name."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    modules = set()
    if [file.name for file in adapter.glob("*.safetensors")] != [_WEIGHTS]:
        raise _refused(adapter, f"its weights are not one {_WEIGHTS}")
    for key, value in tensors(adapter):
        found = _NAME.fullmatch(key)
        if found is None or found[2] not in MODULES:
            raise _refused(adapter, f"vLLM has no adapter layer for {key}")
        shapes.setdefault(found[1], {})[found[3]] = tuple(value.shape)
        modules.add(found[2])
    if not shapes:
        raise _refused(adapter, "it holds no tensors")
    with Weights(base) as weights:
        known = set(weights.names())
        for module, halves in shapes.items():
            if set(halves) != {"A", "B"}:
                raise _refused(adapter, f"{module} lacks its other half")
            (low, inner), (outer, high) = halves["A"], halves["B"]
            if low != rank or high != rank:
                raise _refused(adapter, f"{module} is of rank {low}, the others of {rank}")
            own = f"{module}.weight"
            if own not in known or weights.shape(own) != (outer, inner):
                raise ArtefactError(
                    f"the adapter's {module} does not fit the base",
                    where=str(adapter),
                    fix="name the base it was trained on",
                )
    return tuple(sorted(modules))


def _origin(adapter: Path) -> dict[str, Any]:
    from denizen.models.adapters import origin

    return origin(adapter)


def _command(base: str, name: str, rank: int, template: bool) -> str:
    return (
        f"vllm serve {shlex.quote(base)} --enable-lora --max-lora-rank {rank} "
        f"--lora-modules {name}=." + " --chat-template chat_template.jinja" * template
    )


def _readme(settings: dict[str, Any], name: str, command: str, quantised: bool) -> str:
    scale = "lora_alpha / sqrt(r)" if settings["use_rslora"] else "lora_alpha / r"
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "..."}]})
    note = (
        "\nTraining saw the base quantised (QLoRA). On the base in full precision this adapter "
        "is close to, not equal to, the model that was gated: gate what you serve.\n"
        if quantised
        else ""
    )
    return f"""# {name}: a LoRA adapter for vLLM

Run in this folder:

```
{command}
```

Then ask for the model `{name}`:

```
curl http://localhost:8000/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'
```

Rank {settings["r"]}, scale {scale}, on {", ".join(settings["target_modules"])}. The tokenizer and
its chat template are those the adapter was trained with; add `--tokenizer .` if the base's differ.
Numbers come from the calculator: evaluate the `<calc>` call of an answer, or use `denizen serve`.
{note}"""


def _refused(adapter: Path, why: str) -> ArtefactError:
    return ArtefactError(
        f"vLLM cannot serve this adapter: {why}",
        where=str(adapter),
        fix="serve the merged model instead",
    )
