"""A reward model (Bradley-Terry; Ouyang et al. 2022, arXiv:2203.02155): a scalar for an answer.

Contract: `score`, a linear layer on the last token's hidden state, is trained with the adapter and
saved in it (with a whole model: as transformers' sequence classification has it); the loss is
-log sigmoid(chosen - rejected).  `load_reward` reads either folder back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denizen.models import Message, load_model, load_tokenizer
from denizen.models.adapters import load_adapter
from denizen.models.quantised import dequantise_base
from denizen.project.config import Config
from denizen.project.errors import ArtefactError, ConfigError, TemplateError
from denizen.train.examples import answer_row
from denizen.train.methods.base import Example, Offline, StepLoss, plain
from denizen.train.pairs import can_share, collate_pairs, pair_hidden

if TYPE_CHECKING:
    import torch

HEAD = "score"


class RewardModelling(Offline):
    """Pairs of a chosen and a rejected answer."""

    name, title, rate = "reward", "reward modelling", 0.3
    mean_over = "rows"

    def __init__(self, config: Config) -> None:
        self._share = config.train.shortcuts

    def prepare(self, model: Any, job: Any, batches: Sequence[list[int]]) -> None:
        """Give the model its head."""
        self._share = self._share and can_share(model)
        add_head(model)

    def collate(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Tensors of a batch of pairs."""
        return collate_pairs(examples, share=self._share)

    def loss(self, model: Any, batch: dict[str, Any], count: Any) -> StepLoss:
        """Mean over the pairs."""
        import torch.nn.functional as F

        hidden = pair_hidden(model, batch, batch["ends"])
        rewards = plain(model).score(hidden).squeeze(-1).float()
        chosen, rejected = rewards.chunk(2)
        metrics = {
            "margin": float((chosen - rejected).detach().mean()),
            "preferred": float((chosen > rejected).float().mean()),
        }
        return StepLoss(-F.logsigmoid(chosen - rejected).mean(), metrics)


def add_head(model: Any) -> None:
    """Give a model that is about to be trained its scalar head; raises ConfigError."""
    from peft.utils import ModulesToSaveWrapper

    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        raise ConfigError(
            "a reward model needs an adapter that can hold its head",
            where="adapter.method",
            fix="choose lora, another update of weights, or full",
        )
    inner = plain(model)
    config = getattr(model, "peft_config", {}).get("default")
    if HEAD in (getattr(config, "modules_to_save", None) or ()):
        raise ConfigError(
            "the adapter to go on from is a reward model already",
            where="train.start",
            fix="go on from the adapter it was made from",
        )
    head = new_head(inner)
    inner.config.num_labels = 1
    if config is None:
        inner.score = head
        return
    # What PEFT's modules_to_save does at wrapping time; saving and loading are then PEFT's own.
    config.modules_to_save = [HEAD]
    inner.score = ModulesToSaveWrapper(head, "default")
    inner.score.set_adapter("default")


def new_head(model: Any) -> torch.nn.Linear:
    """A linear layer from a hidden state to a scalar, drawn as transformers draws its heads."""
    import torch

    weight = model.get_input_embeddings().weight
    head = torch.nn.Linear(weight.shape[1], 1, bias=False).to(weight.device, weight.dtype)
    torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
    return head


class RewardModel:
    """A trained reward model: conversations in, scalars out; only differences mean anything."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer

    def __call__(self, conversations: Sequence[Sequence[Message]], batch: int = 16) -> list[float]:
        """The reward of the last answer of each conversation; NaN where it cannot be rendered."""
        found: list[float] = []
        for start in range(0, len(conversations), batch):
            rows = [self._rendered(conversation) for conversation in conversations[start:][:batch]]
            rewards = iter(self._rewards([ids for ids in rows if ids]))
            found += [next(rewards) if ids else math.nan for ids in rows]
        return found

    def _rendered(self, conversation: Sequence[Message]) -> Sequence[int]:
        """Its ids; none of what a sampled answer makes of the template (a space it would eat)."""
        try:
            return answer_row(self._tokenizer, list(conversation)).ids
        except TemplateError:
            return ()

    def _rewards(self, rows: Sequence[Sequence[int]]) -> list[float]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        if not rows:
            return []
        inner = plain(self._model)
        ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
        ids = ids.to(inner.device)
        with torch.no_grad():
            decoder = getattr(inner, inner.base_model_prefix)
            hidden = decoder(input_ids=ids, use_cache=False).last_hidden_state
            last = hidden[torch.arange(len(rows)), torch.tensor([len(row) - 1 for row in rows])]
            rewards: list[float] = inner.score(last).squeeze(-1).float().tolist()
        return rewards


def load_reward(base: Path, folder: Path, base_hash: str = "") -> RewardModel:
    """The reward model of an adapter (or whole-model) folder; raises ArtefactError.

    With `base_hash` an adapter of another base is refused.
    """
    from transformers import AutoModelForSequenceClassification

    from denizen.train.devices import device

    record = folder / "denizen.json"
    origin = json.loads(record.read_text("utf-8")) if record.exists() else {}
    if origin.get("objective") != "reward":
        raise ArtefactError(
            "not a reward model", where=str(folder), fix="train one: train.objective: reward"
        )
    if origin["whole"]:
        model = AutoModelForSequenceClassification.from_pretrained(str(folder), num_labels=1)
    else:
        if base_hash and origin["denizen_base_hash"] != base_hash:
            raise ArtefactError(
                f"the reward model is of base {str(origin['denizen_base_hash'])[:12]}, not "
                f"{base_hash[:12]}",
                where=str(folder),
                fix="train one on this base",
            )
        model = load_model(base)
        if origin["adapter"]["method"] == "qlora":
            dequantise_base(model, origin["adapter"]["bits"])
        # Its values come with the adapter.
        model.score = new_head(model)
        model = load_adapter(model, folder)
    return RewardModel(model.to(device()), load_tokenizer(base))


METHOD = RewardModelling
