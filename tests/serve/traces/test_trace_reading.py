"""Traces back in: Langfuse's exports in all their shapes, OTLP, our own; twice changes nothing."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trace_fakes import ADDRESS, KEY, redact, span, trace

from denizen.project.errors import ArtefactError, DataError
from denizen.serve.traces import TraceStore, names, otlp
from denizen.serve.traces.content import Policy
from denizen.serve.traces.ingesting import FILE, Ingested, _candidates, forget, ingest
from denizen.serve.traces.langfuse_files import when
from denizen.serve.traces.meaning import answer_of, question_of
from denizen.serve.traces.reading import read
from denizen.serve.traces.spans import Feedback, Source
from denizen.serve.traces.views import exported, full, lines

ONE = {
    "id": "0af7651916cd43dd8448eb211c80319c",
    "timestamp": "2026-10-01T10:00:00.123Z",
    "name": "chat",
    "input": {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "why?"}]
    },
    "output": {"role": "assistant", "content": "because."},
    "userId": "u1",
    "tags": ["prod"],
    "scores": [{"id": "s1", "name": "user_feedback", "value": 1, "comment": "good"}],
    "observations": [],
}
# As the tables of the UI and the blob storage name things.
OBSERVATIONS = [
    {
        "id": "o1",
        "trace_id": "trace-2",
        "type": "SPAN",
        "parent_observation_id": "",
        "start_time": "2026-10-01 10:00:00.000000",
        "end_time": "2026-10-01 10:00:02.000000",
        "input": '{"question": "what is the fee?"}',
        "output": "0.3%",
        "provided_model_name": "",
    },
    {
        "id": "o2",
        "trace_id": "trace-2",
        "type": "GENERATION",
        "parent_observation_id": "o1",
        "start_time": "2026-10-01 10:00:01.000000",
        "input": '[{"role": "user", "content": "a long prompt around: what is the fee?"}]',
        "output": '{"role": "assistant", "content": "0.3%"}',
        "provided_model_name": "gpt-4o",
    },
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    made = TraceStore(tmp_path / "traces.sqlite")
    yield made
    made.close()


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def as_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow({k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()})
    return out.getvalue()


def bring(store: TraceStore, *paths: Path, **more: Any) -> Ingested:
    settings = {"consent": True, "licence": "CC0-1.0", "policy": Policy("full", redact), **more}
    return ingest(read(paths), store, store.path.parent, **settings)


def rows(store: TraceStore) -> list[dict[str, Any]]:
    text = (store.path.parent / FILE).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "make",
    [
        lambda: ("t.json", [ONE]),
        lambda: ("t.json", {"data": [ONE], "meta": {"page": 1}}),
        lambda: ("t.json", ONE),
        lambda: ("t.json", {"trace": ONE, "observations": []}),
        lambda: ("t.jsonl", json.dumps(ONE) + "\n"),
        lambda: ("t.csv", "\ufeff" + as_csv([ONE])),
        lambda: ("t.json", json.dumps([ONE], indent=2)),
    ],
    ids=["array", "page", "one", "download", "lines", "csv", "indented"],
)
def test_every_shape_of_a_langfuse_trace_is_read(
    store: TraceStore, tmp_path: Path, make: Any
) -> None:
    result = bring(store, write(tmp_path / make()[0], make()[1]))
    assert (result.traces, result.new, result.eligible, result.rejects) == (1, 1, 1, [])
    (row,) = rows(store)
    assert row["trace_id"] == ONE["id"] and row["question"] == "why?"
    assert row["answer"] == "because." and row["score"] == 1.0 and row["flags"] == ["prod"]
    assert row["foreign"] and row["consent"] and row["eligible"] and row["licence"] == "CC0-1.0"
    assert row["provenance"]["format"] == "langfuse" and row["as_of"].startswith("2026-10-01T10:00")
    assert len(row["digest"]) == 64
    (stored,) = store.turns()
    assert stored.trace.arrived == "file" and stored.eligible and stored.score == 1.0
    assert store.feedback(stored.trace.id)[0].comment == "good"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_observations_without_their_trace_tell_what_the_user_saw(
    store: TraceStore, tmp_path: Path, form: str
) -> None:
    text = as_csv(OBSERVATIONS) if form == "csv" else "\n".join(map(json.dumps, OBSERVATIONS))
    result = bring(store, write(tmp_path / f"o.{form}", text))
    assert result.records == 2 and result.traces == 1
    (row,) = rows(store)
    assert row["question"] == "what is the fee?" and row["answer"] == "0.3%"
    assert row["model"] == "gpt-4o" and row["provenance"]["id"] == "trace-2"
    assert len(row["trace_id"]) == 32


def test_traces_observations_and_scores_of_many_files_are_put_together(
    store: TraceStore, tmp_path: Path
) -> None:
    score = {
        "id": "s9",
        "traceId": "trace-2",
        "name": "user-feedback",
        "value": -1,
        "dataType": "NUMERIC",
    }
    write(tmp_path / "in" / "scores.jsonl", json.dumps(score))
    write(tmp_path / "in" / "observations.jsonl", "\n".join(map(json.dumps, OBSERVATIONS)))
    bare = {"id": "trace-2", "timestamp": "2026-10-01T10:00:00Z", "name": "x"}
    write(tmp_path / "in" / "traces.jsonl", json.dumps(bare))
    result = bring(store, tmp_path / "in")
    assert (result.traces, result.eligible) == (1, 0)
    assert rows(store)[0]["score"] == -1 and rows(store)[0]["question"] == "what is the fee?"


def test_only_scores_of_users_count(store: TraceStore, tmp_path: Path) -> None:
    scores = {"toxicity": [0.0], "rating": 4, "user_feedback": "True", "kind": "good"}
    bring(store, write(tmp_path / "t.json", [{**ONE, "scores": scores}]))
    assert rows(store)[0]["score"] == 1.0 and rows(store)[0]["eligible"]


def test_reading_twice_changes_nothing(store: TraceStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", [ONE])
    bring(store, path)
    before = (store.path.parent / FILE).read_bytes()
    again = bring(store, write(tmp_path / "copy.jsonl", json.dumps(ONE)))
    assert (again.new, again.changed, again.unchanged) == (0, 0, 1)
    assert (store.path.parent / FILE).read_bytes() == before and len(store.turns()) == 1


def test_what_changed_takes_the_old_ones_place(store: TraceStore, tmp_path: Path) -> None:
    bring(store, write(tmp_path / "t.json", [ONE]), consent=False)
    assert not store.turns()[0].eligible and not rows(store)[0]["eligible"]
    changed = bring(store, write(tmp_path / "t.json", [{**ONE, "output": "so."}]))
    assert (changed.new, changed.changed) == (0, 1)
    (stored,) = store.turns()
    assert stored.trace.answer == "so." and stored.eligible
    assert [row["answer"] for row in rows(store)] == ["so."]


def test_what_was_served_here_is_known_better(store: TraceStore, tmp_path: Path) -> None:
    store.put(trace(1, id=ONE["id"]), []).result(5)
    result = bring(store, write(tmp_path / "t.json", [ONE]))
    assert result.known == 1 and result.new == 0
    assert [one.trace.arrived for one in store.turns()] == ["served"]


def test_without_consent_nothing_is_eligible(store: TraceStore, tmp_path: Path) -> None:
    result = bring(store, write(tmp_path / "t.json", [ONE]), consent=False)
    assert result.eligible == 0 and store.turns(eligible=True) == []


def test_an_injection_is_never_eligible(store: TraceStore, tmp_path: Path) -> None:
    bring(store, write(tmp_path / "t.json", [{**ONE, "tags": ["prompt-injection"]}]))
    assert not rows(store)[0]["eligible"] and not store.turns()[0].eligible


def test_texts_are_redacted_unless_all_is_kept(store: TraceStore, tmp_path: Path) -> None:
    one = {**ONE, "input": f"pay {ADDRESS} with {KEY}", "output": f"done, {ADDRESS}"}
    bring(store, write(tmp_path / "t.json", [one]), policy=Policy("redacted", redact))
    (row,) = rows(store)
    assert row["question"] == "pay [address] with [key]" and ADDRESS not in row["answer"]


def test_otlp_is_read_in_all_its_forms(store: TraceStore, tmp_path: Path) -> None:
    def one(number: int) -> Any:
        return span(
            number,
            attributes={
                names.INPUT_MESSAGES: json.dumps([{"role": "user", "content": f"q{number}"}]),
                names.OUTPUT_MESSAGES: json.dumps([{"role": "assistant", "content": "a"}]),
            },
        )

    folder = tmp_path / "otlp"
    folder.mkdir()
    (folder / "a.pb").write_bytes(otlp.encode([one(1)]))
    (folder / "b.json").write_bytes(otlp.encode([one(2)], otlp.JSON))
    both = otlp.encode([one(3)], otlp.JSON) + b"\n" + otlp.encode([one(4)], otlp.JSON)
    (folder / "c.jsonl").write_bytes(both)
    (folder / "d.pb.gz").write_bytes(gzip.compress(otlp.encode([one(5)])))
    result = bring(store, folder)
    assert result.traces == 5 and result.rejects == []
    assert {row["question"] for row in rows(store)} == {f"q{n}" for n in range(1, 6)}
    assert len(store.spans(f"{3:032x}")) == 1


def test_our_own_export_comes_back_as_it_was(store: TraceStore, tmp_path: Path) -> None:
    store.put(
        trace(1, flags=("low confidence",), confidence=0.5), [span(1), span(1, span_id="12" * 8)]
    )
    store.put(trace(2, consent=False), [])
    store.give(Feedback("ab" * 16, trace(1).id, 1.0, "yes", "key", 7)).result(5)
    out = tmp_path / "out.jsonl"
    assert exported(store, out, "jsonl") == 2 and out.stat().st_mode & 0o077 == 0
    (tmp_path / "other").mkdir()
    other = TraceStore(tmp_path / "other" / "traces.sqlite")
    result = bring(other, out)
    # Who did not consent there does not consent here.
    assert (result.traces, result.eligible) == (2, 1)
    found = {one.trace.request_id: one for one in other.turns()}
    first = found["req_1"]
    assert first.trace.question == "question 1" and first.trace.flags == ("low confidence",)
    assert first.score == 1.0 and first.trace.arrived == "file"
    assert other.spans(trace(1).id) == [
        span(1, source=otlp.OWN),
        span(1, span_id="12" * 8, source=otlp.OWN),
    ]
    assert bring(other, out).unchanged == 2
    other.close()


def test_every_turn_of_a_trace_is_its_own(store: TraceStore, tmp_path: Path) -> None:
    for number in (1, 2):
        turn = trace(7, root=f"{number:016x}", question=f"q{number}")
        store.put(turn, [span(7, span_id=f"{number:016x}")])
    store.give(Feedback("ab" * 16, trace(7).id, 1.0)).result(5)
    out = tmp_path / "out.jsonl"
    exported(store, out, "jsonl")
    (tmp_path / "other").mkdir()
    other = TraceStore(tmp_path / "other" / "traces.sqlite")
    assert bring(other, out).new == 2 and bring(other, out).unchanged == 2
    assert [one.trace.question for one in other.turns(oldest_first=True)] == ["q1", "q2"]
    assert len(other.spans(trace(7).id)) == 2 and len(other.feedback(trace(7).id)) == 1
    other.close()


def test_otlp_export_is_read_back(store: TraceStore, tmp_path: Path) -> None:
    store.put(trace(1), [span(n) for n in range(1, 6)]).result(5)
    out = tmp_path / "out.jsonl"
    assert exported(store, out, "otlp") == 1
    ((spans, _),) = read([out]).spans
    assert [one.trace_id for one in spans] == [f"{n:032x}" for n in range(1, 6)]


def test_rejects_have_their_lines(store: TraceStore, tmp_path: Path) -> None:
    text = "\n".join(
        [
            json.dumps(ONE),
            '{"id": "broken",',
            "",
            json.dumps({"something": "else"}),
            json.dumps({**ONE, "id": "t5", "input": None}),
            "17",
            json.dumps({**ONE, "id": "t7"}),
            json.dumps({"denizen_trace": 99}),
            json.dumps({"denizen_trace": 1, "trace": {"id": 5}}),
        ]
    )
    result = bring(store, write(tmp_path / "t.jsonl", text))
    assert result.traces == 2
    found = sorted((r.place.line, r.reason.split(":")[0]) for r in result.rejects)
    assert [line for line, _ in found] == [2, 4, 5, 6, 8, 9]
    assert found[2][1] == "trace 't5' holds no question"
    assert all(r.place.file == "t.jsonl" for r in result.rejects)
    assert result.to_json()["rejected"] == 6 and result.to_json()["rejects"][0]["line"]


def test_rejects_of_csv_have_their_lines(store: TraceStore, tmp_path: Path) -> None:
    text = 'id,timestamp,input,output\nt1,2026-01-01,"two\nlines",x\n,,,\nt2,2026-01-01,,x\nt3,2026-01-01,q,x\n'
    result = bring(store, write(tmp_path / "t.csv", text))
    assert [row["question"] for row in rows(store)] == ["two\nlines", "q"]
    assert sorted(r.place.line for r in result.rejects) == [4, 5]


def test_a_broken_array_keeps_what_stood_before(store: TraceStore, tmp_path: Path) -> None:
    text = json.dumps([ONE], indent=1)[:-2] + ",\n {broken"
    result = bring(store, write(tmp_path / "t.json", text))
    assert result.traces == 1 and "nothing after it" in result.rejects[0].reason


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b""),
        ("a.json", b"plain words"),
        ("a.bin", bytes(range(256))),
        ("a.json", b"\xff\xfe{\x00"),
        ("a.gz", b"\x1f\x8bnot really"),
        ("a.csv", b"id,input\n"),
        ("a.json", b"[]"),
        ("a.json", b"{\xff}"),
    ],
)
def test_what_is_no_export_is_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read([path])
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nothing.json", tmp_path / "empty"):
        with pytest.raises(DataError):
            read([path])


def test_a_damaged_list_of_candidates_is_not_overwritten(store: TraceStore, tmp_path: Path) -> None:
    write(store.path.parent / FILE, "not json")
    with pytest.raises(ArtefactError):
        bring(store, write(tmp_path / "t.json", [ONE]))
    assert (store.path.parent / FILE).read_text() == "not json"


def test_large_numbers_of_traces_are_written(store: TraceStore, tmp_path: Path) -> None:
    many = [{**ONE, "id": f"{n:032x}", "scores": []} for n in range(1, 1201)]
    seen: list[int] = []
    result = bring(store, write(tmp_path / "t.json", many), said=seen.append)
    assert result.new == 1200 and sum(seen) == 1200 and len(store.turns(limit=5000)) == 1200


@pytest.mark.parametrize(
    ("value", "question"),
    [
        ("plain", "plain"),
        ('"quoted"', "quoted"),
        ({"question": "a"}, "a"),
        ({"input": {"query": "b"}}, "b"),
        (
            [
                {"role": "user", "content": "old"},
                {"role": "assistant", "content": "x"},
                {"role": "user", "content": "new"},
            ],
            "new",
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "parts"}, {"type": "image_url"}],
                }
            ],
            "parts",
        ),
        ([{"role": "user", "parts": [{"type": "text", "content": "genai"}]}], "genai"),
        ({"messages": [[{"role": "human", "content": "nested"}]]}, "nested"),
        ([{"role": "system", "content": "only"}], ""),
        ('{"pool": "0x1", "amount": 5}', '{"pool": "0x1", "amount": 5}'),
        ({"args": ["a"], "kwargs": {}}, '{"args": ["a"], "kwargs": {}}'),
        ({}, ""),
        (None, ""),
        (17, ""),
    ],
)
def test_the_question_is_found(value: Any, question: str) -> None:
    assert question_of(value) == question


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"choices": [{"message": {"role": "assistant", "content": "a"}}]}, "a"),
        ({"role": "assistant", "content": "b"}, "b"),
        ({"answer": "c"}, "c"),
        ([{"type": "text", "text": "d"}], "d"),
        ('{"yield_assessment": "safe"}', '{"yield_assessment": "safe"}'),
    ],
)
def test_the_answer_is_found(value: Any, answer: str) -> None:
    assert answer_of(value) == answer


WORDS = """id traceId trace_id input output scores tags observations name value timestamp startTime
    type trace data resourceSpans scopeSpans spans denizen_trace feedback otlp flags role content
    messages parentObservationId level"""
KEYS = st.sampled_from(WORDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


def test_a_number_without_end_is_no_score(store: TraceStore, tmp_path: Path) -> None:
    text = json.dumps({**ONE, "scores": {"user_feedback": 1}}).replace(
        ": 1}", ": 1" + "0" * 400 + "}"
    )
    assert (
        bring(store, write(tmp_path / "t.json", text)).traces == 1
        and rows(store)[0]["score"] is None
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JSON, min_size=1, max_size=4))
def test_whatever_a_file_holds_is_read_rejected_or_refused(values: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.jsonl"
        path.write_text("\n".join(map(json.dumps, values)), "utf-8")
        try:
            found = read([path])
        except DataError:
            return
        result = Ingested("")
        made = list(_candidates(found, result, True, "x", Policy("full", redact), ["score"]))
        assert len(made) <= 20 and found.records
        json.dumps([one.row for one in made])


def test_depth_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = {"input": deep}
    assert question_of(deep) == "" and question_of("[" * 5000) == "[" * 5000


def test_times_are_read_as_utc() -> None:
    assert when("2024-05-29 13:46:19.963000") == 1_716_990_379_963_000_000
    assert when("2024-05-29T13:46:19.963Z") == 1_716_990_379_963_000_000
    assert when("soon") == when(None) == when(5) == 0


def test_a_trace_in_full_and_its_lines(store: TraceStore) -> None:
    store.put(trace(1), [span(1, attributes={"b": b"x"})]).result(5)
    value = full(store, "0000")
    assert value["turns"][0]["question"] == "question 1" and len(value["spans"]) == 1
    json.dumps(value)
    assert len(list(lines(store))) == 1 and list(lines(store, eligible=True))
    with pytest.raises(DataError, match="no trace"):
        full(store, "ff")
    store.put(trace(2), []).result(5)
    with pytest.raises(DataError, match="more than one"):
        full(store, "00")


OWN = {"denizen_trace": 1, "trace": {**asdict(trace(1)), "flags": []}}


@pytest.mark.parametrize(
    "change",
    [
        {"started": 2**70, "ended": 2**70},
        {"ended": 2**70},
        {"started": "5"},
        {"started": 1.5},
        {"prompt_tokens": "x"},
        {"prompt_tokens": 2**70},
        {"prompt_tokens": True},
        {"confidence": float("nan")},
        {"consent": "false"},
        {"content": "whatever"},
        {"caller": 5},
        {"licence": None},
        {"origin": ["x"]},
    ],
)
def test_a_line_of_ours_with_wrong_types_is_rejected_alone(
    store: TraceStore, tmp_path: Path, change: dict[str, Any]
) -> None:
    bad = {**OWN, "trace": {**OWN["trace"], **change}}
    good = {**OWN, "trace": {**OWN["trace"], "id": "ab" * 16}}
    result = bring(
        store, write(tmp_path / "o.jsonl", json.dumps(bad) + "\n" + json.dumps(good) + "\n")
    )
    assert result.new == 1 and [one.place.line for one in result.rejects] == [1]


@pytest.mark.parametrize("change", [{"at": 2**70}, {"id": 5}, {"comment": 7}, {"score": True}])
def test_feedback_of_wrong_types_is_rejected(
    store: TraceStore, tmp_path: Path, change: dict[str, Any]
) -> None:
    given = {"id": "f", "trace_id": trace(1).id, "score": 0.5, **change}
    result = bring(store, write(tmp_path / "o.jsonl", json.dumps({**OWN, "feedback": [given]})))
    assert result.new == 0 and len(result.rejects) == 1


def test_what_came_with_our_own_lines_is_redacted_too(store: TraceStore, tmp_path: Path) -> None:
    given = {"id": "f", "trace_id": trace(1).id, "score": 0.5, "comment": f"pay {ADDRESS}"}
    line = {**OWN, "trace": {**OWN["trace"], "flags": [ADDRESS]}, "feedback": [given]}
    bring(
        store,
        write(tmp_path / "o.jsonl", json.dumps(line)),
        policy=Policy("redacted", redact),
    )
    kept = json.dumps(full(store, trace(1).id))
    assert "pay [address]" in kept and ADDRESS not in kept and ADDRESS not in str(rows(store))


@pytest.mark.parametrize("value", [4, "excellent", None])
def test_feedback_on_another_scale_is_told(store: TraceStore, tmp_path: Path, value: Any) -> None:
    scores = [{"id": "s", "name": "user-feedback", "value": value}]
    result = bring(store, write(tmp_path / "t.json", json.dumps({**ONE, "scores": scores})))
    assert result.new == 1 and rows(store)[0]["score"] is None
    assert [one.reason for one in result.rejects] == [
        "score 'userfeedback' is no number from -1 to 1"
    ]


def test_a_time_beyond_what_is_stored_spoils_no_other(store: TraceStore, tmp_path: Path) -> None:
    late = {**ONE, "id": "late", "timestamp": "9999-12-31T00:00:00Z"}
    result = bring(store, write(tmp_path / "t.json", json.dumps([late, ONE])))
    assert result.new == 2 and len(store.turns()) == 2


def test_what_the_store_forgot_is_read_in_again(store: TraceStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", json.dumps(ONE))
    bring(store, path)
    store.purge(2**62)
    assert bring(store, path).unchanged == 1 and len(store.turns()) == 1


def test_odd_ends_of_lines_do_not_spoil_the_list(store: TraceStore, tmp_path: Path) -> None:
    odd = {**ONE, "input": "one\u2028two\x85three\x0bfour"}
    path = write(tmp_path / "t.json", json.dumps(odd))
    bring(store, path)
    assert bring(store, path).unchanged == 1
    forget(tmp_path, ["ab" * 16])
    assert json.loads((tmp_path / FILE).read_text("utf-8"))["question"] == odd["input"]


def test_what_utf8_cannot_hold_spoils_no_other(store: TraceStore, tmp_path: Path) -> None:
    odd = {**ONE, "id": "a\ud800", "tags": ["\udfff"]}
    name = os.fsdecode(b"t\xff.json")
    path = write(tmp_path / name, json.dumps([odd, ONE, {**ONE, "id": "b", "input": ""}]))
    result = bring(store, path, licence="\udcff")
    assert result.new == 2 and len(result.rejects) == 1
    json.dumps(result.to_json(), ensure_ascii=False).encode("utf-8")
    assert bring(store, path, licence="\udcff").unchanged == 2


def test_otlp_whose_length_looks_like_a_bracket_is_read(tmp_path: Path) -> None:
    made = (otlp.encode([span(1, name="x" * n, source=Source())]) for n in range(200))
    bodies = {body[1:2]: body for body in made}
    for bracket in (b"{", b"["):
        (tmp_path / "t.pb").write_bytes(bodies[bracket])
        assert [len(spans) for spans, _ in read([tmp_path / "t.pb"]).spans] == [1]


def test_json_may_begin_with_an_empty_line(tmp_path: Path) -> None:
    assert read([write(tmp_path / "t.json", "\n" + json.dumps(ONE))]).drafts
