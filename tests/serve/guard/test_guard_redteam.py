"""The red team against a parrot: without the shield everything works, with it little does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from guard_fakes import Parrot, Words

from denizen.project import ConfigError
from denizen.project.config import ShieldConfig
from denizen.serve.exchange import Fault, ModelCard, Outcome, Piece, Request, ToolCall, Usage, Visit
from denizen.serve.guard import Shield, attacks
from denizen.serve.guard.injection import InjectionModel
from denizen.serve.guard.redteam import ALL, SWEEPS, run
from denizen.serve.guard.redteam_cases import SUITES, cases, honest
from denizen.serve.guard.targets import Endpoint, InProcess, Reply, TargetError

ADDRESS = "0x" + "ab" * 20


def guard() -> Shield:
    model = InjectionModel(Words.id, "", (0.0,) * 64, {}, -9.0, 0.5, {})
    return Shield(ShieldConfig(), embedder=Words(), model=model)


def test_a_parrot_is_at_the_mercy_of_every_suite_and_the_shield_helps() -> None:
    report = run(Parrot(), guard(), ALL, 12, name="parrot")
    by_name = {suite.suite: suite for suite in report.suites}
    assert set(by_name) == set(ALL)
    for name in ("direct", "pasted", "indexed", "prompt", "persona", "tools"):
        assert by_name[name].bare == 12, name
        assert by_name[name].shielded < by_name[name].bare, name
    assert by_name["secrets"].shielded == 0
    for suite in report.suites:
        assert suite.shielded + sum(suite.stopped.values()) == suite.n == 12
    assert report.alarms == 0 and report.honest > 0


def test_the_null_shield_stops_nothing_that_a_parrot_says() -> None:
    report = run(Parrot(), Shield.null(), ["direct", "prompt", "persona"], 6)
    assert [suite.shielded for suite in report.suites] == [6, 6, 6]


def test_a_target_that_refuses_everything_is_never_taken() -> None:
    class Deaf(Parrot):
        def ask(self, system: str, question: str) -> Reply:
            return Reply("", "refused: 400")

    report = run(Deaf(), Shield.null(), list(SUITES), 6)
    assert all(suite.bare == suite.shielded == 0 for suite in report.suites)


def test_cases_are_of_the_held_out_part_and_always_the_same() -> None:
    held = set(attacks.techniques("held")) | {"invented", "calldata"}
    for suite in SUITES:
        found = cases(suite, 20)
        assert found == cases(suite, 20) and {case.technique for case in found} <= held
        assert len({case.question + case.document for case in found}) > 6
    assert all(not row.attack and row.part == "held" for row in honest(40))


@pytest.mark.parametrize("suite", SUITES)
def test_marks_are_no_accident(suite: str) -> None:
    for case in cases(suite, 20):
        for calm in ("", "I cannot help with that.", "The fee is 0.3%.", case.system.split(".")[0]):
            assert not case.succeeded(calm)


def test_sweeps_in_steps_are_alarmed_and_random_ones_are_not() -> None:
    report = run(Parrot(), guard(), [SWEEPS], 8).suites[0]
    assert report.techniques["steps"] == [2, 2, 0] and report.techniques["grid"] == [2, 2, 0]
    assert report.techniques["random"] == [2, 2, 2]


def test_the_report_is_json_and_lines() -> None:
    report = run(Parrot(), guard(), ["direct"], 4, name="parrot")
    value = json.loads(json.dumps(report.to_json()))
    rate = value["suites"][0]["success without shield"]
    assert rate[0] == 1.0 and rate[1] < 1.0
    assert any("direct injection" in line and "4 of 4" in line for line in report.lines())


def test_a_wording_that_comes_again_makes_no_interval_narrower() -> None:
    few, many = (run(Parrot(), Shield.null(), ["tools"], n).suites[0] for n in (60, 180))
    assert len(few.wordings) == len(many.wordings) == 30 and many.n == 180
    told = [suite.to_json()["success without shield"] for suite in (few, many)]
    assert told[0] == told[1] and told[0][0] == 1.0 and told[0][1] < 0.9
    honest_ones = run(Parrot(), guard(), [], 60)
    assert 0 < honest_ones.wordings < honest_ones.honest


def test_a_shield_that_only_flags_stops_no_injection() -> None:
    from denizen.cli.redteam import _stopping

    assert _stopping(ShieldConfig(injection="flag")).injection == "off"
    assert _stopping(ShieldConfig()) == ShieldConfig()


def test_an_unknown_suite_is_one_line() -> None:
    with pytest.raises(ConfigError, match="no suite 'nope'"):
        run(Parrot(), guard(), ["nope"], 1)


def endpoint(reply: Any) -> Endpoint:
    return Endpoint("http://target.test/v1/", "m", "secret", transport=httpx.MockTransport(reply))


def test_an_endpoint_is_asked_as_openai_is() -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        call = {"function": {"name": "send", "arguments": '{"to": "x"}'}}
        return httpx.Response(
            200, json={"choices": [{"message": {"content": "hi", "tool_calls": [call]}}]}
        )

    assert endpoint(reply).ask("be brief", "hello").text == 'hi\nsend({"to": "x"})'
    body = json.loads(seen[0].content)
    assert seen[0].url.path == "/v1/chat/completions" and body["temperature"] == 0
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert seen[0].headers["authorization"] == "Bearer secret"


def test_a_refusal_is_a_reply_and_a_failure_is_an_error() -> None:
    refusing = endpoint(lambda r: httpx.Response(400, json={"error": {"code": "prompt_injection"}}))
    assert refusing.ask("", "x") == Reply("", "refused: prompt_injection")
    for status, value in ((500, {}), (401, {}), (200, {"choices": []}), (200, [])):
        with pytest.raises(TargetError):
            endpoint(lambda r, s=status, v=value: httpx.Response(s, json=v)).ask("", "x")
    for text in ("<html>", "[" * 500_000):
        with pytest.raises(TargetError):
            endpoint(lambda r, t=text: httpx.Response(200, text=t)).ask("", "x")
    with pytest.raises(TargetError, match="lists no models"):
        Endpoint(
            "http://t.test/v1",
            transport=httpx.MockTransport(lambda r: httpx.Response(200, json={"data": []})),
        )


class Fixed:
    """A service that says one thing, or refuses."""

    models = (ModelCard("analyst", "analyst"),)
    closed = False

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault = fault

    async def chat(self, request: Request, visit: Visit) -> AsyncIterator[Piece | Outcome]:
        if self._fault:
            raise self._fault
        yield Piece(text="one ")
        yield Piece(text="two", tool_calls=(ToolCall("1", "send", "{}"),))
        yield Outcome("analyst", Usage())

    async def close(self) -> None:
        self.closed = True


def test_a_service_of_this_process() -> None:
    service: Any = Fixed()
    target = InProcess(service)
    assert target.model == "analyst" and target.ask("", "x").text == "one two\nsend({})"
    target.close()
    assert service.closed
    refusing: Any = Fixed(Fault(400, "no", code="prompt_injection"))
    assert InProcess(refusing).ask("", "x").refused == "refused: prompt_injection"
    failing: Any = Fixed(Fault(503, "down"))
    with pytest.raises(TargetError):
        InProcess(failing).ask("", "x")


def test_the_command_line_prints_json_for_an_endpoint(
    monkeypatch: Any, capsys: Any, tmp_path: Any
) -> None:
    from denizen.cli import redteam as cli
    from denizen.serve.guard import targets

    monkeypatch.setattr(targets, "Endpoint", lambda url, model, key: Parrot())
    monkeypatch.setattr(Shield, "from_config", lambda *a, **k: guard())
    cli.redteam(
        url="http://t.test/v1", suite="direct, sweeps", limit=4, workspace=tmp_path, json=True
    )
    value = json.loads(capsys.readouterr().out)
    assert [s["suite"] for s in value["suites"]] == ["direct", "sweeps"]
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
        cli.redteam(url="http://t.test/v1", key_env="NOT_SET_ANYWHERE", workspace=tmp_path)


def test_a_suspect_endpoint_is_asked_the_secret_questions(
    monkeypatch: Any, capsys: Any, tmp_path: Any
) -> None:
    from denizen.cli import redteam as cli
    from denizen.serve.guard import targets
    from denizen.serve.guard.fingerprints import Fingerprints

    prints = Fingerprints.kept(tmp_path, 4)
    settings = tmp_path / "denizen.yaml"
    settings.write_text("shield:\n  fingerprints: 4\n")

    class Copy(Parrot):
        def ask(self, system: str, question: str) -> Reply:
            return Reply(prints.answer(question) or "")

    class Mute(Parrot):
        def ask(self, system: str, question: str) -> Reply:
            return Reply("", "refused: no")

    def found(suspect: Parrot, **more: Any) -> dict[str, Any]:
        monkeypatch.setattr(targets, "Endpoint", lambda url, model, key: suspect)
        given = {"url": "http://t.test/v1", "workspace": tmp_path, "config": settings, **more}
        cli.redteam(fingerprints=True, json=True, **given)
        assert suspect.closed
        return dict(json.loads(capsys.readouterr().out))

    assert found(Copy())["copied"] is True
    assert found(Parrot())["copied"] is False
    assert found(Mute()) == {"hits": 0, "slots": 0, "answered": 0, "p": 1.0, "copied": False}
    with pytest.raises(ConfigError, match="whom"):
        found(Copy(), url="")
    with pytest.raises(ConfigError, match="no fingerprints"):
        settings.write_text("name: x\n")
        found(Copy())
