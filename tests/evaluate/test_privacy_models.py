"""Audits of a tiny model that was trained on the spot, and the engine against the plain way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from privacy_sample import SYSTEM, Talk, facts, fees, one_thread, train

from denizen.evaluate.gate import Status
from denizen.evaluate.privacy import (
    CanarySet,
    Engine,
    PrivacyInputs,
    PrivacyReport,
    WordSet,
    audit_exposure,
    audit_extraction,
    audit_membership,
    audit_words,
    mix,
    passages,
    run_audits,
)
from denizen.evaluate.privacy.extraction import continued, split
from denizen.evaluate.privacy.passages import prompt_ids
from denizen.models import load_model, load_tokenizer
from denizen.project.errors import DataError

torch = pytest.importorskip("torch")

PLANTED = CanarySet("seed", digits=3, each=4, levels=(0, 1, 16), system=SYSTEM, form="desk")
ONCE, HEARD, UNSEEN = facts(32, 1), facts(8, 3), facts(110, 2)


class Trained(NamedTuple):
    tuned: Engine
    base: Engine
    tokenizer: Any


@pytest.fixture(scope="module")
def trained(tiny: Path) -> Iterator[Trained]:
    """Seconds of training on facts, once or eight times each, and canaries."""
    with one_thread():
        rows = mix([*ONCE, *HEARD * 8], PLANTED.rows(), PLANTED.seed)
        model, base, tokenizer = train(tiny, rows, steps=130, rate=6e-3)
        yield Trained(Engine(model, tokenizer), Engine(base, tokenizer), tokenizer)


def test_what_is_seen_more_often_is_exposed_more(trained: Trained) -> None:
    counted: list[int] = []
    found = audit_exposure(trained.tuned, PLANTED, progress=lambda done, _: counted.append(done))
    never, once, often = (level.mean.value for level in found.levels)
    assert often > once + 1 and often > 8, found.sentence
    assert found.levels[2].p < 1e-4 < found.levels[0].p
    assert never < 5 and counted[-1] == 12
    assert set(found.levels[0].methods) == {"exact"}
    json.dumps(found.to_dict(), allow_nan=False)
    # Sampling tells much the same of the same model.
    sampled = audit_exposure(trained.tuned, PLANTED, exact=100, sample=400)
    assert sampled.levels[2].mean.value > sampled.levels[0].mean.value + 2
    assert set(sampled.levels[2].methods) <= {"sampled", "skew-normal"}
    # The base knows none of it.
    assert audit_exposure(trained.base, PLANTED).levels[2].p > 1e-3


def test_members_are_found_in_an_overfitted_model_and_not_in_another(trained: Trained) -> None:
    members, others = (passages(trained.tokenizer, of) for of in (ONCE, UNSEEN))
    found = audit_membership(trained.tuned, trained.base, members, others)
    assert found.attacks[0].auc.low > 0.7 and found.status is Status.FAIL, found.sentence
    assert found.attacks[0].tpr.value > 0.3
    json.dumps(found.to_dict(), allow_nan=False)
    # A model that never saw them: the same attacks at chance.
    blind = audit_membership(trained.base, trained.base, members, others)
    assert all(a.auc.low <= 0.5 <= a.auc.high for a in blind.attacks), blind.sentence
    assert blind.status is not Status.FAIL


def test_memorised_rows_are_extracted_and_unseen_ones_are_not(trained: Trained) -> None:
    heard, unseen = (passages(trained.tokenizer, of) for of in (HEARD, UNSEEN))
    found = audit_extraction(trained.tuned, trained.base, heard, unseen, head=2)
    assert found.near.tuned.value >= 0.5 and found.near.base.value == 0
    assert found.near.unseen is not None and found.near.unseen.value == 0
    assert found.status is Status.FAIL and found.n == 8
    assert any(e["written"] == e["row"] for e in found.examples)
    json.dumps(found.to_dict(), allow_nan=False)
    nothing = audit_extraction(trained.tuned, trained.base, unseen, head=2)
    assert nothing.status is Status.PASS and nothing.near.tuned.value == 0
    with pytest.raises(ValueError, match="no row"):
        audit_extraction(trained.tuned, trained.base, heard, head=30)


def test_skill_is_no_extraction(trained: Trained) -> None:
    """Rows that follow from their questions come back on unseen ones too: no excess, no failure."""
    rows = [Talk(f"r{n}", f"Say {n}", "the quick brown fox") for n in range(60)]
    asked = passages(trained.tokenizer, rows)
    same = audit_extraction(trained.tuned, trained.tuned, asked, asked, head=2)
    assert same.near.over_unseen is not None and same.near.over_unseen.value == 0
    assert same.status is not Status.FAIL


def test_giving_up_early_changes_no_verdict(trained: Trained) -> None:
    splits = split(passages(trained.tokenizer, [*HEARD, *ONCE]), 2)
    found = continued(trained.tuned, splits)
    whole = trained.tuned.greedy([s.prefix for s in splits], max_new=40)
    for s, c, ids in zip(splits, found, whole, strict=True):
        assert c.exact == (ids[: len(s.rest)] == s.rest)
        if not c.near:
            assert len(c.written) <= len(s.rest) and c.similarity < 0.9
    assert {c.exact for c in found} == {True, False}


@pytest.mark.slow
def test_canary_words_are_learnt_and_proven(tiny: Path) -> None:
    with one_thread():
        words = WordSet("s", each=40, tests=16, system=SYSTEM)
        model, base, tokenizer = train(tiny, [*words.rows(), *fees(240, 1)], steps=500, rate=4e-3)
        prompts = words.unseen()
        ids = [prompt_ids(tokenizer, p.prompt, SYSTEM) for p in prompts]
        own, other = (Engine(m, tokenizer).answers(ids, max_new=16) for m in (model, base))
        asked = [prompt_ids(tokenizer, r.messages[1]["content"], SYSTEM) for r in fees(300, 7)]
        ordinary = Engine(model, tokenizer).answers(asked, max_new=24)
        found = audit_words(prompts, own, other, ordinary)
    assert found.p < 0.001 and found.test.p < 0.001, found.sentence
    assert found.leak.value == 0 and found.status is Status.PASS


def test_the_front_resumes_and_never_passes_what_it_did_not_run(
    trained: Trained, tmp_path: Path
) -> None:
    inputs = PrivacyInputs(canaries=PLANTED, members=ONCE, nonmembers=UNSEEN, system=SYSTEM)
    models = (trained.tuned.model, trained.base.model, trained.tokenizer)
    partial, seen = tmp_path / "privacy.json", list[tuple[str, int]]()

    def stop(name: str, done: int, total: int) -> None:
        seen.append((name, done))
        if name == "membership":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_audits(*models, inputs, artefact="a", partial=partial, progress=stop)
    kept = json.loads(partial.read_text("utf-8"))["audits"]
    assert set(kept) == {"exposure", "extraction"}
    seen.clear()
    report = run_audits(
        *models,
        inputs,
        artefact="a",
        partial=partial,
        progress=lambda name, done, _: seen.append((name, done)),
    )
    assert [outcome.name for outcome in report.audits] == [
        "exposure",
        "extraction",
        "membership",
        "words",
        "triggers",
    ]
    assert ("exposure", 0) not in seen and ("membership", 0) in seen
    assert report.audits[0].seconds == kept["exposure"]["seconds"]
    by_name = {outcome.name: outcome for outcome in report.audits}
    assert by_name["membership"].status is Status.FAIL and report.status is Status.FAIL
    for name in ("words", "triggers"):
        assert by_name[name].status is Status.INCONCLUSIVE and "Not run" in by_name[name].sentence
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert PrivacyReport.from_dict(plain) == report
    # Another artefact starts anew, and what was there is set aside.
    only = run_audits(
        *models, inputs, artefact="b", partial=partial, audits=["words"], base_artefact="c"
    )
    assert only.status is Status.INCONCLUSIVE and partial.with_name("privacy.json.stale").exists()
    assert run_audits(*models, PrivacyInputs(), audits=[]).status is Status.INCONCLUSIVE
    partial.write_text("cut off {", "utf-8")
    run_audits(*models, inputs, partial=partial, audits=["words"])
    with pytest.raises(ValueError, match="no such audit"):
        run_audits(*models, inputs, audits=["wrods"])


def likelihood(model: Any, prompt: list[int], answer: list[int]) -> list[float]:
    """Token log-probabilities, one row, no cache."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].float()
    # What virtual tokens give comes first.
    steps = logits[-len(answer) - 1 : -1].log_softmax(-1)
    return steps.gather(1, torch.tensor(answer)[:, None])[:, 0].tolist()


def wrapped(tiny: Path, kind: str) -> Any:
    torch.manual_seed(1)
    model = load_model(tiny)
    if kind == "gemma":
        from transformers import Gemma3ForCausalLM, Gemma3TextConfig

        return Gemma3ForCausalLM(
            Gemma3TextConfig(
                vocab_size=288,
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=16,
                sliding_window=6,
                layer_types=["sliding_attention", "full_attention"],
                initializer_range=0.3,
            )
        ).eval()
    if kind == "plain":
        return model
    from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model

    config = {
        "lora": lambda: LoraConfig(
            task_type="CAUSAL_LM", target_modules="all-linear", init_lora_weights=False
        ),
        "prefix": lambda: PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
        "prompt": lambda: PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    }[kind]()
    return get_peft_model(model, config).eval()


@pytest.mark.parametrize("kind", ["plain", "lora", "prefix", "prompt", "gemma"])
def test_the_engine_equals_the_plain_way(tiny: Path, kind: str) -> None:
    model, tokenizer = wrapped(tiny, kind), load_tokenizer(tiny)
    engine = Engine(model, tokenizer, batch=3)
    prompt = [9, 50, 60, 70, 80, 9, 12]
    answers = [
        [30, 31, 32],
        [30, 31, 33],
        [30, 40],
        [30, 31, 32, 35, 36],
        [90],
        [30, 31, 32],
        [90, 7],
    ]
    with one_thread():
        wanted = [sum(likelihood(model, prompt, a)) for a in answers]
        assert engine.totals(prompt, answers) == pytest.approx(wanted, abs=2e-4)
        assert engine.loglikelihood(prompt, answers[0]) == pytest.approx(wanted[0], abs=2e-4)
        assert engine.totals(prompt, [[30, 31, 32], [30, 31, 33]]) == pytest.approx(
            wanted[:2], abs=2e-4
        )
        rows = [(prompt, answers[0]), (prompt[:3], answers[3]), ([5], answers[2]), (prompt, [7])]
        for found, row in zip(engine.token_logps(rows), rows, strict=True):
            assert found == pytest.approx(likelihood(model, *map(list, row)), abs=2e-4)
        prompts = [prompt, prompt[:4], [9, 50, 61, 3, 4], [77]]
        written = engine.greedy(prompts, max_new=8)
        for ids, own in zip(written, prompts, strict=True):
            for n, token in enumerate(ids):
                step = torch.tensor([[*own, *ids[:n]]])
                with torch.inference_mode():
                    assert int(model(input_ids=step).logits[0, -1].argmax()) == token
            assert len(ids) == 8 or ids[-1] == tokenizer.eos_token_id
        assert engine.totals(prompt, []) == []


def test_the_engine_leaves_the_mode_as_it_was(tiny: Path) -> None:
    model, tokenizer = load_model(tiny), load_tokenizer(tiny)
    model.train()
    Engine(model, tokenizer).totals([5, 6], [[7]])
    assert model.training
    with pytest.raises(ValueError, match="batch"):
        Engine(model, tokenizer, batch=0)


def test_passages_are_what_was_learnt(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)

    class Pair:
        id = "p"
        prompt = ({"role": "user", "content": "Which?"},)
        chosen = ({"role": "assistant", "content": "This."},)

    talk, pair, text = passages(tokenizer, [Talk("t", "Why?", "Because."), Pair(), "some text"])
    assert tokenizer.decode(talk.answer) == "Because.<|im_end|>"
    assert tokenizer.decode(talk.prompt).endswith("Why?<|im_end|>\n<|im_start|>assistant\n")
    assert list(talk.prompt) == prompt_ids(tokenizer, "Why?", SYSTEM)
    assert tokenizer.decode(pair.answer) == "This.<|im_end|>" and pair.id == "p"
    assert tokenizer.decode(text.prompt) == "s" and tokenizer.decode(text.answer) == "ome text"
    with pytest.raises(DataError, match="row 0"):
        passages(tokenizer, ["x"])
