"""Scoring public sets end to end with a tiny model, going on after a kill, and the comparison."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from denizen.evaluate import PairingError, Score, ScoreFileError, SuiteResult
from denizen.evaluate.general import (
    SETS,
    Branch,
    GeneralItem,
    Likelihood,
    TransformersScorer,
    accuracies,
    chosen_sets,
    compare_sets,
    llama_generate,
    read_sets,
    score_sets,
    transformers_generate,
)
from denizen.evaluate.runner import Output
from denizen.project.errors import DataError

RECORDS: dict[str, list[dict[str, Any]]] = {
    "arc_easy": [{"query": f"Question: Which is number {n}?", "choices": ["iron", "oak tree", str(n)], "gold": 2} for n in range(5)],
    "winogrande": [{"context_options": ["Ann beat Eve because Ann", "Ann beat Eve because Eve"], "continuation": "was fast.", "gold": 0}],
    "lambada_openai": [{"context": "He opened the old", "continuation": "door"}],
    "triviaqa": [{"context": f"Question: Who is {n}?\nAnswer:", "answer": "Ann", "aliases": ["Ann", "Anna"]} for n in range(3)],
    "ifeval": [{"key": 1, "prompt": "No commas, please.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}],
    "human_eval": [{"prompt": "def two():\n", "test": "def check(f):\n    assert f() == 2\n", "entry_point": "two"}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "sets"
    place.mkdir()
    for name, records in RECORDS.items():
        lines = "\n".join(json.dumps(record) for record in records)
        (place / SETS[name].file).write_text(lines + "\n", "utf-8")
    return place


def sets(folder: Path, *names: str) -> dict[str, tuple[GeneralItem, ...]]:
    return read_sets(chosen_sets(names, run_code=True), folder)


class Counting:
    """A scorer that likes short options, and counts what it is asked."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.asked, self._left = 0, fail_after

    def __call__(self, items: Sequence[Sequence[Branch]]) -> list[list[Likelihood]]:
        if self._left is not None:
            if self._left <= 0:
                raise KeyboardInterrupt
            self._left -= 1
        self.asked += len(items)
        return [[Likelihood(-float(len(b.continuation)), True) for b in item] for item in items]


def writes(prompts: Sequence[str], most: int, stop: Sequence[str]) -> list[str | Output]:
    return [
        Output(" Anna\nQuestion: more", 3) if "Who" in prompt else f"fine ({prompt[:4]}) {most}"
        for prompt in prompts
    ]


def test_one_score_an_item_in_order_with_the_sets_own_scoring(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    chosen = sets(folder, "ifeval", "triviaqa", "arc_easy", "winogrande", "lambada_openai")
    result = score_sets(
        chosen,
        Counting(),
        writes,
        system="s",
        artefact="a",
        chat=lambda prompt: f"<<{prompt}>>",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [score.item_id for score in result.scores] == [
        i.id for some in chosen.values() for i in some
    ]
    assert result.families == tuple(sorted(chosen)) and seen[-1] == (11, 11)
    by_set = {name: [s for s in result.scores if s.family == name] for name in chosen}
    assert by_set["ifeval"][0].output == "fine (<<No) 512" and by_set["ifeval"][0].ok
    assert [s.output for s in by_set["triviaqa"]] == [" Anna"] * 3 and all(
        s.ok for s in by_set["triviaqa"]
    )
    assert by_set["triviaqa"][0].tokens == 3 and by_set["triviaqa"][0].answer == "Anna"
    # arc_easy goes by the byte, where all are alike and the first wins; by the sum the digit does.
    assert not any(s.ok for s in by_set["arc_easy"])
    assert by_set["winogrande"][0].ok and by_set["lambada_openai"][0].ok
    assert accuracies(result, chosen)["arc_easy"].value == 0
    assert accuracies(result, chosen, "acc")["arc_easy"].value == 1
    assert accuracies(result, chosen, "acc")["triviaqa"].successes == 3


def test_a_killed_run_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    chosen, partial = sets(folder, "arc_easy", "triviaqa"), tmp_path / "scores.partial"
    with pytest.raises(KeyboardInterrupt):
        score_sets(chosen, Counting(fail_after=2), writes, system="s", batch=2, partial=partial)
    kept = partial.read_text("utf-8")
    assert kept.count("\n") == 5
    partial.write_text(kept[: len(kept) - 40], "utf-8")  # the last line was being written
    scorer = Counting()
    result = score_sets(chosen, scorer, writes, system="s", batch=2, partial=partial)
    assert scorer.asked == 2, "three of five were kept"
    whole = score_sets(chosen, Counting(), writes, system="s")
    assert result.hash() == whole.hash()
    # A partial file of edited records is set aside, not mixed in.
    edited = [{**r, "choices": ["x", "y", "z"]} for r in RECORDS["arc_easy"]]
    (folder / "arc_easy.jsonl").write_text("\n".join(map(json.dumps, edited)), "utf-8")
    scorer = Counting()
    score_sets(sets(folder, "arc_easy", "triviaqa"), scorer, writes, system="s", partial=partial)
    assert scorer.asked == 5
    with pytest.raises(ScoreFileError):
        score_sets(chosen, scorer, writes, system="s", partial=tmp_path)


def test_programs_are_run_only_when_allowed(folder: Path) -> None:
    chosen = sets(folder, "human_eval")
    with pytest.raises(DataError, match="runs programs"):
        score_sets(chosen, None, writes, system="s")
    good = score_sets(
        chosen, None, lambda *_: ["    return 2\n\ndef other():\n    x"], system="s", run_code=True
    )
    fenced = score_sets(
        chosen, None, lambda *_: ["```python\n    return 2\n```\nDone."], system="s", run_code=True
    )
    bad = score_sets(chosen, None, lambda *_: ["    return 3"], system="s", run_code=True)
    leaves = score_sets(
        chosen, None, lambda *_: ["    import sys; sys.exit(0)"], system="s", run_code=True
    )
    assert [r.passed for r in (good, fenced, bad, leaves)] == [1, 1, 0, 0]


def test_what_an_engine_lacks_is_said(folder: Path) -> None:
    with pytest.raises(DataError, match="triviaqa needs generated answers"):
        score_sets(sets(folder, "triviaqa"), Counting(), system="s")
    with pytest.raises(DataError, match="arc_easy needs log-likelihoods"):
        score_sets(sets(folder, "arc_easy"), None, writes, system="s")
    with pytest.raises(DataError, match="no public set to score"):
        score_sets({}, Counting(), writes, system="s")
    with pytest.raises(ValueError, match="0 answers to 3 prompts"):
        score_sets(sets(folder, "triviaqa"), None, lambda *_: [], system="s")


@pytest.fixture(scope="module")
def model(tiny: Path) -> Iterator[tuple[Any, Any]]:
    import torch

    from denizen.models import load_model, load_tokenizer

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load_model(tiny), load_tokenizer(tiny)
    torch.set_num_threads(threads)


def test_a_real_model_scores_every_kind(model: Any, folder: Path) -> None:
    chosen = sets(folder, "arc_easy", "winogrande", "lambada_openai", "triviaqa", "ifeval")
    short = {
        name: tuple(
            dataclasses.replace(i, of=dataclasses.replace(i.of, max_tokens=min(i.of.max_tokens, 6)))
            for i in items
        )
        for name, items in chosen.items()
    }
    result = score_sets(
        short, TransformersScorer(*model), transformers_generate(*model), system="tiny"
    )
    assert result.n == 11
    assert all(
        len(json.loads(s.output)["nats"]) == 3 for s in result.scores if s.family == "arc_easy"
    )
    assert all(0 < s.tokens <= 6 for s in result.scores if s.family == "triviaqa")
    again = score_sets(
        short, TransformersScorer(*model), transformers_generate(*model), system="tiny", batch=3
    )
    assert [s.ok for s in again.scores] == [s.ok for s in result.scores]


def test_batched_writing_is_each_prompt_alone_and_ends_at_a_stop(model: Any) -> None:
    from denizen.models import Generator

    prompts = [
        "Question: Who?",
        "a",
        "Question: What is the longest of these prompts?\nAnswer:",
        "b c",
    ]
    generate = transformers_generate(*model, batch=3)
    start = generate(["x"], 1, ())  # leaves nothing behind
    texts = [made.text for made in generate(prompts, 24, ()) if isinstance(made, Output)]
    begun = [model[1].bos_token + p if transformers_start(model) else p for p in prompts]
    assert texts == Generator(*model).answer(begun, max_new_tokens=24) and len(start) == 1
    stop = next(t[3:5] for t in texts if len(t) > 8)
    stopped = [made for made in generate(prompts, 24, (stop,)) if isinstance(made, Output)]
    assert [made.text for made in stopped] == [t.split(stop)[0] for t in texts]
    assert min(made.tokens for made in stopped) < 24


@pytest.mark.slow
def test_llama_cpp_writes_what_transformers_writes(model: Any, tmp_path: Path) -> None:
    from denizen.export.gguf_writer import write_gguf
    from denizen.models import BatchedLlama, LlamaEngine

    model[0].save_pretrained(tmp_path / "m")
    model[1].save_pretrained(tmp_path / "m")
    write_gguf(tmp_path / "m", tmp_path / "m.gguf", quant="f32", name="m")
    prompts = ["Question: Who?\nAnswer:", "a b c"]
    expected = transformers_generate(*model)(prompts, 12, ("q",))
    one = LlamaEngine(tmp_path / "m.gguf", context=256)
    many = BatchedLlama(tmp_path / "m.gguf", context=256, rows=4, threads=1, precise=True)
    for engine in (one, many):
        made = llama_generate(engine)(prompts, 12, ("q",))
        assert [m.text for m in made if isinstance(m, Output)] == [
            e.text for e in expected if isinstance(e, Output)
        ]
    one.close()


def transformers_start(model: Any) -> bool:
    ids: list[int] = model[1]("a")["input_ids"]
    return ids[0] == model[1].bos_token_id


def scores(system: str, ok: dict[str, list[bool]]) -> SuiteResult:
    made = tuple(
        Score(
            f"{name}:{n}",
            name,
            f"{name}:{n}@public",
            "public",
            "plain",
            "",
            "",
            None,
            "x",
            right,
            float(right),
        )
        for name, outcomes in ok.items()
        for n, right in enumerate(outcomes)
    )
    return SuiteResult(system, made)


def test_comparison_tells_lost_kept_and_undecided_apart() -> None:
    half = [n % 2 == 0 for n in range(400)]
    lost = [right and n % 8 != 0 for n, right in enumerate(half)]
    before = scores("base", {"a": half, "b": half, "c": half[:20]})
    after = scores("tuned", {"a": half, "b": lost, "c": half[:20]})
    found = compare_sets(before, after, margin=0.05)
    assert [(one.name, one.status) for one in found.sets] == [
        ("a", "kept"),
        ("b", "lost"),
        ("c", "undecided"),
    ]
    assert found.forgotten == ("b",)
    b = found.sets[1]
    assert b.difference.value == pytest.approx(-0.125) and b.test.inferior and b.difference.high < 0
    assert b.before.low < b.before.value == 0.5 < b.before.high and b.before.n == 400
    assert (
        found.test.n == 820
        and found.test.value == pytest.approx(-50 / 820)
        and not found.test.noninferior
    )
    assert found.sets[2].test.noninferior is False, "20 items show nothing, even without a loss"
    assert json.loads(json.dumps(found.to_dict()))["margin"] == 0.05
    same = compare_sets(before, before)
    assert same.test.noninferior and not same.forgotten
    with pytest.raises(PairingError):
        compare_sets(before, scores("tuned", {"a": half}))


def test_holm_keeps_many_sets_from_crying_wolf() -> None:
    """One p-value of .03 among ten sets is no finding; alone it is one."""
    quiet = [True] * 40
    hurt = [False] * 5 + [True] * 35  # p = 1/32
    many = {f"s{n}": quiet for n in range(9)}
    before = scores("base", {**many, "t": quiet})
    assert compare_sets(before, scores("tuned", {**many, "t": hurt})).forgotten == ()
    assert compare_sets(scores("base", {"t": quiet}), scores("tuned", {"t": hurt})).forgotten == (
        "t",
    )
