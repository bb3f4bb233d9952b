"""From a record to a question: one short function for each shape that public sets come in.

Contract: a form takes one record and gives `Parts`; a missing field raises KeyError with its name,
a field of the wrong kind TypeError or ValueError.  Prompts follow the sets' customary wording (as
in lm-eval's tasks and LLM Foundry's files); options follow after one space.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from denizen.evaluate.general.items import Form, Parts, Record

LETTERS = "ABCDEFGHIJ"


def text(record: Record, field: str) -> str:
    """A non-empty string field."""
    value = record[field]
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{field!r} must be text")
    return value


def texts(record: Record, field: str) -> tuple[str, ...]:
    """A field that is a list of non-empty strings."""
    value = record[field]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{field!r} must be a list of texts")
    if not value or not all(isinstance(one, str) and one.strip() for one in value):
        raise TypeError(f"{field!r} must be a list of texts")
    return tuple(value)


def _ask(query: str) -> str:
    query = query.rstrip()
    return query if query.endswith("Answer:") else f"{query}\nAnswer:"


def _choice(prompt: str, options: Sequence[str], gold: Any, template: str = "") -> Parts:
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold < len(options):
        raise ValueError(f"the gold option {gold!r} is none of {len(options)}")
    if len(options) < 2:
        raise ValueError("a choice needs two options")
    return Parts(prompt, options[gold], tuple(options), gold=gold, template=template)


def _lettered(question: str, options: Sequence[str], gold: int) -> Parts:
    listed = "\n".join(f"{a}. {o}" for a, o in zip(LETTERS, options, strict=False))
    return _choice(f"{question}\nChoices:\n{listed}\nAnswer:", LETTERS[: len(options)], gold)


def choice(*, ask: bool = True) -> Form:
    """query, choices, gold; `ask` ends the query with "Answer:" where it does not yet."""

    def form(record: Record) -> Parts:
        query = text(record, "query")
        prompt = _ask(query) if ask else query.rstrip()
        return _choice(prompt, texts(record, "choices"), record["gold"])

    return form


def cloze(record: Record) -> Parts:
    """context, continuation."""
    word = text(record, "continuation").strip()
    return Parts(text(record, "context").rstrip(), word, (word,))


def schema(record: Record) -> Parts:
    """context_options, continuation, gold."""
    contexts = tuple(one.rstrip() for one in texts(record, "context_options"))
    _choice("", contexts, record["gold"])
    rest = text(record, "continuation").strip()
    gold = record["gold"]
    return Parts(" / ".join(contexts), contexts[gold], (rest,), contexts, gold)


def value(question: str, answer: str = "answer", *, prefix: str = "Question: ") -> Form:
    """A question in one field and its answer, a number or an expression, in another."""

    def form(record: Record) -> Parts:
        asked = text(record, question).strip()
        asked = re.sub(r"^(Q|Question):\s*", "", asked)
        return Parts(f"{prefix}{asked}\nAnswer:", str(record[answer]).strip())

    return form


def worked(record: Record) -> Parts:
    """question, answer: a worked solution that ends in "#### number" (GSM8K)."""
    solution = text(record, "answer")
    if "####" not in solution:
        raise ValueError("'answer' must end in '#### number'")
    found = solution.rsplit("####", 1)[1].strip()
    return Parts(f"Question: {text(record, 'question').strip()}\nAnswer:", found)


def aliased(record: Record) -> Parts:
    """context, answer, aliases."""
    names = (text(record, "answer"), *texts(record, "aliases"))
    return Parts(_ask(text(record, "context")), names[0], facts={"aliases": names})


def target(record: Record) -> Parts:
    """task, input, target."""
    return _target(text(record, "task"), record)


def _target(task: str, record: Record) -> Parts:
    prompt = f"Q: {text(record, 'input').strip()}\nA:"
    return Parts(prompt, text(record, "target").strip(), facts={"task": task}, template=task)


def constraints(record: Record) -> Parts:
    """prompt, instruction_id_list, kwargs."""
    ids, given = texts(record, "instruction_id_list"), record["kwargs"]
    if not isinstance(given, Sequence) or len(given) != len(ids):
        raise ValueError("'kwargs' must have one entry for each instruction")
    # The hub's rows name every argument of every instruction, most of them null.
    details = tuple({k: v for k, v in one.items() if v is not None} for one in given)
    facts = {"instructions": ids, "arguments": details}
    return Parts(text(record, "prompt"), ", ".join(ids), facts=facts)


def code(record: Record) -> Parts:
    """prompt, test, entry_point: a program is completed and tested."""
    facts = {"test": text(record, "test"), "entry_point": text(record, "entry_point")}
    return Parts(text(record, "prompt"), f"passes {facts['entry_point']}'s tests", facts=facts)


# What the hub's rows look like, where they differ.


def hub_listed(question: str, *, start: str = "Question: ", ask: bool = True) -> Form:
    """question, choices {text, label}, answerKey."""

    def form(record: Record) -> Parts:
        listed = record["choices"]
        gold = list(listed["label"]).index(text(record, "answerKey").strip())
        prompt = start + text(record, question).strip()
        return _choice(_ask(prompt) if ask else prompt, texts(listed, "text"), gold)

    return form


def hub_commonsense(record: Record) -> Parts:
    """question, choices {text, label}, answerKey; options are letters."""
    listed = record["choices"]
    gold = list(listed["label"]).index(text(record, "answerKey").strip())
    return _lettered(f"Question: {text(record, 'question').strip()}", texts(listed, "text"), gold)


def hub_boolq(record: Record) -> Parts:
    """passage, question, answer (a truth value)."""
    if not isinstance(record["answer"], bool):
        raise TypeError("'answer' must be true or false")
    asked = f"Passage: {text(record, 'passage')}\nQuestion: {text(record, 'question')}?"
    return _choice(_ask(asked), ("no", "yes"), int(record["answer"]))


def hub_piqa(record: Record) -> Parts:
    """goal, sol1, sol2, label."""
    options = (text(record, "sol1"), text(record, "sol2"))
    return _choice(_ask(f"Question: {text(record, 'goal')}"), options, int(record["label"]))


def hub_siqa(record: Record) -> Parts:
    """context, question, answerA, answerB, answerC, label (from 1)."""
    asked = f"Context: {text(record, 'context')}\nQuestion: {text(record, 'question')}"
    options = [text(record, f"answer{letter}") for letter in "ABC"]
    return _lettered(asked, options, int(record["label"]) - 1)


def hub_logiqa(record: Record) -> Parts:
    """context, question, options, label (a letter)."""
    asked = f"Context: {text(record, 'context')}\nQuestion: {text(record, 'question')}"
    gold = LETTERS.index(text(record, "label").strip().upper())
    return _lettered(asked, texts(record, "options"), gold)


def hub_agieval(record: Record) -> Parts:
    """query, choices ("(A)text"), gold (a list of one)."""
    options, (gold,) = texts(record, "choices"), record["gold"]
    return _choice(text(record, "query").rstrip(), LETTERS[: len(options)], gold)


def hub_agieval_value(record: Record) -> Parts:
    """The same, asked without its options; the answer is the right option's text."""
    (gold,) = record["gold"]
    asked = re.split(r"\s*Answer Choices:", text(record, "query"))[0]
    answer = re.sub(r"^\([A-Z]\)\s*", "", texts(record, "choices")[gold])
    return value("context")({"context": asked, "answer": answer})


def hub_winogrande(record: Record) -> Parts:
    """sentence with a gap "_", option1, option2, answer ("1" or "2")."""
    before, gap, after = text(record, "sentence").partition("_")
    if not gap:
        raise ValueError("'sentence' has no gap '_'")
    contexts = [before + text(record, f"option{n}") for n in (1, 2)]
    gold = int(record["answer"]) - 1
    return schema({"context_options": contexts, "continuation": after, "gold": gold})


def hub_lambada(record: Record) -> Parts:
    """text; its last word is the question."""
    context, _, word = text(record, "text").rstrip().rpartition(" ")
    return cloze({"context": context, "continuation": word})


def hub_svamp(record: Record) -> Parts:
    """Body, Question, Answer."""
    body = f"{text(record, 'Body').strip().rstrip('.')}. {text(record, 'Question').strip()}"
    number = str(record["Answer"]).strip().removesuffix(".0")
    return value("context")({"context": body, "answer": number})


def hub_aqua(record: Record) -> Parts:
    """question, options ("A)text"), correct (a letter)."""
    options = {one.split(")", 1)[0].strip(): one.split(")", 1)[1] for one in record["options"]}
    return value("context")(
        {"context": text(record, "question"), "answer": options[text(record, "correct")]}
    )


def hub_trivia(record: Record) -> Parts:
    """question, answer {value, aliases}."""
    answer = record["answer"]
    given = {"answer": answer["value"], "aliases": list(answer["aliases"])}
    return aliased({"context": f"Question: {text(record, 'question')}", **given})


def hub_bbh(record: Record) -> Parts:
    """input, target; the reader adds the configuration's name as `config`."""
    return _target(text(record, "config"), record)
