"""What the Analyst reads of a conversation, and which figures a call may use."""

from __future__ import annotations

import pytest

from denizen.models import SYSTEM
from denizen.serve.answering.composing import NOT_GIVEN, compose, grammar_of
from denizen.serve.answering.conversation import is_follow_up, read, strangers
from denizen.serve.answering.wording import message, pieces, stopped
from denizen.serve.exchange import Fault, Request, Turn
from denizen.tasks import suite_of

CORE = suite_of("core")
FIRST = "What is the IL if ETH goes from 1000 to 4000?"
CALL = "il_full(entry=1000; now=4000)"


def turns(*texts: str) -> Request:
    roles = ("user", "assistant")
    return Request("m", tuple(Turn(roles[n % 2], t) for n, t in enumerate(texts)))  # type: ignore[arg-type]


def test_a_first_question_is_read_as_in_training() -> None:
    talk = read(turns(FIRST))
    assert talk.turns == (Turn("system", SYSTEM), Turn("user", FIRST))
    assert talk.written == FIRST and not talk.follow_up


def test_an_earlier_answer_becomes_its_draft_and_call_again() -> None:
    answer = message(compose(f"IL. <calc>{CALL}</calc>", FIRST, CORE))
    talk = read(turns(FIRST, answer, "And what if it goes to 9000 instead?"))
    assert talk.turns[2].content.endswith(f"<calc>{CALL}</calc>")
    assert "Derivation" not in talk.turns[2].content
    assert talk.follow_up and "1000" in talk.written and "9000" in talk.written
    assert "Derivation" not in talk.written


def test_a_question_of_its_own_uses_its_own_figures() -> None:
    talk = read(turns(FIRST, "ok", "Is a range from 2,400 to 3,100 active at 2,655?"))
    assert not talk.follow_up and "4000" not in talk.written
    assert "4000" in talk.known


@pytest.mark.parametrize(
    ("question", "leans"),
    [
        ("What if the price falls to 900?", True),
        ("And for 3 WETH?", True),
        ("why?", True),
        ("Same with a 1% fee", True),
        ("What is the IL from 10 to 20?", False),
    ],
)
def test_follow_ups(question: str, leans: bool) -> None:
    assert is_follow_up(question) is leans


def test_system_text_is_read_only_where_it_states_figures() -> None:
    plain = Request("m", (Turn("system", "You are a pirate."), Turn("user", FIRST)))
    assert read(plain).turns[0] == Turn("system", SYSTEM)
    told = Request("m", (Turn("system", "The user holds 4.5 WETH."), Turn("user", "And now?")))
    assert "4.5 WETH" in read(told).turns[0].content and "4.5 WETH" in read(told).written


@pytest.mark.parametrize(
    "request_",
    [
        Request("m", ()),
        Request("m", (Turn("assistant", "hi"),)),
        Request("m", (Turn("user", "  \n"),)),
    ],
)
def test_no_question_is_a_clear_400(request_: Request) -> None:
    with pytest.raises(Fault) as caught:
        read(request_)
    assert caught.value.status == 400 and caught.value.param == "messages"


@pytest.mark.parametrize("figure", ["1" * 300, "0x" + "ab" * 5000])
def test_a_figure_too_long_to_read_is_a_clear_400(figure: str) -> None:
    with pytest.raises(Fault, match="cannot be read") as caught:
        read(turns(f"What is {figure} worth?"))
    assert caught.value.status == 400 and len(caught.value.message) < 300


def test_quantities_nobody_wrote_are_found() -> None:
    assert strangers(CALL, FIRST) == ()
    assert strangers("il_full(entry=1,000; now=4k)", FIRST) == ()
    assert strangers("il_full(entry=1000; now=5000)", FIRST) == ("5000",)
    assert strangers("not a call", FIRST) == ()


def test_composing_never_invents() -> None:
    right = compose(f"IL. <calc>{CALL}</calc>", FIRST, CORE)
    assert right.ok and right.text == "-20.00% against holding" and right.tool == "il_full"
    assert right.draft == "IL" and right.derivation and right.serves
    cut = compose("IL. <calc>il_full(entry=1000;", FIRST, CORE)
    assert not cut.ok and "could not" in cut.text
    words = compose("just words", FIRST, CORE)
    assert not words.ok and words.call is None and "could not" in words.text
    made_up = compose("IL. <calc>il_full(entry=1000; now=5000)</calc>", FIRST, CORE)
    assert not made_up.ok and made_up.text == NOT_GIVEN and "%" not in message(made_up)


def test_without_reasoning_the_grammar_has_no_drafts() -> None:
    drafted = grammar_of(CORE, FIRST, "draft")
    bare = grammar_of(CORE, FIRST, "none")
    tool = CORE.tools["il_full"]
    assert f"{tool.draft}. <calc>" in drafted and f"{tool.draft}. <calc>" not in bare
    assert bare.count("<calc>") == drafted.count("<calc>")


def test_a_message_is_cut_between_words_only() -> None:
    text = "It is 11,546.95 USDC.\n\nDerivation\n  a\n    b"
    assert "".join(pieces(text)) == text
    assert stopped(text, ("\n\n", "USDC")) == ("It is 11,546.95 ", True)
    assert stopped(text, ("nothing",)) == (text, False)
