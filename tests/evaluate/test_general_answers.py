"""What generated answers say: numbers, names, targets, and instructions that can be checked."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from denizen.evaluate.general import SETS, GeneralItem, judge_item
from denizen.evaluate.general.generation import cut, last_number, number, same_value
from denizen.evaluate.general.ifeval import CHECKERS, follows, sentences
from denizen.evaluate.general.languages import language_of
from denizen.project.errors import DataError


def item(name: str, expected: str, **facts: Any) -> GeneralItem:
    return GeneralItem("x", SETS[name], "Q", expected, facts=facts)


@pytest.mark.parametrize(
    ("output", "ok"),
    [
        (" He pays 3 x 5 = 15 and 132 more.\n#### 147", True),
        (" 21 x 7 = 147 kilograms", True),
        ("#### 1,47", True),  # commas are dropped wherever they stand, as in the set's own code
        (" The answer is $147.00.", True),
        (" The answer is 146. \n#### 147 kg", True),
        (" It is 147 and not 150", False),
        (" It was -147", False),
        (" 1147", False),
        (" 14.7", False),
        (" 147\n\nQuestion: What is 2+2?\nAnswer: 4", True),
        (" one hundred and forty-seven", False),
        ("", False),
        (" The answer is", False),
        (" - - . , $", False),
    ],
)
def test_numbers(output: str, ok: bool) -> None:
    verdict = judge_item(item("gsm8k", "147"), output)
    assert verdict.ok is ok, verdict
    assert verdict.score == float(ok)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("43 km", "43kms", True),
        ("43", "43kms/hr", True),
        ("43 m", "43 s", False),
        ("$50,000", "50000", True),
        ("50,000", "$50,000", True),
        ("x + 1", "$x+1$", True),
        (r"\frac{1}{2}", r"$\frac{1}{2}$", True),
        ("1/2", r"$\frac{1}{2}$", True),
        ("22.50", "22.5", True),
        ("Rs. 7.2", "7.2", True),
        ("628, 372", "628, 372", True),
        ("628", "628, 372", False),
        ("65", "65%", True),
        ("65%", "66%", False),
        ("", "", False),
        ("24", "2", False),
    ],
)
def test_values(one: str, other: str, same: bool) -> None:
    assert same_value(one, other) is same


def test_the_last_number_of_a_text() -> None:
    assert last_number("from 3 to 1,450.50 dollars.") == pytest.approx(1450.5)
    assert last_number("minus: -10 degrees") == -10
    assert last_number("none") is None and last_number("$") is None
    assert number("nan") is number("1e5") is number("9 2") is number("") is None
    assert number("- 3.") == number("$-3") == -3


def test_names() -> None:
    trivia = item("triviaqa", "The Beatles", aliases=("The Beatles", "Fab Four"))
    assert judge_item(trivia, " the beatles.").ok
    assert judge_item(trivia, " Fab-Four\nQuestion: next").ok
    assert not judge_item(trivia, " Beatles and Stones").ok
    assert not judge_item(trivia, "").ok
    # An alias of nothing but an article or punctuation must not match an empty answer.
    assert not judge_item(item("triviaqa", "A", aliases=("A", "?")), " the").ok


@pytest.mark.parametrize(
    ("gold", "output", "ok"),
    [
        ("(B)", " (B)", True),
        ("(B)", " B", True),
        ("(B)", " We see (A) is wrong, so the answer is (B).", True),
        ("(B)", " (A) or (B)", False),
        ("(A)", " A man walks", False),
        ("(A)", " Between them", False),
        ("True", " True", True),
        ("True", " So the answer is false", False),
        ("valid", " invalid", False),
        ("valid", " deductively valid", True),
        ("No", " Nothing", False),
        ("no", " No, it is not", True),
        ("-52", " = -81 + 32 - 3 = -52", True),
        ("} )", " } )", True),
        ("} )", " ) }", False),
        ("} )", " the rest", False),
        ("acoustic diatom total", " acoustic, diatom, total", True),
        ("acoustic diatom total", " diatom acoustic total", False),
    ],
)
def test_targets(gold: str, output: str, ok: bool) -> None:
    assert judge_item(item("bbh", gold, task="t"), output).ok is ok


def test_stop_strings() -> None:
    assert cut("a\nQ: b", ("\nQ:",)) == "a" and cut("a", ()) == "a"
    assert cut("one##two#three", ("#", "##")) == "one"


LONG = "One is here. Two is there! Is three? Dr. Who has 3.5 of them."
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["iron", "Oak"]}, "oak and Iron", "oak alone"),
    ("keywords:frequency", {"keyword": "war", "relation": "at least", "frequency": 2}, "War, war.", "war"),
    ("keywords:frequency", {"keyword": "war", "relation": "less than", "frequency": 2}, "war", "war war"),
    ("keywords:forbidden_words", {"forbidden_words": ["field"]}, "fields are green", "a Field!"),
    ("keywords:letter_frequency", {"letter": "!", "let_relation": "at least", "let_frequency": 2}, "a!!", "a!"),
    ("keywords:letter_frequency", {"letter": "P", "let_relation": "less than", "let_frequency": 1}, "ox", "Ape"),
    ("language:response_language", {"language": "fi"}, "Hän oli täällä, mutta se ei ole hyvä.", "He was here and it is not good."),
    ("length_constraints:number_sentences", {"relation": "at least", "num_sentences": 4}, LONG, "One. Two."),
    ("length_constraints:number_sentences", {"relation": "less than", "num_sentences": 5}, LONG, LONG + " More. More."),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "a b c", "a b"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "*** a *** b ***", "a ***  *** b"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "It"}, "a b\n\n\"It, is", "it\n\nis"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] [street]", "[name] []"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi.\nP.S. bye", "Hi. Sps"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Hi.\nP.P.S bye", "Hi.\nP.S. bye"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n**b**\n"),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "Maybe."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "**a** and b*"),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}, "SECTION 1\na\nSECTION 2\nb", "Section 1 SECTION"),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<Song>>\nla", "<< >>\nla"),
    ("combination:two_responses", {}, "a******b", "a******a"),
    ("combination:two_responses", {}, "a ****** b", "a******b******c"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "say HI. Hi!", "Hi!"),
    ("startend:end_checker", {"end_phrase": "Any more?"}, 'So. any more?"', "Any more? No."),
    ("startend:quotation", {}, '"all of it"', '"half" of it'),
    ("change_case:capital_word_frequency", {"capital_relation": "at least", "capital_frequency": 2}, "NOW or NEVER", "NOW or never"),
    ("change_case:english_capital", {}, "THIS IS THE END", "THIS IS THE end"),
    ("change_case:english_lowercase", {}, "this is the end", "Is this the end"),
    ("punctuation:no_comma", {}, "a b", "a, b"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES)
def test_instructions(name: str, arguments: dict[str, Any], good: str, bad: str) -> None:
    assert follows(name, arguments, good), good
    assert not follows(name, arguments, bad), bad
    assert not follows(name, arguments, "  "), "an empty answer follows nothing"


def test_every_instruction_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(CHECKERS) and len(CHECKERS) == 25


def test_all_of_an_items_instructions_must_be_followed() -> None:
    both = item(
        "ifeval",
        "",
        instructions=("punctuation:no_comma", "startend:quotation"),
        arguments=({}, {}),
    )
    assert judge_item(both, '"a b"').ok
    half = judge_item(both, "a b")
    assert not half.ok and half.score == 0.5 and "startend:quotation" in half.reason


def test_unknown_instructions_and_arguments_are_refused() -> None:
    with pytest.raises(DataError, match="no checker for the instruction 'a:b'"):
        follows("a:b", {}, "text")
    with pytest.raises(DataError, match="num_words"):
        follows("length_constraints:number_words", {"relation": "at least"}, "text")
    with pytest.raises(DataError, match="relation"):
        follows("length_constraints:number_words", {"relation": "about", "num_words": 1}, "text")


def test_sentences() -> None:
    assert len(sentences(LONG)) == 4
    assert len(sentences("A list:\n\n* one\n\n* two")) == 3
    assert sentences("...") == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "This is the way that we have it."),
        ("vi", "Tôi không có một người bạn nào trong thành phố này."),
        ("fi", "Tämä on hyvä, mutta se ei ole minun."),
        ("ru", "Это не то, что мы искали в этом городе."),
        ("bg", "Това не е градът, който търсим, и няма да се върна към него."),
        ("uk", "Це не те, що ми шукали в цьому місті, але є й інші."),
        ("hi", "यह एक अच्छी किताब है और मैं इसे पढ़ रहा हूँ।"),
        ("mr", "हे एक चांगले पुस्तक आहे आणि मी ते वाचत आहे."),
        ("kn", "ಇದು ಒಳ್ಳೆಯ ಪುಸ್ತಕ."),
        ("gu", "આ એક સારું પુસ્તક છે."),
        ("te", "ఇది మంచి పుస్తకం."),
        ("ta", "இது ஒரு நல்ல புத்தகம்."),
        ("bn", "এটি একটি ভাল বই।"),
        ("ko", "이것은 좋은 책입니다."),
        ("ja", "これは日本語の文章です。"),
        ("zh", "这是一本好书。"),
        ("de", "Das ist nicht der Weg, den wir für uns und die Kinder wollen."),
        ("fr", "Il est dans la maison avec les enfants et le chien."),
        ("", "12345 !?"),
        ("", ""),
    ],
)
def test_languages(code: str, text: str) -> None:
    assert language_of(text) == code


def test_no_language_is_ever_told_of_noise() -> None:
    told = Counter(language_of(letter * 9) for letter in "xqz")
    assert told == {"": 3}
