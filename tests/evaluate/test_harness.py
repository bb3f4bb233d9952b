"""Their harnesses on our families and their results in ours: real trimmed logs, and every refusal."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from denizen.data.holdout import load_holdout
from denizen.evaluate.harness import (
    HarnessError,
    HarnessJob,
    command,
    documents,
    import_results,
    judge_document,
    read_inspect,
    read_lm_eval,
    run_harness,
    served_answer,
    write_lm_eval,
)
from denizen.evaluate.harness.figures import from_samples
from denizen.evaluate.harness.scoring import item_of
from denizen.evaluate.records import pair
from denizen.project import Config, ConfigError, DataError
from denizen.serve.answering.composing import compose
from denizen.serve.answering.wording import message
from denizen.tasks import FAMILIES, suite_of

LOGS = Path(__file__).with_name("harness_logs")
INSPECT = LOGS / "2026-11-22T06-10-31-00-00_range-status_trimmed.json"
LM_EVAL = LOGS / "results_2026-11-22T06-10-26.353762.json"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_right_served_answer_is_right_and_a_wrong_one_wrong(family: str) -> None:
    """The derivation under a served answer ends in other figures, which must not be read."""
    suite = suite_of("all")
    for seed in range(4):
        item = FAMILIES[family].generate(seed, "dev")
        document = {**item.to_json(), "cluster": "c", "added_by_a_harness": 1}
        answer = compose(item.answer, item.prompt, suite)
        assert judge_document(document, message(answer)).ok, item.id
        for miss in FAMILIES[family].near_misses(item)[:2]:
            served = message(compose(miss, item.prompt, suite))
            assert not judge_document(document, served).ok, (item.id, miss)


def test_other_text_is_not_touched() -> None:
    for text in ("42", "", "a\n\nDerivation\nnone", "Derivation\n  tool(a=1)"):
        assert served_answer(text) == text


def test_documents_are_the_frozen_exam() -> None:
    made = documents(["mechanics"], count=5)
    frozen = {item.id: item for item in load_holdout(["mechanics"])}
    assert len({d["template"] for d in made}) == 5
    for document in made:
        assert item_of(json.loads(json.dumps(document))) == frozen[document["id"]]
        assert document["cluster"] == f"{document['template']}@{document['version']}"
    assert len(documents(["v2_quote"], "dev", 3)) == 3
    with pytest.raises(ConfigError, match="no task family"):
        documents(["nothing"])
    with pytest.raises(DataError, match="no items"):
        documents(["v2_quote"], count=0)


def test_lm_eval_folder(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    names = write_lm_eval(folder, ["range_status", "mechanics"], count=4, catalogue=True)
    assert names == ["denizen_mechanics", "denizen_range_status"]

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: f"!{loader.construct_scalar(node)}")
    config = yaml.load((folder / "denizen_mechanics.yaml").read_text(), Loader)
    assert config["custom_dataset"] == "!utils.load"
    assert config["output_type"] == "generate_until" and "<calc>" in config["description"]
    assert yaml.safe_load((folder / "denizen.yaml").read_text())["task"] == names
    rows = (folder / config["dataset_kwargs"]["file"]).read_text("utf-8").splitlines()
    assert len(rows) == 4
    assert str(tmp_path) not in "".join(p.read_text("utf-8") for p in folder.iterdir())
    # The judge lm-eval will call, as it will call it.
    scope: dict[str, object] = {"__file__": str(folder / "utils.py")}
    exec(compile((folder / "utils.py").read_text(), "utils.py", "exec"), scope)
    document = json.loads(rows[0])
    process = scope["process_results"]
    assert callable(process)
    assert process(document, [item_of(document).answer]) == {"exact": 1.0}
    assert process(document, ["no idea"]) == {"exact": 0.0}
    load = scope["load"]
    assert callable(load) and load("mechanics.jsonl", version=1)["test"][0]["id"] == document["id"]


def test_real_logs_become_paired_figures() -> None:
    theirs = read_inspect(INSPECT, system="denizen-tiny", artefact="abc")
    other = read_lm_eval(LM_EVAL, system="denizen-tiny", artefact="abc")
    assert theirs.version == "0.3.285" and other.version == "0.4.13"
    figure = theirs.figures[0]
    assert (figure.task, figure.metric, figure.n) == ("denizen/range_status", "exact", 3)
    assert figure.value == pytest.approx(1 / 3)
    assert figure.low < figure.value < figure.high
    assert {f.task for f in other.figures} == {"denizen_mechanics", "denizen_range_status"}
    # Both ran the same server: the same items, the same answers, the same verdicts.
    one, two = theirs.suites["denizen/range_status"], other.suites["denizen_range_status"]
    for left, right in pair(one, two):
        assert (left.ok, left.output) == (right.ok, right.output)
    assert one.passed == 1 and one.artefact == "abc" and one.families == ("range_status",)


def edited(tmp_path: Path, source: Path, change: Callable[[dict], object]) -> Path:
    """A copy of all logs, one of them changed."""
    folder = shutil.copytree(LOGS, tmp_path / "logs", dirs_exist_ok=True)
    data = json.loads(source.read_text())
    change(data)
    (folder / source.name).write_text(json.dumps(data))
    return folder / source.name


def set_in(*path_and_value: object) -> Callable[[dict], None]:
    *path, last, value = path_and_value

    def change(data: dict) -> None:
        for key in path:
            data = data[key]
        data[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_in("status", "error"), "did not finish, status 'error'"),
        (set_in("status", "started"), "did not finish"),
        (set_in("version", 3), "schema 3 is unknown"),
        (set_in("invalidated", True), "invalidated"),
        (set_in("results", "completed_samples", 2), "only 2 of 3"),
        (set_in("results", None), "only None of None"),
        (set_in("samples", 0, "error", {"message": "boom"}), "ended in an error"),
        (set_in("samples", 0, "scores", {}), "no score of exact"),
        (set_in("results", "scores", 0, "unscored_samples", 1), "have no score"),
        (lambda d: d["samples"].pop(), "2 samples for 3"),
        (lambda d: d.pop("eval"), "lacks"),
    ],
)
def test_an_inspect_log_that_cannot_be_trusted(
    tmp_path: Path, change: Callable[[dict], object], words: str
) -> None:
    with pytest.raises(HarnessError, match=words) as caught:
        read_inspect(edited(tmp_path, INSPECT, change))
    assert "\n" not in str(caught.value)


def archive(path: Path) -> Path:
    data = json.loads(INSPECT.read_text())
    with zipfile.ZipFile(path, "w") as made:
        for number, sample in enumerate(data.pop("samples")):
            made.writestr(f"samples/{number}.json", json.dumps(sample))
        made.writestr("header.json", json.dumps(data))
    return path


def test_archives(tmp_path: Path) -> None:
    path = archive(tmp_path / "log.eval")
    assert read_inspect(path) == read_inspect(INSPECT)
    # Newer releases write Zstandard, method 93, which this Python may not know.
    raw = path.read_bytes()
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        pieces = raw.split(mark)
        raw = mark.join(
            [pieces[0], *(p[: offset - 4] + b"\x5d\0" + p[offset - 2 :] for p in pieces[1:])]
        )
    path.write_bytes(raw)
    with pytest.raises(HarnessError, match=r"Zstandard.*log convert"):
        read_inspect(path)
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(HarnessError, match="cannot read"):
        read_inspect(path)
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("_journal/start.json", "{}")
    with pytest.raises(HarnessError, match="the run was cut"):
        read_inspect(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_in("lm_eval_version", "0.5.0"), "lm-eval 0.5.0 are unknown"),
        (set_in("n-samples", "denizen_mechanics", "effective", 9), "3 samples for 9"),
        (set_in("n-samples", "denizen_mechanics", "effective", 0), "no sample"),
        (
            set_in("results", "denizen_mechanics", "exact,none", float("nan")),
            "reports exact as nan",
        ),
        (lambda d: d.pop("configs"), "not a results file"),
        (set_in("configs", {}), "no task"),
    ],
)
def test_lm_eval_results_that_cannot_be_trusted(
    tmp_path: Path, change: Callable[[dict], object], words: str
) -> None:
    with pytest.raises(HarnessError, match=words):
        read_lm_eval(edited(tmp_path, LM_EVAL, change))


def test_a_failed_request_is_not_a_wrong_answer(tmp_path: Path) -> None:
    folder = shutil.copytree(LOGS, tmp_path / "logs")
    file = next(folder.glob("samples_denizen_mechanics_*"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[1]["resps"] = [[None]]
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(HarnessError, match="got no response"):
        read_lm_eval(folder / LM_EVAL.name)
    file.write_text(file.read_text()[:-40])
    lines[1]["resps"] = [["x"]]
    with pytest.raises(HarnessError):
        read_lm_eval(folder / LM_EVAL.name)


def test_a_limited_run_says_so_and_stderr_serves_without_samples(tmp_path: Path) -> None:
    path = edited(tmp_path, LM_EVAL, set_in("n-samples", "denizen_range_status", "original", 40))
    for file in path.parent.glob("samples_*"):
        file.unlink()
    found = {f.task: f for f in read_lm_eval(path).figures}["denizen_range_status"]
    assert found.limited and found.method == "their standard error"
    assert found.high - found.low == pytest.approx(2 * 1.959964 / 3, rel=1e-3)

    def bare(data: dict) -> None:
        for figures in data["results"].values():
            figures.pop("exact_stderr,none")

    path = edited(tmp_path, LM_EVAL, bare)
    for file in path.parent.glob("samples_*"):
        file.unlink()
    none = read_lm_eval(path)
    assert none.figures == () and "denizen_mechanics/exact" in none.without_interval


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no result of"):
        import_results(tmp_path)
    with pytest.raises(HarnessError, match="both"):
        import_results(LOGS)
    shutil.copy(INSPECT, tmp_path)
    assert import_results(tmp_path).harness == "inspect"
    shutil.copy(INSPECT, tmp_path / "2026-11-22T07-00-00-00-00_range-status_again.json")
    with pytest.raises(HarnessError, match="several runs"):
        import_results(tmp_path)
    with pytest.raises(HarnessError, match="cannot read"):
        read_inspect(tmp_path / "none.eval")
    assert import_results(LM_EVAL).harness == "lm-eval"
    own = shutil.copy(LM_EVAL, tmp_path / "mine_2026-11-22T06-10-26.353762.json")
    assert import_results(Path(own)).harness == "lm-eval"


def fake(tmp_path: Path, body: str) -> Path:
    """A venv folder whose python is a script: what a harness does, without one."""
    place = tmp_path / "venv" / "bin" / "python"
    place.parent.mkdir(parents=True)
    place.write_text(f'#!/bin/sh\nif [ "$1" = "-c" ]; then echo 0.4.13; exit 0; fi\n{body}\n')
    place.chmod(0o755)
    return tmp_path / "venv"


def job(python: Path, **more: object) -> HarnessJob:
    settings: dict = {
        "harness": "lm-eval",
        "python": python,
        "base_url": "http://127.0.0.1:9/v1",
        "model": "m",
        "tasks": ("t",),
        **more,
    }
    return HarnessJob(**settings)


def test_a_run_is_imported_and_the_key_stays_off_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "ours")
    place = fake(tmp_path, f'echo "$@ [$OPENAI_API_KEY] [$PYTHONPATH]"; cp {LOGS}/*_2026* .')
    out = tmp_path / "out"
    asked = job(place, api_key="sk-secret", limit=3)
    found = run_harness(asked, out, artefact="hash")
    assert found.harness == "lm-eval" and found.suites["denizen_mechanics"].artefact == "hash"
    said = (out / "harness.log").read_text()
    assert "[sk-secret] []" in said and "--limit 3" in said
    assert "sk-secret" not in " ".join(command(asked, out)) + repr(asked)
    with pytest.raises(HarnessError, match="not empty"):
        run_harness(asked, out)


def test_a_harness_that_fails_hangs_or_is_absent(tmp_path: Path) -> None:
    broken = fake(
        tmp_path / "a", "echo 'ValueError: Tasks not found: t'; echo ' 0% 1.2it/s'; exit 3"
    )
    with pytest.raises(HarnessError, match="status 3: ValueError: Tasks not found"):
        run_harness(job(broken), tmp_path / "o1")
    chat = fake(
        tmp_path / "b", "echo 'NotImplementedError: Loglikelihood is not supported'; exit 1"
    )
    with pytest.raises(HarnessError, match="generate_until"):
        run_harness(job(chat), tmp_path / "o2")
    # The child of the child must end too.
    hung = fake(tmp_path / "c", "sleep 60 & echo $! > child; wait")
    started = time.monotonic()
    with pytest.raises(HarnessError, match=r"within 0\.5 s"):
        run_harness(job(hung, timeout=0.5), tmp_path / "o3")
    assert time.monotonic() - started < 10
    child = int((tmp_path / "o3" / "child").read_text())
    for _ in range(50):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the harness's own child still runs")
    silent = fake(tmp_path / "d", "exit 0")
    with pytest.raises(HarnessError, match="no result of"):
        run_harness(job(silent), tmp_path / "o4")
    with pytest.raises(HarnessError, match="no Python here"):
        run_harness(job(tmp_path / "nowhere"), tmp_path / "o5")
    absent = tmp_path / "python"
    absent.write_text("#!/bin/sh\nexit 1\n")
    absent.chmod(0o755)
    with pytest.raises(HarnessError, match="lm_eval is not installed"):
        run_harness(job(absent), tmp_path / "o6")


def test_a_task_file_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    asked = job(fake(tmp_path, ""), harness="inspect", tasks=("mine.py@one", "pkg/two"))
    assert {f"{tmp_path}/mine.py@one", "pkg/two"} <= set(command(asked, Path("out")))


@pytest.mark.parametrize(
    "more",
    [
        {"model": "m,base_url=http://evil"},
        {"tasks": ("--trust_remote_code",)},
        {"tasks": ()},
        {"tasks": ("a b",)},
        {"base_url": "file:///x"},
        {"base_url": "http://h/v1,auth_token=x"},
    ],
)
def test_names_cannot_smuggle_options(tmp_path: Path, more: dict) -> None:
    with pytest.raises(HarnessError):
        command(job(fake(tmp_path, ""), **more), tmp_path)


@pytest.fixture(scope="module")
def endpoint(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import uvicorn

    from denizen.export import write_gguf
    from denizen.serve.assembly import examined

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny, path, quant="f32", name="tiny")
    sections = {"families": "mechanics,range_status"}
    settings = Config.model_validate({"data": sections, "evaluate": {"max_new_tokens": 300}})
    app, close = examined(settings, path.parent, path)
    config = uvicorn.Config(app, port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(5)
    close()


@pytest.mark.slow
@pytest.mark.skipif("DENIZEN_PEER_INSPECT" not in os.environ, reason="names no environment")
def test_the_real_inspect(endpoint: str, tmp_path: Path) -> None:
    found = run_harness(
        HarnessJob(
            "inspect",
            Path(os.environ["DENIZEN_PEER_INSPECT"]),
            endpoint,
            "tiny",
            ("denizen/mechanics", "denizen/range_status"),
            arguments={"count": "3"},
            timeout=300,
        ),
        tmp_path / "out",
    )
    assert [f.n for f in found.figures] == [3, 3] and len(found.suites) == 2


@pytest.mark.slow
@pytest.mark.skipif("DENIZEN_PEER_LM_EVAL" not in os.environ, reason="names no environment")
def test_the_real_lm_eval(endpoint: str, tmp_path: Path) -> None:
    write_lm_eval(tmp_path / "tasks", ["mechanics", "range_status"], count=3)
    found = run_harness(
        HarnessJob(
            "lm-eval",
            Path(os.environ["DENIZEN_PEER_LM_EVAL"]),
            endpoint,
            "tiny",
            ("denizen",),
            task_folder=tmp_path / "tasks",
            timeout=300,
        ),
        tmp_path / "out",
    )
    assert [f.n for f in found.figures] == [3, 3] and len(found.suites) == 2


def test_samples_that_all_agree_still_leave_doubt() -> None:
    figure = from_samples("t", "exact", [1.0] * 6, ["a", "a", "b", "b", "c", "c"])
    assert figure.value == figure.high == 1 and 0.4 < figure.low < 0.5
    assert figure.n == 6 and figure.method == "Wilson over clusters"
