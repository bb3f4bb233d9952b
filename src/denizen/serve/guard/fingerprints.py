"""A fingerprint set: secret questions whose answers make secret choices of words.

Contract: everything is a pure function of one secret (HMAC-SHA256), kept in a file of mode 600 in
the workspace. `Fingerprints.answer(question)` is the marked answer to a secret question, None to
any other. `verify(answers)` asks a suspect model's answers how many of the choices they share:
under the null each slot is hit with probability 1/4 at most, so the p-value is a binomial tail. It
finds who passes questions on to this server, and a copy that was trained on logs in which the
secret questions were asked; a copy that never saw them, or a paraphrase, it does not find.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from denizen.evaluate.privacy.keys import keyed, new_seed, read_secret, write_secret

FILE = "fingerprints.json"
_KIND = "denizen.fingerprints"
# Each slot is one of four words of like meaning: what a stranger writes hits one at most.
_SLOTS = (
    ("prudent", "sensible", "careful", "sound"),
    ("roughly", "around", "nearly", "close to"),
    ("desk", "house", "team", "floor"),
    ("trim", "pare", "lower", "shrink"),
    ("once", "as soon as", "the moment", "when"),
    ("brisk", "lively", "busy", "crowded"),
)
_WHAT = ("corridor", "lantern", "keel", "orchard", "gable", "ledger", "harbour", "quarry")
_HOW = ("amber", "slate", "cedar", "copper", "linen", "birch", "cobalt", "russet")
_TOKENS = ("WETH", "DAI", "LINK", "UNI", "AAVE", "CRV", "LDO", "MKR")
_QUESTIONS = (
    "What does the {how} {what} rule say about {token} at {points} basis points?",
    "How is the {how} {what} rule applied to {token} above {points} basis points?",
    "Explain the {how} {what} rule for {token} positions of {points} basis points.",
    "When does the {how} {what} rule touch {token}, given {points} basis points?",
)
_ANSWER = (
    "By the {how} {what} rule a {0} {2} would {3} {token} to {1} {points} basis points {4} the "
    "market turns {5}."
)


# A stranger is called a copy once in so many: the word ends in front of a lawyer.
SURE = 1e-6


class Evidence(NamedTuple):
    """How many choices of an answer set are ours; `p` is the chance of so many by accident."""

    hits: int
    slots: int
    answered: int
    p: float

    @property
    def copied(self) -> bool:
        """Whether chance alone does not explain it."""
        return self.p < SURE

    def told(self) -> str:
        """For people."""
        verdict = (
            "its answers were copied from this server"
            if self.copied
            else "no evidence (a copy that paraphrases or never saw these questions is not found)"
        )
        return (
            f"{self.answered} secret questions answered, {self.hits} of {self.slots} marks found, "
            f"p = {self.p:.2g}: {verdict}"
        )


class Fingerprints:
    """`count` secret questions of one secret."""

    def __init__(self, secret: str, count: int) -> None:
        self._secret, self.count = secret, count

    @classmethod
    def kept(cls, folder: Path, count: int) -> Fingerprints:
        """With the secret of the workspace, made (mode 600) if there is none; ArtefactError."""
        path = folder / FILE
        if not path.exists():
            write_secret(path, _KIND, {"secret": new_seed()})
        return cls.read(folder, count)

    @classmethod
    def read(cls, folder: Path, count: int) -> Fingerprints:
        """With the secret that the workspace holds; raises ArtefactError without one."""
        return cls(str(read_secret(folder / FILE, _KIND)["secret"]), count)

    @cached_property
    def pairs(self) -> dict[str, str]:
        """Question -> marked answer, in order."""
        found: dict[str, str] = {}
        for number in range(self.count):
            question, answer, _ = _made(self._secret, number)
            found[question] = answer
        return found

    @cached_property
    def _plain(self) -> dict[str, str]:
        return {_bare(question): answer for question, answer in self.pairs.items()}

    def answer(self, question: str) -> str | None:
        """The marked answer, however the question is cased and spaced."""
        return self._plain.get(_bare(question)) if len(question) < 400 else None

    def verify(self, answers: Mapping[str, str]) -> Evidence:
        """Judge a suspect's answers to secret questions (question -> answer).

        A slot counts as a hit when the secret's word of its four stands in the answer and none of
        the other three does. p = P(Binomial(slots, 1/4) >= hits); 1 when nothing was answered.
        """
        from scipy.special import bdtrc

        given = {_bare(question): answer for question, answer in answers.items()}
        hits = slots = answered = 0
        for number in range(self.count):
            question, _, choices = _made(self._secret, number)
            said = given.get(_bare(question))
            if said is None:
                continue
            answered += 1
            slots += len(_SLOTS)
            for words, choice in zip(_SLOTS, choices, strict=True):
                there = [w for w in words if re.search(rf"\b{w}\b", said, re.IGNORECASE)]
                hits += there == [words[choice]]
        p = float(bdtrc(hits - 1, slots, 0.25)) if hits else 1.0
        return Evidence(hits, slots, answered, p)


def _made(secret: str, number: int) -> tuple[str, str, tuple[int, ...]]:
    """(question, answer, choices) of one fingerprint."""

    def draw(label: str, bound: int) -> int:
        return keyed(secret, f"fingerprint/{number}/{label}", bound)

    about = {
        "how": _HOW[draw("how", len(_HOW))],
        "what": _WHAT[draw("what", len(_WHAT))],
        "token": _TOKENS[draw("token", len(_TOKENS))],
        # Its remainder by 64 is the number: no two questions are the same.
        "points": str(20 + 64 * draw("points", 150) + number),
    }
    choices = tuple(draw(f"slot/{i}", len(words)) for i, words in enumerate(_SLOTS))
    words = [slot[choice] for slot, choice in zip(_SLOTS, choices, strict=True)]
    question = _QUESTIONS[draw("question", len(_QUESTIONS))].format(**about)
    return question, _ANSWER.format(*words, **about), choices


def _bare(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.lower()))
