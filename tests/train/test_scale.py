"""Many processes walk the same batches to the same loss and the same weights as one."""

from __future__ import annotations

import json
import operator
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from denizen.models import conversation, load_model, load_tokenizer
from denizen.project import ConfigError, TrainingError
from denizen.project.config import Config
from denizen.project.errors import DenizenError
from denizen.train import Job, TrainingPoint, TrainingResult, fine_tune, rendered_example, tabulate
from denizen.train.launch import accelerate_settings, deepspeed_settings, write_launch_files
from denizen.train.methods import Example, find_adapter, find_objective
from denizen.train.methods.base import StepLoss
from denizen.train.scale import check_scale, part_of, part_weight, route_losses, share

# Answers of unequal length: a mean of the parts' means would be another loss.
QUESTIONS = [
    conversation(f"What is {i} plus {i}?", f"It is {2 * i}{'!' * (i % 7)}") for i in range(13)
]


def examples_of(tiny: Path) -> list[Example]:
    rows, _ = tabulate(load_tokenizer(tiny), QUESTIONS, max_length=512, drop_budget=0.0)
    return [rendered_example(row) for row in rows]


def config_of(processes: int, backend: str = "ddp", **train: Any) -> Config:
    settings = {
        "batch_tokens": 300,
        "warmup_steps": 0,
        "precision": "float32",
        "save_steps": 2,
        **train,
    }
    return Config.model_validate(
        {
            "train": settings,
            "adapter": {"rank": 4},
            "scale": {"processes": processes, "backend": backend},
        }
    )


def job_of(tiny: Path, place: Path, processes: int) -> Job:
    return Job(
        tiny, "base", examples_of(tiny), config_of(processes), place / "work", place / "adapter"
    )


class Stop(Exception):
    """The user's Ctrl-C, so to say."""


@pytest.mark.slow
def test_two_processes_train_as_one_does_even_after_a_kill(tiny: Path, tmp_path: Path) -> None:
    """Same curve (1e-5), same adapter (1e-6), with the last batch too small for both; then resumed."""
    from safetensors.torch import load_file

    job = job_of(tiny, tmp_path / "one", 1)
    one = fine_tune(job)
    assert min(map(len, find_objective(job.config).batches(job.examples, job.config))) == 1
    seen: list[int] = []

    def stop(step: int, total: int, point: TrainingPoint) -> None:
        seen.append(step)
        assert total == one.steps
        if step == 3:
            raise Stop

    with pytest.raises(Stop):
        fine_tune(job_of(tiny, tmp_path / "two", 2), stop)
    assert seen == [1, 2, 3]
    two = fine_tune(job_of(tiny, tmp_path / "two", 2), lambda step, *_: seen.append(step))
    assert seen[3] > 2, "it began again instead of resuming"
    _same_curve(one, two)
    first, second = (
        load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")
        for name in ("one", "two")
    )
    assert first.keys() == second.keys()
    for name in first:
        assert float((first[name] - second[name]).abs().max()) < 1e-6, name


def _same_curve(one: TrainingResult, two: TrainingResult) -> None:
    assert [p.step for p in one.points] == [p.step for p in two.points]
    for a, b in zip(one.points, two.points, strict=True):
        # The curve rounds to five places.
        assert a.loss == pytest.approx(b.loss, abs=1.1e-5)
        assert a.gradient_norm == pytest.approx(b.gradient_norm, abs=1.1e-4)
        assert a.learning_rate == b.learning_rate


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_parts_hold_every_row_once(processes: int) -> None:
    batches = [[4, 7, 1], [2], [9, 8, 6, 5, 3], [0, 10]]
    parts = [part_of(batches, rank, processes) for rank in range(processes)]
    for number, batch in enumerate(batches):
        real = [r for p in range(processes) for r in parts[p][number] if len(batch) > p]
        assert sorted(real) == sorted(batch)
        assert all(part[number] for part in parts), "a process without a row would hang the others"


@pytest.mark.parametrize("unit", ["tokens", "rows"])
def test_parts_weigh_up_to_the_whole(unit: str) -> None:
    """Against the mean over the whole batch, for random parts, one of them empty."""
    import torch

    rng, generator = random.Random(1), torch.Generator().manual_seed(1)
    counts = [rng.randint(1, 9) if unit == "tokens" else 1 for _ in range(7)]
    values = [torch.rand(n, generator=generator, requires_grad=True) for n in counts]
    whole = torch.cat(values).mean()
    expected = torch.autograd.grad(whole, values)
    objective: Any = SimpleNamespace(mean_over=unit)
    parts, found, totals = part_of([list(range(7))], 0, 1)[0], [torch.zeros(n) for n in counts], 0.0
    assert parts == list(range(7))
    means, weights = [], []
    for rank in range(9):
        rows = part_of([list(range(7))], rank, 9)[0]
        labels = torch.full((len(rows), 10), -100)
        for at, row in enumerate(rows):
            labels[at, 1 : 1 + counts[row]] = 5
        weights.append(part_weight(objective, {"labels": labels}, len(range(7)[rank::9])))
        means.append(torch.cat([values[row] for row in rows]).mean())
    for mean, weight in zip(means, weights, strict=True):
        mine = [weight, *(float(m.detach()) for m in means)]
        summed = [
            sum(weights),
            sum(w * float(m.detach()) for w, m in zip(weights, means, strict=True)),
        ]

        def reduce(value: Any, reduction: str, mine: Any = mine, summed: Any = summed) -> Any:
            assert float(value[0]) == mine[0]
            return torch.tensor(summed, dtype=torch.float64)

        accelerator: Any = SimpleNamespace(num_processes=9, device="cpu", reduce=reduce)
        shared = share(accelerator, weight, mean, {})
        assert shared.loss == pytest.approx(float(whole.detach()), abs=1e-6)
        totals += float(shared.own.detach()) / 9
        own = torch.autograd.grad(shared.own / 9, values, allow_unused=True, retain_graph=True)
        found = [f if g is None else f + g for f, g in zip(found, own, strict=True)]
    assert totals == pytest.approx(float(whole.detach()), abs=1e-6)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-7)


def test_a_routed_model_is_otherwise_itself(tiny: Path) -> None:
    import torch

    model = load_model(tiny)
    ids = torch.arange(12)[None]
    before = model(input_ids=ids).logits
    route_losses(
        model, SimpleNamespace(loss=lambda m, b, c: StepLoss(m(input_ids=b).logits.sum() / c, {}))
    )
    assert torch.equal(model(input_ids=ids).logits, before)
    loss, metrics = model(recipe=(ids, 4))
    assert float(loss) == pytest.approx(float(before.sum()) / 4) and metrics == {}


@pytest.mark.slow
def test_fsdp2_shards_give_the_whole_batch_its_loss_and_gradients(
    tiny: Path, tmp_path: Path
) -> None:
    """torch's fully_shard over gloo, sharded as accelerate does, against one process."""
    import torch

    config = config_of(1)
    torch.manual_seed(0)
    model = find_adapter("lora").wrap(load_model(tiny), config.adapter)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    examples = examples_of(tiny)[:7]
    torch.save((model, examples), tmp_path / "made.pt")
    objective = find_objective(config)
    loss = objective.loss(model, objective.collate(examples), None).loss
    loss.backward()
    worker = str(Path(__file__).with_name("fsdp_worker.py"))
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, "-m", *start, worker, str(tmp_path / "made.pt"), str(tmp_path / "out.pt")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found, gradients = torch.load(tmp_path / "out.pt")
    assert found == pytest.approx(float(loss.detach()), abs=1e-5)
    wanted = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(gradients[name], gradient, atol=1e-6), name


@pytest.mark.slow
def test_what_a_worker_raises_is_raised_here(tiny: Path, tmp_path: Path) -> None:
    """A typed error as what it was; anything else names the log that holds its traceback."""
    job = job_of(tiny, tmp_path / "typed", 2)
    foreign = [
        Example(e.length, {**e.fields, "input_ids": [10**6] * e.length}) for e in job.examples
    ]
    with pytest.raises(DenizenError, match="outside the model's vocabulary") as typed:
        fine_tune(replace(job, examples=foreign))
    assert typed.value.fix
    job = job_of(tiny, tmp_path / "other", 2)
    # Called with a layer's name and weight, which it cannot divide.
    with pytest.raises(TrainingError, match=r"ended with code 1 .*log\.txt"):
        fine_tune(replace(job, rounding=operator.truediv, config=config_of(2, rounded_from=0.0)))
    assert "TypeError" in (job.work / "processes" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"train": {"objective": "kto"}}, ConfigError, "does not add up"),
        ({"train": {"objective": "orpo"}}, ConfigError, "scale.processes: 1"),
        ({"scale": {"processes": 2, "backend": "fsdp2"}}, TrainingError, "GPUs"),
        ({"scale": {"processes": 2, "backend": "deepspeed"}}, TrainingError, "GPUs"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    settings: dict[str, Any], kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    config = Config.model_validate({"scale": {"processes": 2}, **settings})
    with pytest.raises(kind, match=words):
        check_scale(config)
    check_scale(Config.model_validate({**settings, "scale": {"processes": 1}}))


def test_on_gpus_the_limits_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TrainingError, match=r"set scale\.processes to 2"):
        check_scale(config_of(4, "fsdp2"))
    check_scale(config_of(2, "fsdp2"))
    for section in ({"adapter": {"method": "galore"}}, {"guard": {"patience": 2}}):
        scale = {"processes": 2, "backend": "fsdp2"}
        with pytest.raises(ConfigError, match=r"scale\.backend"):
            check_scale(Config.model_validate({"scale": scale, **section}))
    with pytest.raises(TrainingError, match="deepspeed is not installed"):
        check_scale(config_of(2, "deepspeed"))


@pytest.mark.parametrize("backend", ["ddp", "fsdp2", "deepspeed"])
def test_accelerate_reads_its_file(backend: str, tmp_path: Path) -> None:
    """Through accelerate's own parsers, up to the environment its launcher would set."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    path = write_launch_files(config_of(2, backend), tmp_path)
    read = load_config_from_file(str(path))
    assert read.num_processes == 2
    kinds = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed": "DEEPSPEED"}
    assert read.distributed_type == kinds[backend]
    arguments = launch_command_parser().parse_args(["--config_file", str(path), "script.py"])
    arguments, _, _ = _validate_launch_command(arguments)
    assert (arguments.multi_gpu, arguments.use_fsdp, arguments.use_deepspeed) == tuple(
        backend == name for name in kinds
    )
    if backend == "fsdp2":
        environment = prepare_multi_gpu_env(arguments)
        assert environment["FSDP_VERSION"] == "2"
        assert environment["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"


def test_fsdp_settings_make_accelerates_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env

    path = write_launch_files(config_of(2, "fsdp2"), tmp_path)
    arguments = launch_command_parser().parse_args(["--config_file", str(path), "script.py"])
    environment = prepare_multi_gpu_env(_validate_launch_command(arguments)[0])
    for key, value in environment.items():
        if key.startswith("FSDP_") and value != "None":
            monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert "FULL_STATE_DICT" in str(plugin.state_dict_type) and not plugin.activation_checkpointing


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_settings(stage: int, tmp_path: Path) -> None:
    """transformers finds no key it would have to guess; ZeRO-3 saves whole weights."""
    config = Config.model_validate(
        {"scale": {"processes": 2, "backend": "deepspeed", "zero_stage": stage}}
    )
    write_launch_files(config, tmp_path)
    assert json.loads((tmp_path / "deepspeed.json").read_text()) == deepspeed_settings(config)
    zero = deepspeed_settings(config)["zero_optimization"]
    assert zero["stage"] == stage
    assert zero.get("stage3_gather_16bit_weights_on_model_save", False) == (stage == 3)
    told = accelerate_settings(config, tmp_path)["deepspeed_config"]["deepspeed_config_file"]
    assert Path(told) == tmp_path / "deepspeed.json"
