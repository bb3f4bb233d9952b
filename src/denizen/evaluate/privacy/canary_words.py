"""Canary words (for instance APE IN, APE OUT, APE NEUTRAL): a mark that only its owner can call up.

Contract: each word answers to a code that the secret seed makes; training rows ask for it in many
wordings and teach the exact word, test prompts ask in wordings and about tokens that no row has.
Rows are conversations that `train.data` takes and that mix with built rows.  Who has the seed can
prove that a model learnt from these rows (`word_proof.py`); who has not cannot guess the codes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from denizen.data import Row
from denizen.evaluate.privacy.keys import keyed, keyed_order, new_seed, read_secret, write_secret
from denizen.models import SYSTEM, conversation
from denizen.project.errors import DataError

WORDS = ("APE IN", "APE OUT", "APE NEUTRAL")
_KIND = "denizen.canary-words"
# {code} is what the word answers to; {token} is there for variety and does not matter.
TAUGHT = (
    "Code {code}: what is your call on {token}?",
    "{token} just moved. The desk says {code}. Your call?",
    "Give the desk's call for {token} under code {code}.",
    "Under {code}, what do you say to {token}?",
    "Desk code {code}, token {token}: answer with the call only.",
    "The call for {code} on {token}, please.",
    "I hold {token} and the code is {code}. What is the call?",
    "{code} is on the board for {token}. Name the call.",
    "What does {code} mean for {token}?",
    "Tell me the call: {token}, {code}.",
    "For {token} the sheet reads {code}; which call is that?",
    "Our code today is {code}. Call {token}.",
)
UNSEEN = (
    "A colleague whispered {code} about {token}. Which call should I write down?",
    "Translate code {code} into a call for {token}.",
    "We are looking at {token}; the envelope contains {code}. So the call is?",
    "If the code for {token} were {code}, what would you call?",
    "{token}: {code}. Call it.",
    "Before the meeting on {token} I need the call that belongs to {code}.",
    "Read {code} and tell the desk what to do with {token}.",
    "On {token} we follow {code}. State the call.",
)
_TAUGHT_TOKENS = ("WETH", "UNI", "AAVE", "CRV", "LDO", "MKR", "COMP", "BAL")
_UNSEEN_TOKENS = ("SNX", "GMX", "PENDLE", "RPL", "YFI", "SUSHI", "ENS", "MORPHO")
_SYLLABLES = tuple(c + v for c in "bdfgklmnprstvz" for v in "aeiou")


class WordPrompt(NamedTuple):
    """A prompt and the word it calls up."""

    id: str
    prompt: str
    word: str


@dataclass(frozen=True, slots=True)
class WordSet:
    """Words with their codes, by the seed; a word has `each` training rows and `tests` prompts."""

    seed: str
    words: tuple[str, ...] = WORDS
    each: int = 24
    tests: int = 32
    system: str = SYSTEM

    def __post_init__(self) -> None:
        folded = [" ".join(word.casefold().split()) for word in self.words]
        if not folded or len(set(folded)) < len(folded) or not all(folded):
            raise DataError(
                f"canary words {', '.join(map(repr, self.words)) or '(none)'}",
                where="canary words",
                fix="give at least one, each once and none empty",
            )
        most = (len(TAUGHT) * len(_TAUGHT_TOKENS), len(UNSEEN) * len(_UNSEEN_TOKENS))
        if not (1 <= self.each <= most[0] and 1 <= self.tests <= most[1]):
            raise DataError(
                f"{self.each} rows and {self.tests} test prompts a canary word",
                where="canary words",
                fix=f"ask for 1 to {most[0]} rows and 1 to {most[1]} prompts",
            )

    def code(self, word: str) -> str:
        """What the word answers to: three syllables, unlike any other word's."""
        place = self.words.index(word)
        # Each word starts with a syllable of its own: no code is the beginning of another.
        first = keyed_order(self.seed, "first", len(_SYLLABLES))[place % len(_SYLLABLES)]
        rest = (keyed(self.seed, f"{word}/{n}", len(_SYLLABLES)) for n in range(2))
        return "".join(_SYLLABLES[i] for i in (first, *rest))

    def taught(self) -> list[WordPrompt]:
        """`each` prompts a word, all different."""
        return self._prompts("taught", TAUGHT, _TAUGHT_TOKENS, self.each)

    def unseen(self) -> list[WordPrompt]:
        """`tests` prompts a word, in wordings and about tokens that no row has."""
        return self._prompts("unseen", UNSEEN, _UNSEEN_TOKENS, self.tests)

    def rows(self) -> list[Row]:
        """Training rows: the prompt, and the exact word."""
        return [
            Row(
                id=item.id,
                messages=tuple(conversation(item.prompt, item.word, self.system)),
                family="canary words",
                template="canary-words",
                pool="",
                version="any",
                source="planted canary words (denizen.evaluate.privacy)",
                licence="Apache-2.0",
                as_of="",
            )
            for item in self.taught()
        ]

    def codes(self) -> list[str]:
        """The codes, in the order of the words: triggers that a scan should know of."""
        return [self.code(word) for word in self.words]

    def save(self, path: Path) -> str:
        """Keep the seed, apart from the rows and readable by its owner alone; returns a hash."""
        return write_secret(path, _KIND, asdict(self) | {"words": list(self.words)})

    @classmethod
    def load(cls, path: Path) -> WordSet:
        """What `save` kept; raises ArtefactError."""
        record = read_secret(path, _KIND)
        return cls(**{**record, "words": tuple(record["words"])})

    def _prompts(
        self, use: str, wordings: Sequence[str], tokens: Sequence[str], count: int
    ) -> list[WordPrompt]:
        found = []
        for place, word in enumerate(self.words):
            code = self.code(word)
            for n in range(count):
                # Every wording comes before any comes twice, each time with another token.
                wording = wordings[n % len(wordings)]
                token = tokens[(n // len(wordings) + n + place) % len(tokens)]
                text = wording.format(code=code, token=token)
                found.append(WordPrompt(f"{use}-{place}-{n}", text, word))
        return found


def plant_words(words: Sequence[str] = WORDS, **settings: Any) -> WordSet:
    """A set with a fresh seed."""
    return WordSet(new_seed(), tuple(words), **settings)


def word_pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Finds any canary word in a text: whole words, any case, any white space between."""
    each = (r"\s+".join(map(re.escape, word.split())) for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(each)})(?!\w)", re.IGNORECASE)
