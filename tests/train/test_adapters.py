"""Every adapter by the same proofs: it learns, only what it owns moves, it loads, merges, resumes.

The base is the tiny model taught to write a word twice ("say red" -> "red red"); the task is to
answer "teal teal" to anything, which a few kilobytes of virtual tokens can do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from denizen.export import merge_adapter
from denizen.models import conversation, load_model, load_tokenizer
from denizen.models.adapters import load_adapter
from denizen.project import ArtefactError
from denizen.project.config import AdapterConfig, Config, TrainConfig
from denizen.train import Job, TrainingResult, fine_tune, rendered_example, tabulate
from denizen.train.batch import collate_rows
from denizen.train.guards import Quiet
from denizen.train.loss import supervised_loss
from denizen.train.methods import ADAPTERS, find_adapter

NAMES = [name for name in ADAPTERS if find_spec(f"denizen.train.methods.{name}")]
WORDS = ("red", "blue", "green", "gold", "grey", "pink", "teal", "brown")
# The tiny model's weights are larger than a real model's: its rates are, too.
RATES = {"mora": 2e-3, "full": 5e-4, "galore": 2e-3, "apollo": 5e-4, "prefix": 0.1, "prompt": 3e-2}


def examples(base: Path, rows: list[tuple[str, str]]) -> list[Any]:
    rendered, _ = tabulate(
        load_tokenizer(base),
        [conversation(question, answer, "Be brief.") for question, answer in rows],
        max_length=512,
        drop_budget=0.0,
    )
    return [rendered_example(row) for row in rendered]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small are slower on many threads, much slower on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    model, tokenizer = load_model(tiny).train(), load_tokenizer(tiny)
    rows = [(f"{'ab' * (i % 3)} say {w}", f"{w} {w}") for i in range(3) for w in WORDS]
    batches = [collate_rows([e.fields for e in examples(tiny, rows[i::3])]) for i in range(3)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for number in range(90):
        loss = supervised_loss(model, **batches[number % 3])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    assert float(loss.detach()) < 0.1
    folder = tmp_path_factory.mktemp("taught")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Witness(Quiet):
    """A guard that keeps the model under training."""

    name = "witness"
    model: Any = None

    def at_end(self, model: Any) -> None:
        self.model = model

    def summary(self) -> dict[str, Any]:
        return {}


def configuration(method: str) -> Config:
    return Config(
        adapter=AdapterConfig(method=method, virtual_tokens=8, projection_steps=3),
        train=TrainConfig(
            batch_tokens=600,
            epochs=4,
            learning_rate=RATES.get(method, 5e-3),
            warmup_steps=2,
            save_steps=6,
        ),
    )


def run(
    base: Path, folder: Path, method: str, on_step: Callable[..., None] = lambda *_: None
) -> tuple[TrainingResult, Any]:
    task = [(f"{'cd' * (i % 3)} {'xyz'[i % 3] * (1 + i % 4)}", "teal teal") for i in range(24)]
    witness = Witness()
    job = Job(
        base=base,
        base_hash="h",
        examples=examples(base, task),
        config=configuration(method),
        work=folder / "work",
        adapter=folder / "adapter",
        guards=[witness],
    )
    return fine_tune(job, on_step), witness.model


class Finished(NamedTuple):
    method: str
    result: TrainingResult
    model: Any
    adapter: Path


@pytest.fixture(scope="module", params=NAMES)
def finished(
    request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    folder = tmp_path_factory.mktemp(request.param)
    result, model = run(base, folder, request.param)
    return Finished(request.param, result, model, folder / "adapter")


def test_learns(finished: Finished) -> None:
    losses = [point.loss for point in finished.result.points]
    assert len(losses) == 12
    # The rows of a step differ: means of three steps are compared.
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3]), losses


def test_every_trainable_tensor_moved_and_no_other(finished: Finished, base: Path) -> None:
    import torch

    method, settings = find_adapter(finished.method), configuration(finished.method)
    load = getattr(method, "load", None)
    torch.manual_seed(settings.data.seed)
    start = load(base, settings.adapter, "float32") if load else load_model(base)
    before = dict(method.wrap(start, settings.adapter).named_parameters())
    after = dict(finished.model.named_parameters())
    assert after.keys() == before.keys() and any(p.requires_grad for p in after.values())
    for name, parameter in after.items():
        assert parameter.requires_grad == before[name].requires_grad, name
        moved = not torch.equal(parameter, before[name])
        assert moved == parameter.requires_grad, name
        if not method.whole:
            assert not (parameter.requires_grad and ("embed_tokens" in name or "lm_head" in name))
    if method.whole:
        assert all(p.requires_grad for p in after.values())


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model.eval()(input_ids=torch.arange(5, 60)[None]).logits


def test_saved_loaded_and_merged_are_equal(finished: Finished, base: Path, tmp_path: Path) -> None:
    import torch

    method, settings = find_adapter(finished.method), configuration(finished.method)
    load = getattr(method, "load", None)
    if method.whole:
        loaded = load_model(finished.adapter)
    else:
        start = load(base, settings.adapter, "float32") if load else load_model(base)
        loaded = load_adapter(start, finished.adapter)
    trained = {n: p for n, p in finished.model.named_parameters() if p.requires_grad}
    for name, parameter in loaded.named_parameters():
        if name in trained:
            assert torch.equal(parameter, trained.pop(name)), name
    assert not trained
    # Of prompt tuning PEFT gives the virtual tokens' logits, too.
    assert not torch.allclose(logits(loaded)[:, -55:], logits(load_model(base)), atol=0.05)
    if method.mergeable:
        merge_adapter(base, finished.adapter, tmp_path, base_hash="h")
        merged = load_model(tmp_path)
        assert torch.allclose(logits(merged), logits(loaded), atol=1e-5)
        assert load_tokenizer(tmp_path).chat_template
    else:
        with pytest.raises(ArtefactError, match="no form as weights"):
            merge_adapter(base, finished.adapter, tmp_path, base_hash="h")
        assert not list(tmp_path.iterdir())


class Killed(Exception):
    pass


def test_resumed_run_has_the_same_curve(finished: Finished, base: Path, tmp_path: Path) -> None:
    def kill(step: int, *_: Any) -> None:
        if step == 8:
            raise Killed

    with pytest.raises(Killed):
        run(base, tmp_path, finished.method, kill)
    assert not (tmp_path / "adapter").exists()
    seen: list[int] = []
    resumed, _ = run(base, tmp_path, finished.method, lambda step, *_: seen.append(step))
    # Not begun anew: it went on from the checkpoint of step 6.
    assert seen == list(range(7, 13))
    whole = finished.result.points
    assert [p.step for p in resumed.points] == [p.step for p in whole]
    for one, two in zip(resumed.points, whole, strict=True):
        assert one.loss == pytest.approx(two.loss, abs=2e-5), one.step
        assert one.learning_rate == two.learning_rate
