"""A certificate says what was run, counts only where it is whole, and a damaged one is one line."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from denizen.cli.app import main
from denizen.cli.doctor import _certified
from denizen.evm import certificate
from denizen.evm.certify.outcome import Outcome, Tally
from denizen.project import ArtefactError, Workspace

pytest.importorskip("pyrevm")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Two protocols whose runners agree with themselves; what was asked of them."""
    asked: list[tuple[str, int, int]] = []
    for name in ("one", "two"):
        module = types.ModuleType(f"runner_{name}")

        def run(cases: int, seed: int, on_case: Any, name: str = name) -> Outcome:
            asked.append((name, cases, seed))
            tally = Tally("another name", seed, (), on_case)
            for number in range(cases):
                tally.compare("a kind", number, -1 if seed == 13 and not number else number, "")
            return tally.outcome()

        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"runner_{name}", module)
    monkeypatch.setattr(certificate, "RUNNERS", {"one": "runner_one", "two": "runner_two"})
    monkeypatch.setattr(certificate, "CASES", 10)
    return asked


def test_a_protocol_named_twice_counts_once(runs: list[Any], tmp_path: Path) -> None:
    words = ["protocols", "certify", "--protocol", "one", "--protocol", "one", "--cases", "10"]
    assert main([*words, "--workspace", str(tmp_path)]) == 0
    assert runs == [("one", 10, 0)]
    found = certificate.find(Workspace(tmp_path))
    assert found and found.cases == 10 and found.outcomes[0]["protocol"] == "one"


@pytest.mark.parametrize(
    ("protocols", "cases", "short"),
    [(["one", "two"], 10, ()), (["one"], 10, ("two",)), (["one", "two"], 9, ("one", "two"))],
)
def test_doctor_takes_only_a_whole_certificate(
    runs: list[Any], protocols: list[str], cases: int, short: tuple[str, ...]
) -> None:
    made = certificate.certify(protocols, cases)
    assert made.ok and made.current and made.short == short
    check = _certified(made)
    assert check["ok"] is not bool(short) and ("under 10 cases" in check["text"]) is bool(short)


def test_a_mismatch_is_exit_code_1_and_kept(runs: list[Any], tmp_path: Path) -> None:
    words = ["protocols", "certify", "--seed", "13", "--cases", "10", "--workspace"]
    assert main([*words, str(tmp_path), "--json"]) == 1
    found = certificate.find(Workspace(tmp_path))
    assert found and not found.ok and "2 MISMATCHES" not in found.line()
    assert found.line().count("(1 MISMATCHES)") == 2 and "NOT certified" in found.line()


def test_an_unknown_protocol_is_one_line_and_runs_nothing(
    runs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["protocols", "certify", "--protocol", "one", "--protocol", "three"]
    assert main([*words, "--workspace", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and "'three'" in shown.err
    assert runs == [] and not (tmp_path / certificate.NAME).exists()


FIELDS = {"made": "", "version": "", "engine": "", "evm": ""}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        FIELDS,
        {**FIELDS, "outcomes": 5},
        {**FIELDS, "outcomes": [5]},
        {**FIELDS, "outcomes": {"a": 1}},
        {**FIELDS, "outcomes": [{"protocol": "one"}]},
        {**FIELDS, "outcomes": [{"protocol": "one", "cases": "many", "mismatches": 0}]},
        {**FIELDS, "outcomes": [{"protocol": 1, "cases": 1, "mismatches": 0}]},
        {**FIELDS, "outcomes": [], "stranger": 1},
    ],
)
def test_a_damaged_certificate_is_a_typed_error(tmp_path: Path, value: Any) -> None:
    (tmp_path / certificate.NAME).write_text(json.dumps(value))
    with pytest.raises(ArtefactError, match="cannot be read"):
        certificate.find(Workspace(tmp_path))


def test_a_folder_in_its_place_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / certificate.NAME).mkdir()
    with pytest.raises(ArtefactError, match="cannot be read"):
        certificate.find(Workspace(tmp_path))


def test_an_interrupted_run_goes_on_where_it_stopped(runs: list[Any], tmp_path: Path) -> None:
    place = Workspace(tmp_path)

    def stop(name: str) -> None:
        if name == "two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        certificate.certify((), 10, 0, on_start=stop, workspace=place)
    assert not (tmp_path / certificate.NAME).exists()
    made = certificate.certify((), 10, 0, workspace=place)
    assert runs == [("one", 10, 0), ("two", 10, 0)] and made.cases == 20
    # A finished run is over: the next one compares anew.
    certificate.certify((), 10, 0, workspace=place)
    assert len(runs) == 4


def test_the_carried_certificate_is_of_this_engine_and_whole() -> None:
    carried = certificate.find(None)
    assert carried is not None, "run `make certificate`"
    assert carried.current, "protocols/ has changed: run `make certificate`"
    assert (
        carried.ok
        and not carried.short
        and set(certificate.RUNNERS) == {outcome["protocol"] for outcome in carried.outcomes}
    )
    for outcome in carried.outcomes:
        assert outcome["contracts"] and sum(outcome["kinds"].values()) == outcome["cases"]


def test_a_partial_run_does_not_hide_the_carried_one_but_a_mismatch_does(tmp_path: Path) -> None:
    place, carried = Workspace(tmp_path), certificate.find(None)
    assert carried is not None
    first = dict(carried.outcomes[0])
    for change, hidden in (
        ({"outcomes": [first]}, False),
        ({"outcomes": [first | {"mismatches": 1}]}, True),
        ({"outcomes": [first | {"mismatches": 1}], "engine": "of another day"}, False),
    ):
        (tmp_path / certificate.NAME).write_text(json.dumps(carried.to_json() | change))
        found = certificate.find(place)
        assert found is not None and (found.hash != carried.hash) == hidden
