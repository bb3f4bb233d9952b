"""Which family a question is of, from its words, and what is no question of the calculator's."""

from __future__ import annotations

import pytest
from tests.serve.answering.answering_sample import FakeBackend

from denizen.serve.answering.naming import EMBEDDER, Names, is_direct
from denizen.serve.answering.skills import Senses, asks_sources, family_of_tool
from denizen.serve.exchange import Fault, Format, Request, ToolCall, Turn
from denizen.tasks import suite_of

ALL = suite_of("all")


@pytest.mark.parametrize(
    ("question", "family"),
    [
        ("Is my position between 2,400 and 3,100 in range at 2,655?", "range_status"),
        ("What is the impermanent loss if ETH goes from 1000 to 2000?", "impermanent_loss"),
        ("What percentage does a swap cost on v3?", "mechanics"),
    ],
)
def test_plain_questions_find_their_family(question: str, family: str) -> None:
    sense = Senses.of(suite_of("core")).read(question)
    assert sense.family == family and sense.familiar


def test_a_family_whose_tools_lack_quantities_is_not_named() -> None:
    senses = Senses.of(suite_of("health_factor,unanswerable"))
    assert senses.read("What is my health factor?").family == "unanswerable"
    asked = [ALL.families["health_factor"].generate(seed, "train").prompt for seed in range(20)]
    assert sum(senses.read(text).family == "health_factor" for text in asked) >= 18


def test_dev_questions_find_their_family_and_are_familiar() -> None:
    senses, right, familiar, sure, sure_wrong, total = Senses.of(ALL), 0, 0, 0, 0, 0
    for name, family in ALL.families.items():
        for seed in range(1000, 1008):
            sense = senses.read(family.generate(seed, "dev").prompt)
            total += 1
            right += sense.family == name
            familiar += sense.familiar
            sure += sense.sure
            sure_wrong += sense.sure and sense.family != name
    assert right / total > 0.75, right / total
    assert familiar / total > 0.99, familiar / total
    assert sure / total > 0.4 and sure_wrong / sure < 0.05, (sure_wrong, sure)


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote Hamlet?",
        "hello",
        "Write a poem about the sea.",
        "What is the capital of France?",
        "How do I bake bread at home?",
        "",
    ],
)
def test_other_questions_are_not_familiar(question: str) -> None:
    assert not Senses.of(ALL).read(question).familiar


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("According to the docs, what does the premium cost?", True),
        ("Does the documentation mention oracles?", True),
        ("Cite your sources: who may pause?", True),
        ("What is the swap fee of Uniswap v2?", False),
        ("Is my position in range?", False),
    ],
)
def test_questions_about_documents(question: str, asks: bool) -> None:
    assert asks_sources(question) is asks


def test_a_tool_tells_its_family() -> None:
    assert family_of_tool("il_full", ALL) == "impermanent_loss"
    assert family_of_tool("nothing", ALL) == ""


def test_names_and_what_they_mean() -> None:
    backend = FakeBackend("x", adapters=("defi-law",))
    names = Names("rel", backend, 5, embeds=True)
    assert [card.id for card in names.cards] == ["rel", "defi-law", "rel-base", EMBEDDER]
    assert names.find("rel").kind == names.find("rel:latest").kind == "analyst"
    assert names.find("defi-law").adapter == "defi-law" and names.find("rel-base").kind == "base"
    # Ollama's own names say it themselves, and need not be asked for with it.
    tagged = Names("llama3.2:latest", backend, 0, embeds=False)
    for name in ("llama3.2:latest", "llama3.2"):
        assert tagged.find(name).kind == "analyst"
    with pytest.raises(Fault, match="does not exist here") as caught:
        names.find("gpt-4o")
    assert caught.value.status == 404 and caught.value.param == "model"
    backend.facts = FakeBackend("x", adapters=()).facts
    with pytest.raises(Fault):
        names.find("defi-law")


def test_which_requests_are_generated_directly() -> None:
    names = Names("rel", FakeBackend("x"), 0, embeds=False)
    named, core = names.find("rel"), suite_of("core")
    user = (Turn("user", "q"),)
    assert not is_direct(Request("rel", user), named, core)
    assert not is_direct(Request("rel", (*user, Turn("assistant", "a"), *user)), named, core)
    for request in (
        Request("rel", user, n=2),
        Request("rel", user, logprobs=0),
        Request("rel", user, tools=({"type": "function"},)),
        Request("rel", text="go on"),
        Request("rel", user, format=Format("json_object")),
        Request("rel", (*user, Turn("assistant", "", (ToolCall("1", "f", "{}"),)))),
        Request("rel", (*user, Turn("tool", "4"))),
    ):
        assert is_direct(request, named, core)
    assert is_direct(Request("rel", user), names.find("rel-base"), core)
