"""The judge itself: an endpoint, a rubric and the names it must not see.

Contract: `Judge.grade` and `Judge.choose` put one question and give a verdict, or raise Unjudged;
`ask_all` puts many, a few at a time, in order, and stops asking after five failures in a row.
`Judge.id` covers everything a calibration depends on: model, server, rubric and wording.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from denizen.evaluate.judge.client import ChatClient, Reply
from denizen.evaluate.judge.errors import Unjudged
from denizen.evaluate.judge.identity import Identity, normal_name, refuse_self_judging
from denizen.evaluate.judge.questions import (
    CHOICES,
    GRADES,
    RUBRIC,
    blinded,
    comparison,
    grading,
    nonce_of,
    read_verdict,
    wording,
)
from denizen.evaluate.stats import SEED
from denizen.project.hashing import content_hash

GIVE_UP = 5  # failures in a row after which a server is taken for down
Asked = TypeVar("Asked")
Progress = Callable[[int, int], None]


class Judge:
    """A judge of the generators' answers; raises JudgeError if it is one of them.

    `hidden` are further names that an answer may give away (a product, a company). `base` and
    `weights` say what is known of the judge's own model.
    """

    def __init__(
        self,
        client: ChatClient,
        generators: Sequence[Identity],
        *,
        rubric: str = RUBRIC,
        hidden: Sequence[str] = (),
        base: str = "",
        weights: str = "",
        seed: int = SEED,
    ) -> None:
        settings = client.settings
        self.client, self.rubric, self.seed = client, rubric, seed
        self.identity = Identity(settings.model, settings.base_url, base, weights)
        self.generators = tuple(generators)
        refuse_self_judging(self.identity, self.generators)
        names = {name for g in generators for name in (g.model, g.base) if name}
        self.hidden = tuple(sorted({*names, *hidden, *map(normal_name, names)}))

    @property
    def id(self) -> str:
        """Hash of model, server, rubric and wording: what a calibration holds for."""
        return content_hash(
            {
                "model": self.identity.model,
                "endpoint": self.identity.endpoint,
                "rubric": self.rubric,
                "wording": wording(),
            }
        )

    def grade(self, item: str, question: str, answer: str, reference: str = "") -> str:
        """ "right" or "wrong"; raises Unjudged."""
        nonce = nonce_of(self.seed, item, answer)
        messages = grading(question, self._blind(answer), reference, self.rubric, nonce)
        return self._put(messages, nonce, GRADES)

    def choose(self, item: str, question: str, first: str, second: str, reference: str = "") -> str:
        """ "first", "second" or "tie", as the two stand; raises Unjudged."""
        nonce = nonce_of(self.seed, item, first, second)
        messages = comparison(
            question, self._blind(first), self._blind(second), reference, self.rubric, nonce
        )
        return self._put(messages, nonce, CHOICES)

    def _blind(self, answer: str) -> str:
        return blinded(answer, self.hidden)

    def _put(self, messages: list[dict[str, str]], nonce: str, allowed: tuple[str, ...]) -> str:
        verdict: str
        reply: Reply
        verdict, reply = self.client.ask(messages, lambda text: read_verdict(text, nonce, allowed))
        if reply.model:
            # A gateway may serve another model than was asked for.
            refuse_self_judging(Identity(reply.model), self.generators)
        return verdict


def ask_all(
    questions: Sequence[Asked],
    ask: Callable[[Asked], str],
    parallel: int,
    progress: Progress | None = None,
) -> list[str | Unjudged]:
    """A verdict or an Unjudged for each question, in order.

    After GIVE_UP failures in a row the rest is unjudged without being asked: a server that is down
    would cost every timeout of every item.
    """
    lock = threading.Lock()
    row = done = 0

    def one(question: Asked) -> str | Unjudged:
        nonlocal row, done
        with lock:
            down = row >= GIVE_UP
        found: str | Unjudged
        if down:
            found = Unjudged(f"not asked: the judge failed {GIVE_UP} times in a row")
        else:
            try:
                found = ask(question)
            except Unjudged as error:
                found = error
            except BaseException:
                with lock:
                    row = GIVE_UP  # a fault that no retry mends: nothing more is asked
                raise
        with lock:
            row = row if down else row + 1 if isinstance(found, Unjudged) else 0
            done += 1
            if progress is not None:
                progress(done, len(questions))
        return found

    with ThreadPoolExecutor(parallel) as pool:
        try:
            return list(pool.map(one, questions))
        except BaseException:
            # Ctrl-C too: what waits is not asked.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
