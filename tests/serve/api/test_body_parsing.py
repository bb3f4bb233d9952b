"""Bytes of a body: what parsers disagree about is refused, with a Fault and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.serve.api.openai.chat_body import ChatBody
from denizen.serve.api.parsing import parse_object, shown
from denizen.serve.api.shape import read
from denizen.serve.exchange import Fault


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "Infinity is not JSON"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "digits"),
        (b'{"a": 1' + b"0" * 78 + b"}", "digits"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"x": {"b": 1, "b": 1}}', "'b' appears twice"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "UTF-8"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\uDFFF": 1}', "surrogate"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"a": "\x00"}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
        (b'{"a": 1}\x00', "not valid JSON"),
        (b'{"a":' + b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "nested too deeply"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested too deeply"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
    ],
)
def test_bombs_and_ambiguities_are_refused(raw: bytes, words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        parse_object(raw)
    assert caught.value.status == 400 and caught.value.code == "invalid_json"


def test_what_is_fine_is_kept() -> None:
    raw = '{"a": "\\ud83d\\ude00 \\\\u0000 \\\\ud800 ż", "b": [1, -2.5, 18446744073709551616, 5.0, 1e300]}'
    made = parse_object(raw.encode())
    assert made == {"a": "\U0001f600 \\u0000 \\ud800 ż", "b": [1, -2.5, 2**64, 5, 1e300]}
    assert isinstance(made["b"][3], int) and isinstance(made["b"][4], float)


def test_an_amount_may_be_any_uint256() -> None:
    assert parse_object(b'{"a": [%d, %d]}' % (2**256 - 1, -(2**255)))["a"][0] == 2**256 - 1


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_a_fault(raw: bytes) -> None:
    try:
        assert isinstance(parse_object(raw), dict)
    except Fault as fault:
        assert fault.status == 400


def test_deep_enough_for_schemas() -> None:
    assert parse_object(b'{"a":' * 64 + b"1" + b"}" * 64)


def test_names_are_shown_safely() -> None:
    assert shown("a\n\x1b[31m" + "b" * 5000) == "'a??[31m" + "b" * 57 + "...'"


def test_floods_are_refused_quickly() -> None:
    from time import process_time

    many = b",".join(b'"%d": 0' % i for i in range(400))
    for raw in (
        b'{"model": "d", "messages": [' + b",".join([b"{" + many + b"}"] * 200) + b"]}",
        b'{"model": "d", "messages": [' + b",".join([b"0"] * 200_000) + b"]}",
        b'{"model": "d", "messages": [], "stop": [' + b",".join([b"0"] * 200_000) + b"]}",
        b"{" + b",".join(b'"%d": 0' % i for i in range(80_000)) + b"}",
    ):
        begun = process_time()
        with pytest.raises(Fault):
            read(ChatBody, parse_object(raw))
        assert process_time() - begun < 1.0
