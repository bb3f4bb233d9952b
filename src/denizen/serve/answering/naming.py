"""Which path a request takes: by the model's name, then by what is asked of it.

Contract: `<release>` and every adapter's name are the Analyst, `<release>-base` is the bare model,
the embedder's name only embeds; an unknown name is a Fault 404.  The Analyst writes one checked
answer; what needs raw tokens (tools, a foreign response format, n, logprobs, text to go on from)
is generated directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from denizen.serve.answering.report import wanted
from denizen.serve.exchange import Backend, Fault, ModelCard, Request
from denizen.tasks import Suite

Kind = Literal["analyst", "adapter", "base", "embedding"]
EMBEDDER = "all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Named:
    """What a model's name means; `adapter` is "" where the base speaks."""

    kind: Kind
    adapter: str = ""


class Names:
    """The names this server answers to; adapters come and go while it serves.

    `skills` tells which adapter answers a task family.
    """

    def __init__(
        self,
        release: str,
        backend: Backend,
        created: int,
        embeds: bool,
        skills: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.release, self.created = release, created
        self._backend, self._embeds, self._skills = backend, embeds, skills

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The Analyst first, then adapters, the bare model and the embedder."""
        facts = self._backend.facts
        made = [ModelCard(self.release, "analyst", self.created, facts)]
        skills = self._skills()
        for name in facts.adapters:
            families = tuple(family for family, adapter in skills.items() if adapter == name)
            made.append(ModelCard(name, "adapter", self.created, facts, families))
        made.append(ModelCard(f"{self.release}-base", "base", self.created, facts))
        if self._embeds:
            made.append(ModelCard(EMBEDDER, "embedding", self.created))
        return tuple(made)

    def find(self, model: str) -> Named:
        """The meaning of a name; raises Fault 404 with the names there are.

        Ollama's clients say `name:latest`, or leave it out.
        """
        kinds = {card.id: card.kind for card in self.cards}
        for name in (model, model.removesuffix(":latest"), f"{model}:latest"):
            if name in kinds:
                return Named(kinds[name], name if kinds[name] == "adapter" else "")
        known = ", ".join(kinds)
        raise Fault(
            404,
            f"the model '{model[:80]}' does not exist here; there are: {known}",
            code="model_not_found",
            param="model",
        )


def is_direct(request: Request, named: Named, suite: Suite) -> bool:
    """Whether the request is generated directly; objects of the suite are the Analyst's."""
    if named.kind == "base" or request.text is not None:
        return True
    if request.n > 1 or request.logprobs is not None or request.tools:
        return True
    if any(turn.role == "tool" or turn.tool_calls for turn in request.turns):
        return True
    return request.format.kind != "text" and wanted(request.format, suite) is None
