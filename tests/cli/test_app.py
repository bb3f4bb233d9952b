"""The command line's promises: one clear line, the right exit code, verbs loaded only when called."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer

from denizen.cli import app as cli
from denizen.cli._render import cli_markdown
from denizen.cli.app import VERBS, main
from denizen.project import DataError

ROOT = Path(__file__).parents[2]
# Reads its input first, so that a test can close the output before anything is printed.
DENIZEN = "import sys; sys.stdin.read(); from denizen.cli.app import entry; entry()"


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> typer.Typer:
    """A verb `probe` of the test's own, in an empty folder."""
    module = types.ModuleType("denizen.cli.probe")
    module.app = typer.Typer()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "denizen.cli.probe", module)
    monkeypatch.setitem(cli.VERBS, "probe", "A test.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DENIZEN_WORKSPACE", raising=False)
    return module.app  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", VERBS)
def test_listed_verbs_exist_and_explain_themselves(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert importlib.util.find_spec(f"denizen.cli.{name}") is not None
    assert main([name, "--help"]) == 0
    assert f"denizen {name}" in capsys.readouterr().out
    assert name in cli.help_text()


def test_a_wrong_verb_names_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quikstart"]) == 2
    assert capsys.readouterr().err == (
        "error: no verb 'quikstart' (command line): did you mean 'quickstart'?\n"
    )
    assert main(["quikstart", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["fix"] == "did you mean 'quickstart'?"


def test_a_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--wrkspace", "x"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--help" in err


def test_a_bare_group_shows_its_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 2
    shown = capsys.readouterr()
    assert "error" not in shown.err and "diff" in shown.out + shown.err


def test_a_typed_error_is_one_line_and_two(
    verb: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    @verb.command()
    def probe(json: bool = False) -> None:
        raise DataError("no rows", where="rows.jsonl", fix="run `denizen data build`")

    assert main(["probe"]) == 2
    assert capsys.readouterr().err == "error: no rows (rows.jsonl): run `denizen data build`\n"
    assert main(["probe", "--json"]) == 2
    out = capsys.readouterr()
    assert json.loads(out.out)["error"] == "DataError" and out.err == ""


def test_a_surprise_leaves_its_traceback_in_the_workspace(
    verb: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @verb.command()
    def probe(workspace: Path | None = None) -> None:
        raise ZeroDivisionError("one\nover nothing")

    place = tmp_path / "w"
    place.mkdir()
    assert main(["probe", "--workspace", str(place)]) == 1
    err = capsys.readouterr().err
    (log,) = place.iterdir()
    assert err.count("\n") == 1 and str(log) in err and "one over nothing" in err
    assert "ZeroDivisionError" in log.read_text() and "Traceback" in log.read_text()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_say_how_to_resume(
    verb: typer.Typer, capsys: pytest.CaptureFixture[str], sent: signal.Signals, code: int
) -> None:
    left = []

    @verb.command()
    def probe() -> None:
        try:
            signal.raise_signal(sent)
        finally:
            left.append("cleanly")

    assert main(["probe"]) == code and left
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    err = capsys.readouterr().err
    assert "same command" in err and err.strip().count("\n") == 0


def test_shared_options_may_stand_before_the_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "w"
    for given in (["--workspace", str(place), "--json"], [f"--workspace={place}", "--json"]):
        assert main([*given, "runs", "list"]) == 0
        assert json.loads(capsys.readouterr().out) == []
    assert place.is_dir()


@pytest.mark.parametrize("given", ["--help", "runs list"])
def test_a_reader_that_leaves_is_no_error(given: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", DENIZEN, *given.split()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout and process.stdin and process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.wait(30) == 0 and process.stderr.read() == b""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from denizen import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"denizen {__version__}\n"


def test_the_command_line_page_is_current() -> None:
    page = ROOT / "docs" / "cli.md"
    assert page.is_file() and page.read_text("utf-8") == cli_markdown(), "run `make docs`"
