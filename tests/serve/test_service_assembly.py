"""The server put together from denizen.yaml: one clear line for everything that can be wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.serve.answering.answering_sample import QUESTION, VISIT, ask
from typer.testing import CliRunner

from denizen.export import write_gguf
from denizen.project import ArtefactError, Config, ConfigError, DenizenError
from denizen.serve import serving
from denizen.serve.assembly import (
    LazyEncoder,
    build,
    examined,
    intake_of,
    open_sources,
    release_name,
)
from denizen.serve.exchange import Outcome, Piece
from denizen.serve.service import Service


def config(**sections: dict[str, Any]) -> Config:
    # Without the embedder: rules alone guard, and nothing is loaded.
    base = {"shield": {"injection": "off"}, "serve": {"parallel": 1}}
    merged = {k: {**base.get(k, {}), **sections.get(k, {})} for k in {*base, *sections}}
    return Config.model_validate(merged)


@pytest.fixture(scope="module")
def gguf(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("assembly") / "tiny-release.gguf"
    write_gguf(tiny, path, quant="f32", name="tiny")
    return path


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"serve": {"skills": {"range_status": "x"}}}, "not loaded"),
        ({"serve": {"skills": {"nothing": "x"}, "adapters": {"x": "f"}}}, "no task family"),
        ({"serve": {"adapters": {"tiny-release-base": "f"}}}, "another model has that name"),
        ({"serve": {"adapters": {"all-minilm-l6-v2": "f"}}}, "another model has that name"),
        ({"serve": {"adapters": {"law:latest": "f"}}}, "does not end in :latest"),
        ({"serve": {"index": "/nowhere/at/all"}}, "not there"),
        ({"serve": {"backend": "openai", "backend_url": "nonsense"}}, "no address"),
        ({"route": {"upstream_url": "http://127.0.0.1:9/v1"}}, "has no model"),
        (
            {"route": {"upstream_url": "http://127.0.0.1:9/v1", "upstream_model": "m",
                       "upstream_key_env": "DENIZEN_TEST_NO_SUCH_KEY"}},
            "holds no usable key",
        ),
        ({"data": {"families": "core,nonsense"}}, "no task family"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_line(
    sections: dict[str, Any], words: str, tmp_path: Path, gguf: Path
) -> None:
    with pytest.raises(DenizenError, match=words) as caught:
        build(config(**sections), tmp_path, gguf)
    assert "\n" not in str(caught.value) and caught.value.fix


def test_a_missing_or_wrong_model_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError):
        build(config(), tmp_path, tmp_path / "none.gguf")
    (tmp_path / "bad.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(ArtefactError):
        build(config(), tmp_path, tmp_path / "bad.gguf")
    with pytest.raises(ArtefactError, match="no model to serve"):
        build(config(), tmp_path, None)


def test_an_index_of_another_embedder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.retrieve.retrieve_sample import WordEncoder, filled

    index, _ = filled(tmp_path, WordEncoder("another"))
    index.close()
    monkeypatch.setattr("denizen.retrieve.index.load_encoder", lambda *a, **k: WordEncoder("ours"))
    with pytest.raises(ArtefactError, match="another embedder"):
        open_sources(config(serve={"index": str(tmp_path / "index")}), tmp_path / "w")
    monkeypatch.setattr(
        "denizen.retrieve.index.load_encoder", lambda *a, **k: WordEncoder("another")
    )
    opened = open_sources(config(serve={"index": str(tmp_path / "index")}), tmp_path / "w")
    assert opened is not None and opened.snapshot().keys
    opened.close()
    assert open_sources(config(), tmp_path / "w") is None
    own = open_sources(config(), tmp_path)  # a workspace's own index needs no naming
    assert own is not None and own.snapshot().keys
    own.close()


def test_an_empty_folder_is_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.retrieve.retrieve_sample import WordEncoder

    monkeypatch.setattr("denizen.retrieve.index.load_encoder", lambda *a, **k: WordEncoder())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DenizenError) as caught:
        open_sources(config(serve={"index": str(tmp_path / "empty")}), tmp_path / "w")
    assert caught.value.fix


def test_names_of_releases() -> None:
    assert release_name(config(), Path("x/release-1.gguf")) == "release-1"
    remote = {"backend": "openai", "backend_model": "qwen", "backend_url": "http://h/v1"}
    assert release_name(config(serve=remote), None) == "qwen"


def test_the_embedder_is_loaded_when_it_is_first_used() -> None:
    from tests.retrieve.retrieve_sample import WordEncoder

    loads = []

    def load() -> Any:
        loads.append(1)
        return WordEncoder()

    lazy = LazyEncoder(load)
    assert not loads
    assert lazy.count(["a b"]) == [2] and len(lazy.embed(["a"])) == 1 and lazy.id == "words"
    assert loads == [1]


def test_a_built_service_answers_exactly_and_keeps_its_trace(tmp_path: Path, gguf: Path) -> None:
    service, operations = build(
        config(data={"families": "range_status"}, evaluate={"max_new_tokens": 300}), tmp_path, gguf
    )

    async def run() -> tuple[str, Outcome]:
        text, outcome = "", None
        async for thing in service.chat(ask(QUESTION, "tiny-release"), VISIT):
            if isinstance(thing, Piece):
                text += thing.text
            else:
                outcome = thing
        assert outcome is not None and await service.ready()
        await service.feedback(outcome.trace_id, 1.0, "", VISIT)
        await service.close()
        return text, outcome

    text, outcome = asyncio.run(run())
    assert outcome.exact and outcome.call and outcome.call in text and outcome.trace_id
    assert [card.kind for card in service.models] == ["analyst", "base", "embedding"]
    assert not operations.keyed and intake_of(service) is not None


def test_ask_prints_answer_and_derivation(tmp_path: Path, gguf: Path) -> None:
    from denizen.cli import ask as verb

    (tmp_path / "denizen.yaml").write_text(
        "data: {families: range_status}\nevaluate: {max_new_tokens: 300}\n"
        "shield: {injection: 'off'}\ntraces: {store: false}\n"
    )
    options = ["--gguf", str(gguf), "-w", str(tmp_path / "w"), "-c", str(tmp_path / "denizen.yaml")]
    plain = CliRunner().invoke(verb.app, [QUESTION, *options])
    assert plain.exit_code == 0 and "Derivation\n  range(" in plain.stdout
    told = json.loads(CliRunner().invoke(verb.app, [QUESTION, *options, "--json"]).stdout)
    assert told["exact"] and told["ok"] and told["call"] in told["text"] and told["generated"]
    assert told["question"] == QUESTION and told["completion_tokens"] > 0
    wrong = CliRunner().invoke(verb.app, ["  ", *options])
    assert isinstance(wrong.exception, DenizenError) and "empty" in str(wrong.exception)
    with_sources = CliRunner().invoke(verb.app, [QUESTION, *options, "--sources", "/nowhere"])
    assert isinstance(with_sources.exception, ConfigError)


def test_serve_says_what_is_served(tmp_path: Path, gguf: Path) -> None:
    from denizen.cli.serve import facts, gguf_of

    settings = config(data={"families": "range_status"}, traces={"store": False})
    service, operations = build(settings, tmp_path, gguf)
    lines = list(facts(service, operations, settings))
    assert "tiny-release on http://127.0.0.1:8484/v1" in lines[0]
    assert "tiny-release-base" in lines[1] and lines[2] == "keys: off"
    assert any("not calibrated" in line for line in lines)
    assert intake_of(service) is None
    asyncio.run(service.close())
    remote = config(serve={"backend": "openai"})
    assert gguf_of(remote, None, tmp_path) is None
    assert gguf_of(settings, gguf, tmp_path) == gguf
    with pytest.raises(ArtefactError, match="no release"):
        gguf_of(settings, None, tmp_path)


def test_a_calibration_of_other_settings_is_told_and_not_used(tmp_path: Path, gguf: Path) -> None:
    from tests.serve.route.route_sample import pool

    from denizen.cli.serve import facts
    from denizen.project.hashing import sha256_file
    from denizen.serve.route import depends_on
    from denizen.serve.route.calibrating import calibration_of, settings_of
    from denizen.tasks import suite_of

    settings = config(data={"families": "range_status"}, traces={"store": False})
    suite = suite_of("range_status")
    depends = depends_on(settings, suite, sha256_file(gguf))
    scored = pool(200, groups=("range_status",))
    calibration_of(scored, settings_of(settings, suite, 200), suite, depends).save(tmp_path)

    def standing(changed: Config) -> tuple[bool, str, str]:
        service, operations = build(changed, tmp_path, gguf)
        asyncio.run(service.close())
        line = next(li for li in facts(service, operations, changed) if li.startswith("router"))
        wanted = f'denizen_router_calibrated{{why="{service.stale}"}} '
        assert f"{wanted}{0.0 if service.stale else 1.0}" in operations.metrics.text()
        assert "denizen_traces_open 0.0" in operations.metrics.text()
        return service.parts.router is not None, service.stale, line

    used, why, line = standing(settings)
    assert used and not why and "with confidence 95%" in line
    for section, name in (
        ({"serve": {"parallel": 1, "reasoning": "none"}}, "reasoning, prompt"),
        ({"evaluate": {"max_new_tokens": 300}}, "token limit"),
        ({"data": {"families": "range_status,mechanics"}}, "task families"),
    ):
        used, why, line = standing(Config.model_validate({**settings.model_dump(), **section}))
        assert not used and why.startswith(f"not calibrated: the calibration is of another {name}")
        assert why in line and "denizen route calibrate" in line and "route.json" in line


def test_the_service_is_what_the_interfaces_ask_for() -> None:
    from denizen.serve.exchange import Answering

    def takes(answering: Answering) -> Answering:
        return answering

    assert takes(Service.__new__(Service))


def test_other_harnesses_get_the_model_alone(tmp_path: Path, gguf: Path) -> None:
    import httpx

    settings = config(
        data={"families": "range_status"},
        evaluate={"max_new_tokens": 300},
        serve={"index": "/nowhere", "keys": "on"},
        route={"upstream_url": "http://127.0.0.1:9/v1", "upstream_model": "m"},
    )
    app, close = examined(settings, tmp_path, gguf)
    try:
        with serving(app) as url:
            body = {"model": "tiny-release", "messages": [{"role": "user", "content": QUESTION}]}
            reply = httpx.post(f"{url}/chat/completions", json=body, timeout=60).json()
            assert next(m["id"] for m in httpx.get(f"{url}/models").json()["data"]) == body["model"]
    finally:
        close()
    assert "Derivation\n  range(" in reply["choices"][0]["message"]["content"]
    assert not list(tmp_path.glob("traces*"))
