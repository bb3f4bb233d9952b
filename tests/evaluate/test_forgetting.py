"""General questions: the asset, and the fast scorer against the plain one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from denizen.evaluate import (
    GeneralScores,
    PairingError,
    compare_general,
    general_questions,
    general_sentences,
    score_general,
    score_with,
)


def test_the_questions_are_well_formed() -> None:
    questions = general_questions()
    assert len(questions) >= 60 and len({q.id for q in questions}) == len(questions)
    assert len({(q.question, q.options) for q in questions}) == len(questions)
    for q in questions:
        assert len(set(q.options)) == 4 and 0 <= q.answer < 4, q.id
    # No position may give the answer away.
    assert max([q.answer for q in questions].count(i) for i in range(4)) < len(questions) * 0.4
    assert len(general_sentences()) >= 10


def scores(ok: list[bool], drift: float = 0.0) -> GeneralScores:
    ids = tuple(str(i) for i in range(len(ok)))
    return GeneralScores(ids, tuple(ok), (0.1,) * len(ok), (-3.0 + drift, -4.0 + drift))


def test_comparison_shows_drift_before_accuracy_moves() -> None:
    same = compare_general(scores([True] * 60), scores([True] * 60, drift=-0.2))
    assert same.test.noninferior and same.test.value == 0
    assert same.drift.value == pytest.approx(-0.2) and same.drift.high < 0
    with pytest.raises(PairingError, match="different"):
        compare_general(scores([True] * 60), scores([True] * 59))


def test_scores_round_trip() -> None:
    one = scores([True, False])
    assert GeneralScores.from_dict(one.to_dict()) == one


class ByteTokenizer:
    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode())}


@pytest.fixture(scope="module")
def tiny() -> Iterator[Any]:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a model this small only loses time to a second thread
    yield transformers.LlamaForCausalLM(config)
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_shared_prompt_scoring_equals_the_plain_one(tiny: Any) -> None:
    import torch

    def loglikelihood(prompt: Any, continuation: Any) -> float:
        with torch.inference_mode():
            logits = tiny(torch.tensor([[*prompt, *continuation]])).logits[0].float()
        steps = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
        return float(steps.gather(1, torch.tensor(continuation)[:, None]).sum())

    tiny.train()
    seen: list[int] = []
    fast = score_general(
        tiny, ByteTokenizer(), batch=7, progress=lambda done, total: seen.append(done)
    )
    assert tiny.training, "the model's mode is restored"
    tiny.eval()
    plain = score_with(loglikelihood, ByteTokenizer())
    assert fast.ids == plain.ids and fast.ok == plain.ok
    assert fast.margins == pytest.approx(plain.margins, abs=1e-4)
    assert fast.sentence_logprob == pytest.approx(plain.sentence_logprob, abs=1e-4)
    assert seen[-1] == len(general_questions())
    assert dataclasses.is_dataclass(fast)
