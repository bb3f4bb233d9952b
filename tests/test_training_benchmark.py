"""The training benchmark's own figures: operations counted as torch counts them, rows as promised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.flops import lora_step
from benchmarks.training_run import ROWS, draw, ordered
from torch.utils.flop_counter import FlopCounterMode

from denizen.models import load_model, load_tokenizer
from denizen.train.batch import IGNORED
from denizen.train.methods import Example


def test_operations_are_those_that_torch_counts(tiny: Path) -> None:
    """One unshared row learnt to its end, forward and backward, against torch's own counter.

    The counter sees frozen linears twice (forward, to the input) and, of the model's own attention
    in plain products, the whole square.
    """
    model = load_model(tiny).requires_grad_(False)
    model.set_attn_implementation("eager")
    ids = torch.randint(3, 200, (1, 65), generator=torch.Generator().manual_seed(0))
    row = Example(65, {"input_ids": ids[0].tolist(), "labels": ids[0].tolist()})
    row.fields["labels"][0] = IGNORED
    work = lora_step(model.config, 4, [row])
    with FlopCounterMode(display=False) as counter:
        embedded = model.get_input_embeddings()(ids[:, :-1]).requires_grad_()
        model(inputs_embeds=embedded, use_cache=False).logits.sum().backward()
    counted = counter.get_flop_counts()["Global"]
    by_name = {str(op): n for op, n in counted.items()}
    attention = by_name.pop("aten.bmm")
    linear = sum(by_name.values())
    first = 2 * 64 * 64 * (64 + 32 + 32)  # to the input of the first q, k and v: not needed
    assert work.linear + work.head == linear - first
    # Of the square only the triangle with its diagonal is needed.
    assert work.attention == attention * 65 // (2 * 64)
    assert work.adapter == 4 * 4 * 64 * 2 * (128 + 2 * 96 + 128 + 3 * 192)


def test_shared_beginnings_and_padding_are_no_work(tiny: Path) -> None:
    config = load_model(tiny).config
    tokens = list(range(3, 43))
    labels = [IGNORED] * 30 + tokens[30:]
    one = Example(40, {"input_ids": tokens, "labels": labels})
    longer = Example(60, {"input_ids": tokens + [2] * 20, "labels": labels + [IGNORED] * 20})
    assert lora_step(config, 4, [one]) == lora_step(config, 4, [longer])
    both = lora_step(config, 4, [one, longer])
    assert both.linear == lora_step(config, 4, [one]).linear
    assert both.head == 2 * lora_step(config, 4, [one]).head


def test_rows_are_a_fifth_supervised_and_of_mixed_length(tiny: Path) -> None:
    rows = draw(load_tokenizer(tiny), 4 * ROWS)
    learnt = sum(x != IGNORED for r in rows for x in r.fields["labels"])
    assert learnt / sum(r.length for r in rows) == pytest.approx(0.2, abs=0.02)
    assert max(r.length for r in rows) > 2 * min(r.length for r in rows)
    grouped = ordered(rows, "grouped")
    assert len(grouped) == 5 and grouped[0] == grouped[1]
    assert sorted(id(r) for b in grouped[1:] for r in b) == sorted(map(id, rows))
