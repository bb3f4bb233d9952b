"""What `denizen ask` prints: the answer with its notes, and nothing that a terminal obeys."""

from __future__ import annotations

from denizen.cli.ask import as_text
from denizen.serve.exchange import Outcome, Usage


def test_what_a_source_says_to_the_terminal_is_not_handed_on() -> None:
    outcome = Outcome("m", Usage(), confidence=0.5, corrections=(("5\x1b[8m", "6"),))
    told = as_text(
        "Pays\t5 \x1b[31mUSDC\x1b]52;c;ZXZpbA==\x07\n\nSources\n  [1] B\x9b2Jonds", outcome
    )
    assert all(c in "\n\t" or c.isprintable() for c in told)
    assert told.startswith("Pays\t5 ") and "Sources\n  [1] B" in told
    assert "Confidence 50%\nCorrected: 5" in told


def test_an_answer_without_notes_stands_alone() -> None:
    assert as_text("In range.", Outcome("m", Usage())) == "In range."
