"""Guards stop what cannot succeed and nothing else; what they measure is what it is called."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from denizen.models import conversation, encode, load_model, load_tokenizer
from denizen.models.adapters import load_adapter
from denizen.project import DataError, TrainingError
from denizen.project.config import Config
from denizen.project.errors import LeakError
from denizen.tasks import CORE, FAMILIES, Item
from denizen.train import Job, TrainingPoint, fine_tune, rendered_example, tabulate
from denizen.train.guards import (
    DegeneracyMeter,
    DevelopmentSet,
    EarlyStopping,
    ForgettingProbe,
    Quiet,
    Rewarded,
    RewardHacking,
    chosen_guards,
    hacking_checks,
)
from denizen.train.guards.degeneracy import WINDOW
from denizen.train.guards.hacking import recorded_answers
from denizen.train.guards.stopping import development_loss
from denizen.train.methods import find_adapter, find_objective
from denizen.train.methods.base import Example
from denizen.train.replay import (
    GROUP,
    ReplayRow,
    mix_replay,
    neutral_questions,
    provenance,
    replay_count,
    replay_rows,
    written_logprobs,
)
from denizen.train.rewards import Graded, grade
from denizen.train.rollouts import Prompt
from denizen.train.rollouts.record import NAME, Records, Rollout
from denizen.train.tripwires import check_gradients

Curve = Callable[[int, random.Random], dict[str, float]]
HEALTHY = {
    "reward": 0.3, "reward_answer": 0.2, "reward_std": 0.2, "zero_advantage": 0.3, "entropy": 0.8, "length": 30.0,
    "kl": 0.01, "gap": 0.01, "clipped": 0.05,
}  # fmt: skip


def point(step: int, metrics: dict[str, float], loss: float = 0.1) -> TrainingPoint:
    return TrainingPoint(step, loss, 1.0, 1e-4, 100.0, metrics)


def run(curve: Curve, steps: int = 160, seed: int = 0) -> tuple[int, str] | None:
    """The step at which a meter stops a made-up run, and its advice."""
    meter, rng = DegeneracyMeter(0.9), random.Random(seed)
    for step in range(1, steps + 1):
        if (advice := meter.after_step(point(step, curve(step, rng)))) is not None:
            return step, advice
    return None


def noisy(rng: random.Random, **changes: float) -> dict[str, float]:
    """Figures around given means, as loud as four groups of eight make them."""
    mean = {**HEALTHY, **changes}
    loud = {k: v * math.exp(rng.gauss(0, 0.15)) for k, v in mean.items()}
    loud["reward"] = min(1.0, max(0.0, mean["reward"] + rng.gauss(0, 0.08)))
    loud["zero_advantage"] = sum(rng.random() < mean["zero_advantage"] for _ in range(4)) / 4
    return loud


def ramp(step: int, begin: int, end: int, first: float, last: float) -> float:
    share = min(1.0, max(0.0, (step - begin) / (end - begin)))
    return first + share * (last - first)


HEALTHY_CURVES: dict[str, Curve] = {
    "nothing learnt yet": lambda s, r: noisy(r),
    "learning, entropy falls": lambda s, r: noisy(
        r, reward=ramp(s, 5, 120, 0.3, 0.85), entropy=ramp(s, 5, 120, 0.8, 0.05),
        kl=ramp(s, 0, 160, 0.0, 0.6), zero_advantage=ramp(s, 20, 160, 0.3, 0.7),
    ),
    "answers grow as they get better": lambda s, r: noisy(
        r, reward=ramp(s, 5, 100, 0.2, 0.7), length=ramp(s, 5, 100, 30, 80)
    ),
    "harder questions as it learns": lambda s, r: noisy(
        r, reward=0.4 + 0.1 * math.sin(s / 9), entropy=ramp(s, 5, 160, 0.8, 0.3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY_CURVES)
def test_healthy_runs_go_on(name: str) -> None:
    assert [run(HEALTHY_CURVES[name], seed=seed) for seed in range(12)] == [None] * 12


FAILURES: dict[str, tuple[Curve, tuple[str, ...]]] = {
    "all groups fail": (
        lambda s, r: noisy(r, **({"zero_advantage": 0.98, "reward": 0.1} if s > 60 else {})),
        ("rl.temperature", "rl.group", "train.start", "guard.collapse"),
    ),
    "all groups solved": (
        lambda s, r: noisy(r, **({"zero_advantage": 0.98, "reward_answer": 1.0} if s > 60 else {})),
        ("solved", "data.families"),
    ),
    "entropy collapses": (
        lambda s, r: noisy(r, entropy=ramp(s, 60, 64, 0.8, 0.02)),
        ("entropy", "train.learning_rate", "rl.temperature"),
    ),
    "policy dissolves": (
        lambda s, r: noisy(
            r, entropy=ramp(s, 60, 64, 0.8, 6.0), reward=ramp(s, 60, 64, 0.5, 0.05)
        ),
        ("dissolves", "train.learning_rate", "rl.kl"),
    ),
    "answers swell": (
        lambda s, r: noisy(r, length=ramp(s, 60, 64, 30, 90)),
        ("answers went from", "rl.max_new_tokens"),
    ),
    "answers shrink": (
        lambda s, r: noisy(r, length=ramp(s, 60, 64, 30, 3)),
        ("answers went from", "rl.kl"),
    ),
    "KL runs away": (
        lambda s, r: noisy(
            r, kl=ramp(s, 60, 64, 0.02, 3.0), reward=ramp(s, 60, 64, 0.6, 0.2)
        ),
        ("KL", "rl.kl", "train.learning_rate"),
    ),
    "sampler drifts away": (
        lambda s, r: noisy(r, gap=ramp(s, 60, 64, 0.01, 0.8)),
        ("rl.rollouts", "transformers"),
    ),
    "steps too long": (
        lambda s, r: noisy(r, clipped=ramp(s, 60, 64, 0.05, 0.8)),
        ("clipped", "train.learning_rate"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_stops_with_its_advice(name: str) -> None:
    curve, words = FAILURES[name]
    for seed in range(10):
        found = run(curve, seed=seed)
        assert found is not None
        step, advice = found
        assert 60 < step <= 64 + 3 * WINDOW, (seed, step)
        for word in words:
            assert word in advice, advice
        # Every setting that is named exists.
        for section, key in re.findall(r"\b(rl|train|guard|data)\.(\w+)", advice):
            assert hasattr(getattr(Config(), section), key), (section, key)


def test_one_bad_step_stops_nothing() -> None:
    bad = {
        "reward": 0.0, "zero_advantage": 1.0, "entropy": math.nan, "length": 900.0, "kl": 1e6,
        "gap": 50.0, "clipped": 1.0,
    }  # fmt: skip
    assert run(lambda s, r: bad if s % 20 == 7 else noisy(r)) is None
    # Nor is anything said of an objective without such figures.
    assert run(lambda s, r: {}) is None


def test_collapse_is_the_limit_that_is_set() -> None:
    def half(step: int, rng: random.Random) -> dict[str, float]:
        return {**HEALTHY, "zero_advantage": 0.75}

    for limit, stops in ((0.9, False), (0.7, True)):
        meter = DegeneracyMeter(limit)
        reasons = [meter.after_step(point(s, half(s, random.Random(s)))) for s in range(1, 60)]
        assert any(reasons) is stops
        assert (meter.summary()["failed"] == "equal groups") is stops


def test_a_step_of_equal_rewards_has_no_gradient_by_right() -> None:
    import torch

    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.zeros(2)
    assert check_gradients([parameter], 3, idle=True) == 0.0
    with pytest.raises(TrainingError, match="no gradient"):
        check_gradients([parameter], 3)
    parameter.grad = torch.tensor([math.nan, 0.0])
    with pytest.raises(TrainingError, match="NaN"):
        check_gradients([parameter], 3, idle=True)


# ---- replay -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sharp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base whose distribution is far from flat, so that a cut tail would show."""
    from conftest import make_tiny

    folder = make_tiny(tmp_path_factory.mktemp("sharp") / "model", seed=3)
    model = load_model(folder)
    model.model.norm.weight.data.mul_(5)
    model.save_pretrained(folder)
    return folder


def written(base: Path, cache: Path, count: int, **given: Any) -> list[ReplayRow]:
    tokenizer = load_tokenizer(base)
    return replay_rows(base, tokenizer, count, 5, cache, **{"base_hash": "sharp", **given})


@pytest.fixture(scope="module")
def probe(sharp: Path, tmp_path_factory: pytest.TempPathFactory) -> list[ReplayRow]:
    return written(sharp, tmp_path_factory.mktemp("probe"), 2 * GROUP, use="probe")


def test_replay_is_the_same_rows_however_it_was_cut(sharp: Path, tmp_path: Path) -> None:
    rows = written(sharp, tmp_path / "a", 2 * GROUP + 3)
    assert len(rows) == 2 * GROUP + 3 and len(list((tmp_path / "a").iterdir())) == 3
    assert written(sharp, tmp_path / "a", 4) == rows[:4]
    # A kill left one group, a full disk half of another: the rest is made anew, and the same.
    files = sorted((tmp_path / "a").iterdir())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / files[1].name).write_text(files[1].read_text()[:300])
    assert written(sharp, tmp_path / "b", len(rows)) == rows
    # What is there is not written again: the base is not even opened.
    again = replay_rows(
        tmp_path / "gone", load_tokenizer(sharp), len(rows), 5, tmp_path / "a", base_hash="sharp"
    )
    assert again == rows
    other = written(sharp, tmp_path / "a", GROUP, base_hash="another base")
    assert {r.base for r in other} == {"another base"} and len(
        list((tmp_path / "a").iterdir())
    ) == 4


def test_replay_learns_only_what_the_base_wrote(sharp: Path, probe: list[ReplayRow]) -> None:
    tokenizer = load_tokenizer(sharp)
    for row in probe:
        labels = row.example().fields["labels"]
        asked = tokenizer.decode(
            [i for i, label in zip(row.input_ids, labels, strict=True) if label == -100]
        )
        assert asked.endswith("<|im_start|>assistant\n") and row.question in asked
        learnt = [label for label in labels if label != -100]
        assert len(learnt) == row.written
        # A stop token ends an answer; one cut by the length limit must not teach to stop there.
        assert tokenizer.eos_token_id not in learnt[:-1]
    assert all(row.generated and row.base == "sharp" for row in probe)


def test_replay_is_sampled_from_the_whole_distribution(sharp: Path, probe: list[ReplayRow]) -> None:
    """The surprise of what was written matches the base's entropy, as samples' must."""
    import torch

    model = load_model(sharp)
    surprise, entropy, spread = [], [], []
    for row in probe:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].float()
        logps = logits.log_softmax(-1)[-row.written - 1 : -1]
        chosen = torch.tensor(row.input_ids[-row.written :])
        took = logps.gather(1, chosen[:, None])[:, 0]
        assert row.logprob == pytest.approx(float(took.sum()), abs=1e-3)
        h = -(logps.exp() * logps).sum(-1)
        surprise += (-took).tolist()
        entropy += h.tolist()
        spread += ((logps.exp() * logps**2).sum(-1) - h**2).tolist()
    error = math.sqrt(sum(spread)) / len(surprise)
    assert len(surprise) > 400 and error < 0.09
    difference = sum(surprise) / len(surprise) - sum(entropy) / len(entropy)
    assert abs(difference) < 3 * error
    # Far from flat and from a point; of the 100 likeliest tokens alone the difference is -0.65.
    assert 1.0 < sum(entropy) / len(entropy) < 4.0


def test_neutral_questions_are_of_no_evaluation() -> None:
    from denizen.data.holdout import load_holdout
    from denizen.evaluate.forgetting import general_questions, general_sentences

    replay, probe = neutral_questions("replay"), neutral_questions("probe")
    assert not {*replay} & {*probe} and len({*replay, *probe}) == len(replay) + len(probe) >= 60

    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    scored = [q.question for q in general_questions()] + list(general_sentences())
    scored += [o for q in general_questions() for o in q.options]
    scored += [item.prompt for item in load_holdout()]
    seen = set().union(*map(runs, scored))
    assert not seen & set().union(*map(runs, [*replay, *probe]))


# ---- forgetting ---------------------------------------------------------------------------------


def shaken(model: Any, scale: float) -> Any:
    """Every trainable weight moved a little."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * scale)
    return model


def kl_a_token(base: Any, model: Any, rows: list[ReplayRow]) -> float:
    """KL(base || model) over the positions of the rows, from whole distributions."""
    import torch

    total = count = 0.0
    for row in rows:
        ids = torch.tensor([row.input_ids])
        with torch.no_grad():
            one, two = (m(input_ids=ids).logits[0].float().log_softmax(-1) for m in (base, model))
        each = (one.exp() * (one - two)).sum(-1)[-row.written - 1 : -1]
        total, count = total + float(each.sum()), count + row.written
    return total / count


@pytest.mark.parametrize("method", ["lora", "full"])
def test_forgetting_is_zero_at_first_and_then_the_divergence(
    sharp: Path, tmp_path: Path, probe: list[ReplayRow], method: str
) -> None:
    config = Config.model_validate({"adapter": {"method": method, "rank": 8}})
    model = find_adapter(method).wrap(load_model(sharp), config.adapter)
    model.train()
    guard = ForgettingProbe(probe, tmp_path, 1.0)
    assert abs(guard.measure(model)) < 1e-5 and model.training
    shaken(model, 0.25 if method == "lora" else 0.02)
    exact = kl_a_token(load_model(sharp), model, probe)
    assert exact > 0.1 and guard.measure(model) == pytest.approx(exact, rel=0.35)


def test_forgetting_warns_then_stops_and_outlives_a_kill(
    sharp: Path, tmp_path: Path, probe: list[ReplayRow]
) -> None:
    model = shaken(load_model(sharp), 0.02)
    lost = ForgettingProbe(probe, tmp_path / "other", 0).measure(model)
    guard = ForgettingProbe(probe, tmp_path, lost / 2)
    assert guard.at_save(load_model(sharp), 5) is None
    assert guard.at_save(model, 10) is None and guard.summary()["warned_at"] == 10
    reason = guard.at_save(model, 15)
    assert reason is not None and "guard.replay" in reason and "train.learning_rate" in reason
    assert [step for step, _ in guard.summary()["trend"]] == [5, 10, 15]
    # No checkpoint is there: a new run starts at step 0 and with nothing behind it.
    assert ForgettingProbe(probe, tmp_path, 1.0).summary()["trend"] == []
    unlimited = ForgettingProbe(probe, tmp_path / "free", 0)
    assert [unlimited.at_save(model, step) for step in (5, 10, 15)] == [None] * 3


# ---- runs ---------------------------------------------------------------------------------------

ITEMS = [FAMILIES[name].generate(seed, "dev") for name in CORE[:2] for seed in (1, 2)]


def settings(**sections: dict[str, Any]) -> Config:
    train = {
        "batch_tokens": 700, "epochs": 10, "save_steps": 4, "warmup_steps": 2, "max_length": 2000,
        "learning_rate": 2e-2, **sections.pop("train", {}),
    }  # fmt: skip
    return Config.model_validate({"train": train, "adapter": {"rank": 8}, **sections})


def examples(base: Path, rows: list[Any]) -> tuple[list[Any], Any]:
    rendered, ledger = tabulate(load_tokenizer(base), rows, max_length=2000, drop_budget=0.0)
    return [rendered_example(row) for row in rendered], ledger


def learnt(base: Path, folder: Path, config: Config, rows: list[Any], **given: Any) -> Job:
    return Job(
        base=base,
        base_hash="h",
        examples=rows,
        config=config,
        work=folder / "work",
        adapter=folder / "adapter",
        **given,
    )


TRAIN = [conversation(f"What is {i} and {i}?", "aaaaaaaa") for i in range(10)]
# Of another distribution: the more the training rows are learnt by heart, the worse.
DEV = [conversation(f"Who is {i}?", f"ab, or {i}!") for i in range(len(ITEMS))]


def development(base: Path) -> DevelopmentSet:
    return DevelopmentSet(ITEMS, examples(base, DEV)[0])


def test_the_holdout_is_refused(tiny: Path) -> None:
    rows = examples(tiny, DEV)[0]
    assert all(isinstance(item, Item) and item.split == "dev" for item in ITEMS)
    for split in ("holdout", "train"):
        mixed = [*ITEMS[:-1], dataclasses.replace(ITEMS[-1], split=split)]
        with pytest.raises(LeakError, match=f"of the {split} split"):
            DevelopmentSet(mixed, rows)
    with pytest.raises(DataError, match="3 development examples of 4 items"):
        DevelopmentSet(ITEMS, rows[:-1])
    with pytest.raises(DataError):
        DevelopmentSet([], [])


def test_development_loss_is_the_mean_over_tokens(tiny: Path) -> None:
    import torch

    model, rows = load_model(tiny), development(tiny).examples
    nats = tokens = 0.0
    for row in rows:
        labels = torch.tensor([row.fields["labels"]])
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([row.fields["input_ids"]]), labels=labels).loss
        count = int((labels[:, 1:] != -100).sum())
        nats, tokens = nats + float(loss) * count, tokens + count
    found = development_loss(model, find_objective(Config()), rows)
    assert found == pytest.approx(nats / tokens, abs=1e-5)


class Halt(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("method", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_early_stopping_keeps_the_best_and_resumes(tiny: Path, tmp_path: Path, method: str) -> None:
    import torch

    rate = 2e-2 if method == "lora" else 1e-2
    config = settings(
        guard={"patience": 2}, train={"learning_rate": rate}, adapter={"method": method, "rank": 8}
    )
    rows = examples(tiny, TRAIN)[0]

    def go(folder: Path, on_step: Any = lambda *_: None) -> Any:
        guards = chosen_guards(config, folder / "work", development=development(tiny))
        return fine_tune(learnt(tiny, folder, config, rows, guards=guards), on_step)

    result = go(tmp_path / "whole")
    figures = result.guards["development"]
    losses = dict(figures["trend"])
    best = figures["best"]
    assert losses[best] == min(losses.values()) and best < max(losses) == result.points[-1].step
    assert len([step for step in losses if step > best]) == 2 and result.steps > max(losses)
    assert f"at step {best}" in result.stopped and "guard.patience" in result.stopped

    # What was saved is the best: loaded the ordinary way it has the loss that was measured.
    def saved(folder: Path) -> Any:
        if method == "full":
            return load_model(folder / "adapter")
        return load_adapter(load_model(tiny), folder / "adapter")

    model, objective = saved(tmp_path / "whole"), find_objective(config)
    loss = development_loss(model, objective, development(tiny).examples)
    assert loss == pytest.approx(losses[best], abs=2e-5)

    def kill(step: int, *_: Any) -> None:
        if step == max(losses) - 1:
            raise Halt

    with pytest.raises(Halt):
        go(tmp_path / "cut", kill)
    resumed = go(tmp_path / "cut")
    assert resumed.guards["development"] == figures and resumed.stopped == result.stopped
    for one, two in zip(model.parameters(), saved(tmp_path / "cut").parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


class Seen(Quiet):
    """Notes the steps it is told of; stops at one of them."""

    name = "seen"

    def __init__(self, stop: int) -> None:
        self.steps: list[int] = []
        self.stop = stop

    def after_step(self, point: TrainingPoint) -> str | None:
        self.steps.append(point.step)
        return "enough, because" if point.step == self.stop else None

    def summary(self) -> dict[str, Any]:
        return {"steps": len(self.steps)}


def test_a_resumed_run_tells_its_guards_of_the_past(tiny: Path, tmp_path: Path) -> None:
    rows = examples(tiny, TRAIN)[0]

    def kill(step: int, *_: Any) -> None:
        if step == 6:
            raise Halt

    with pytest.raises(Halt):
        fine_tune(learnt(tiny, tmp_path, settings(), rows, guards=[Seen(0)]), kill)
    guard = Seen(9)
    result = fine_tune(learnt(tiny, tmp_path, settings(), rows, guards=[guard]))
    # Killed in step 6, gone on from the checkpoint of step 4.
    assert guard.steps == [*range(1, 5), *range(5, 10)]
    assert result.stopped == "enough, because" and result.guards["seen"] == {"steps": 9}
    assert len(result.points) == 9 < result.steps and (tmp_path / "adapter").exists()


def test_replay_keeps_what_the_base_knew(
    sharp: Path, tmp_path: Path, probe: list[ReplayRow]
) -> None:
    """The same rows and steps, with and without the base's answers to other questions."""
    rows, ledger = examples(sharp, TRAIN)
    count = replay_count(len(rows), 0.5)
    assert count == len(rows) and replay_count(90, 0.1) == 10 and replay_count(90, 0.0) == 0
    config = settings(
        guard={"probe": True, "forgetting_limit": 0}, train={"epochs": 6, "learning_rate": 1e-2}
    )
    extra = written(sharp, tmp_path / "cache", count)
    mixed, told = mix_replay(rows, ledger, extra, config)
    assert told.replayed_rows == count and told.rows_kept == ledger.rows_kept
    assert told.replayed_supervised == sum(r.written for r in extra) < told.replayed_tokens
    assert told.supervised_share == pytest.approx(
        sum(x != -100 for e in mixed for x in e.fields["labels"]) / sum(e.length for e in mixed)
    )
    record = provenance(extra)
    assert record["generated"] is True and record["by"] == ["sharp"] and record["rows"] == count
    json.dumps(record)
    short = config.model_copy(update={"train": config.train.model_copy(update={"max_length": 40})})
    with pytest.raises(TrainingError, match="a replayed answer takes"):
        mix_replay(rows, ledger, extra, short)

    lost = {}
    for name, given in (("alone", rows), ("replayed", mixed)):
        work = tmp_path / name / "work"
        guards = chosen_guards(config, work, probe=probe)
        result = fine_tune(learnt(sharp, tmp_path / name, config, given, guards=guards))
        trend = result.guards["forgetting"]["trend"]
        assert [step for step, _ in trend][:2] == [4, 8] and not result.stopped
        # The trend is of the weights that are saved then, not of those a step before.
        model = load_adapter(load_model(sharp), tmp_path / name / "adapter")
        nats = sum(r.logprob for r in probe) - sum(written_logprobs(model, probe))
        assert trend[-1][0] == result.steps
        assert trend[-1][1] == pytest.approx(nats / sum(r.written for r in probe), abs=1e-4)
        lost[name] = trend[-1][1]
    assert lost["alone"] > 0.2 and lost["replayed"] < 0.75 * lost["alone"]


# ---- reward hacking -----------------------------------------------------------------------------


def graded(
    steps: int, form: tuple[float, float], answer: tuple[float, float]
) -> list[TrainingPoint]:
    rng = random.Random(1)
    return [
        point(
            s,
            {
                "reward_format": ramp(s, 0, steps, *form) + rng.gauss(0, 0.05),
                "reward_answer": ramp(s, 0, steps, *answer) + rng.gauss(0, 0.05),
            },
        )
        for s in range(steps)
    ]


def test_format_without_answers_is_flagged() -> None:
    def flagged(*given: Any) -> bool | None:
        return hacking_checks(graded(*given))[0].flagged

    assert flagged(60, (0.3, 0.9), (0.2, 0.2)) is True
    assert flagged(60, (0.3, 0.9), (0.2, 0.6)) is False
    assert flagged(60, (0.9, 0.9), (0.2, 0.2)) is False
    assert flagged(12, (0.3, 0.9), (0.2, 0.2)) is None


def answers(
    reward: Callable[[int, bool, int], float], length: Callable[[bool, int], int]
) -> list[Rewarded]:
    """Sixteen questions of eight answers; wordy questions are the hard ones."""
    rng = random.Random(2)
    made = []
    for question in range(16):
        for _ in range(8):
            right = rng.random() < 0.8 - question / 25
            tokens = length(right, question) + rng.randrange(10)
            made.append(
                Rewarded(
                    f"q{question}", "f", tokens, reward(tokens, right, question), "a", "b", right
                )
            )
    return made


def test_length_gaming_is_more_than_wordy_questions() -> None:
    def check(samples: list[Rewarded]) -> Any:
        return next(f for f in hacking_checks([], samples) if f.name == "length gaming")

    # The reward grows with every token, right or wrong.
    gamed = check(answers(lambda n, right, q: 0.02 * n, lambda right, q: 20))
    assert gamed.flagged and gamed.figures["correlation"] > 0.9
    # Long questions are hard, so length and reward correlate over the run, not within a question.
    assert not check(answers(lambda n, right, q: float(right), lambda right, q: 20 + 5 * q)).flagged
    # A right answer takes more words: that is no gaming either.
    wordy = check(answers(lambda n, right, q: float(right), lambda right, q: 60 if right else 20))
    assert wordy.figures["correlation"] > 0.8 and not wordy.flagged
    assert check([]).flagged is None


def test_right_by_label_frequency_is_flagged() -> None:
    rng = random.Random(3)
    golds = ["in range" if rng.random() < 0.7 else "out of range" for _ in range(120)]

    def check(said: list[str], family: str) -> Any:
        samples = [
            Rewarded(f"{family}{i}", family, 5, float(a == g), a, g, a == g)
            for i, (a, g) in enumerate(zip(said, golds, strict=True))
        ]
        # Eight copies of an answer are not eight observations.
        found = [f for f in hacking_checks([], samples * 8) if f.name.endswith(family)]
        assert len(found) == 1
        return found[0]

    constant = check(["in range"] * 120, "range_state")
    assert constant.flagged and constant.figures["right"] == constant.figures["commonest"]
    able = [g if rng.random() < 0.97 else "in range" for g in golds]
    assert check(able, "other").flagged is False
    # Never right is not right by luck.
    assert check(["neither"] * 120, "third").flagged is False


def test_hacking_is_judged_by_the_recorded_answers(tmp_path: Path) -> None:
    """What the rollouts' own record holds, read back and verified again; its first half is not."""
    items = [FAMILIES[CORE[0]].generate(seed, "train") for seed in range(24)]
    records = Records(tmp_path / NAME, 0)
    for step in range(12):
        asked = (2 * step, 2 * step + 1)
        texts = tuple((items[n].answer, "I do not know.") for n in asked)
        grades = tuple(
            tuple(grade(items[n], t) for t in ts) for n, ts in zip(asked, texts, strict=True)
        )
        records.add(Rollout(step, asked, (), 4, 40, (True, True), {}, texts, grades))
    answers = recorded_answers(tmp_path / NAME, items)
    assert len(answers) == 2 * 2 * 6 and {a.question for a in answers} == {
        i.prompt for i in items[12:]
    }
    assert [a.right for a in answers] == [True, False] * 12
    assert [a.reward for a in answers] == [1.0, 0.0] * 12
    assert all(a.answer == a.gold for a in answers if a.right)
    guard = RewardHacking(tmp_path / NAME, items)
    found = {f["name"]: f for f in guard.summary()["findings"]}
    # Twelve questions are too few to say anything of a family's labels.
    assert found[f"label frequency: {CORE[0]}"]["flagged"] is None
    assert RewardHacking(tmp_path / "none.jsonl", items).summary()["answers"] == 0


@dataclasses.dataclass(frozen=True)
class Riddle:
    """A question about nothing, with a letter for an answer."""

    prompt: str
    gold: str
    difficulty: int = 1


def riddle_job(tiny: Path, folder: Path, steps: int) -> Job:
    tokenizer = load_tokenizer(tiny)
    riddles = [Riddle(f"Which letter belongs to {n}", "abcd"[n]) for n in range(4)]
    rows = []
    for riddle in riddles:
        ids = tuple(encode(tokenizer, riddle.prompt))
        prompt = Prompt(ids, riddle.prompt, 'root ::= "a" | "b" | "c" | "d"', riddle)
        rows.append(Example(len(ids), {"prompt": prompt}))
    config = Config.model_validate(
        {
            "train": {
                "objective": "grpo", "learning_rate": 5e-4, "warmup_steps": 1, "epochs": steps,
                "max_steps": steps, "save_steps": 200,
            },
            "adapter": {"rank": 8},
            "rl": {"group": 6, "prompts": 4, "max_new_tokens": 4, "rollouts": "transformers"},
        }
    )  # fmt: skip
    guards = chosen_guards(config, folder / "work")
    return learnt(tiny, folder, config, rows, guards=guards)


@pytest.mark.parametrize(("worth", "words"), [(0.5, "nothing is learnt"), (1.0, "are solved")])
def test_a_real_collapse_is_told_from_a_real_success(
    sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth: float, words: str
) -> None:
    """GRPO on a tiny model goes to the one answer that is rewarded: the best there is, or half."""

    def reward(items: Any, texts: Any) -> list[Graded]:
        said = [float(text == "a") for text in texts]
        return [Graded(worth * a, 1.0, 1.0, 1.0, a * (worth == 1.0)) for a in said]

    monkeypatch.setattr("denizen.train.on_policy.verified", reward)
    run = fine_tune(riddle_job(sharp, tmp_path, 60))
    assert "equal rewards" in run.stopped and words in run.stopped
    assert run.guards["degeneracy"]["failed"] == "equal groups"
    first, last = run.points[0].metrics, run.points[-1].metrics
    assert first["entropy"] > 0.8 > 0.1 > last["entropy"]
    assert last["reward"] == pytest.approx(worth, abs=0.1) and first["reward"] < 0.6 * worth
    # Not while it learnt: the steps that it was stopped for taught nothing.
    assert 2 * WINDOW < len(run.points) < run.steps and (tmp_path / "adapter").exists()
    learning = [p.step for p in run.points if p.metrics["zero_advantage"] < 0.5]
    assert learning and run.points[-1].step >= max(learning) + WINDOW


def test_the_configuration_chooses_the_guards(tiny: Path, tmp_path: Path) -> None:
    def names(objective: str, **guard: Any) -> list[str]:
        config = Config.model_validate({"train": {"objective": objective}, "guard": guard})
        made = chosen_guards(config, tmp_path, development=development(tiny))
        return [guard.name for guard in made]

    assert names("sft") == []
    assert names("grpo") == names("ppo") == names("rloo") == ["degeneracy", "hacking"]
    assert names("sft", probe=True, patience=2) == ["forgetting", "development"]
    assert isinstance(
        EarlyStopping(development(tiny), find_objective(Config()), tmp_path, 2).summary(), dict
    )
