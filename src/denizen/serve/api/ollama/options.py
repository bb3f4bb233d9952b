"""Ollama's `options`: how tokens are chosen, and what belongs to a loader and has no effect here.

Contract: null is as good as absent; `num_ctx` may not be above our context; samplers that are not
ours (mirostat, repeat_penalty, min_p, ...) are accepted at their neutral value and refused else.
Source: Ollama's Modelfile reference, parameters.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from denizen.serve.api import limits
from denizen.serve.api.openai.chat_body import Penalty, Seed, Share, Temperature
from denizen.serve.api.shape import Body, Ignored, No, Stops, folded_seed, stops
from denizen.serve.exchange import Fault, Sampling

_Zero = Annotated[float, Field(ge=0, le=0)]
_One = Annotated[float, Field(ge=1, le=1)]


class Options(Body):
    """The options of a request."""

    # -1 and -2 are Ollama's "until the end" and "until the context is full".
    num_predict: Annotated[int, Field(ge=-2, le=limits.TOKENS)] | None = None
    num_ctx: Annotated[int, Field(ge=1, le=2**31)] | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Field(ge=0, le=100_000)] | None = None
    seed: Seed | None = None
    stop: Stops | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_penalty: _One | None = None
    typical_p: _One | None = None
    tfs_z: _One | None = None
    min_p: _Zero | None = None
    mirostat: Annotated[int, Field(ge=0, le=0)] | None = None
    mirostat_eta: Ignored = None
    mirostat_tau: Ignored = None
    repeat_last_n: Ignored = None
    penalize_newline: Ignored = None
    num_keep: Ignored = None
    num_batch: Ignored = None
    num_gpu: Ignored = None
    num_thread: Ignored = None
    main_gpu: Ignored = None
    numa: Ignored = None
    low_vram: Ignored = None
    f16_kv: Ignored = None
    logits_all: Ignored = None
    vocab_only: Ignored = None
    use_mmap: Ignored = None
    use_mlock: Ignored = None
    embedding_only: No | None = None


def sampling(options: Options | None, context: int | None) -> Sampling:
    """The sampling of a request for a model of `context` tokens; raises Fault 400."""
    if options is None:
        return Sampling()
    if context is not None and options.num_ctx is not None and options.num_ctx > context:
        raise Fault(
            400,
            f"'options.num_ctx' is {options.num_ctx}, but this model has {context} tokens.",
            code="unsupported_value",
            param="options.num_ctx",
        )
    if options.num_predict == 0:
        raise Fault(
            400,
            "'options.num_predict' is 0: nothing would be answered.",
            code="invalid_value",
            param="options.num_predict",
        )
    wanted = options.num_predict
    return Sampling(
        max_tokens=wanted if wanted is not None and wanted > 0 else None,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=folded_seed(options.seed) if options.seed != -1 else None,  # Ollama's "at random"
        stop=stops(options.stop),
        presence_penalty=options.presence_penalty or 0.0,
        frequency_penalty=options.frequency_penalty or 0.0,
    )
