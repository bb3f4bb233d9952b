"""What the rooms of the server say to each other: a request, its pieces, its outcome, its faults.

Contract: frozen values without behaviour, the same whether OpenAI's or Ollama's interface was
spoken; a backend yields Pieces, the service yields Pieces and at the end one Outcome.  A Fault is
the only way a request is refused: it carries the status, the kind and the parameter at fault.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["system", "developer", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "content_filter"]
Origin = Literal["local", "upstream", "abstained"]

# Requests that are made ready while serve.parallel others write: llama.cpp then goes on with the
# next one in the same moment, and not when Python has read it.
AHEAD = 2


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call of a model; `arguments` is JSON text, as it was written."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; `content` is plain text (parts of text are joined, others refused before)."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """What an answer must be: text, any JSON object, or an object of a JSON Schema."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: Mapping[str, Any] | None = None
    name: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen; None is the server's own default (greedy for the Analyst)."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the server: turns of a conversation, or `text` to go on from."""

    model: str
    turns: tuple[Turn, ...] = ()
    text: str | None = None
    sampling: Sampling = Sampling()
    n: int = 1
    logprobs: int | None = None  # alternatives told for each token; None: no logprobs
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] = "auto"
    format: Format = Format()
    user: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = True  # whether the pieces are wanted as they are written


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the public id of the key ("local" without keys), its scopes, the peer address."""

    id: str = "local"
    scopes: frozenset[str] = frozenset()
    address: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """The request's surroundings: its id, its caller, the trace it belongs to (W3C), its clock."""

    request_id: str
    caller: Caller = Caller()
    traceparent: str = ""
    trace_id: str = ""  # the id this request's trace gets, unless the traceparent says another
    started: float = 0.0  # time.time() when it was accepted


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token with its log probability (nats) and the likeliest alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of choice `index`: text, tool calls, and with the last one why it ended."""

    index: int = 0
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: Finish | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Cited:
    """A source an answer stands on; `start` and `end` are characters of the document."""

    document: str
    title: str
    source: str
    start: int
    end: int
    quote: str
    licence: str = ""
    as_of: str = ""
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: what the metadata of every answer says, in either interface.

    `exact`: every figure of the answer is the engine's. `corrections` are (claimed, exact).
    `flags` are short reasons such as "low confidence" or "upstream failed".
    """

    model: str
    usage: Usage
    origin: Origin = "local"
    exact: bool = False
    confidence: float | None = None
    draft: str = ""
    call: str | None = None
    derivation: tuple[str, ...] = ()
    citations: tuple[Cited, ...] = ()
    corrections: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    skill: str = ""
    adapter: str = ""
    signals: Mapping[str, float] = field(default_factory=dict)
    trace_id: str = ""


@dataclass(frozen=True)
class BackendFacts:
    """What a backend is: its model, its longest context, and the adapters it can speak with."""

    model: str
    context: int
    adapters: tuple[str, ...] = ()
    quant: str = ""
    parameters: int = 0
    family: str = ""
    size: int = 0  # bytes of the model file


class Backend(Protocol):
    """What writes tokens. Closing the iterator of `stream` cancels the work behind it."""

    @property
    def facts(self) -> BackendFacts: ...
    def stream(self, request: Request, adapter: str = "") -> AsyncIterator[Piece]:
        """Pieces of request.n choices; the last piece of all carries the usage. Raises Fault."""
        ...

    async def count(self, request: Request) -> int:
        """Tokens of the rendered prompt."""
        ...

    async def ready(self) -> bool: ...
    async def close(self) -> None: ...


class Fault(Exception):
    """A refused or failed request: status, kind (OpenAI's `type`), code, parameter, message."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind
        self.code, self.param, self.retry_after = code, param, retry_after


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision a guided answer took: its token, and how sure it was among what was allowed.

    `margin` is the best logit less the second best (inf if one token was allowed), `probability`
    that of the chosen token among the allowed ones.
    """

    token: str
    margin: float
    probability: float


@dataclass(frozen=True, slots=True)
class Guided:
    """A greedy answer under a grammar, with every decision that was taken (forced ones are not)."""

    text: str
    choices: tuple[Choice, ...]
    finish: Finish
    usage: Usage


class Guiding(Backend, Protocol):
    """A backend that can also answer under a grammar, greedily, and say how sure it was."""

    async def guided(
        self, turns: tuple[Turn, ...], grammar: str, max_tokens: int, adapter: str = ""
    ) -> Guided: ...


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A name that may be asked for: the Analyst, an adapter's, the bare model, or the embedder."""

    id: str
    kind: Literal["analyst", "adapter", "base", "embedding"]
    created: int = 0
    facts: BackendFacts | None = None
    families: tuple[str, ...] = ()  # task families that an adapter answers


class Answering(Protocol):
    """The service, as the interfaces see it."""

    @property
    def models(self) -> tuple[ModelCard, ...]: ...
    def chat(self, request: Request, visit: Visit) -> AsyncIterator[Piece | Outcome]:
        """Pieces and at the end one Outcome; raises Fault. Closing it cancels the work."""
        ...

    async def embed(
        self, model: str, texts: tuple[str, ...], visit: Visit
    ) -> tuple[tuple[tuple[float, ...], ...], Usage]: ...
    async def feedback(self, trace_id: str, score: float, comment: str, visit: Visit) -> None: ...
    async def ready(self) -> bool: ...
    async def close(self) -> None: ...
