"""Chat rendering, fetching and loading, and the two generators."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path

import pytest

from conftest import make_tiny
from denizen.models import (
    SYSTEM,
    Generator,
    ModelEntry,
    PackageSource,
    checkpoint,
    choose_precision,
    conversation,
    ensure,
    find_model,
    load_model,
    load_tokenizer,
    render,
    render_prompt,
)
from denizen.project import ArtefactError, TemplateError, sha256_bytes


def test_supervision_is_the_answer_and_its_end(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    messages = [*conversation("one?", "first answer"), {"role": "user", "content": "two?"}]
    messages.append({"role": "assistant", "content": " second\nanswer "})
    found = render(tokenizer, messages)
    learnt = tokenizer.decode(
        [t for t, s in zip(found.input_ids, found.supervised, strict=True) if s]
    )
    assert learnt == "first answer<|im_end|> second\nanswer <|im_end|>"
    assert list(found.input_ids) == tokenizer(found.text, add_special_tokens=False)["input_ids"]
    prompt = render_prompt(tokenizer, messages[:2])
    assert found.text.startswith(prompt) and prompt.endswith("assistant\n")
    assert SYSTEM in prompt


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{% if m.role != 'assistant' %}<|im_start|>{{ m.content }}{% endif %}"
        "{% endfor %}",
        "{% for m in messages %}<|im_start|>{{ m.content | upper }}<|im_end|>{% endfor %}",
        "{{ messages[-1].content }}",
    ],
)
def test_template_without_assistant_span_is_refused(tmp_path: Path, template: str) -> None:
    tokenizer = load_tokenizer(make_tiny(tmp_path / "m", template=template))
    with pytest.raises(TemplateError, match="no assistant span") as caught:
        render(tokenizer, conversation("hello?", "an answer"))
    assert "\n" not in str(caught.value)


def test_no_template_and_no_answer_are_refused(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    with pytest.raises(TemplateError, match="no assistant turn"):
        render(tokenizer, conversation("hello?"))
    tokenizer.chat_template = None
    with pytest.raises(TemplateError, match="no chat template"):
        render(tokenizer, conversation("hello?", "x"))


def test_precision_is_float32_where_bf16_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("denizen.models.loading.native_bfloat16", lambda: False)
    assert choose_precision("auto") == "float32"
    assert choose_precision("auto", gpu_bfloat16=True) == "bfloat16"
    assert choose_precision("bfloat16") == "bfloat16"


def test_corrupt_model_file_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DENIZEN_CACHE", str(tmp_path))
    entry = find_model("smollm2-135m-instruct")
    folder = tmp_path / "models" / entry.id
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"GGUF broken")
    with pytest.raises(ArtefactError, match=r"models pull smollm2-135m-instruct --force"):
        ensure(entry)
    with pytest.raises(ArtefactError, match="known: smollm2"):
        find_model("gpt-17")


def test_missing_package_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENIZEN_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    source = PackageSource((("denizen-no-such-model", "1.0"),), ("a.gguf",), "0" * 64, 1)
    entry = ModelEntry("none", "llama", 1, "x", 1, "o/n", "main", source)
    with pytest.raises(ArtefactError, match=r"could not download denizen-no-such-model==1\.0"):
        ensure(entry, "package")
    assert not list((tmp_path / "models").rglob("*.part"))


class FakeHub(http.server.BaseHTTPRequestHandler):
    """Just enough of a model hub: repository info and file downloads, over loopback."""

    folder: Path

    def do_HEAD(self) -> None:
        self.serve(body=False)

    def do_GET(self) -> None:
        self.serve(body=True)

    def serve(self, body: bool) -> None:
        commit = "a" * 40
        path = self.path.split("?")[0]
        if "/tree/" in path:
            files = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "b" * 40}
                for p in sorted(self.folder.iterdir())
            ]
            data = json.dumps(files).encode()
        elif path.startswith("/api/models/"):
            names = [{"rfilename": p.name} for p in sorted(self.folder.iterdir())]
            data = json.dumps({"id": "org/tiny", "sha": commit, "siblings": names}).encode()
        else:
            file = self.folder / path.rsplit("/", 1)[1]
            if not file.exists():
                self.send_error(404)
                return
            data = file.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{sha256_bytes(data)}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


HUB_CLIENT = """
import sys
from denizen.models import ModelEntry, checkpoint, ensure, load_model, load_tokenizer
entry = ModelEntry("tiny", "llama", 1, "x", 64, "org/tiny", "main")
files = ensure(entry, "hub")
model, tokenizer = load_model(checkpoint(files)), load_tokenizer(checkpoint(files))
print(model.num_parameters(), len(tokenizer), files.hash)
"""


def test_hub_route_against_a_local_hub(tiny: Path, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    handler = type("Hub", (FakeHub,), {"folder": tiny})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "DENIZEN_CACHE": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    try:
        run = [sys.executable, "-c", HUB_CLIENT]
        first = subprocess.run(run, capture_output=True, text=True, env=environment)
        assert first.returncode == 0, first.stderr[-2000:]
    finally:
        server.shutdown()
    parameters, size, _ = first.stdout.split()
    assert int(parameters) == load_model(tiny).num_parameters()
    assert int(size) == len(load_tokenizer(tiny))
    # The second time nothing is asked of the hub, which is gone.
    again = subprocess.run(run, capture_output=True, text=True, env=environment)
    assert again.stdout == first.stdout


def test_batched_answers_equal_one_by_one(tiny: Path) -> None:
    tokenizer, model = load_tokenizer(tiny), load_model(tiny)
    generator = Generator(model, tokenizer)
    prompts = [
        render_prompt(tokenizer, conversation(q)) for q in ("a?", "a longer question?", "b" * 50)
    ]
    grammar = 'root ::= "yes" | "no, " [a-f]{2,5} "!"'
    together = generator.answer(prompts, [grammar] * 3, max_new_tokens=20)
    alone = [generator.answer([p], [grammar], max_new_tokens=20)[0] for p in prompts]
    assert together == alone
    assert all(a == "yes" or a.startswith("no, ") for a in together)
    free = generator.answer(prompts, max_new_tokens=8)
    assert free == [generator.answer([p], max_new_tokens=8)[0] for p in prompts]


# The system prompt the base was tuned with.
STOCK = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@pytest.mark.slow
def test_real_base_model_from_its_package(tmp_path: Path) -> None:
    entry = find_model("smollm2-135m-instruct")
    files = ensure(entry)
    folder = checkpoint(files)
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    assert model.num_parameters() == entry.parameters
    answer = Generator(model, tokenizer).answer(
        [render_prompt(tokenizer, conversation("What is the capital of France?", system=STOCK))],
        max_new_tokens=12,
    )
    assert "Paris" in answer[0]
