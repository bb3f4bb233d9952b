"""What a fine-tune cost in general ability, on questions and sentences Denizen carries itself.

Contract: 64 four-option questions scored by length-normalised log-likelihood (nats a UTF-8 byte
of the option, so tokenisers compare) after a plain prompt, and the mean log-probability a token
of a few general sentences. The second moves long before the first: at n = 64 accuracy only
shows large losses. `model` is a transformers causal LM and `tokenizer` its tokeniser; scoring is
float32, deterministic and leaves the model's train/eval mode as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from denizen.evaluate.margin import NonInferiority, noninferiority
from denizen.evaluate.records import PairingError, Score, SuiteResult
from denizen.evaluate.stats import Difference, Proportion, paired_bootstrap, wilson

TokenIds = Sequence[int]
LogLikelihood = Callable[[TokenIds, TokenIds], float]
# Items of branches (ids, how many of them are given) to the nats of each branch's rest.
ManyLikelihoods = Callable[[list[list[tuple[tuple[int, ...], int]]]], Sequence[Sequence[float]]]
Progress = Callable[[int, int], None]


class Question(NamedTuple):
    id: str
    topic: str
    question: str
    options: tuple[str, ...]
    answer: int

    @property
    def prompt(self) -> str:
        return f"Question: {self.question}\nAnswer:"


@dataclass(frozen=True, slots=True)
class GeneralScores:
    """One system's outcomes, in question order, and its log-probability on the sentences.

    `margins`: log-likelihood a byte of the right option minus that of the best wrong one.
    `sentence_logprob`: mean natural log-probability of each sentence's tokens after the first.
    """

    ids: tuple[str, ...]
    ok: tuple[bool, ...]
    margins: tuple[float, ...]
    sentence_logprob: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GeneralScores:
        return cls(**{key: tuple(value) for key, value in data.items()})


class Forgetting(NamedTuple):
    """Before and after, paired. `drift` is the mean change of sentence log-probability, nats a
    token: negative means general text became less likely; its interval is over sentences."""

    before: Proportion
    after: Proportion
    test: NonInferiority
    margin_change: Difference
    drift: Difference


@cache
def _asset() -> dict[str, Any]:
    text = Path(__file__).with_name("assets").joinpath("general_questions.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def general_questions() -> tuple[Question, ...]:
    return tuple(
        Question(q["id"], q["topic"], q["question"], tuple(q["options"]), q["answer"])
        for q in _asset()["questions"]
    )


def general_sentences() -> tuple[str, ...]:
    return tuple(_asset()["sentences"])


def compare_general(
    before: GeneralScores, after: GeneralScores, margin: float = 0.10
) -> Forgetting:
    """Compare two runs of `score_general`. Raises PairingError when the questions differ."""
    if before.ids != after.ids or len(before.sentence_logprob) != len(after.sentence_logprob):
        raise PairingError(
            "the two systems answered different general questions",
            where="forgetting",
            fix="score both with the same version of Denizen",
        )
    n = len(before.ids)
    return Forgetting(
        wilson(sum(before.ok), n),
        wilson(sum(after.ok), n),
        noninferiority(before.ok, after.ok, margin),
        paired_bootstrap(before.margins, after.margins),
        paired_bootstrap(before.sentence_logprob, after.sentence_logprob),
    )


def general_suite(scores: GeneralScores, system: str) -> SuiteResult:
    """The general questions as a suite's scores, for the gate's behaviour rules."""
    questions = {q.id: q for q in general_questions()}
    rows = tuple(
        Score(key, "general", key, "", "", questions[key].prompt, "", None, None, ok, float(ok))
        for key, ok in zip(scores.ids, scores.ok, strict=True)
    )
    return SuiteResult(system, rows)


def score_with(loglikelihood: LogLikelihood, tokenizer: Any) -> GeneralScores:
    """The same figures from any `loglikelihood(prompt_ids, continuation_ids) -> nats`.

    One call an option: for engines other than transformers, and as the plain reference.
    """
    ok, margins = [], []
    questions = general_questions()
    for question in questions:
        prompt = _encode(tokenizer, question.prompt)
        totals = [
            loglikelihood(prompt, _encode(tokenizer, " " + option)) for option in question.options
        ]
        right, margin = _judge(question, totals)
        ok.append(right)
        margins.append(margin)
    sentences = []
    for sentence in general_sentences():
        ids = _encode(tokenizer, sentence)
        sentences.append(loglikelihood(ids[:1], ids[1:]) / (len(ids) - 1))
    return GeneralScores(
        tuple(q.id for q in questions), tuple(ok), tuple(margins), tuple(sentences)
    )


def score_many(many: ManyLikelihoods, encode: Callable[[str], TokenIds]) -> GeneralScores:
    """The same figures from an engine that scores the continuations of many prompts at once."""
    questions = general_questions()
    prompts = [tuple(encode(question.prompt)) for question in questions]
    items = [
        [(prompt + tuple(encode(" " + option)), len(prompt)) for option in question.options]
        for prompt, question in zip(prompts, questions, strict=True)
    ]
    judged = [_judge(question, row) for question, row in zip(questions, many(items), strict=True)]
    sentences = [tuple(encode(sentence)) for sentence in general_sentences()]
    nats = many([[(ids, 1)] for ids in sentences])
    return GeneralScores(
        tuple(q.id for q in questions),
        tuple(ok for ok, _ in judged),
        tuple(margin for _, margin in judged),
        tuple(row[0] / (len(ids) - 1) for row, ids in zip(nats, sentences, strict=True)),
    )


def score_general(
    model: Any, tokenizer: Any, *, batch: int = 8, progress: Progress | None = None
) -> GeneralScores:
    """Score a transformers causal LM; each prompt is computed once for its four options.

    `batch` is questions a forward pass. `progress(done, total)` counts questions.
    """
    import torch

    questions = general_questions()
    # Neighbours of similar length waste the least padding.
    order = sorted(range(len(questions)), key=lambda i: len(questions[i].prompt))
    results: dict[int, tuple[bool, float]] = {}
    was_training = bool(model.training)
    model.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                group = order[start : start + batch]
                totals = _option_totals(model, tokenizer, [questions[i] for i in group])
                for i, row in zip(group, totals, strict=True):
                    results[i] = _judge(questions[i], row)
                if progress is not None:
                    progress(start + len(group), len(order))
            sentences = _sentence_means(model, tokenizer)
    finally:
        model.train(was_training)
    ordered = [results[i] for i in range(len(questions))]
    return GeneralScores(
        tuple(q.id for q in questions),
        tuple(ok for ok, _ in ordered),
        tuple(margin for _, margin in ordered),
        tuple(sentences),
    )


def _judge(question: Question, totals: Sequence[float]) -> tuple[bool, float]:
    each = [
        total / len(option.encode()) for total, option in zip(totals, question.options, strict=True)
    ]
    wrong = max(value for i, value in enumerate(each) if i != question.answer)
    margin = each[question.answer] - wrong
    return margin > 0, margin


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _pad(rows: Sequence[Sequence[int]], device: Any) -> tuple[Any, Any]:
    """Right-padded ids and mask, both [rows, longest]; padding is masked, so its id is free."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    mask = torch.tensor(
        [[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device
    )
    return ids, mask


def _option_totals(model: Any, tokenizer: Any, questions: Sequence[Question]) -> list[list[float]]:
    """Log-likelihood of each option, [questions][4], in nats."""
    import torch

    device = next(model.parameters()).device
    prompts, prompt_mask = _pad([_encode(tokenizer, q.prompt) for q in questions], device)
    first = model(input_ids=prompts, attention_mask=prompt_mask, use_cache=True)
    lengths = prompt_mask.sum(-1)
    rows = torch.arange(len(questions), device=device)
    head = torch.log_softmax(first.logits[rows, lengths - 1].float(), -1)

    width = len(questions[0].options)
    options, option_mask = _pad(
        [_encode(tokenizer, " " + o) for q in questions for o in q.options], device
    )
    cache = first.past_key_values
    cache.batch_repeat_interleave(width)
    lengths = lengths.repeat_interleave(width)
    # Options continue at their own prompt's length: the padding between them does not exist.
    positions = lengths[:, None] + torch.arange(options.shape[1], device=device)
    second = model(
        input_ids=options,
        attention_mask=torch.cat([prompt_mask.repeat_interleave(width, 0), option_mask], 1),
        position_ids=positions,
        past_key_values=cache,
    )
    later = torch.log_softmax(second.logits[:, :-1].float(), -1)
    totals = head.repeat_interleave(width, 0).gather(1, options[:, :1]).squeeze(1)
    tail = later.gather(2, options[:, 1:, None]).squeeze(2) * option_mask[:, 1:]
    grouped: list[list[float]] = (totals + tail.sum(1)).view(-1, width).tolist()
    return grouped


def _sentence_means(model: Any, tokenizer: Any) -> list[float]:
    import torch

    device = next(model.parameters()).device
    ids, mask = _pad([_encode(tokenizer, s) for s in general_sentences()], device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    chosen = torch.log_softmax(logits, -1).gather(2, ids[:, 1:, None]).squeeze(2) * mask[:, 1:]
    means: list[float] = (chosen.sum(1) / mask[:, 1:].sum(1)).tolist()
    return means
