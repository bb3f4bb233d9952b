"""What is asked of a base before it is trained: its weights, vocabulary, template, architecture.

Contract: each check raises a typed error with what is wrong, where, and the fix.  Architectures are
judged by what they do, not by name: the recipe's shortcuts (decoder and head apart, a shared prefix
computed once) must give the model's own logits, and later tokens must not reach earlier ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.models import conversation, render
from denizen.project.config import Config
from denizen.project.errors import ArtefactError, TemplateError, TrainingError
from denizen.train.batch import IGNORED
from denizen.train.loss import MIN_PREFIX, supervised_logits

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_OTHER_BASE = "choose a Llama-like base (`denizen models` lists them)"
# Two ways to the same logits differ by rounding only; a missing scale or cap is far above this.
_SAME = {"float32": 1e-3, "bfloat16": 5e-2, "float16": 2e-2}


def check_folder(base: Path) -> None:
    """Before loading: the folder holds a causal language model that transformers knows."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(base))
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"not a model that transformers knows: {_first_line(error)}",
            where=str(base),
            fix=_OTHER_BASE,
        ) from error
    if config.is_encoder_decoder or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ArtefactError(
            f"a {config.model_type} model writes no text from left to right",
            where=str(base),
            fix=_OTHER_BASE,
        )


def check_base(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: Config,
    *,
    where: str = "the base model",
) -> None:
    """Weights, vocabulary, architecture, and (where conversations are learnt) the template."""
    check_weights(model, where)
    check_vocabulary(model, tokenizer, where)
    check_architecture(model, config.train.shortcuts, where)
    if config.train.objective != "pretrain":
        check_template(tokenizer, stop_tokens(model, tokenizer))


def check_weights(model: torch.nn.Module, where: str) -> None:
    """No NaN or infinity, and one floating type for all matrices (norms may be float32)."""
    import torch

    kinds: dict[torch.dtype, str] = {}
    for name, value in model.named_parameters():
        if not value.is_floating_point() or value.is_meta:
            continue
        if not torch.isfinite(value).all():
            raise ArtefactError(
                f"the base holds NaN or infinity in {name}",
                where=where,
                fix="fetch it again: denizen models pull",
            )
        if value.dim() > 1:
            kinds.setdefault(value.dtype, name)
    if len(kinds) > 1:
        raise _mixed("the base's matrices have several types", kinds, where)


def check_trainable(model: torch.nn.Module) -> None:
    """What is trained has one type: float32, or that of the frozen matrices."""
    trained: dict[torch.dtype, str] = {}
    frozen: dict[torch.dtype, str] = {}
    for name, value in model.named_parameters():
        if value.is_floating_point() and value.requires_grad:
            trained.setdefault(value.dtype, name)
        elif value.is_floating_point() and value.dim() > 1:
            frozen.setdefault(value.dtype, name)
    if len(trained) > 1:
        raise _mixed("the trained weights have several types", trained, "the adapter")
    if frozen and not (set(trained) - {_float32()}) <= set(frozen):
        raise _mixed("the adapter and the base do not go together", frozen | trained, "the adapter")


def check_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, where: str
) -> None:
    """Every token of the tokenizer has an embedding, and every embedding a place in the head."""
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ArtefactError(
            f"the tokenizer has {len(tokenizer)} tokens, the model {rows}",
            where=where,
            fix="use the model's own tokenizer, or resize the embeddings and save the base anew",
        )
    head = model.get_output_embeddings()
    if head is not None and head.weight.shape[0] != rows:
        raise ArtefactError(
            f"the model reads {rows} tokens and writes {head.weight.shape[0]}",
            where=where,
            fix=_OTHER_BASE,
        )


def check_template(tokenizer: PreTrainedTokenizerBase, stops: frozenset[int]) -> None:
    """The assistant's turn ends in a token that ends generation, so that answers learn to stop."""
    row = render(tokenizer, conversation("Which token ends an answer?", "This one."))
    last = [i for i, learnt in zip(row.input_ids, row.supervised, strict=True) if learnt][-1]
    if last not in stops:
        names = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(sorted(stops)))) or "none"
        raise TemplateError(
            f"the chat template ends the assistant's turn with {tokenizer.decode([last])!r}, which "
            f"is no stop token ({names}): answers would never learn to end",
            where="the tokenizer's chat template",
            fix="use a template that ends each turn with the tokenizer's eos_token",
        )


def stop_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end generation: the tokenizer's eos and those of the generation settings."""
    settings = getattr(model, "generation_config", None)
    more = getattr(settings, "eos_token_id", None)
    listed = more if isinstance(more, list) else [more]
    return frozenset(int(i) for i in [tokenizer.eos_token_id, *listed] if i is not None)


def check_architecture(model: PreTrainedModel, shortcuts: bool, where: str) -> None:
    """Decoder and head are found, give the model's own logits, and only look back."""
    import torch

    decoder = getattr(model, model.base_model_prefix, None)
    if decoder is None or decoder is model or model.get_output_embeddings() is None:
        raise ArtefactError(
            f"no decoder and output head found in {type(model).__name__}",
            where=where,
            fix=_OTHER_BASE,
        )
    device = next(model.parameters()).device
    width = MIN_PREFIX + 4
    row = [(7 * i + 3) % model.get_input_embeddings().num_embeddings for i in range(width)]
    other = [*row[:-2], row[0], row[1]]
    ids = torch.tensor([row, other], device=device)
    labels = torch.cat([torch.full_like(ids[:, :-4], IGNORED), ids[:, -4:]], 1)
    training = bool(model.training)
    model.eval()
    try:
        with torch.no_grad():
            full = model(input_ids=ids).logits.float()
            expected = full[:, -5:-1].reshape(-1, full.shape[-1])
            tolerance = _SAME.get(str(model.dtype).removeprefix("torch."), 1e-3)
            unit = tolerance * float(full.std())
            if not _close(full[0, :-2], full[1, :-2], unit):
                raise ArtefactError(
                    f"{type(model).__name__} is not causal: a later token changes earlier logits",
                    where=where,
                    fix=_OTHER_BASE,
                )
            if not _close(_logits(model, ids, labels, share=False), expected, unit):
                raise ArtefactError(
                    f"{type(model).__name__} changes its logits after the output head (a scale or "
                    "a cap), which the recipe does not know",
                    where=where,
                    fix=_OTHER_BASE,
                )
            if shortcuts and not _close(_logits(model, ids, labels, share=True), expected, unit):
                raise ArtefactError(
                    f"{type(model).__name__} cannot go on from a shared prefix",
                    where=where,
                    fix="set train.shortcuts to false",
                )
    finally:
        model.train(training)


def _logits(model: Any, ids: torch.Tensor, labels: torch.Tensor, *, share: bool) -> Any:
    """The recipe's logits; None where it cannot make them."""
    try:
        return supervised_logits(model, ids, labels, share_prefix=share)[0].float()
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None


def _close(found: Any, expected: torch.Tensor, unit: float) -> bool:
    if found is None or found.shape != expected.shape:
        return False
    return float((found - expected).abs().max()) <= unit


def _float32() -> Any:
    import torch

    return torch.float32


def _mixed(what: str, kinds: dict[Any, str], where: str) -> TrainingError:
    found = ", ".join(
        f"{str(kind).removeprefix('torch.')} ({name})" for kind, name in kinds.items()
    )
    return TrainingError(
        f"{what}: {found}", where=where, fix="save it in one type, or set train.precision: float32"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
