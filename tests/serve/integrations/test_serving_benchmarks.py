"""The benchmarks' own arithmetic: what they would say of servers that are right, and of wrong ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmarks import serving, soak
from benchmarks import soak_contract as contract
from benchmarks.load import Done, Run
from benchmarks.soak_clients import ACTIONS, LEFT, TRACED, Seen

META = {"generated": True, "trace_id": "t"}
WHOLE: dict[str, Any] = {
    "object": "chat.completion",
    "choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    "denizen": META,
}
HEADERS = {"x-request-id": "r"}


def chunk(**more: Any) -> str:
    delta, finish = more.pop("delta", {}), more.pop("finish_reason", None)
    choices = more.pop("choices", [{"delta": delta, "finish_reason": finish}])
    return "data: " + json.dumps({"object": "chat.completion.chunk", "choices": choices, **more})


STREAM = [
    chunk(delta={"role": "assistant"}),
    chunk(delta={"content": "x"}),
    chunk(finish_reason="stop"),
    chunk(choices=[], usage={}, denizen=META),
    "data: [DONE]",
]


def test_a_right_answer_passes_and_each_fault_is_told() -> None:
    assert contract.completion(WHOLE) == ""
    assert contract.stream(STREAM) == ""
    for change in (
        {"object": "x"},
        {"choices": []},
        {"usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 6}},
        {"denizen": {}},
        {"denizen": {"generated": True, "trace_id": ""}},
        {"choices": [{"message": {"role": "assistant", "content": None}, "finish_reason": "stop"}]},
        {"choices": [{**WHOLE["choices"][0], "finish_reason": None}]},
    ):
        assert contract.completion({**WHOLE, **change}), change
    for number in range(len(STREAM)):
        if number != 1:
            assert contract.stream([*STREAM[:number], *STREAM[number + 1 :]]), number
    assert contract.stream([*STREAM[:2], *STREAM[2:3] * 2, *STREAM[3:]]), "two finish reasons"


def test_errors_need_their_envelope_and_a_time_to_come_back() -> None:
    error = {"message": "m", "type": "invalid_request_error", "param": None, "code": None}

    def openai(status: int, headers: dict[str, str], **change: Any) -> str:
        body = json.dumps({"error": {**error, **change}}).encode()
        return contract.openai_error(status, headers, body)

    assert openai(400, HEADERS) == ""
    assert openai(400, {}) and openai(400, HEADERS, type="server_error")
    assert openai(400, HEADERS, message="") and openai(400, HEADERS, more=1)
    assert openai(503, HEADERS) and not openai(503, {**HEADERS, "retry-after": "2"})
    assert contract.openai_error(500, HEADERS, b"<html>") == "no error envelope: b'<html>'"
    assert contract.ollama_error(400, HEADERS, b'{"error": "m"}') == ""
    assert contract.ollama_error(400, HEADERS, b'{"error": {"message": "m"}}')


def test_ollamas_stream_and_vectors() -> None:
    lines = ['{"done": false}', json.dumps({"done": True, "total_duration": 1, "denizen": META})]
    assert contract.ndjson(lines) == ""
    assert contract.ndjson(lines[:1]) and contract.ndjson(lines[::-1]) and contract.ndjson([])
    assert contract.vectors({"data": [{"embedding": [0.5, 0.1]}] * 2}, 2) == ""
    assert contract.vectors({"data": [{"embedding": [0.5]}]}, 2)
    assert contract.vectors({"data": [{"embedding": [0.5]}, {"embedding": [0.5, 0.1]}]}, 2)


def test_counts_agree_or_the_difference_is_named() -> None:
    seen = [Seen("stream", "/v1/x", 200, "a"), Seen("left", "/v1/x", LEFT, "b")]
    seen.append(Seen("bad", "other", 404, "c"))
    right = {("/v1/x", "200"): 1, ("/v1/x", "499"): 1, ("other", "404"): 1, ("/readyz", "200"): 9}
    assert soak.differences(seen, right) == []
    assert soak.differences(seen, {**right, ("/v1/x", "500"): 1}) == [
        "/v1/x 500: clients 0, server 1"
    ]
    assert soak.differences(seen, {("/v1/x", "200"): 2}) == ["other 404: clients 1, server 0"]
    assert [one.accepted for one in seen] == [True, True, False]
    named = {action.__name__ for action, _ in ACTIONS}
    assert len(named) == len(ACTIONS) and len(TRACED) == 9


def test_memory_that_grows_is_seen_and_a_warm_up_is_not_held_against_it() -> None:
    warm = [(float(n), 100.0 + (50.0 if n >= 20 else 2.5 * n)) for n in range(100)]
    assert soak.judged(warm)["growth"] == 0 and soak.judged(warm)["first_mib"] == 150
    leak = [(5.0 * n, 150.0 + n) for n in range(100)]
    told = soak.judged(leak)
    assert told["growth"] > 0.05 and told["trend_mib_an_hour"] == pytest.approx(720)


def run(seconds: float, total: float, text: str = "x") -> dict[str, Any]:
    made = Run(seconds)
    made.done = [(n, Done(total / 2, total, 10, text)) for n in (1, 0)]
    return made.to_json()


def test_ratios_are_of_one_round_and_the_worst_is_reported() -> None:
    runs = {}
    for mode in serving.MODES:
        slow = 1.25 if mode.name == "whole" else 1.0
        runs[mode.name, 1, "denizen"] = [run(2.0 * slow, 104.0), run(4.0 * slow, 204.0)]
        runs[mode.name, 1, "llama.cpp"] = [run(2.0, 100.0), run(4.0, 200.0, "y")]
    levels = [serving.level(runs, mode, 1) for mode in serving.MODES]
    assert [one["throughput_ratio"] for one in levels] == [1.0, 0.8, 1.0]
    assert all(one["added_p50_ms"] == 4.0 and one["requests"] == 4 for one in levels)
    assert levels[0]["equal_answers"] == 0.5
    assert serving.worst(levels) == {"throughput_ratio": 0.8, "added_p50_ms": 4.0}
    assert levels[0]["throughput_ratio_interval"] is None  # too few rounds to say


def test_the_interval_of_a_median_is_of_order_statistics() -> None:
    # Of nine values the second and the eighth: 1 - 2 * 10 / 512 = 96.1%.
    assert serving.interval([9.0, 1, 8, 2, 7, 3, 6, 4, 5], 2) == [2.0, 8.0]
    assert serving.interval([1.0, 2, 3, 4, 5, 6], 2) == [1.0, 6.0]
    assert serving.interval([1.0, 2, 3, 4, 5], 2) is None


def test_questions_never_repeat_between_rounds() -> None:
    rounds = [serving.questions(12, f"stream 4 {number}") for number in range(2)]
    assert len({*rounds[0], *rounds[1]}) == 24
