"""Runs for other tools: every key is one of theirs, rows give the same tokens, the rest is refused.

`peers.json` is what `make peers` reads off the tools' own schemas, in their own environments, where
it also has the tools load these very runs and compares tokens.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from tests.peers.cases import ADAPTERS, OBJECTIVES, config_of, expected, rows_of

from denizen.models import encode, load_tokenizer
from denizen.models.loading import load_model
from denizen.project import ConfigError, DataError, TrainingError
from denizen.project.config import Config
from denizen.train import engines
from denizen.train.emit import TOOLS, Emitted, emit

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("peers.json").read_text("utf-8"))
# A run of an objective, and of an adapter, as each tool can take it.
KINDS = [("sft", name) for name in ADAPTERS] + [(name, "lora") for name in OBJECTIVES[1:]]


def written(
    tool: str, tiny: Path, out: Path, objective: str = "sft", name: str = "lora"
) -> Emitted:
    config = config_of(objective, ADAPTERS[name])
    return emit(tool, config, tiny, load_tokenizer(tiny), rows_of(objective), out)


def settings_of(made: Emitted) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((made.run.parent / "config.yaml").read_text("utf-8"))
    return loaded


def rows_in(made: Emitted) -> list[dict[str, Any]]:
    lines = (made.run.parent / "data.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def possible(tool: str, objective: str, name: str) -> bool:
    if tool == "unsloth":
        return objective not in ("orpo", "reward") and name not in (
            "layers",
            "dora",
            "galore",
            "apollo",
        )
    return tool == "axolotl" or name != "layers"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("objective", "name"), KINDS)
def test_what_a_tool_cannot_do_is_refused_with_the_key(
    tool: str, objective: str, name: str, tiny: Path, tmp_path: Path
) -> None:
    if possible(tool, objective, name):
        made = written(tool, tiny, tmp_path / "run", objective, name)
        assert os.access(made.run, os.X_OK) and all(path.exists() for path in made.files)
        assert made.rows == len(expected(objective, load_tokenizer(tiny), rows_of(objective)))
    else:
        with pytest.raises(ConfigError) as refused:
            written(tool, tiny, tmp_path / "run", objective, name)
        assert refused.value.where and refused.value.where.split(".")[0] in ("adapter", "train")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("train.objective", {"train": {"objective": "grpo"}}),
        ("adapter.method", {"adapter": {"method": "mora"}}),
        ("adapter.method", {"adapter": {"method": "prefix"}}),
        ("train.start", {"train": {"start": "abc"}}),
        ("guard.probe", {"guard": {"probe": True}}),
        ("guard.replay", {"guard": {"replay": 0.1}}),
        ("guard.patience", {"guard": {"patience": 2}}),
    ],
)
def test_what_only_denizen_does_is_refused(
    tool: str, key: str, settings: dict[str, Any], tiny: Path, tmp_path: Path
) -> None:
    config = Config.model_validate(settings)
    with pytest.raises(ConfigError) as refused:
        emit(tool, config, tiny, load_tokenizer(tiny), rows_of("sft"), tmp_path / "run")
    assert refused.value.where == key and refused.value.fix


def allowed(known: dict[str, Any], settings: dict[str, Any]) -> None:
    """Every key is known, and where its values are counted, so is the value."""
    assert not settings.keys() - known.keys()
    for key, value in settings.items():
        if known[key] is not None and not isinstance(value, dict):
            assert str(value) in known[key], (key, value)


@pytest.mark.parametrize(("objective", "name"), KINDS)
def test_axolotls_schema_has_every_key(
    objective: str, name: str, tiny: Path, tmp_path: Path
) -> None:
    schema, settings = (
        SCHEMA["axolotl"],
        settings_of(written("axolotl", tiny, tmp_path, objective, name)),
    )
    allowed(schema["config"], settings)
    (dataset,) = settings["datasets"]
    kind = settings.get("rl") if settings.get("rl") in ("dpo", "kto") else "dataset"
    allowed(schema[kind], dataset)
    if kind != "dataset":
        allowed(schema[f"{kind}_type"], dataset["type"])


@pytest.mark.parametrize(("objective", "name"), [k for k in KINDS if k[1] != "layers"])
def test_llamafactorys_arguments_have_every_key(
    objective: str, name: str, tiny: Path, tmp_path: Path
) -> None:
    made = written("llamafactory", tiny, tmp_path, objective, name)
    allowed(SCHEMA["llamafactory"]["arguments"], settings_of(made))
    table = json.loads((tmp_path / "dataset_info.json").read_text("utf-8"))["denizen"]
    assert (tmp_path / table["file_name"]).exists()
    # Every column it is told of is in every row.
    assert all(row.keys() >= set(table["columns"].values()) for row in rows_in(made))


@pytest.mark.parametrize("objective", ["sft", "pretrain", "dpo", "kto"])
@pytest.mark.parametrize("name", ["lora", "rslora", "qlora", "qlora8", "full"])
def test_unsloths_script_compiles_and_calls_what_exists(
    objective: str, name: str, tiny: Path, tmp_path: Path
) -> None:
    import trl

    written("unsloth", tiny, tmp_path, objective, name)
    source = (tmp_path / "train.py").read_text("utf-8")
    compile(source, "train.py", "exec")
    seen = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).rsplit(".", 1)[-1]
        given = {keyword.arg for keyword in node.keywords}
        seen.add(called)
        if called in SCHEMA["unsloth"]:
            assert given <= set(SCHEMA["unsloth"][called])
        elif called.endswith("Config"):
            assert given <= set(inspect.signature(getattr(trl, called)).parameters)
    assert {"from_pretrained", "train", "save_pretrained"} <= seen
    assert ("get_peft_model" in seen) == (name != "full")


def tokens_of(
    tool: str, objective: str, row: dict[str, Any], tokenizer: Any
) -> list[dict[str, Any]]:
    """What the tool makes of a row, by its documented rule: pieces tokenised one by one."""
    if objective in ("sft", "pretrain"):
        if tool == "axolotl":
            pieces = [(s["text"], s["label"]) for s in row["segments"]]
        elif tool == "unsloth":
            pieces = [(p["text"], p["learnt"]) for p in row["pieces"]]
        else:
            turns = [*row["history"], [row["instruction"], row["output"]]]
            pieces = [(text, bool(n)) for turn in turns for n, text in enumerate(turn)]
        return [joined(tokenizer, pieces)]
    prompt = row["prompt" if tool != "llamafactory" else "instruction"]
    names = {"kto": ["output" if tool == "llamafactory" else "completion"]}
    answers = [row[name] for name in names.get(objective, ["chosen", "rejected"])]
    return [joined(tokenizer, [(prompt, False), (answer, True)]) for answer in answers]


def joined(tokenizer: Any, pieces: list[tuple[str, bool]]) -> dict[str, Any]:
    ids = [(token, learnt) for text, learnt in pieces for token in encode(tokenizer, text)]
    return {
        "input_ids": [token for token, _ in ids],
        # A first token is never predicted, whatever its label.
        "labels": [t if m and n else -100 for n, (t, m) in enumerate(ids)],
    }


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("objective", ["sft", "pretrain", "dpo", "kto"])
def test_rows_give_denizens_tokens_and_labels(
    tool: str, objective: str, tiny: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(tiny)
    rows = rows_in(written(tool, tiny, tmp_path, objective))
    wanted = expected(objective, tokenizer, rows_of(objective))
    for row, want in zip(rows, wanted, strict=True):
        assert tokens_of(tool, objective, row, tokenizer) == (
            want if isinstance(want, list) else [want]
        )
    if objective == "kto":
        key = "good" if tool == "llamafactory" else "label"
        assert [row[key] for row in rows] == [row.label for row in rows_of("kto")]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_row_that_is_cut_ends_where_denizens_does(tool: str, tiny: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    tokenizer = load_tokenizer(tiny)

    def cut(number: int, messages: Any, row: Any) -> Any:
        end = row.supervised.index(True) + 1
        return replace(row, input_ids=row.input_ids[:end], supervised=row.supervised[:end])

    config = config_of("sft", ADAPTERS["lora"])
    made = emit(tool, config, tiny, tokenizer, rows_of("sft"), tmp_path, cut=cut)
    for row in rows_in(made):
        (found,) = tokens_of(tool, "sft", row, tokenizer)
        assert sum(label != -100 for label in found["labels"]) == 1


@pytest.mark.parametrize("tool", ["axolotl", "llamafactory"])
def test_the_numbers_are_denizens(tool: str, tiny: Path, tmp_path: Path) -> None:
    """Rank, alpha, rate, schedule; each layer's alpha as PEFT is told it by our own adapter."""
    from denizen.train.methods.lora import lora_config

    made = written(tool, tiny, tmp_path, "sft", "lora")
    settings = settings_of(made)
    names = ("lora_r", "lora_alpha") if tool == "axolotl" else ("lora_rank", "lora_alpha")
    assert [settings[name] for name in names] == [4, 8]
    assert settings["learning_rate"] == 1e-3 and settings["max_steps"] == 2
    assert settings["lr_scheduler_kwargs"] == {"num_decay_steps": 1, "min_lr_ratio": 0.02}
    text = (tmp_path / "config.yaml").read_text("utf-8")
    assert all(f"# - {note}" in text for note in made.notes) and made.notes
    if tool == "axolotl":
        config = config_of("sft", ADAPTERS["layers"])
        own = lora_config(load_model(tiny), config.adapter)
        settings = settings_of(written(tool, tiny, tmp_path / "layers", "sft", "layers"))
        assert settings["peft_layers_to_transform"] == own.layers_to_transform == [1]
        assert settings["lora_rank_pattern"] == own.rank_pattern == {"q_proj": 32}
        assert settings["lora_alpha_pattern"] == own.alpha_pattern


def test_what_a_format_cannot_hold_is_refused(tiny: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    (row, *_) = rows_of("sft")
    row.messages[1]["content"] = "What is in <image>?"
    with pytest.raises(DataError, match="reads <image>"):
        emit("llamafactory", config_of("sft", {}), tiny, tokenizer, [row], tmp_path / "a")
    (pair, *_) = rows_of("orpo")
    more = [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    pair = SimpleNamespace(**{**vars(pair), "prompt": [*pair.prompt, *more]})
    with pytest.raises(DataError, match="one question"):
        emit("axolotl", config_of("orpo", {}), tiny, tokenizer, [pair], tmp_path / "b")


@pytest.mark.parametrize("backend", ["ddp", "fsdp2", "deepspeed"])
def test_many_processes_share_the_step(backend: str, tiny: Path, tmp_path: Path) -> None:
    scale = {"processes": 2, "backend": backend}
    config = config_of("sft", {}, scale=scale)
    tokenizer, rows = load_tokenizer(tiny), rows_of("sft")
    one = emit("axolotl", config_of("sft", {}), tiny, tokenizer, rows, tmp_path / "one")
    two = emit("axolotl", config, tiny, tokenizer, rows, tmp_path / "two")
    settings = settings_of(two)
    assert settings["micro_batch_size"] * 2 == settings_of(one)["micro_batch_size"] == 4
    assert "--num-processes 2" in two.run.read_text() and "process" not in one.run.read_text()
    assert ("fsdp_config" in settings) == (backend == "fsdp2")
    if backend == "fsdp2":
        allowed(SCHEMA["axolotl"]["fsdp_config"], settings["fsdp_config"])
        with pytest.raises(ConfigError, match="FSDP"):
            emit("llamafactory", config, tiny, tokenizer, rows, tmp_path / "three")
    else:
        made = emit("llamafactory", config, tiny, tokenizer, rows, tmp_path / "three")
        assert "NPROC_PER_NODE=2" in made.run.read_text()
        assert ("deepspeed" in settings_of(made)) == (backend == "deepspeed")


# -- engine: unsloth ----------------------------------------------------------------------------


class Loader:
    """A stand-in for Unsloth's loader: keeps what it was called with, loads with transformers."""

    calls: dict[str, dict[str, Any]]

    @classmethod
    def from_pretrained(cls, **arguments: Any) -> tuple[Any, None]:
        cls.calls = {"from_pretrained": arguments}
        return load_model(Path(arguments["model_name"])), None

    @classmethod
    def get_peft_model(cls, model: Any, **arguments: Any) -> Any:
        cls.calls["get_peft_model"] = arguments
        return ("wrapped", model)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import torch

    module = ModuleType("unsloth")
    module.FastLanguageModel = Loader  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unsloth", module)
    monkeypatch.setattr(engines, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize("name", ["lora", "rslora", "qlora", "qlora8", "full"])
def test_unsloth_is_called_by_its_own_names(name: str, gpu: None, tiny: Path) -> None:
    config = config_of("sft", ADAPTERS[name])
    model = engines.unsloth_model(tiny, config, "bfloat16")
    assert ("get_peft_model" in Loader.calls) == isinstance(model, tuple) == (name != "full")
    for method, given in Loader.calls.items():
        assert given.keys() <= set(SCHEMA["unsloth"][method])
    loaded = Loader.calls["from_pretrained"]
    assert str(loaded["dtype"]) == "torch.bfloat16"
    assert (loaded["load_in_4bit"], loaded["load_in_8bit"], loaded["full_finetuning"]) == (
        name == "qlora",
        name == "qlora8",
        name == "full",
    )


def test_unsloth_without_a_gpu_or_the_package(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from tests.train.test_scale import examples_of

    from denizen.train import Job, fine_tune

    config = config_of("sft", {})
    config = config.model_copy(
        update={"train": config.train.model_copy(update={"engine": "unsloth"})}
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"needs a GPU.*train\.engine to trl"):
        fine_tune(Job(tiny, "x", examples_of(tiny), config, tmp_path / "w", tmp_path / "a"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(TrainingError, match="pip install unsloth"):
        engines.check_unsloth(config)
    for method in ("dora", "galore", "prompt"):
        adapter = config.adapter.model_copy(update={"method": method})
        with pytest.raises(ConfigError, match=f"no {method}"):
            engines.check_unsloth(config.model_copy(update={"adapter": adapter}))
