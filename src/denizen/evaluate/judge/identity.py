"""The judge is never the generator: same model, same base, same weights or same server is refused.

Contract: `refuse_self_judging` raises JudgeError.  Names are compared without owner, case,
separators, format and quantisation ("org/Model-8B-Instruct-Q4_K_M.gguf" is "model 8b instruct"),
servers by host and port (every loopback name is one host).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from denizen.evaluate.judge.client import LOOPBACK
from denizen.evaluate.judge.errors import JudgeError

_FORMAT = re.compile(
    r"^(?:gguf|ggml|safetensors|onnx|gptq|awq|exl2|mlx|f16|fp16|bf16|f32|fp8|int[48]|latest|[48]bit"
    r"|i?q\d\w?|k|[sml]|\d|bnb)$"
)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Identity:
    """A model as far as it is known; an empty field says nothing.

    `base` is the model it was tuned from, `hash` the SHA-256 of its weights or artefact.
    """

    model: str
    endpoint: str = ""
    base: str = ""
    hash: str = ""


def refuse_self_judging(judge: Identity, generators: Sequence[Identity]) -> None:
    """Raises JudgeError if the judge is, or is tuned from, or serves, one of the generators."""
    for other in generators:
        shared = _names(judge) & _names(other)
        if shared:
            raise _refusal(f"the judge {judge.model} is the model it would judge", "judge.model")
        if judge.hash and judge.hash == other.hash:
            raise _refusal("the judge has the weights of what it would judge", "judge.model")
        if judge.endpoint and _server(judge.endpoint) == _server(other.endpoint):
            raise _refusal("the judge answers from the server it would judge", "judge.base_url")


def normal_name(model: str) -> str:
    """A model's name without owner, file ending, format and quantisation, in lower case words."""
    words = re.split(r"[\W_]+", re.split(r"[/\\]", model.strip())[-1].lower())
    words = [word for word in words if word]
    while len(words) > 1 and _FORMAT.match(words[-1]):
        words.pop()
    return " ".join(words)


def _names(identity: Identity) -> set[str]:
    return {normal_name(name) for name in (identity.model, identity.base)} - {""}


def _server(endpoint: str) -> tuple[str, int] | None:
    address = urlsplit(endpoint)
    if not address.hostname:
        return None
    host = "localhost" if address.hostname in LOOPBACK else address.hostname.rstrip(".")
    return host, address.port or _PORTS.get(address.scheme, 0)


def _refusal(what: str, where: str) -> JudgeError:
    return JudgeError(what, where=where, fix="judge with another model, from another family")
