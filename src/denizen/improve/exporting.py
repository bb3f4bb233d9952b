"""Exporting: every file a release is made of, each from the merged model or the adapter.

Contract: one GGUF a rung of the quant ladder, each with a Modelfile and a proof that llama.cpp,
trainer and template agree on every token; on request the adapter alone, for llama.cpp and for
vLLM.  Each file is an artefact whose inputs name what it was made from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from denizen.export import (
    QUANTS,
    find_template,
    modelfile,
    prove_tokens,
    write_gguf,
    write_lora_gguf,
    write_vllm_adapter,
)
from denizen.models import SYSTEM, LlamaEngine, load_tokenizer
from denizen.project import Artefact, Bar, Config, ConfigError, source_hash
from denizen.project.store import StageRecord

if TYPE_CHECKING:
    from denizen.improve.mainline import MainLine

FILES = ("lora", "vllm")
# What PEFT calls LoRA: the only adapters llama.cpp and vLLM add by themselves.
_ADDED = ("lora", "qlora")


def rungs_of(config: Config) -> tuple[str, ...]:
    """The quantisations to write, the one that ships first; raises ConfigError."""
    names = _listed(config.export.ladder, QUANTS, "export.ladder")
    return (config.export.quant, *(name for name in names if name != config.export.quant))


def files_of(config: Config) -> tuple[str, ...]:
    """The adapters to write beside the GGUF; raises ConfigError."""
    names = _listed(config.export.files, FILES, "export.files")
    if names and config.adapter.method not in _ADDED:
        raise ConfigError(
            f"a {config.adapter.method} adapter is not one that {names[0]} can add to a base",
            where="export.files",
            fix="leave it empty (the GGUF holds the merged model), or train with lora",
        )
    return names


class Exporting:
    """The export stages of a main line."""

    def __init__(self, line: MainLine) -> None:
        self.line = line
        self.rungs, self.files = rungs_of(line.config), files_of(line.config)

    def export(self) -> StageRecord:
        """All rungs and files; the record of the file that ships."""
        first, *others = self.rungs
        record = self._rung(first, "export")
        for quant in others:
            self.line.done[f"export {quant}"] = self._rung(quant, f"export {quant}")
        for name in self.files:
            body = {"lora": self._lora, "vllm": self._vllm}[name]
            self.line.done[f"export {name}"] = body()
        return record

    def gguf(self, quant: str) -> Artefact:
        """The GGUF of a rung."""
        name = "export" if quant == self.rungs[0] else f"export {quant}"
        return self.line.stages.artefact(self.line.done[name], "gguf")

    def _rung(self, quant: str, stage: str) -> StageRecord:
        line = self.line
        merged = line.stages.artefact(line.done["merge"], "merged")
        context = line.config.export.context
        inputs = {
            "merged": merged.hash,
            "quant": quant,
            "context": str(context),
            "code": source_hash("export", "models"),
        }

        def body(bar: Bar) -> Any:
            tokenizer = load_tokenizer(merged.path)
            template = find_template(tokenizer)
            name = f"denizen-{line.entry.id}.{quant.upper()}.gguf"
            with line.store.making("gguf", name, inputs) as (path, made):
                counts = write_gguf(
                    merged.path,
                    path,
                    quant=quant,
                    name=f"denizen-{line.entry.id}",
                    # A template that was put in is not in the base's own GGUF.
                    base_gguf=None if line.entry.chat_template else line.files.gguf,
                    context=context,
                    on_tensor=lambda done, total: bar.update(0.7 * done / total),
                )
            gguf = made[0]
            text = modelfile(name, SYSTEM, context=context, template=template)
            (gguf.path.parent / "Modelfile").write_text(text, "utf-8")
            recipe = line.store.put_text("modelfile", "Modelfile", text, {"gguf": gguf.hash})
            bar.update(0.8, "proving token parity")
            engine = LlamaEngine(gguf.path, context=context)
            proof = prove_tokens(
                tokenizer, engine, template=template, folder=merged.path, gguf=gguf.path
            )
            engine.close()
            figures = {
                "tensors": counts,
                "bytes": gguf.path.stat().st_size,
                "parity": proof._asdict(),
            }
            return {"gguf": gguf, "modelfile": recipe}, figures

        return line.stages.do(stage, inputs, 1, body)

    def _lora(self) -> StageRecord:
        adapter, inputs = self._adapter()

        def body(bar: Bar) -> Any:
            name = f"denizen-{self.line.entry.id}.lora.gguf"
            with self.line.store.making("lora-gguf", name, inputs) as (path, made):
                write_lora_gguf(
                    adapter.path,
                    self.line.base,
                    path,
                    base_hash=self.line.files.hash,
                    name=f"denizen-{self.line.entry.id}",
                )
            return {"lora": made[0]}, {"bytes": made[0].path.stat().st_size}

        return self.line.stages.do("export lora", inputs, 1, body)

    def _vllm(self) -> StageRecord:
        adapter, inputs = self._adapter()

        def body(bar: Bar) -> Any:
            with self.line.store.making("vllm", "vllm", inputs) as (path, made):
                written = write_vllm_adapter(
                    adapter.path,
                    self.line.base,
                    path,
                    base_hash=self.line.files.hash,
                    base_name=self.line.entry.hub_repo,
                )
            return {"vllm": made[0]}, written._asdict()

        return self.line.stages.do("export vllm", inputs, 1, body)

    def _adapter(self) -> tuple[Artefact, dict[str, str]]:
        adapter = self.line.stages.artefact(self.line.done["train"], "adapter")
        inputs = {
            "adapter": adapter.hash,
            "base": self.line.files.hash,
            "code": source_hash("export"),
        }
        return adapter, inputs


def _listed(text: str, known: tuple[str, ...], key: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(n.strip() for n in text.split(",") if n.strip()))
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown name {name!r}", where=key, fix=f"known: {', '.join(known)}")
    return names
