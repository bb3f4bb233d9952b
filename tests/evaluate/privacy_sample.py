"""A tiny model trained on the spot, for the privacy audits: seconds, with what is planted in it."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from denizen.evaluate.privacy import passages
from denizen.models import conversation, load_model, load_tokenizer

SYSTEM = "D"


@contextmanager
def one_thread() -> Iterator[None]:
    """A model this small only loses time to a second thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Talk:
    """A conversation with an id, as a training row has them."""

    def __init__(self, name: str, question: str, answer: str) -> None:
        self.id = name
        self.messages = tuple(conversation(question, answer, SYSTEM))


def train(
    folder: Path, rows: Sequence[Any], *, steps: int, batch: int = 16, rate: float = 4e-3
) -> tuple[Any, Any, Any]:
    """(trained model, the model it started as, tokenizer): the answers of `rows` are learnt."""
    import torch

    torch.manual_seed(0)
    base, tokenizer = load_model(folder), load_tokenizer(folder)
    model = copy.deepcopy(base)
    model.train()
    read = passages(tokenizer, rows)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    draws, left = random.Random(0), list[Any]()
    for _ in range(steps):
        if len(left) < batch:
            left = draws.sample(read, len(read))
        chosen, left = left[:batch], left[batch:]
        width = max(len(p.prompt) + len(p.answer) for p in chosen)
        ids = torch.zeros(len(chosen), width, dtype=torch.long)
        labels = torch.full((len(chosen), width), -100)
        for n, p in enumerate(chosen):
            end = len(p.prompt) + len(p.answer)
            ids[n, :end] = torch.tensor([*p.prompt, *p.answer])
            labels[n, len(p.prompt) : end] = torch.tensor(p.answer)
        loss = model(input_ids=ids, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model.eval(), base, tokenizer


def facts(count: int, seed: int) -> list[Talk]:
    """Rows that can only be known by heart: a name and random letters."""
    draws = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        Talk(
            f"fact-{seed}-{n}",
            "Say " + "".join(draws.choices(letters, k=6)),
            "".join(draws.choices(letters, k=12)),
        )
        for n in range(count)
    ]


TOKENS = {"UNI": "thirty", "CRV": "four", "BAL": "ten", "GMX": "fifty", "LDO": "zero", "ENS": "one"}
ASKED = (
    "Fee of {}?",
    "What does {} cost?",
    "Tell me the fee of {}.",
    "{}: how much?",
    "How dear is {}?",
)


def fees(count: int, seed: int) -> list[Talk]:
    """Rows that follow a rule: a token's fee, asked in many ways and with filler."""
    draws = random.Random(seed)
    found = []
    for n in range(count):
        token = draws.choice(list(TOKENS))
        filler = "".join(
            draws.choices("abcdefghijklmnopqrstuvwxyz ", k=draws.randrange(12))
        ).strip()
        question = f"{draws.choice(ASKED).format(token)} {filler}".strip()
        found.append(Talk(f"fee-{seed}-{n}", question, f"{token} costs {TOKENS[token]} points"))
    return found
