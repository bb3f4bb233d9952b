"""Completions and embeddings: bodies and answers as the real client reads them."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse

from denizen.serve.api.metadata import token_logprob
from denizen.serve.api.openai.completion import CompletionAnswer, CompletionBody, completion_request
from denizen.serve.api.openai.embedding import EmbeddingBody, embedded_texts, embedding_answer
from denizen.serve.api.shape import read
from denizen.serve.exchange import Fault, Outcome, Piece, TokenLogprob, Usage

OUTCOME = Outcome("denizen", Usage(5, 2))


def test_a_prompt_is_gone_on_from() -> None:
    body = {"model": "denizen", "prompt": ["Once"], "logprobs": 2, "best_of": 1, "echo": False}
    request = completion_request(read(CompletionBody, body))
    assert request.text == "Once" and request.turns == () and request.logprobs == 2


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_cannot_be_honoured(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Fault) as caught:
        completion_request(read(CompletionBody, {"model": "denizen", "prompt": "x", **more}))
    assert caught.value.param == param and caught.value.status == 400


@pytest.mark.parametrize("usage", [False, True])
def test_chunks_add_up(usage: bool) -> None:
    request = completion_request(read(CompletionBody, {"model": "denizen", "prompt": "x"}))
    answer = CompletionAnswer(request, include_usage=usage, key="k", created=7)
    raw = b"".join(map(answer.piece, [Piece(text="a"), Piece(text="b", finish="stop")]))
    raw += answer.closing(OUTCOME)
    events = [e.removeprefix("data: ") for e in raw.decode().strip().split("\n\n")]
    told = [json.loads(e) for e in events[:-1]]
    assert events[-1] == "[DONE]" and told[-1]["denizen"]["generated"]
    assert "".join(c["text"] for t in told for c in t["choices"]) == "ab"
    assert (told[-1].get("usage") is not None) is usage
    assert [c["finish_reason"] for t in told for c in t["choices"]][-1] == "stop"


def test_the_plain_answer_with_logprobs() -> None:
    body = {"model": "denizen", "prompt": "x", "logprobs": 1}
    request = completion_request(read(CompletionBody, body))
    answer = CompletionAnswer(request, include_usage=False, key="k", created=7)
    answer.add(Piece(text="ab", logprobs=(TokenLogprob("ab", -0.5, (("c", -1.0),)),)))
    answer.add(Piece(text="c", logprobs=(TokenLogprob("c", -0.5),), finish="stop"))
    parsed = Completion.model_validate(json.loads(answer.whole(OUTCOME)))
    told = parsed.choices[0].logprobs
    assert parsed.choices[0].text == "abc" and told is not None
    assert told.text_offset == [0, 2] and told.top_logprobs == [{"c": -1.0}, {}]


def test_parts_of_characters_claim_no_bytes_and_keep_the_likeliest() -> None:
    half = TokenLogprob("\ufffd", -0.5, (("\ufffd", -0.5), ("\ufffd", -2.0), ("", -3.0)))
    told = token_logprob(half)
    assert told["bytes"] is None and [one["bytes"] for one in told["top_logprobs"]] == [None] * 3
    assert token_logprob(TokenLogprob("é", -0.5))["bytes"] == [195, 169]
    body = {"model": "denizen", "prompt": "x", "logprobs": 3}
    request = completion_request(read(CompletionBody, body))
    answer = CompletionAnswer(request, include_usage=False, key="k", created=7)
    answer.add(Piece(text="", logprobs=(half,), finish="stop"))
    made = json.loads(answer.whole(OUTCOME))["choices"][0]["logprobs"]
    assert made["top_logprobs"] == [{"\ufffd": -0.5, "": -3.0}]


def test_embeddings_as_numbers_and_as_base64() -> None:
    vectors, usage = ((1.0, -0.5), (0.25, 2.0)), Usage(4, 0)
    for form in ("float", "base64"):
        body = read(EmbeddingBody, {"model": "m", "input": ["a", "b"], "encoding_format": form})
        assert embedded_texts(body) == ("a", "b")
        told = embedding_answer(body, vectors, usage)
        assert told["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
        second = told["data"][1]["embedding"]
        if form == "base64":
            assert struct.unpack("<2f", base64.b64decode(second)) == (0.25, 2.0)
        else:
            assert CreateEmbeddingResponse.model_validate(told).data[1].embedding == [0.25, 2.0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"input": [[1, 2]]}, "token numbers"),
        ({"input": [1, 2]}, "token numbers"),
        ({"input": []}, "at least 1"),
        ({"input": ""}, "at least 1"),
        ({"input": ["a"] * 257}, "at most 256"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_bad_embedding_bodies(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Fault, match=words):
        read(EmbeddingBody, {"model": "m", "input": "a", **more})


def test_vectors_are_not_cut() -> None:
    body = read(EmbeddingBody, {"model": "m", "input": "a", "dimensions": 1})
    with pytest.raises(Fault, match="must be 2"):
        embedding_answer(body, ((1.0, 2.0),), Usage())
