"""Proof that everyone stops where the model learnt to stop, by token id.

Contract: the token the trainer supervises after an answer must be among the ids at which
transformers (generation_config), llama.cpp (the GGUF's header) and Ollama (the Modelfile's stops)
end; each Modelfile stop must be one token, whatever transformers ends at must end llama.cpp or
Ollama too, and the BOS token is written once.  Disagreement raises ArtefactError.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from denizen.export.gguf_header import read_header
from denizen.export.templates import ChatTemplate, single_token
from denizen.models import conversation, render
from denizen.project.errors import ArtefactError

# llama.cpp ends at these by their text, whatever the header names (its vocabulary loader).
_KNOWN = ("<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>")


class StopProof(NamedTuple):
    """The id learnt, and the ids at which each side ends; () where a side was not given."""

    learnt: int
    generation: tuple[int, ...]
    gguf: tuple[int, ...]
    modelfile: tuple[int, ...]


def prove_stops(
    tokenizer: Any,
    template: ChatTemplate,
    *,
    folder: Path | None = None,
    gguf: Path | None = None,
    stops: Sequence[str] | None = None,
) -> StopProof:
    """Compare them; raises ArtefactError at the first disagreement.

    folder  the exported transformers folder (generation_config.json); None: the tokenizer's eos
    gguf    the file that ships; None: llama.cpp's side is not proven
    stops   the Modelfile's, where they are not the template's
    """
    learnt = learnt_end(tokenizer)
    named = template.stops if stops is None else tuple(stops)
    ollama = tuple(_one_token(tokenizer, stop) for stop in named)
    generation = _generation(tokenizer, folder)
    if learnt not in ollama:
        raise _differs("the Modelfile", tokenizer, learnt, ollama, "add it to the stops")
    if learnt not in generation:
        fix = "add its id to eos_token_id in generation_config.json"
        raise _differs("transformers", tokenizer, learnt, generation, fix)
    if gguf is None:
        return StopProof(learnt, generation, (), ollama)
    header = read_header(gguf)
    ends = _llama_ends(tokenizer, header)
    if learnt not in ends:
        fix = "write tokenizer.ggml.eot_token_id when exporting"
        raise _differs("llama.cpp", tokenizer, learnt, ends, fix)
    for token in generation:
        if token not in ends and token not in ollama:
            raise ArtefactError(
                f"transformers ends at token {token}, llama.cpp and the Modelfile do not",
                where=f"{gguf.name}: {sorted(ends)}",
                fix="add its text to the Modelfile's stops",
            )
    _prove_bos(template, header, gguf)
    return StopProof(learnt, generation, ends, ollama)


def learnt_end(tokenizer: Any) -> int:
    """The id that the trainer supervises right after an answer's text; raises ArtefactError."""
    rendered = render(tokenizer, conversation("a?", "b"))
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    learnt = [i for i, on in zip(rendered.input_ids, rendered.supervised, strict=True) if on]
    found = next((token for token in learnt if token in special), None)
    if found is None:
        raise ArtefactError(
            "the chat template ends an answer with no special token: nothing teaches when to stop",
            where=repr(rendered.text[-40:]),
            fix="use a chat template that closes the assistant's turn with a token of its own",
        )
    return found


def _one_token(tokenizer: Any, stop: str) -> int:
    found = single_token(tokenizer, stop)
    if found is None:
        raise ArtefactError(
            f"the stop {stop!r} is not one token of this tokenizer",
            fix="take the stops that `find_template` gives for it",
        )
    return found


def _generation(tokenizer: Any, folder: Path | None) -> tuple[int, ...]:
    for name in ("generation_config.json", "config.json"):
        path = folder / name if folder is not None else None
        if path is not None and path.exists():
            found = json.loads(path.read_text("utf-8")).get("eos_token_id")
            if found is not None:
                return tuple(found) if isinstance(found, list) else (int(found),)
    return () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)


def _llama_ends(tokenizer: Any, header: dict[str, Any]) -> tuple[int, ...]:
    keys = (f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom"))
    named = {int(header[key]) for key in keys if key in header}
    known = {single_token(tokenizer, text) for text in _KNOWN}
    return tuple(sorted(named | {token for token in known if token is not None}))


def _prove_bos(template: ChatTemplate, header: dict[str, Any], gguf: Path) -> None:
    spoken = header.get("tokenizer.ggml.model")
    adds = bool(header.get("tokenizer.ggml.add_bos_token", spoken == "llama"))
    if adds:
        twice = "twice" if template.bos else "although the trainer wrote none"
        raise ArtefactError(
            f"llama.cpp would begin the prompt with a BOS token, {twice}",
            where=gguf.name,
            fix="write tokenizer.ggml.add_bos_token = false when exporting",
        )


def _differs(who: str, tokenizer: Any, learnt: int, ends: Sequence[int], fix: str) -> ArtefactError:
    text = tokenizer.convert_ids_to_tokens(learnt)
    return ArtefactError(
        f"the model learnt to end with token {learnt} ({text}), {who} would not end there",
        where=f"{who}: {sorted(ends)}",
        fix=fix,
    )
