"""Traces sent on in the background, at least once each, as long as it takes.

Contract: the store is the queue: a cursor in it says what was sent, so an outage, a restart or a
kill loses nothing that retention has not deleted. What can be mended (no connection, 401, 404, 429,
5xx) is tried again with growing pauses; what the receiver refuses (400, 413, 422) is halved until
the span at fault is alone, and counted. No request ever waits for this thread.
"""

from __future__ import annotations

import gzip
import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from denizen.serve.traces import otlp
from denizen.serve.traces.spans import Feedback, Span
from denizen.serve.traces.store import TraceStore

if TYPE_CHECKING:
    import httpx

Verdict = Literal["sent", "later", "missing", "refused"]
_BATCH = 200  # spans of one body
_LONGEST = 2 * 2**20  # bytes of one body before compression
_SCORES = 50  # feedback read at once
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_ASKED = 1.0, 60.0, 300.0
_TRIES = 6  # for feedback whose trace the receiver does not know yet
_POLL = 5.0
_REFUSED = (400, 413, 415, 422)
_LOG = logging.getLogger("denizen.traces")


@dataclass(frozen=True, slots=True)
class Call:
    """A POST."""

    url: str
    body: bytes
    headers: Mapping[str, str]


class Dialect(Protocol):
    """How a receiver wants spans and feedback."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str:
        """Where OTLP goes, in full."""
        ...

    @property
    def headers(self) -> Mapping[str, str]: ...
    def shape(self, span: Span) -> Span:
        """The span with the attributes this receiver looks for."""
        ...

    @property
    def scores_at_once(self) -> int:
        """Feedback that one call may tell of."""
        ...

    def score(self, feedback: Sequence[Feedback]) -> Call:
        """The call that tells of feedback."""
        ...


class Exporter:
    """The thread. `keep` False deletes from the store what was sent."""

    def __init__(
        self,
        store: TraceStore,
        dialect: Dialect,
        *,
        keep: bool = True,
        client: httpx.Client | None = None,
        first_pause: float = _FIRST_PAUSE,
    ) -> None:
        self._store, self._dialect, self._keep = store, dialect, keep
        self._client, self._first_pause = client, first_pause
        self.target = f"{dialect.name} {dialect.url}"
        self._spans, self._feedback = store.cursor(self.target)
        self.sent = self.scored = self.refused = self.failures = 0
        self.trouble = ""
        self._asked, self._tries, self._alone = 0.0, 0, 0
        self._wake, self._stop = threading.Event(), threading.Event()
        self._deadline, self._answer = 0.0, b""
        self._renewed = store.renewed
        store.listen(self._wake.set)
        self._thread = threading.Thread(target=self._run, name="denizen-export", daemon=True)
        self._thread.start()

    def counts(self) -> dict[str, int]:
        """For the metrics."""
        return {
            "exported": self.sent,
            "exported_feedback": self.scored,
            "export_refused": self.refused,
            "export_failures": self.failures,
            "export_trouble": int(bool(self.trouble)),
        }

    def close(self, timeout: float = 5.0) -> None:
        """Send what can be sent in this time; the rest stays in the store."""
        self._deadline = time.monotonic() + timeout
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout + 1.0)

    def _run(self) -> None:
        pause = self._first_pause
        with self._connected() as client:
            while True:
                self._wake.clear()
                try:
                    state = self._step(client)
                except Exception as error:  # the store may be locked or gone: never end the thread
                    state = self._later(f"{type(error).__name__}: {error}")
                if self._stop.is_set() and (state != "sent" or time.monotonic() > self._deadline):
                    return
                if state == "sent":
                    pause = self._first_pause
                elif state == "idle":
                    self._wake.wait(_POLL)
                else:
                    wait = max(self._asked, pause * random.uniform(0.8, 1.2))
                    pause, self._asked = min(pause * 2, _LONGEST_PAUSE), 0.0
                    self._stop.wait(wait)

    def _step(self, client: httpx.Client) -> Literal["sent", "idle", "later"]:
        """One batch of spans, or of feedback once there is no span left."""
        if self._renewed != self._store.renewed:  # another file, whose numbers begin anew
            self._renewed = self._store.renewed
            self._spans = self._feedback = 0
        before = (self._spans, self._feedback)
        spans = self._store.spans_after(self._spans, _BATCH)
        if spans:
            done = self._push(client, spans)
        elif feedback := self._store.feedback_after(self._feedback, _SCORES):
            done = self._tell(client, feedback)
        else:
            return "idle"
        if (self._spans, self._feedback) != before:
            self._store.advance(self.target, self._spans, self._feedback)
            if not self._keep:
                self._store.forget_exported(self.target)
        if done and self.trouble:
            _LOG.warning("traces reach %s again", self._dialect.name)
            self.trouble = ""
        return "sent" if done else "later"

    def _push(self, client: httpx.Client, batch: list[tuple[int, Span]]) -> bool:
        """Send spans; halves what is too much or refused. False: try again later."""
        try:
            body = otlp.encode(self._dialect.shape(span) for _, span in batch)
        except Exception as error:  # a span like no other must not hold up all that follow
            self._say(f"a span cannot be sent to {self._dialect.name}: {type(error).__name__}")
            body = b""
        verdict: Verdict = "refused"
        if body and (len(body) <= _LONGEST or len(batch) == 1):
            headers = {
                "Content-Type": otlp.PROTOBUF,
                "Content-Encoding": "gzip",
                **self._dialect.headers,
            }
            call = Call(self._dialect.url, gzip.compress(body, 5), headers)
            verdict = self._post(client, call)
        if verdict in ("later", "missing"):
            return False
        if verdict == "refused" and len(batch) > 1:
            half = len(batch) // 2
            return self._push(client, batch[:half]) and self._push(client, batch[half:])
        if verdict == "sent":
            refused = min(otlp.refused(self._answer), len(batch))
            self.sent += len(batch) - refused
            self._refuse(refused)
        else:
            self._refuse(1)
        self._spans = batch[-1][0]
        return True

    def _tell(self, client: httpx.Client, batch: list[tuple[int, Feedback]]) -> bool:
        """Send feedback; one at a time after a body that was not taken as a whole."""
        batch = batch[: 1 if self._alone else self._dialect.scores_at_once]
        verdict = self._post(client, self._dialect.score([one for _, one in batch]))
        if verdict == "later":
            return False
        if verdict != "sent" and len(batch) > 1:
            self._alone = len(batch)
            return True
        if verdict == "missing":  # the receiver may not have stored the trace yet
            self._tries += 1
            if self._tries < _TRIES:
                return False
        if verdict == "sent":
            self.scored += len(batch)
        else:
            self._refuse(1)
        self._tries, self._alone = 0, max(0, self._alone - 1)
        self._feedback = batch[-1][0]
        return True

    def _post(self, client: httpx.Client, call: Call) -> Verdict:
        import httpx

        try:
            answer = client.post(call.url, content=call.body, headers=dict(call.headers))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._later(type(error).__name__)
            return "later"
        if answer.status_code == 207:  # Langfuse: some of an array were refused
            return "refused"
        if answer.is_success:
            self._answer = answer.content
            return "sent"
        if answer.status_code in _REFUSED:
            # The receiver's words may quote what was sent: only the status is told.
            self._say(f"{self._dialect.name} refused traces with status {answer.status_code}")
            return "refused"
        asked = answer.headers.get("retry-after", "")
        self._asked = min(float(asked), _LONGEST_ASKED) if asked.isdigit() else 0.0
        self._later(f"status {answer.status_code}")
        return "missing" if answer.status_code == 404 else "later"

    def _refuse(self, count: int) -> None:
        self.refused += count
        if count:
            self._store.tell(count)

    def _later(self, reason: str) -> Literal["later"]:
        self.failures += 1
        self._say(f"traces do not reach {self._dialect.name} and wait: {reason}")
        return "later"

    def _say(self, line: str) -> None:
        if not self.trouble:
            _LOG.warning("%s", line[:200])
        self.trouble = line[:200]

    def _connected(self) -> httpx.Client:
        import httpx

        # No redirects: a key must not follow one.
        return self._client or httpx.Client(timeout=30.0, follow_redirects=False)
