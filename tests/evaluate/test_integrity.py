"""An edited holdout is refused with what changed; a canary that comes out is a FAIL."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from denizen.data import load_holdout
from denizen.data.canary import canary_of, carried_canaries, find_canaries, sentence
from denizen.evaluate.gate import Status
from denizen.evaluate.integrity import (
    canary_suite,
    exposure,
    freeze,
    judge_probe,
    scan_outputs,
    seal_path,
    thaw,
)
from denizen.evaluate.runner import run_suite
from denizen.project import ArtefactError, DataError
from denizen.tasks import Item

ITEMS = [{"id": f"i{n}", "prompt": f"question {n}", "gold": str(n)} for n in range(6)]
CANARY = canary_of("exam")


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    freeze(ITEMS, path, now=datetime(2026, 11, 22, tzinfo=UTC))
    return path


def edit(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        change(records)
        path.write_text("".join(json.dumps(r, sort_keys=True) + "\n" for r in records))

    return apply


EDITS: list[tuple[Callable[[Path], None], str]] = [
    (edit(lambda r: r[2].update(gold="7")), r"1 edited \(i2\)"),
    (edit(lambda r: r.pop(4)), r"1 removed \(i4\)"),
    (edit(lambda r: r.append({**r[0], "id": "new"})), r"1 added \(new\)"),
    (edit(lambda r: r.append(r[0])), r"1 added \(i0 again\)"),
    (edit(lambda r: r.reverse()), "another order"),
    (edit(lambda r: [x.pop("canary") for x in r]), r"6 edited \(i0, i1, i2, ...\)"),
    (edit(lambda r: r[1].update(canary="none")), r"1 edited \(i1\)"),
    (edit(lambda r: (r.pop(0), r[0].update(prompt="x"))), r"1 edited \(i1\), 1 removed \(i0\)"),
    (lambda p: p.write_bytes(p.read_bytes().replace(b"\n", b"\r\n")), "only spaces or line ends"),
    (lambda p: p.write_bytes(p.read_bytes()[:-30]), "1 removed .*1 unreadable"),
    (lambda p: p.write_bytes(b"\xff\xfe rubbish"), "6 removed .*1 unreadable"),
    (lambda p: p.write_bytes(b""), "6 removed"),
]


@pytest.mark.parametrize(("change", "what"), EDITS)
def test_an_edited_holdout_is_refused_with_what_changed(
    frozen: Path, change: Callable[[Path], None], what: str
) -> None:
    change(frozen)
    with pytest.raises(ArtefactError, match=f"edited after it was frozen on 2026-11-22.*{what}"):
        thaw(frozen)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(canary=canary_of("x")),
        lambda d: d.update(frozen_at="2020-01-01"),
        lambda d: d["items"].pop("i0"),
        lambda d: d.pop("file"),
        lambda d: d.update(more=1),
    ],
)
def test_an_edited_seal_is_refused(frozen: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads(seal_path(frozen).read_text())
    change(data)
    seal_path(frozen).write_text(json.dumps(data))
    with pytest.raises(ArtefactError, match="seal was edited or cut"):
        thaw(frozen)


def test_who_edits_both_is_caught_by_the_recorded_hash(frozen: Path, tmp_path: Path) -> None:
    recorded = thaw(frozen).seal.hash
    assert thaw(frozen, expected=recorded).seal.hash == recorded
    other = tmp_path / "other" / "mine.jsonl"
    freeze([*ITEMS[:5], {**ITEMS[5], "gold": "easy"}], other)
    frozen.write_bytes(other.read_bytes())
    seal_path(frozen).write_bytes(seal_path(other).read_bytes())
    assert thaw(frozen).items[5]["gold"] == "easy"
    with pytest.raises(ArtefactError, match="not the holdout that was recorded"):
        thaw(frozen, expected=recorded)


def test_missing_files(frozen: Path, tmp_path: Path) -> None:
    frozen.unlink()
    with pytest.raises(ArtefactError, match="cannot read the frozen holdout"):
        thaw(frozen)
    with pytest.raises(ArtefactError, match="no seal"):
        thaw(tmp_path / "never.jsonl")
    seal_path(frozen).write_bytes(b"\xff")
    with pytest.raises(ArtefactError, match="cannot read the seal"):
        thaw(frozen)
    seal_path(frozen).write_text("[]")
    with pytest.raises(ArtefactError, match="edited or cut"):
        thaw(frozen)


def test_thaw_gives_what_was_frozen(frozen: Path) -> None:
    found = thaw(frozen)
    assert list(found.items) == ITEMS and found.seal.count == 6
    assert found.seal.frozen_at == "2026-11-22T00:00:00+00:00"
    assert found.seal.canary == canary_of(found.seal.content)
    # Every line of the file carries the canary, and so does the seal.
    lines = frozen.read_text("utf-8").splitlines()
    assert len(find_canaries(lines, [found.seal.canary])) == 6
    assert find_canaries([seal_path(frozen).read_text()], [found.seal.canary])


def test_real_items_survive(tmp_path: Path) -> None:
    items = load_holdout()[::100]
    odd = {"id": "odd", "prompt": "a\u2028b\u0085c € \U0001f980\t\n", "gold": None}
    path = tmp_path / "own.jsonl"
    freeze([*items, odd], path)
    thawed = thaw(path).items
    assert [Item.from_json(record) for record in thawed[:-1]] == items
    assert thawed[-1] == odd


def test_freezing_again(frozen: Path) -> None:
    before = seal_path(frozen).read_bytes()
    assert freeze(ITEMS, frozen) == thaw(frozen).seal
    assert seal_path(frozen).read_bytes() == before
    with pytest.raises(ArtefactError, match="another holdout was frozen here on 2026"):
        freeze(ITEMS[:3], frozen)
    assert list(thaw(frozen).items) == ITEMS
    seal_path(frozen).unlink()
    with pytest.raises(ArtefactError, match="a file stands here"):
        freeze(ITEMS, frozen)


@pytest.mark.parametrize(
    ("items", "what"),
    [
        ([], "no items"),
        ([{"prompt": "x"}], "without an id"),
        ([{"id": 3}], "without an id"),
        ([ITEMS[0], ITEMS[0]], "occurs twice"),
        ([{"id": "a", "x": math.nan}], "not JSON"),
        ([{"id": "a", "x": {1, 2}}], "not JSON"),
        ([{"id": "a", "x": "\ud800"}], "not JSON"),
        (["text"], "without an id"),
    ],
)
def test_what_cannot_be_frozen(items: list[Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=what):
        freeze(items, tmp_path / "x.jsonl")
    assert not list(tmp_path.iterdir())


# Canaries in what the model writes and expects.


def test_a_canary_in_one_output_is_a_fail() -> None:
    outputs = ["fine"] * 50 + [" ".join(CANARY)] + ["fine"]
    found = scan_outputs(outputs, [canary_of("other"), CANARY])
    assert found.status is Status.FAIL and found.sightings[0].text == 50
    assert "1 of 52 outputs" in found.sentence
    assert scan_outputs(outputs[:50], [CANARY]).status is Status.PASS


def test_nothing_scanned_is_inconclusive() -> None:
    assert scan_outputs([], [CANARY]).status is Status.INCONCLUSIVE
    assert scan_outputs(["x"], []).status is Status.INCONCLUSIVE
    with pytest.raises(DataError, match="no canary"):
        canary_suite([])


def test_the_probe_runs_as_a_suite() -> None:
    suite = canary_suite(list(carried_canaries().values()))
    suite.validate()
    assert suite.rule == "zero" and len({case.id for case in suite.cases}) == len(suite.cases) == 8
    ignorant = run_suite(
        suite.cases, lambda b: ["I do not know."] * len(b), suite.judge, "ignorant"
    )
    assert ignorant.accuracy == 1.0

    def parrot(batch: Any) -> list[str]:
        return [case.prompt for case in batch]

    assert run_suite(suite.cases, parrot, suite.judge, "parrot").accuracy == 1.0

    def leaky(batch: Any) -> list[str]:
        return [case.facts["canary"][len(case.facts["given"]) :][:12] for case in batch]

    assert run_suite(suite.cases, leaky, suite.judge, "leaky").accuracy == 0.0
    assert "went on" in judge_probe(suite.cases[0], suite.cases[0].facts["canary"]).reason


def bytes_of(text: str) -> list[int]:
    return list(text.encode())


def test_exposure_of_a_model_that_saw_the_canary() -> None:
    known = bytes_of(f" {CANARY}")

    def memorised(prompt: Any, continuation: Any) -> float:
        assert bytes(prompt).decode() == sentence(CANARY).removesuffix(f" {CANARY}")
        # A slight preference for each right digit is enough.
        return -2.7 * len(continuation) + 0.3 * sum(
            a == b for a, b in zip(continuation, known, strict=True)
        )

    found = exposure(memorised, bytes_of, CANARY)
    assert found.status is Status.FAIL and found.at_least == 0
    assert found.p == 1 / 200 and found.bits == pytest.approx(math.log2(200))
    assert found.share == 0.0 and 0 < found.high < 0.03


def test_exposure_of_a_model_that_never_saw_it() -> None:
    def flat(prompt: Any, continuation: Any) -> float:
        return -2.7 * len(continuation)

    # All as likely: every random canary is at least as likely.
    found = exposure(flat, bytes_of, CANARY)
    assert found.status is Status.PASS and found.p == 1.0 and found.bits == 0.0

    def arbitrary(prompt: Any, continuation: Any) -> float:
        return -float(sum(continuation) % 97)

    passes = [
        exposure(arbitrary, bytes_of, canary_of(str(n)), seed=n).status is Status.PASS
        for n in range(100)
    ]
    assert sum(passes) >= 96  # the false-alarm rate is 1%


@pytest.mark.slow
def test_exposure_of_a_real_model_before_and_after_it_learns_the_canary(tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)

    def loglikelihood(prompt: Any, continuation: Any) -> float:
        ids = torch.tensor([[*prompt, *continuation]])
        with torch.no_grad():
            logits = model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        return float(logits.gather(1, ids[0, len(prompt) :, None]).sum())

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    assert exposure(loglikelihood, encode, CANARY).p > 0.02
    ids = torch.tensor([encode(sentence(CANARY))])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        loss = model(ids, labels=ids).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    found = exposure(loglikelihood, encode, CANARY)
    assert found.status is Status.FAIL and found.at_least == 0


def test_exposure_that_cannot_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 99"):
        exposure(lambda p, c: 0.0, bytes_of, CANARY, references=50)
    broken = exposure(lambda p, c: math.nan, bytes_of, CANARY)
    assert broken.status is Status.INCONCLUSIVE
