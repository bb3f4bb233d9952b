"""Graded rewards: full for the exact answer alone, never higher for a worse one; the curriculum."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from denizen.tasks import FAMILIES
from denizen.train.curriculum import Curriculum
from denizen.train.rewards import by_model, grade


@dataclass(frozen=True)
class Riddle:
    """All that the curriculum reads of an item."""

    prompt: str
    difficulty: int = 1


@pytest.mark.parametrize("name", ["v2_quote", "mechanics", "fee_apr", "swap_event"])
def test_rewards_are_graded_and_only_the_exact_answer_is_full(name: str) -> None:
    family = FAMILIES[name]
    for seed in range(8):
        item = family.generate(seed, "train")
        assert grade(item, item.answer) == (1.0, 1.0, 1.0, 1.0, 1.0)
        for miss in family.near_misses(item):
            assert grade(item, miss).total < 1.0
        assert grade(item, "I do not know.").total == 0.0
        assert grade(item, "") == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_worse_answer_never_scores_above_a_better_one() -> None:
    """Each mended part of a call raises the reward, in the order that parts can be right at all."""
    item = FAMILIES["v2_quote"].generate(3, "train")
    tool, _, inside = item.gold.partition("(")
    arguments = [a.split("=") for a in inside.rstrip(")").split("; ")]
    wrong = [[name, "123456 ZZZ"] for name, _ in arguments]
    ladder = ["no call at all", "<calc>not a call", "<calc>no_such_tool(a=1)</calc>"]
    for right in range(len(arguments) + 1):
        given = "; ".join("=".join(a) for a in [*arguments[:right], *wrong[right:]])
        ladder.append(f"<calc>{tool}({given})</calc>")
    totals = [grade(item, text).total for text in ladder]
    assert totals[0] == totals[1] == 0.0 and totals[-1] == 1.0
    assert totals[1:] == sorted(set(totals[1:]))
    extra = f"<calc>{item.gold[:-1]}; more=1)</calc>"
    assert totals[-2] <= grade(item, extra).total < 1.0


def test_arguments_count_by_meaning() -> None:
    items = (FAMILIES["fee_apr"].generate(seed, "train") for seed in range(50))
    item = next(i for i in items if "0.3%" in i.gold)
    tool, _, inside = item.gold.partition("(")
    first, *rest = inside.rstrip(")").split("; ")
    broken = f"{first.split('=')[0]}=7 ZZZ"
    as_written = "; ".join([broken, *rest])
    assert "0.3%" in as_written
    other = as_written.replace("0.3%", "30 bps")
    assert grade(item, f"<calc>{tool}({as_written})</calc>") == grade(
        item, f"<calc>{tool}({other})</calc>"
    )
    assert grade(item, f"<calc>{tool}({as_written})</calc>").arguments == len(rest) / (
        len(rest) + 1
    )


def test_objects_are_graded_by_field() -> None:
    name = next(n for n, f in FAMILIES.items() if f.schema is not None)
    item = FAMILIES[name].generate(1, "train")
    fields = len(json.loads(item.gold))
    values = json.loads(item.gold) | {}
    schema = FAMILIES[name].schema
    assert schema is not None
    choice = next(f for f in schema.fields if f.kind == "choice")
    values[choice.name] = next(o for o in choice.options if o != values[choice.name])
    found = grade(item, json.dumps(values))
    assert found.arguments == pytest.approx((fields - 1) / fields) and found.answer == 0.0
    assert grade(item, "{}").total == 0.0 and grade(item, item.gold).total == 1.0


def test_a_reward_model_scores_and_the_verifier_still_grades() -> None:
    """The total is the model's, the grades the verifier's; an empty answer gets the lowest."""
    items = [FAMILIES["v2_quote"].generate(seed, "train") for seed in range(3)]
    asked: list[Any] = []

    def score(conversations: Any) -> list[float]:
        asked.extend(conversations)
        answers = [c[-1]["content"] for c in conversations]
        # What a template cannot render has no score.
        return [math.nan if a.startswith("\n") else float(len(a)) for a in answers]

    odd = by_model(score)(items, [items[0].answer, "\n\nx", "abc"])
    assert [g.total for g in odd] == [len(items[0].answer), 3.0, 3.0]
    asked.clear()
    given = by_model(score)(items, [items[0].answer, " ", "abc"])
    assert [g.total for g in given] == [len(items[0].answer), 3.0, 3.0]
    assert [g.answer for g in given] == [1.0, 0.0, 0.0]
    assert [c[1]["content"] for c in asked] == [items[0].prompt, items[2].prompt]


def test_the_curriculum_draws_what_teaches() -> None:
    """Questions whose answers never differ are drawn less, new ones and mixed ones more."""
    items = [Riddle(str(i)) for i in range(20)]
    curriculum = Curriculum(items, seed=3)
    for _ in range(12):
        for question in range(20):
            curriculum.observe(question, question % 2 == 0)
    drawn = Counter(q for step in range(400) for q in curriculum.draw(step, 1.0, 4))
    even = sum(count for question, count in drawn.items() if question % 2 == 0)
    odd = sum(drawn.values()) - even
    assert even > 3 * odd > 0
    assert all(len(set(curriculum.draw(step, 1.0, 4))) == 4 for step in range(50))
    again = Curriculum(items, seed=3)
    assert again.draw(7, 0.5, 4) == Curriculum(items, seed=3).draw(7, 0.5, 4)
    assert again.draw(7, 0.5, 4) != again.draw(8, 0.5, 4)


def test_the_curriculum_begins_with_what_is_easy() -> None:
    items = [Riddle(str(i), 1 + i % 3) for i in range(30)]
    curriculum = Curriculum(items)

    def hard(progress: float) -> float:
        drawn = [q for step in range(600) for q in curriculum.draw(step, progress, 3)]
        return sum(items[q].difficulty == 3 for q in drawn) / len(drawn)

    assert hard(0.0) < 0.2 and hard(0.25) < 0.28
    assert hard(0.6) == pytest.approx(1 / 3, abs=0.04)
