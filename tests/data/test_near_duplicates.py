"""Near duplicates: a disguised copy of the exam must be refused, honest rows must not."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pytest
from tests.models.tiny_embedder import make_tiny_embedder

from denizen.data import build_rows, load_holdout
from denizen.data.near_duplicates import (
    KINDS,
    STRICT,
    Thresholds,
    check_near_duplicates,
    compare,
    masked,
    passages,
    without_near_duplicates,
)
from denizen.data.near_duplicates.calibrate import calibrate, table
from denizen.data.near_duplicates.detectors import by_minhash
from denizen.data.near_duplicates.passages import character_grams, folded, jaccard
from denizen.data.near_duplicates.planting import PLANTS, paraphrases, plant
from denizen.data.own import Conversation, Text
from denizen.data.preferences import Pair
from denizen.models.embedder import Embedder
from denizen.project import DataError, LeakError
from denizen.tasks import suite_of

HOLDOUT = load_holdout()
EXAM = HOLDOUT[::20]


@dataclass(frozen=True)
class Row:
    id: str
    question: str


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    words = " ".join(masked(item.prompt) for item in EXAM)
    return make_tiny_embedder(tmp_path_factory.mktemp("e"), words, longest=256)


def honest(count: int = 300) -> list[Row]:
    rows, _ = build_rows(count, 3, HOLDOUT, suite=suite_of("all"), system="")
    return [Row(row.id, row.question) for row in rows]


# Recall of each disguise on the exam, as measured on all of it (see Thresholds), less a margin.
LEAST = {
    "exact": 1.0, "typing": 0.99, "numbers": 0.99, "chatter": 0.98, "in a document": 0.98,
    "words dropped": 0.85, "words swapped": 0.70, "sentences shuffled": 0.95, "synonyms": 0.70,
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTS)
def test_planted_copies_are_refused(kind: str) -> None:
    rows = [Row(f"planted/{item}", text) for item, text in plant(EXAM, kind, 7)]
    report = compare(rows, EXAM)
    assert len(report.refused_rows) / len(rows) >= LEAST[kind], report.sentence
    # Each is refused for the item it copies, but for a few whose twin is another item.
    own = {pair.row for pair in report.refused if pair.row == f"planted/{pair.item}"}
    assert len(own) >= 0.6 * len(report.refused_rows)


def test_honest_rows_are_not_refused() -> None:
    report = compare(honest(), HOLDOUT)
    assert report.clean and not report.complete  # without an embedder it says so
    assert "not run: embedding" in report.sentence
    nearest = {kind.kind: kind.nearest_item_quantiles for kind in report.kinds}
    assert 0 < nearest["minhash"][-1] < 0.65 and 0 < nearest["contained"][-1] < 0.75


def test_one_bad_row_among_many_is_named() -> None:
    bad = Row("bad", plant([EXAM[3]], "in a document", 1)[0][1])
    with pytest.raises(LeakError, match=rf"1 training rows .* row bad .* as {EXAM[3].id}"):
        check_near_duplicates([*honest(40), bad], EXAM)
    kept, report = without_near_duplicates([*honest(40), bad], EXAM)
    assert kept == honest(40) and report.refused_rows == {"bad"}


def test_a_template_with_other_numbers_is_a_leak() -> None:
    exam = next(item for item in HOLDOUT if item.family == "range_status")
    changed = plant([exam], "numbers", 3)[0][1]
    assert changed != exam.prompt
    kinds = {pair.kind for pair in compare([Row("r", changed)], [exam]).refused}
    assert "wording" in kinds and "exact" not in kinds


@pytest.mark.parametrize(
    "row",
    [
        Conversation(
            "r", ({"role": "user", "content": "hm"}, {"role": "assistant", "content": "{}"})
        ),
        Conversation(
            "r", tuple({"role": r, "content": c} for r, c in (("user", "{}"), ("user", "hm")))
        ),
        Text("r", "A long page. {} And more."),
        Pair(
            id="r",
            prompt=({"role": "user", "content": "hm"},),
            chosen=({"role": "assistant", "content": "no"},),
            rejected=({"role": "assistant", "content": "{}"},),
        ),
    ],
)
def test_every_text_of_a_row_is_read(row: Conversation | Text | Pair) -> None:
    exam = EXAM[5]

    def filled(value: object) -> object:
        if isinstance(value, str):
            return value.replace("{}", exam.prompt)
        if isinstance(value, tuple):
            return tuple(
                {**turn, "content": turn["content"].replace("{}", exam.prompt)} for turn in value
            )
        return value

    names = [f.name for f in dataclasses.fields(row)]
    full = dataclasses.replace(row, **{name: filled(getattr(row, name)) for name in names})
    assert compare([row], EXAM).clean
    assert compare([full], EXAM).refused_rows == {"r"}


def test_the_system_turn_is_not_a_leak() -> None:
    turns = ({"role": "system", "content": EXAM[0].prompt}, {"role": "user", "content": "hm"})
    assert passages(Conversation("r", turns)) == ["hm"]


def test_embedding_finds_what_words_hide(embedder: Embedder) -> None:
    exam = EXAM[7]
    words = masked(exam.prompt).split()
    # The same words in reverse share no trigram; a bag-of-words embedder sees one meaning.
    row = Row("r", " ".join(reversed(words)).replace("#", "7").replace("@", "WETH"))
    without = compare([row], [exam])
    assert without.clean
    report = compare([row], [exam], embedder)
    assert report.complete and [pair.kind for pair in report.refused] == ["embedding"]
    assert report.refused[0].similarity > 0.985


def test_a_pair_under_the_threshold_is_listed_for_review(embedder: Embedder) -> None:
    exam = EXAM[7]
    row = Row(
        "r", " ".join(reversed(masked(exam.prompt).split()[: len(exam.prompt.split()) * 2 // 3]))
    )
    report = compare([row], [exam], embedder, Thresholds(embedding=0.999, review=0.3))
    (kind,) = (k for k in report.kinds if k.kind == "embedding")
    assert report.clean and [pair.row for pair in kind.review] == ["r"]
    strict = compare([row], [exam], embedder, Thresholds(embedding=0.3))
    assert strict.refused_rows == {"r"}
    assert STRICT.embedding < Thresholds().embedding


def test_rows_that_share_a_wording_are_all_refused(embedder: Embedder) -> None:
    exam = EXAM[9]
    rows = [Row(str(seed), plant([exam], "numbers", seed)[0][1]) for seed in range(50)]
    report = compare(rows, [exam], embedder)
    assert len(report.refused_rows) == 50 and report.wordings == 1


def test_blocks_do_not_change_the_result(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*honest(60), *(Row(i, t) for i, t in plant(EXAM[:10], "synonyms", 1))]
    whole = compare(rows, EXAM, embedder)
    monkeypatch.setattr("denizen.data.near_duplicates.detectors.BLOCK", 7)
    assert compare(rows, EXAM, embedder) == whole
    assert json.loads(json.dumps(whole.to_json()))["clean"] is whole.clean


def test_an_exam_without_items_is_refused() -> None:
    with pytest.raises(DataError, match="no items"):
        compare(honest(10), [])
    report = compare([], EXAM)
    assert report.clean and not report.complete


def test_locality_hashing_misses_no_pair_over_the_threshold() -> None:
    rows = [masked(t) for kind in ("synonyms", "words dropped") for _, t in plant(EXAM, kind, 2)]
    items = list(dict.fromkeys(masked(item.prompt) for item in EXAM))
    found = {(n.row, n.item) for n in by_minhash(rows, items)}
    sets = [character_grams(text) for text in items]
    near = {
        (r, i)
        for r, grams in enumerate(map(character_grams, rows))
        for i, other in enumerate(sets)
        if jaccard(grams, other) >= 0.65
    }
    assert len(near) > 100 and len(near - found) <= len(near) // 100


def test_masking() -> None:
    assert masked("Swap 4.5 WETH at $21.7M on Uniswap v3, 0.05% fee?") == "swap # at # on $ # fee"
    assert masked("# @ $ alone") == "alone"
    assert folded("SWAP 4.5 WETH") == folded("swap  88,1 weth!") == "swap # weth"
    assert masked("什么是流动性池 and 5") == "什么是流动性池 and #"
    assert masked("") == folded("") == ""


def test_a_copy_in_another_script_is_found() -> None:
    exam = dataclasses.replace(EXAM[0], prompt="请问这个池子的手续费是多少 500 美元 怎么 计算")
    row = Row("r", "请问这个池子的手续费是多少 700 美元 怎么 计算")
    assert not compare([row], [exam]).clean


def test_calibration_reports_what_it_caught() -> None:
    found = calibrate(honest(50), EXAM[:20])
    assert {p.plant for p in found.planted} >= set(PLANTS)
    exact = next(p for p in found.planted if p.plant == "exact")
    assert exact.n == 20 and exact.caught["exact"] == exact.caught["any"] == 20
    text = table(found)
    assert "| exact (20) | 100.0% |" in text and all(kind in text for kind in KINDS)
    json.dumps(found.to_json())


def test_paraphrases_are_of_the_exam_and_are_no_copies() -> None:
    ids = {item.id: item.prompt for item in HOLDOUT}
    assert len(paraphrases()) == 30
    for item, text in paraphrases():
        assert jaccard(character_grams(masked(text)), character_grams(masked(ids[item]))) < 0.65


@pytest.mark.slow
def test_thresholds_hold_with_the_real_embedder() -> None:
    """What the docstring of Thresholds promises, on a sample."""
    real = Embedder.load()
    rows = honest(600)
    report = compare(rows, HOLDOUT, real)
    assert report.clean and report.complete
    reworded = [Row(i, t) for i, t in paraphrases()]
    caught = {e: compare(reworded, HOLDOUT, real, Thresholds(embedding=e)) for e in (0.985, 0.88)}
    assert len(caught[0.985].refused_rows) <= 2
    assert len(caught[0.88].refused_rows) >= 20
