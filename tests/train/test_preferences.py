"""Preferences, reward models and pre-training: equal to TRL's own losses, and they learn."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from denizen.data.preferences import Pair, singles
from denizen.models import SYSTEM, load_model, load_tokenizer, render, render_prompt
from denizen.models.adapters import load_adapter
from denizen.project import TrainingError
from denizen.project.config import AdapterConfig, Config, PreferenceConfig, TrainConfig
from denizen.project.errors import ArtefactError, ConfigError, DataError
from denizen.train import Job, fine_tune
from denizen.train.examples import answer_row, end_of_text, examples_of
from denizen.train.fused_lora import FusedLora
from denizen.train.methods import find_adapter, find_objective
from denizen.train.methods.orpo import log_not
from denizen.train.methods.reward import HEAD, add_head, load_reward
from denizen.train.pairs import can_share, collate_pairs, pair_sums
from denizen.train.recipe import save
from denizen.train.reference import Reference


def pair(number: int, good: str, bad: str, question: str = "") -> Pair:
    question = question or f"Pool {number} holds {number * 7} units. Which side is {number % 3}?"
    return Pair(
        id=f"rows:{number}",
        prompt=(
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
        ),
        chosen=({"role": "assistant", "content": good},),
        rejected=({"role": "assistant", "content": bad},),
    )


# Answers part in the middle, at the first token, and one is the beginning of the other.
PAIRS = [
    pair(0, "It is the left side.", "It is the right side, they say."),
    pair(1, "Neither.", "It is the left side, I think; it may be the right one."),
    pair(2, "Both are", "Both are open"),
    pair(3, "Side b of the pool 3", "Side a"),
    pair(4, "a", "b"),
]


def settings(objective: str, method: str = "lora", **train: Any) -> Config:
    return Config(
        adapter=AdapterConfig(method=method, rank=4, alpha=8),
        train=TrainConfig(**{"objective": objective, "batch_tokens": 1200, **train}),
        preference=PreferenceConfig(beta=0.3, orpo_prompt=True),
    )


def fresh(tiny: Path, config: Config) -> Any:
    import torch

    torch.manual_seed(1)
    return find_adapter(config.adapter.method).wrap(load_model(tiny), config.adapter)


def moved(model: Any) -> Any:
    """The same model some steps on: the same numbers whoever owns it."""
    import torch

    torch.manual_seed(2)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad and ".ref." not in name:
            parameter.data.add_(torch.randn(parameter.shape), alpha=0.02)
    return model


def gradients(model: Any) -> dict[str, Any]:
    return {
        name.replace(".model.base_model.", "."): p.grad.clone()
        for name, p in model.named_parameters()
        if p.grad is not None
    }


def difference(one: dict[str, Any], two: dict[str, Any]) -> float:
    import torch

    assert one.keys() == two.keys() and one
    first, second = (torch.cat([g[k].flatten() for k in sorted(one)]) for g in (one, two))
    return float((first - second).norm() / second.norm())


def text_rows(tiny: Path, rows: list[Pair]) -> list[dict[str, str]]:
    """The rows as TRL tokenises them itself: rendered text that ends with the end token."""
    tokenizer = load_tokenizer(tiny)
    found = []
    for row in rows:
        prompt = render_prompt(tokenizer, row.prompt)
        texts = [
            render(tokenizer, [*row.prompt, *answer]).text.rstrip("\n")
            for answer in (row.chosen, row.rejected)
        ]
        chosen, rejected = (text[len(prompt) :] for text in texts)
        found.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return found


def trl_arguments(kind: Any, folder: Path, **more: Any) -> Any:
    return kind(
        output_dir=str(folder),
        per_device_train_batch_size=len(PAIRS),
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        **more,
    )


def theirs(trainer: Any) -> tuple[float, dict[str, Any]]:
    """TRL's loss and gradients on its own batch."""
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return float(loss.detach()), gradients(trainer.model)


def ours(
    tiny: Path, model: Any, config: Config, rows: Any, fused: bool = False
) -> tuple[float, dict[str, Any], dict[str, float]]:
    """This project's loss, gradients and metrics, as the recipe takes a step."""
    import torch

    objective = find_objective(config)
    examples, _ = examples_of(config.train.objective, load_tokenizer(tiny), rows, config)
    layers = FusedLora(model) if fused else None
    if layers:
        layers.refresh()
    batch = objective.collate(examples)
    model.zero_grad()
    with torch.no_grad():
        batch = objective.before(model, batch, 0)
    loss, metrics = objective.loss(model, batch, None)
    loss.backward()
    found = gradients(model)
    if layers:
        layers.remove()
    return float(loss.detach()), found, dict(metrics)


def check_equal(tiny: Path, model: Any, objective: str, rows: Any, expected: Any) -> None:
    """With forked and with plain rows, with folded and with PEFT's own layers."""
    for shortcuts in (True, False):
        for fused in (True, False) if hasattr(model, "peft_config") else (False,):
            config = settings(objective, shortcuts=shortcuts)
            loss, found, _ = ours(tiny, model, config, rows, fused)
            assert loss == pytest.approx(expected[0], abs=1e-5)
            assert difference(found, expected[1]) < 1e-5


def test_dpo_equals_trl(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=fresh(tiny, settings("dpo")),
        args=trl_arguments(DPOConfig, tmp_path, beta=0.3, max_length=None),
        train_dataset=Dataset.from_list(text_rows(tiny, PAIRS)),
        processing_class=load_tokenizer(tiny),
    )
    moved(trainer.model)
    expected = theirs(trainer)
    assert abs(expected[0] - math.log(2)) > 1e-3
    model = moved(fresh(tiny, settings("dpo")))
    check_equal(tiny, model, "dpo", PAIRS, expected)
    metrics = ours(tiny, model, settings("dpo"), PAIRS)[2]
    logged = {k: v[-1] for k, v in trainer._metrics["train"].items()}
    assert metrics["margin"] == pytest.approx(logged["rewards/margins"], abs=1e-5)
    assert metrics["reward_chosen"] == pytest.approx(logged["rewards/chosen"], abs=1e-5)


def test_orpo_equals_trl(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    trainer = ORPOTrainer(
        model=fresh(tiny, settings("orpo")),
        args=trl_arguments(ORPOConfig, tmp_path, beta=0.1, max_length=900),
        train_dataset=Dataset.from_list(text_rows(tiny, PAIRS)),
        processing_class=load_tokenizer(tiny),
    )
    moved(trainer.model)
    expected = theirs(trainer)
    check_equal(tiny, moved(fresh(tiny, settings("orpo"))), "orpo", PAIRS, expected)


def test_orpo_learns_the_answer_alone_as_in_the_paper(tiny: Path) -> None:
    """Equations 3 to 7 written out on the model's plain logits."""
    import torch

    config = settings("orpo").model_copy(update={"preference": PreferenceConfig()})
    model, tokenizer = moved(fresh(tiny, config)), load_tokenizer(tiny)
    means, total, count = [], torch.zeros(()), 0
    for row in PAIRS:
        for answer in (row.chosen, row.rejected):
            ids, learnt, _ = answer_row(tokenizer, [*row.prompt, *answer], row.prompt)
            logps = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
            taken = logps.gather(1, torch.tensor(ids[1:])[:, None])[:, 0][torch.tensor(learnt[1:])]
            means.append(taken.mean())
            if answer is row.chosen:
                total, count = total - taken.sum(), count + len(taken)
    odds = [math.exp(m) / (1 - math.exp(m)) for m in torch.stack(means).tolist()]
    ratios = [math.log(a / b) for a, b in zip(odds[::2], odds[1::2], strict=True)]
    pull = sum(-math.log(1 / (1 + math.exp(-r))) for r in ratios) / len(ratios)
    loss, _, metrics = ours(tiny, model, config, PAIRS)
    assert loss == pytest.approx(float(total.detach()) / count + 0.1 * pull, abs=1e-5)
    assert metrics["log_odds"] == pytest.approx(sum(ratios) / len(ratios), abs=1e-5)


def test_log_not_is_exact_at_both_ends() -> None:
    import torch

    certain = torch.zeros(1, requires_grad=True)
    log_not(certain).backward()
    assert torch.isfinite(certain.grad).all()
    logps = torch.tensor([-1e-6, -0.5, -math.log(2), -3.0, -60.0], requires_grad=True)
    values = log_not(logps)
    exact = [math.log(-math.expm1(x)) for x in logps.tolist()]
    assert values.tolist() == pytest.approx(exact, rel=1e-5)
    values.sum().backward()
    assert torch.isfinite(logps.grad).all()


def test_kto_equals_trl(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    rows = singles(PAIRS)
    texts = [
        {"prompt": t["prompt"], "completion": t[key], "label": key == "chosen"}
        for t in text_rows(tiny, PAIRS)
        for key in ("chosen", "rejected")
    ]
    arguments = trl_arguments(KTOConfig, tmp_path, beta=0.3, max_length=None)
    arguments.per_device_train_batch_size = len(rows)
    trainer = KTOTrainer(
        model=fresh(tiny, settings("kto")),
        args=arguments,
        train_dataset=Dataset.from_list(texts),
        processing_class=load_tokenizer(tiny),
    )
    moved(trainer.model)
    expected = theirs(trainer)
    model = moved(fresh(tiny, settings("kto")))
    check_equal(tiny, model, "kto", rows, expected)
    kl = ours(tiny, model, settings("kto"), rows)[2]["kl"]
    assert kl == pytest.approx(trainer._metrics["train"]["kl"][-1], abs=1e-5)


def test_kto_leaves_no_row_alone(tiny: Path) -> None:
    config = settings("kto", batch_tokens=300)
    examples, _ = examples_of("kto", load_tokenizer(tiny), singles(PAIRS)[:5], config)
    objective = find_objective(config)
    plain = super(type(objective), objective).batches(examples, config)
    assert any(len(batch) == 1 for batch in plain)
    batches = objective.batches(examples, config)
    assert min(map(len, batches)) > 1 and sorted(i for b in batches for i in b) == [*range(5)]
    with pytest.raises(TrainingError, match="there is one"):
        objective.batches(examples[:1], config)


def test_kto_weights_count(tiny: Path, tmp_path: Path) -> None:
    model, rows = moved(fresh(tiny, settings("kto"))), singles(PAIRS)

    def loss(good: float, bad: float) -> float:
        weights = PreferenceConfig(desirable_weight=good, undesirable_weight=bad)
        config = settings("kto").model_copy(update={"preference": weights})
        return ours(tiny, model, config, rows)[0]

    assert loss(2.0, 0.0) + loss(0.0, 2.0) == pytest.approx(2 * loss(1.0, 1.0), abs=1e-6)
    assert loss(2.0, 0.0) != pytest.approx(loss(0.0, 2.0), abs=1e-4)


def test_reward_equals_trl(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    config = settings("reward")
    model = fresh(tiny, config)
    add_head(model)
    moved(model)
    their = AutoModelForSequenceClassification.from_pretrained(str(tiny), num_labels=1)
    # Transformers reads the reward at the last token that is no padding: not the end token.
    their.config.pad_token_id = load_tokenizer(tiny).convert_tokens_to_ids("<|endoftext|>")
    lora = LoraConfig(
        r=4, lora_alpha=8, target_modules=model.peft_config["default"].target_modules,
        task_type="SEQ_CLS",
    )  # fmt: skip
    trainer = RewardTrainer(
        model=get_peft_model(their, lora),
        args=trl_arguments(RewardConfig, tmp_path, max_length=None, pad_token="<|endoftext|>"),
        train_dataset=Dataset.from_list(text_rows(tiny, PAIRS)),
        processing_class=load_tokenizer(tiny),
    )
    mine = dict(model.named_parameters())
    for name, parameter in trainer.model.named_parameters():
        if parameter.requires_grad:
            parameter.data.copy_(mine[name].data)
    assert any(HEAD in n for n, p in trainer.model.named_parameters() if p.requires_grad)
    expected = theirs(trainer)
    assert abs(expected[0] - math.log(2)) > 1e-4
    check_equal(tiny, model, "reward", PAIRS, expected)


# -- forks, references -------------------------------------------------------------------------


def test_rows_fork_only_where_every_layer_sees_everything(tiny: Path) -> None:
    model = load_model(tiny)
    assert can_share(model)
    model.config.sliding_window = 16
    assert not can_share(model)
    model.config.sliding_window = None
    model.config.layer_types = ["full_attention", "sliding_attention"]
    assert not can_share(model)


@pytest.mark.parametrize("method", ["prefix", "prompt", "full"])
def test_forked_rows_equal_plain_ones(tiny: Path, method: str) -> None:
    """Also behind virtual tokens, where PEFT's own forward is the plain path."""
    import torch

    config = settings("dpo", method)
    model = moved(fresh(tiny, config))
    examples, _ = examples_of("dpo", load_tokenizer(tiny), PAIRS, config)
    forked, plain = (collate_pairs(examples, share=share) for share in (True, False))
    assert forked["input_ids"].numel() < 0.8 * plain["input_ids"].numel()
    found = []
    for batch in (forked, plain):
        model.zero_grad()
        sums = pair_sums(model, batch)
        (sums.chosen - 0.5 * sums.rejected).sum().backward()
        found.append((sums, gradients(model)))
    assert torch.allclose(found[0][0].chosen, found[1][0].chosen, atol=1e-4)
    assert torch.allclose(found[0][0].rejected, found[1][0].rejected, atol=1e-4)
    assert [t.tolist() for t in found[0][0].lengths] == [t.tolist() for t in found[1][0].lengths]
    assert difference(found[0][1], found[1][1]) < 1e-5
    ids = plain["input_ids"]
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -ids.shape[1] :]
    logps = logits.log_softmax(-1).flatten(0, 1)[plain["sources"], plain["targets"]]
    rows = torch.zeros(4 * len(PAIRS)).index_add(0, plain["owners"], logps).view(4, -1)
    assert torch.allclose(rows[1].double(), found[0][0].chosen, atol=1e-4)


def test_checkpointing_changes_nothing(tiny: Path) -> None:
    """Layers computed twice keep no cache, so no beginning is shared through one."""
    config = settings("dpo")
    model = moved(fresh(tiny, config)).train()
    expected = ours(tiny, model, config, PAIRS)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    loss, found, _ = ours(tiny, model, config, PAIRS)
    assert loss == pytest.approx(expected[0], abs=1e-6)
    assert difference(found, expected[1]) < 1e-5


def logits_of(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([[1, 40, 50, 60]])).logits


def trained(
    tiny: Path, folder: Path, config: Config, rows: Any, start: Path | None = None, stop: int = 0
) -> Any:
    """A run through the recipe; `stop` kills it after so many steps."""

    def on_step(step: int, total: int, point: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    tokenizer = load_tokenizer(tiny)
    examples, ledger = examples_of(config.train.objective, tokenizer, rows, config)
    job = Job(
        base=tiny,
        base_hash="h",
        examples=examples,
        config=config,
        work=folder / "work",
        adapter=folder / "adapter",
        supervised_share=ledger.supervised_share,
        start=start,
    )
    return fine_tune(job, on_step)


def test_reference_is_the_policy_of_the_start(tiny: Path, tmp_path: Path) -> None:
    import torch

    config = settings("sft")
    base = logits_of(load_model(tiny))
    adapter = moved(fresh(tiny, config))
    with Reference(adapter).active() as reference:
        assert torch.allclose(logits_of(reference), base, atol=1e-5)
    assert not torch.allclose(logits_of(adapter), base, atol=1e-3)

    start = tmp_path / "start"
    adapter.save_pretrained(str(start))
    went_on = load_adapter(load_model(tiny), start, trainable=True)
    at_start = logits_of(went_on)
    kept = Reference(went_on, start)
    trainable = {n for n, p in went_on.named_parameters() if p.requires_grad}
    moved(went_on)
    now = logits_of(went_on)
    with kept.active() as reference:
        assert torch.allclose(logits_of(reference), at_start, atol=1e-6)
    assert torch.allclose(logits_of(went_on), now) and not torch.allclose(now, at_start, atol=1e-3)
    # Asking the reference leaves the policy trainable, and nothing else; only the policy is saved.
    assert {n for n, p in went_on.named_parameters() if p.requires_grad} == trainable
    save(went_on, tmp_path / "saved", find_adapter("lora"), config, "h")
    assert [f.name for f in (tmp_path / "saved").rglob("*.safetensors")] == [
        "adapter_model.safetensors"
    ]
    again = load_adapter(load_model(tiny), tmp_path / "saved")
    assert torch.allclose(logits_of(again), now, atol=1e-6)

    whole = find_adapter("full").wrap(load_model(tiny), config.adapter)
    frozen = Reference(whole)
    moved(whole)
    with frozen.active() as reference:
        assert torch.allclose(logits_of(reference), base, atol=1e-6)
    assert not torch.allclose(logits_of(whole), base, atol=1e-3)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_reference_is_asked_once(tiny: Path, tmp_path: Path, method: str) -> None:
    """Before the first step, about rows that are not known; a torn line is asked about again."""
    import torch

    config = settings("dpo", method)
    objective, asked = find_objective(config), []
    score = objective.score

    def counted(model: Any, batch: Any) -> Any:
        asked.append(len(batch["ends"]) // 2)
        return score(model, batch)

    objective.score = counted
    examples, _ = examples_of("dpo", load_tokenizer(tiny), PAIRS, config)
    job = SimpleNamespace(
        base_hash="h", start=None, work=tmp_path, examples=examples, config=config
    )
    model = fresh(tiny, config)
    objective.prepare(model, job, [[0, 1], [2, 3], [1, 2], [4, 0]])
    assert sum(asked) == 5
    batch = objective.collate(examples)
    plain = load_model(tiny)
    expected = score(plain, collate_pairs(examples, share=False))
    assert torch.allclose(batch["reference"], expected, atol=1e-4)
    file = tmp_path / "reference.jsonl"
    file.write_text(file.read_text()[:-9])
    again = find_objective(config)
    again.score = counted
    again.prepare(moved(model), job, [[0, 1, 2, 3, 4]])
    assert sum(asked) == 6
    assert len(file.read_text().splitlines()) == 5
    # Another base is another reference.
    job.base_hash = "other"
    find_objective(config).prepare(model, job, [[0]])
    assert len(file.read_text().splitlines()) == 6


def test_an_unprepared_whole_model_has_no_reference(tiny: Path) -> None:
    config = settings("dpo", "full")
    with pytest.raises(TrainingError, match="unknown"):
        ours(tiny, fresh(tiny, config), config, PAIRS)


def test_dpo_goes_on_from_an_adapter(tiny: Path, tmp_path: Path) -> None:
    """The reference is that adapter's policy, so the first loss is log 2, and no other."""
    trained(tiny, tmp_path / "first", settings("orpo", learning_rate=1e-2, epochs=4), PAIRS)
    start = tmp_path / "first" / "adapter"
    config = settings("dpo", epochs=3, learning_rate=1e-2, warmup_steps=0)
    result = trained(tiny, tmp_path / "second", config, PAIRS, start)
    assert result.points[0].loss == pytest.approx(math.log(2), abs=1e-5)
    assert result.points[-1].loss < math.log(2) - 0.05


# -- they learn --------------------------------------------------------------------------------

RIGHT, WRONG = "the deep one", "the thin one"
TASK = [pair(i, f"Take {RIGHT} {i % 4}.", f"Take {WRONG} {i % 4}.", f"{i}?") for i in range(12)]
HELD_OUT = [pair(i, f"Take {RIGHT} 5.", f"Take {WRONG} 5.", f"{i}?") for i in range(40, 52)]
ROWS: dict[str, Any] = {
    "dpo": TASK,
    "orpo": TASK,
    "reward": TASK,
    "kto": singles(TASK),
    "pretrain": [
        SimpleNamespace(id=str(i), text=f"Pool {i} is deep. " * (3 + 9 * (i % 3))) for i in range(6)
    ],
}
RATES = {"lora": 1e-2, "full": 2e-3}
FALLS = {"dpo": 0.6, "orpo": 0.95, "reward": 0.2, "kto": 0.85, "pretrain": 0.9}


QUICK = {("dpo", "lora"), ("reward", "full"), ("pretrain", "lora")}


@pytest.mark.parametrize(
    ("objective", "method"),
    [
        pytest.param(o, m, marks=[] if (o, m) in QUICK else [pytest.mark.slow])
        for o in ROWS
        for m in RATES
    ],
)
def test_learns_and_resumes(tiny: Path, tmp_path: Path, objective: str, method: str) -> None:
    config = settings(
        objective, method, learning_rate=RATES[method], epochs=6, batch_tokens=800,
        save_steps=4, warmup_steps=1, max_length=200,
    )  # fmt: skip
    config = config.model_copy(update={"preference": PreferenceConfig(orpo_weight=1.0)})
    whole = trained(tiny, tmp_path / "whole", config, ROWS[objective])
    first, last = whole.points[0], whole.points[-1]
    assert last.loss < FALLS[objective] * first.loss
    if objective == "kto":
        assert last.metrics["reward_good"] > 0.2 > -0.2 > last.metrics["reward_bad"]
    elif objective == "pretrain":
        assert last.metrics["perplexity"] < 0.6 * first.metrics["perplexity"]
    else:
        assert last.metrics["preferred"] == 1.0
    with pytest.raises(KeyboardInterrupt):
        trained(tiny, tmp_path / "cut", config, ROWS[objective], stop=6)
    resumed = trained(tiny, tmp_path / "cut", config, ROWS[objective])
    assert [p.step for p in resumed.points] == [p.step for p in whole.points]
    for one, two in zip(resumed.points, whole.points, strict=True):
        assert one.loss == pytest.approx(two.loss, abs=2e-4)
    if objective == "reward":
        held_out(tiny, tmp_path / "whole" / "adapter")


def held_out(tiny: Path, folder: Path) -> None:
    """The saved reward model, loaded afresh, ranks pairs it has not seen."""
    reward = load_reward(tiny, folder)
    chosen = reward([[*p.prompt, *p.chosen] for p in HELD_OUT], batch=5)
    rejected = reward([[*p.prompt, *p.rejected] for p in HELD_OUT], batch=12)
    right = [a > b for a, b in zip(chosen, rejected, strict=True)]
    assert sum(right) == len(HELD_OUT)
    apart = [reward([[*p.prompt, *p.chosen]])[0] for p in HELD_OUT[:3]]
    assert apart == pytest.approx(chosen[:3], abs=1e-4)


def test_reward_model_refuses(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hold its head"):
        add_head(fresh(tiny, settings("reward", "prompt")))
    model = fresh(tiny, settings("reward"))
    add_head(model)
    with pytest.raises(ConfigError, match="reward model already"):
        add_head(model)
    with pytest.raises(ArtefactError, match="not a reward model"):
        load_reward(tiny, tmp_path)


# -- examples ----------------------------------------------------------------------------------


def test_every_token_of_a_text_is_learnt_once(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    texts = ["abc", "Pools <|im_end|> hold tokens. " * 9, "x" * 63]
    rows = [SimpleNamespace(id=str(i), text=t) for i, t in enumerate(texts)]
    config = settings("pretrain", max_length=32)
    examples, ledger = examples_of("pretrain", tokenizer, rows, config)
    assert max(e.length for e in examples) == 32
    end = end_of_text(tokenizer)
    assert end == tokenizer.convert_tokens_to_ids("<|endoftext|>")
    learnt = [t for e in examples for t in e.fields["labels"] if t != -100]
    documents = " ".join(tokenizer.decode(learnt).split("<|endoftext|>"))
    assert documents.split() == " ".join(texts).split()
    assert learnt.count(end) == len(texts)
    # What looks like the end of a turn in a text is spelt out.
    assert tokenizer.eos_token_id not in learnt
    for example in examples:
        assert example.fields["labels"][1:] == example.fields["input_ids"][1:]
    assert ledger.supervised == len(learnt) and ledger.rows_kept == 3


def test_only_the_answer_after_the_prompt_is_learnt(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    talk = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "earlier"},
        {"role": "user", "content": "two"},
    ]
    ids, learnt, start = answer_row(tokenizer, [*talk, {"role": "assistant", "content": "last"}])
    assert tokenizer.decode([t for t, s in zip(ids, learnt, strict=True) if s]) == "last<|im_end|>"
    assert learnt[-1] and start == learnt.index(True)


def test_too_long_and_equal_answers_are_refused(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    long = [*PAIRS, pair(9, "a" * 300, "b")]
    with pytest.raises(TrainingError, match="1 of 6 rows are longer than 250 tokens"):
        examples_of("dpo", tokenizer, long, settings("dpo", max_length=250))
    config = settings("dpo", max_length=250, drop_budget=0.2)
    kept, ledger = examples_of("dpo", tokenizer, long, config)
    assert len(kept) == ledger.rows_kept == 5 and ledger.rows_dropped == 1
    assert ledger.tokens_in == ledger.tokens_kept + ledger.dropped and ledger.dropped > 300
    with pytest.raises(DataError, match="the same"):
        examples_of("dpo", tokenizer, [pair(1, "a", "a")], config)
    with pytest.raises(TrainingError, match="empty"):
        examples_of("kto", tokenizer, [], config)
    shared = [e.length for e in kept]
    plain, _ = examples_of(
        "dpo", tokenizer, long, settings("dpo", max_length=250, drop_budget=0.2, shortcuts=False)
    )
    assert all(a < b.length for a, b in zip(shared, plain, strict=True))
