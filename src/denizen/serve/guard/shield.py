"""The shield: everything that stands between a request, the model and the answer, in one object.

Contract: made once by `from_config`; safe between threads. `check_input` refuses or flags what
looks like an injection (rules, then the classifier), `delimit` fences passages, `check_output` and
`stream` hide what must not be shown, `moderate` asks others, `watch` looks for extraction, `tools`
refuses what the server would have to run. `null()` does nothing at all. Every flag that is raised
is told to `tell`, for the metrics.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from denizen.project.errors import ArtefactError, ConfigError
from denizen.serve.exchange import Caller, Fault, Request
from denizen.serve.guard import harmless, output
from denizen.serve.guard.addresses import Known
from denizen.serve.guard.context import delimit
from denizen.serve.guard.coverage import Coverage
from denizen.serve.guard.fingerprints import Fingerprints
from denizen.serve.guard.harmless import Harmless
from denizen.serve.guard.injection import COVERED, InjectionModel, carried
from denizen.serve.guard.moderation import Hook, Moderation
from denizen.serve.guard.output import OutputCheck, OutputStream
from denizen.serve.guard.rules import find
from denizen.serve.guard.tools import check_tools

if TYPE_CHECKING:
    from denizen.models.embedder import Embeds
    from denizen.project.config import ShieldConfig

INJECTION = "prompt injection"
RULES_ONLY = "injection model unavailable"
PARTLY = "screened by rules alone beyond the first part"
LOGPROBS = "logprobs"
_KEPT = 2048  # texts whose verdict is remembered: a conversation sends its turns again
_SEAM = 240  # characters on either side of where two turns meet: an attack may be cut in two there
_UNTRUSTED = ("user", "tool")  # what the operator did not write and the model did not say
_Loader = Callable[[], "Embeds"]
Tell = Callable[[Iterable[str]], None]


class InputCheck(NamedTuple):
    """`score` in [0, 1] of the worst turn, and the reasons as flags."""

    score: float = 0.0
    flags: tuple[str, ...] = ()


class Shield:
    """See the module's contract; `from_config` and `null` are how one is made."""

    def __init__(
        self,
        settings: ShieldConfig,
        *,
        embedder: Embeds | _Loader | None = None,
        model: InjectionModel | None = None,
        first: Harmless | None = None,
        moderation: Moderation | None = None,
        fingerprints: Fingerprints | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.settings, self._tell = settings, tell
        self._embedder, self._model, self._first = embedder, model, first
        self._moderation, self._fingerprints = moderation or Moderation(), fingerprints
        self._coverage = Coverage(settings.coverage)
        # By the texts' hashes: two thousand of the longest texts would be gigabytes.
        self._verdicts: OrderedDict[bytes, InputCheck] = OrderedDict()
        self._lock, self._loading = Lock(), Lock()

    @classmethod
    def from_config(
        cls,
        shield: ShieldConfig,
        workspace: Path | None,
        *,
        embedder: Embeds | None = None,
        hook: Hook | None = None,
        tell: Tell | None = None,
    ) -> Shield:
        """The configured shield. `embedder` is shared with retrieval, else loaded at first use.

        Raises ConfigError for a moderation key that is not set and for fingerprints without a
        workspace, ArtefactError for a damaged fingerprint file.
        """
        name = shield.moderation_key_env
        key = os.environ.get(name, "") if name else ""
        if name and not key:
            raise ConfigError(
                f"the environment variable {name} is not set",
                where="shield.moderation_key_env",
                fix="set it to the moderation endpoint's key",
            )
        prints = None
        if shield.fingerprints:
            if workspace is None:
                raise ConfigError(
                    "fingerprints need a workspace that keeps their secret",
                    where="shield.fingerprints",
                    fix="set it to 0 or serve from a workspace",
                )
            prints = Fingerprints.kept(workspace, shield.fingerprints)
        url, failure = shield.moderation_url, shield.moderation_failure
        return cls(shield, embedder=embedder or _standard, first=harmless.shipped(), tell=tell,
                   moderation=Moderation(url, key, hook=hook, failure=failure),
                   fingerprints=prints)  # fmt: skip

    @staticmethod
    def null() -> Shield:
        """A shield that lets everything through, for tests and for comparison."""
        return _Null()

    @property
    def moderates(self) -> bool:
        """Whether others judge what is said: then nothing may leave before it was judged whole."""
        return self._moderation.configured

    def check_input(self, request: Request) -> InputCheck:
        """The worst of the turns that users and tools wrote; raises Fault 400 when it is blocked.

        Call it in a worker thread: a new text that is not plainly harmless is embedded.
        """
        if self.settings.injection == "off":
            return InputCheck()
        worst = InputCheck()
        for param, text, before in _untrusted(request):
            found = self._verdict(text)
            seam = f"{before[-_SEAM:]} {text[:_SEAM]}"
            if before and (hits := [str(hit) for hit in find(seam) if hit.certain]):
                found = InputCheck(1.0, (INJECTION, *hits))
            if INJECTION in found.flags and self.settings.injection == "block":
                self._count(found.flags)
                reasons = "; ".join(flag for flag in found.flags if flag != INJECTION)
                raise Fault(
                    400,
                    f"this looks like a prompt injection (score {found.score:.2f}"
                    + (f"; {reasons}" if reasons else "")
                    + "); rephrase it, or quote less of the text you ask about",
                    code="prompt_injection",
                    param=param,
                )
            flags = tuple(dict.fromkeys((*worst.flags, *found.flags)))
            worst = InputCheck(max(worst.score, found.score), flags)
        self._count(worst.flags)
        return worst

    def score(self, text: str) -> InputCheck:
        """One text, whoever wrote it: for documents, names, memos."""
        return self._verdict(text)

    def delimit(self, passages: Sequence[tuple[str, str]]) -> str:
        """(label, text) pairs as a fenced block for the prompt; see context.py."""
        return delimit(passages)

    def check_output(self, text: str, known: str) -> OutputCheck:
        """The text without what must not be shown; `known` is the input and the sources."""
        found = output.check(text, Known.of(known), addresses=self.settings.addresses)
        self._count(found.flags)
        return found

    def stream(self, known: str) -> OutputStream:
        """The same for a text in pieces: `feed` each, then `close`; its `flags` say what it hid."""
        return OutputStream(Known.of(known), addresses=self.settings.addresses, tell=self._count)

    async def moderate(self, text: str) -> tuple[str, ...]:
        """Flags of the moderation endpoint or hook; Fault 503 if it fails and that was chosen."""
        if not self._moderation.configured:
            return ()
        found = await self._moderation.flags(text)
        self._count(found)
        return found

    def watch(self, caller: Caller, question: str) -> tuple[str, ...]:
        """("extraction alarm", reasons...) when this caller seems to copy the model, else ()."""
        found = self._coverage.watch(caller.id if caller.id != "local" else
                                     f"local {caller.address}", question)  # fmt: skip
        self._count(found)
        return found

    def tools(self, request: Request) -> None:
        """Raises Fault 400 for tools that the server would run and does not; see tools.py."""
        check_tools(request)

    def logprobs(self, request: Request, caller: Caller) -> None:
        """Raises Fault 403 unless the key may see log probabilities: they copy a model fastest."""
        if request.logprobs is not None and LOGPROBS not in caller.scopes:
            raise Fault(
                403,
                "this key may not ask for log probabilities",
                kind="permission_error",
                code="missing_scope",
                param="logprobs",
            )

    def fingerprint(self, question: str) -> str | None:
        """The marked answer, if this is one of the secret questions."""
        return self._fingerprints.answer(question) if self._fingerprints else None

    async def close(self) -> None:
        """Close what is open."""
        await self._moderation.close()

    def _verdict(self, text: str) -> InputCheck:
        mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()
        with self._lock:
            if mark in self._verdicts:
                self._verdicts.move_to_end(mark)
                return self._verdicts[mark]
        found = self._judge(text)
        with self._lock:
            self._verdicts[mark] = found
            while len(self._verdicts) > _KEPT:
                self._verdicts.popitem(last=False)
        return found

    def _judge(self, text: str) -> InputCheck:
        hits = find(text)
        flags = [str(hit) for hit in hits if hit.certain]
        score = 1.0 if flags else 0.0
        level = self.settings.threshold or 1.0
        plain = self._first.score(text, hits, level) if self._first else None
        if plain is not None:
            score = plain
        # Where a rule is sure the model cannot add anything but time.
        elif not flags and text.strip():
            embedder, model = self._loaded()
            if embedder is None or model is None:
                flags.append(RULES_ONLY)
            else:
                score = model.score(text, hits, embedder)
                level = self.settings.threshold or model.threshold
        if len(text) > COVERED:
            flags.append(PARTLY)
        return InputCheck(score, (INJECTION, *flags) if score >= level else tuple(flags))

    def _loaded(self) -> tuple[Embeds | None, InjectionModel | None]:
        """The embedder and the model that belongs to it; None where there is none."""
        with self._loading:
            try:
                if callable(self._embedder):
                    self._embedder = self._embedder()
                if self._model is None and self._embedder is not None:
                    self._model = carried()
            except ArtefactError:
                self._embedder = None
            embedder, model = self._embedder, self._model
            # Weights of another embedder would mean nothing.
            fit = embedder is not None and model is not None and model.embedder == embedder.id
            return (embedder, model) if fit else (None, None)

    def _count(self, flags: Sequence[str]) -> None:
        if flags and self._tell is not None:
            # Not under which coat a rule fired: rules are few, their pairs with coats are not.
            self._tell(flag.partition(", in ")[0] for flag in flags)


class _Null(Shield):
    """Lets everything through."""

    def __init__(self) -> None:
        from denizen.project.config import ShieldConfig

        super().__init__(ShieldConfig(injection="off", addresses=False, coverage=0))

    def check_output(self, text: str, known: str) -> OutputCheck:
        return OutputCheck(text)

    def stream(self, known: str) -> OutputStream:
        return output.OpenStream()

    def tools(self, request: Request) -> None:
        return None

    def logprobs(self, request: Request, caller: Caller) -> None:
        return None


def _untrusted(request: Request) -> Iterator[tuple[str, str, str]]:
    """(parameter, text, the text right before it) of what neither operator nor model wrote."""
    if request.text is not None:
        yield "prompt", request.text, ""
    before = ""
    for place, turn in enumerate(request.turns):
        untrusted = turn.role in _UNTRUSTED
        if untrusted and turn.content:
            yield f"messages[{place}].content", turn.content, before
        before = turn.content if untrusted else ""


def _standard() -> Embeds:
    from denizen.models.embedder import Embedder

    return Embedder.load(threads=1)
