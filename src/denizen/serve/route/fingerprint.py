"""What a calibration's figures depend on, each as a hash or a word, to be compared when it is used.

Contract: `depends_on` names all that changes a local answer, its signals, its verdict or what is
promised of it; equal values mean equal signals.  `differing` names what is not equal.  The chat
template and the tokenizer are the GGUF's own; how it is read and guided is this program's code and
llama.cpp's version; the meaning of the signals themselves is calibration.VERSION's.
Raises ArtefactError for an adapter that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from denizen.project.errors import ArtefactError
from denizen.project.hashing import content_hash, sha256_file, source_hash
from denizen.serve.route.signals import MARGIN_CAP, SIGNALS

if TYPE_CHECKING:
    from denizen.project.config import Config
    from denizen.retrieve import Index
    from denizen.tasks import Suite

# Figures of several kinds: what is written around them and allowed after them is the same for all.
_PROBE = "Is a position of 4,500 USDC from 2,000 to 3,000 in range at 2,500, at 5% for 30 days?"
# Names a kind of answer of its own, whose absence or change leaves the others as they were.
DOCUMENTS = "documents"
# What is promised: other answers are not needed for another promise, but another threshold is.
PROMISE = "promised risk"


def depends_on(
    config: Config, suite: Suite, gguf: str, index: Index | None = None
) -> dict[str, str]:
    """By name: the model (its file's SHA-256), and how it is asked, guided and judged."""
    found = {
        "model": gguf,
        "task families": suite_hash(suite),
        "skills or adapters": content_hash([dict(config.serve.skills), _adapters(config)]),
        "reasoning": config.serve.reasoning,
        "token limit": str(config.evaluate.max_new_tokens),
        "prompt": _prompt(config, suite),
        "signals": content_hash([SIGNALS, MARGIN_CAP]),
        "code or llama.cpp": _code(),
        PROMISE: f"{config.route.risk} but for {config.route.delta}",
    }
    if index is not None:
        found[DOCUMENTS] = _documents(config, index)
    return found


def differing(made_for: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """What is not as it was when the calibration was made, by name; documents are told apart."""
    return tuple(n for n in now if n != DOCUMENTS and made_for.get(n) != now[n])


def suite_hash(suite: Suite) -> str:
    """Hash of the families and the code that makes and judges them."""
    return content_hash({"families": suite.names, "code": source_hash("tasks")})


def _adapters(config: Config) -> dict[str, str]:
    """Adapters by name with their files' hashes: another file answers otherwise."""
    found = {}
    for name, path in config.serve.adapters.items():
        try:
            found[name] = sha256_file(Path(path))
        except OSError as error:
            raise ArtefactError(
                f"the adapter {name!r} cannot be read", where=path, fix="see serve.adapters"
            ) from error
    return found


def _prompt(config: Config, suite: Suite) -> str:
    """Hash of the turns and the grammar of a question, as the draft stage makes them."""
    from denizen.serve.answering.composing import grammar_of
    from denizen.serve.answering.conversation import read
    from denizen.serve.exchange import Request, Turn

    talk = read(Request("", (Turn("user", _PROBE),)))
    grammar = grammar_of(suite, talk.written, config.serve.reasoning)
    return content_hash([[asdict(turn) for turn in talk.turns], grammar])


def _code() -> str:
    """Hash of what makes answers and margins out of a file and a prompt."""
    return content_hash(
        [source_hash("models", "serve/backend", "serve/answering"), version("xllamacpp")]
    )


def _documents(config: Config, index: Index) -> str:
    """Hash of what finds passages and says that they answer: not of the passages themselves."""
    models = index.snapshot().calibrations.values()
    answerable = [asdict(model) for model in models if model is not None]
    return content_hash([index.encoder.id, config.serve.passages, answerable])
