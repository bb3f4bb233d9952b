"""Checks runs written for Axolotl with Axolotl itself: its schema, its datasets, token by token.

    AXOLOTL/bin/python tests/peers/validate_axolotl.py OUT [SCHEMA.json]

OUT is what `tests.peers.cases` wrote.  With SCHEMA.json the field names and the literals of the
schema are put there (key "axolotl") for the tests that run without Axolotl.
"""

from __future__ import annotations

import json
import os
import sys
import typing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from checking import run

os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")

# As on a machine with a recent GPU; without one Axolotl refuses 4 bits and more.
GPU = {
    "bf16": True,
    "fp8": False,
    "tf32": True,
    "n_gpu": 1,
    "n_node": 1,
    "compute_capability": "sm_90",
}


def check(folder: Path) -> str:
    import torch
    import yaml
    from axolotl.cli.config import prepare_plugins
    from axolotl.common.datasets import load_datasets, load_preference_datasets
    from axolotl.utils.config import normalize_config, validate_config
    from axolotl.utils.dict import DictDefault

    os.chdir(folder)
    wanted = json.loads(Path("expected.json").read_text())
    given = yaml.safe_load(Path("config.yaml").read_text())
    cfg = DictDefault(given)
    torch_version = torch.__version__.split("+")[0]
    env = {"torch_version": torch_version}
    cfg = validate_config(cfg, capabilities=dict(GPU), env_capabilities=env)
    missing = [k for k in given if k not in cfg and given[k] not in (None, False)]
    assert not missing, f"the schema dropped {missing}"
    prepare_plugins(cfg)
    # Quantised loading and bf16 are the GPU's; the datasets do not need them.
    cfg.load_in_4bit = cfg.load_in_8bit = False
    cfg.bf16 = False
    normalize_config(cfg)
    objective = wanted["objective"]
    if cfg.rl:
        rows = load_preference_datasets(cfg=cfg).train_dataset
    else:
        rows = load_datasets(cfg=cfg).train_dataset
    compare(objective, list(rows), wanted["rows"], cfg)
    return f"{len(rows)} rows"


def compare(objective: str, rows: list[Any], wanted: list[Any], cfg: Any) -> None:
    assert len(rows) == len(wanted), (len(rows), len(wanted))
    if objective in ("sft", "pretrain"):
        found = sorted((list(r["input_ids"]), list(r["labels"])) for r in rows)
        told = sorted((w["input_ids"], w["labels"]) for w in wanted)
        # A first token is never predicted, whatever its label.
        assert [i for i, _ in found] == [i for i, _ in told]
        assert [x[1:] for _, x in found] == [x[1:] for _, x in told]
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(cfg.base_model)

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    if objective == "dpo":
        found = sorted([ids(r["prompt"]) + ids(r[k]) for k in ("chosen", "rejected")] for r in rows)
        assert found == sorted([a["input_ids"] for a in w] for w in wanted)
    elif objective == "kto":
        found = sorted(ids(r["prompt"]) + ids(r["completion"]) for r in rows)
        assert found == sorted(w[0]["input_ids"] for w in wanted)
    else:
        if objective == "orpo":
            found = sorted(
                [ids(r["prompt"]) + ids(r[k]) for k in ("chosen", "rejected")] for r in rows
            )
        else:
            found = sorted([list(r[k]) for k in ("chosen_ids", "rejected_ids")] for r in rows)
        told = sorted([a["input_ids"] for a in w] for w in wanted)
        for have, answers in zip(found, told, strict=True):
            for mine, need in zip(have, answers, strict=True):
                # It keeps the newline some templates put after the end-of-turn token.
                assert mine[: len(need)] == need and len(mine) - len(need) <= 1


def schema() -> dict[str, Any]:
    from axolotl.utils.schemas import datasets
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.fsdp import FSDPConfig

    def fields(model: Any) -> dict[str, Any]:
        return {name: literals(f.annotation) for name, f in sorted(model.model_fields.items())}

    return {
        "version": version("axolotl"),
        "config": fields(AxolotlInputConfig),
        "fsdp_config": fields(FSDPConfig),
        "dataset": fields(datasets.SFTDataset),
        "dpo": fields(datasets.DPODataset),
        "dpo_type": fields(datasets.UserDefinedDPOType),
        "kto": fields(datasets.KTODataset),
        "kto_type": fields(datasets.UserDefinedKTOType),
    }


def literals(annotation: Any) -> list[Any] | None:
    """The values a field may have, if they are counted; else None."""
    import enum

    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return sorted(str(member.value) for member in annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return sorted(map(str, typing.get_args(annotation)))
    parts = [a for a in typing.get_args(annotation) if a is not type(None)]
    found = [literals(part) for part in parts]
    if found and all(f is not None for f in found):
        return sorted(value for f in found for value in f or ())
    return None


if __name__ == "__main__":
    sys.exit(run("axolotl", schema, check))
