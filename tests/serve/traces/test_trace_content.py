"""What may be kept of questions and answers, whoever sent them."""

from __future__ import annotations

import json

import pytest
from trace_fakes import ADDRESS, KEY, redact

from denizen.serve.exchange import ToolCall, Turn
from denizen.serve.traces import names
from denizen.serve.traces.content import LONGEST, MASK, Policy, is_content, masked

SECRETS = {
    "Authorization": f"Bearer {KEY}",
    "http.request.header.authorization": "Basic abcdefgh",
    "api_key": KEY,
    "x-api-key": KEY,
    "cookie": "a=b",
    "db.password": "hunter22",
    "seed_phrase": "abandon " * 12,
}


@pytest.mark.parametrize("content", ["none", "redacted", "full"])
def test_credentials_are_never_kept(content: str) -> None:
    kept = Policy(content, redact).attributes({**SECRETS, "inner": {"Authorization": KEY, "a": 1}})
    assert kept == {"inner": {"a": 1}}


def test_counts_of_tokens_are_no_credentials() -> None:
    usage = {names.INPUT_TOKENS: 3, names.OUTPUT_TOKENS: 4, names.REQUEST_MAX_TOKENS: 9}
    assert Policy("none", redact).attributes(usage) == usage


def test_none_keeps_labels_and_numbers_but_no_text() -> None:
    kept = Policy("none", redact).attributes(
        {
            names.REQUEST_MODEL: "denizen",
            names.INPUT_MESSAGES: "[]",
            names.TOOL_ARGUMENTS: {"amount": 5},
            "gen_ai.prompt.0.content": "hello",
            "llm.input_messages.0.message.content": "hello",
            "anything.long": "x" * 300,
            "bytes": b"abc",
            "count": 3,
        }
    )
    assert kept == {names.REQUEST_MODEL: "denizen", "count": 3}
    assert Policy("none", redact).text("hello") == ""


def test_redacted_sends_every_text_through_the_redactor() -> None:
    kept = Policy("redacted", redact).attributes(
        {names.RETRIEVAL_QUERY: f"who is {ADDRESS}?", "list": [ADDRESS, KEY], "map": {"a": ADDRESS}}
    )
    assert ADDRESS not in str(kept) and KEY not in str(kept)
    assert kept[names.RETRIEVAL_QUERY] == "who is [address]?"


def test_json_in_a_text_stays_json() -> None:
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": ADDRESS}]}])
    kept = Policy("redacted", redact).attributes({names.INPUT_MESSAGES: text})
    assert json.loads(kept[names.INPUT_MESSAGES])[0]["parts"][0]["content"] == "[address]"


def test_full_keeps_addresses_and_masks_keys() -> None:
    text = Policy("full", redact).text(f"{ADDRESS} with {KEY}, Authorization: Bearer {KEY}")
    assert ADDRESS in text and KEY not in text and MASK in text


@pytest.mark.parametrize(
    "text",
    [
        f"use {KEY} now",
        "Bearer abcdefghijklmnop",
        "my private key is 0x" + "ab" * 32,
        "private_key=" + "cd" * 32,
        '"api_key": "0123456789abcdef"',
        "my seed phrase is " + "abandon " * 11 + "about",
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_key_is_masked(text: str) -> None:
    assert MASK in masked(text)
    assert "abandon about" not in masked(text) and "MHcC" not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "What does a swap of 0.5 ETH cost?",
        "tx 0x" + "ab" * 32,
        "denizen-analyst-q4_k_m",
        "a seed phrase is twelve words",
        "the private key is needed to sign",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert masked(text) == text


def test_a_redactor_that_fails_keeps_nothing() -> None:
    def broken(text: str) -> str:
        raise RuntimeError("no")

    policy = Policy("redacted", broken)
    assert policy.text("secret") == "" and policy.failures == 1


def test_texts_are_bounded_and_whole_utf8() -> None:
    assert len(Policy("full", redact).text("x" * (LONGEST + 9))) == LONGEST
    Policy("full", redact).text("half \ud83d of a pair").encode("utf-8")


def test_messages_are_the_conventions() -> None:
    turns = (
        Turn("user", f"pay {ADDRESS}"),
        Turn("assistant", "", (ToolCall("c1", "quote", '{"a": 1}'),)),
        Turn("tool", "5", tool_call_id="c1"),
    )
    found = json.loads(Policy("redacted", redact).messages(turns))
    assert [m["role"] for m in found] == ["user", "assistant", "tool"]
    assert found[0]["parts"] == [{"type": "text", "content": "pay [address]"}]
    assert found[1]["parts"][0]["type"] == "tool_call" and found[1]["parts"][0]["name"] == "quote"
    assert found[1]["parts"][0]["arguments"] == {"a": 1}, "an object, not its text"
    assert found[2]["parts"][0] == {"type": "tool_call_response", "id": "c1", "response": "5"}
    assert Policy("none", redact).messages(turns) == ""


def test_nesting_is_bounded() -> None:
    deep: object = "x"
    for _ in range(100):
        deep = [deep]
    Policy("full", redact).attributes({"deep": deep})


def test_a_name_that_goes_on_is_content_too() -> None:
    assert is_content("gen_ai.completion.3.content") and not is_content("gen_ai.prompts")


QUESTION = "my wallet holds 500 ETH, should I sell?"
ELSEWHERE = """embedding.embeddings.0.embedding.text reranker.query llm.prompt_template.variables
    all_messages_events final_result tool_arguments ai.toolCall.args langfuse.trace.metadata
    langfuse.observation.metadata logfire.msg input user_question gen_ai.event.content body
    haystack.component.input db.query.parameter.0 metadata process.command_line message"""


@pytest.mark.parametrize("name", ELSEWHERE.split())
def test_none_keeps_no_text_under_a_name_that_nobody_knows(name: str) -> None:
    policy = Policy("none", redact)
    for value in (
        QUESTION,
        [QUESTION],
        {"a": QUESTION},
        {QUESTION: 1},
        '{"prompt":"hi"}',
        "\u4f60",
    ):
        assert not policy.attributes({name: value}).get(name), value


def test_none_keeps_words_and_known_labels() -> None:
    given = {
        names.FLAGS: ["low confidence"],
        names.SERVICE_NAME: "our agent",
        names.STAGE_PREFIX + "reason": "not calibrated",
        "server.address": "vllm:8000",
        "code.id": "req_8f-2",
    }
    assert Policy("none", redact).attributes(given) == given


def test_keys_of_a_map_are_redacted_too() -> None:
    policy = Policy("redacted", redact)
    other = "0x" + "b2" * 20
    for value in ({ADDRESS: 1, other: 2}, json.dumps({ADDRESS: 1, other: 2})):
        kept = str(policy.attributes({names.TOOL_ARGUMENTS: value}))
        assert ADDRESS not in kept and other not in kept and "1" in kept and "2" in kept
