"""The real base model's GGUF behind the whole service: exact answers, documents, streams, JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.serve.answering.answering_sample import QUESTION, VISIT, ask

from denizen.project import Config
from denizen.serve.assembly import build_service
from denizen.serve.exchange import Fault, Format, Outcome, Piece, Request, Sampling, Turn
from denizen.serve.service import Service
from denizen.tasks import evaluate

pytestmark = pytest.mark.slow


class Served:
    """The service with an event loop of its own."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.service, self._loop = service, loop

    def say(self, request: Request) -> tuple[str, Outcome, list[Piece]]:
        async def run() -> list[Piece | Outcome]:
            return [thing async for thing in self.service.chat(request, VISIT)]

        things = self._loop.run_until_complete(run())
        pieces = [thing for thing in things if isinstance(thing, Piece)]
        assert isinstance(things[-1], Outcome)
        return "".join(p.text for p in pieces if not p.index), things[-1], pieces

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from denizen.models import ensure, find_model
    from denizen.retrieve import Folder, ingest, open_index

    files = ensure(find_model(Config().model.base))
    assert files.gguf is not None
    root = tmp_path_factory.mktemp("served")
    (root / "docs").mkdir()
    (root / "docs/flash.md").write_text(
        "# Flash loans\n\nA flash loan is borrowed and repaid within one transaction. "
        "The premium is 0.05% of the amount. Oracle manipulation is the usual attack.\n"
    )
    index = open_index(root / "index", create=True)
    ingest(index, [Folder(root / "docs", "docs")])
    index.close()
    settings = Config.model_validate(
        {"serve": {"index": str(root / "index"), "parallel": 2}, "data": {"families": "core"}}
    )
    loop = asyncio.new_event_loop()
    (root / "workspace").mkdir()
    service = build_service(settings, root / "workspace", files.gguf)
    yield Served(service, loop)
    loop.run_until_complete(service.close())
    loop.close()


def name(served: Served) -> str:
    return served.service.names.release


def test_an_exact_answer_from_the_real_model(served: Served) -> None:
    text, outcome, pieces = served.say(ask(QUESTION, name(served)))
    assert outcome.exact and outcome.call is not None
    assert evaluate(outcome.call).text in text and "Derivation" in text
    assert outcome.usage.prompt_tokens > 20 and pieces[-1].finish == "stop"
    assert "margin_least" in outcome.signals


def test_an_answer_from_documents(served: Served) -> None:
    asked = ask("According to the documents, what is the premium of a flash loan?", name(served))
    text, outcome, _ = served.say(asked)
    assert "0.05%" in text and outcome.citations and "premium" in outcome.citations[0].quote


def test_what_is_not_in_the_documents_is_not_invented(served: Served) -> None:
    _, outcome, _ = served.say(ask("According to the documents, who won the 1998 World Cup?",
                                   name(served)))  # fmt: skip
    assert not outcome.citations and "not in the sources" in outcome.flags


def test_the_bare_model_streams(served: Served) -> None:
    request = ask("Say hello.", f"{name(served)}-base", sampling=Sampling(max_tokens=12))
    text, outcome, pieces = served.say(request)
    assert text.strip() and len(pieces) > 3 and 0 < outcome.usage.completion_tokens <= 12


def test_json_of_a_schema_is_kept_to(served: Served) -> None:
    schema = {
        "type": "object",
        "properties": {
            "token": {"type": "string", "enum": ["WETH", "USDC"]},
            "note": {"anyOf": [{"type": "string", "maxLength": 30}, {"type": "null"}]},
        },
        "required": ["token", "note"],
        "additionalProperties": False,
    }
    asked = Format("json_schema", schema, "pick", True)
    text, _, _ = served.say(ask("Which token is a dollar coin?", name(served), format=asked))
    assert json.loads(text)["token"] in ("WETH", "USDC")


def test_a_long_conversation_is_a_clear_400(served: Served) -> None:
    turns = (Turn("user", "the pool is deep. " * 1500), Turn("user", QUESTION))
    with pytest.raises(Fault) as caught:
        served.say(Request(name(served), turns))
    assert caught.value.status == 400 and caught.value.code == "context_length_exceeded"


def test_leaving_a_stream_frees_the_model(served: Served) -> None:
    async def run() -> None:
        request = ask(
            "Tell a long story.", f"{name(served)}-base", sampling=Sampling(max_tokens=400)
        )
        answer = served.service.chat(request, VISIT)
        async for _ in answer:
            break
        await answer.aclose()  # type: ignore[attr-defined]
        for _ in range(600):  # a busy machine takes its time over the token it is at
            if not served.service.parts.backend.busy():  # type: ignore[attr-defined]
                return
            await asyncio.sleep(0.05)
        raise AssertionError("llama.cpp is still working")

    served.run(run())


def test_vectors_of_the_embedder(served: Served) -> None:
    vectors, usage = served.run(
        served.service.embed("all-minilm-l6-v2", ("a flash loan", "bread"), VISIT)
    )
    assert len(vectors[0]) == 384 and usage.prompt_tokens > 2
    assert abs(sum(v * v for v in vectors[0]) - 1) < 1e-3
