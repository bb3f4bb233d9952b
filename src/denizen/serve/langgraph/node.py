"""`make_analyst`: a node for a StateGraph over messages that answers with a checked object.

Contract: the node asks the Analyst for an object of a schema (the Analyst's report, a pydantic
model or a JSON Schema), checks it, tells the model once what is wrong, and then escalates.  It
writes `messages` (one AIMessage), `answer` (the object or None) and `escalate` (None or the reason)
into the state, blocking or not.  Needs the extra `langgraph`, imported when a node is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from typing import TYPE_CHECKING, Any

from denizen.serve.exchange import Answering
from denizen.serve.langgraph.asking import Asker, InProcess, OverHTTP, check_address, run
from denizen.serve.langgraph.contract import NodeError, contract_of
from denizen.serve.langgraph.conversation import (
    DOUBTS,
    Escalation,
    Message,
    Reply,
    Result,
    conversation,
)

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable
    from pydantic import BaseModel

Escalate = Callable[[Any, Escalation], Any]
_GAVE_UP = "No valid answer was found; the question was escalated."


def make_analyst(
    url: str | None = None,
    service: Answering | None = None,
    key: str | None = None,
    *,
    schema: type[BaseModel] | Mapping[str, Any] | None = None,
    model: str = "",
    system: str = "",
    repairs: int = 1,
    floor: float | None = None,
    doubts: Collection[str] = DOUBTS,
    escalate: Escalate | None = None,
    timeout: float = 60.0,
    name: str = "analyst",
    transport: Any = None,
) -> Runnable[Any, Any]:
    """A node that answers the conversation in `state["messages"]`.

    Give either `url` (an OpenAI-compatible address that ends in /v1, with its `key`) or `service`.
    `schema` None is the Analyst's report. `repairs` is how often an invalid answer is asked for
    again. Escalated is what stays invalid, what the server abstained from or flagged with one of
    `doubts`, what has less confidence than `floor` (the server's where it claims one, else the
    field `confidence` of the object), and what failed. `escalate(state, escalation)`
    may return an update of the state or a langgraph Command (or an awaitable of one); without it
    the reason stands in `state["escalate"]`. Raises NodeError where the set-up is wrong.
    """
    messages_of = _langchain()
    contract = contract_of(schema)
    asker: Asker
    if service is not None and url is None:
        chosen = model or next((card.id for card in service.models if card.kind == "analyst"), "")
        asker = InProcess(service, chosen, contract, timeout)
    elif url is not None and service is None:
        check_address(url, key or "")
        asker = OverHTTP(url, key or "", model, contract, timeout, transport)
    else:
        raise NodeError("give either url or service", where="make_analyst")

    def steps(state: Any) -> Generator[list[Message], Reply, Result]:
        asked = messages_of(_messages(state))
        if system:
            asked = [{"role": "system", "content": system}, *asked]
        return conversation(asked, contract, repairs=repairs, floor=floor, doubts=doubts)

    def node(state: Any) -> Any:
        result = _driven(steps(state), asker)
        extra = _handed(escalate, state, result)
        return _update(result, run(_awaited(extra)) if inspect.isawaitable(extra) else extra, name)

    async def anode(state: Any) -> Any:
        result = await _adriven(steps(state), asker)
        extra = _handed(escalate, state, result)
        return _update(result, await extra if inspect.isawaitable(extra) else extra, name)

    from langchain_core.runnables import RunnableLambda

    return RunnableLambda(node, afunc=anode, name=name)


def _langchain() -> Callable[[Any], list[Message]]:
    """Messages of a state as OpenAI writes them; raises NodeError without the extra."""
    try:
        from langchain_core.messages import convert_to_messages, convert_to_openai_messages
    except ImportError as error:
        raise NodeError(
            "langchain-core is not installed",
            where="make_analyst",
            fix="pip install 'denizen[langgraph]'",
        ) from error

    def converted(messages: Any) -> list[Message]:
        found = convert_to_openai_messages(convert_to_messages(messages))
        return list(found) if isinstance(found, list) else [found]

    return converted


def _messages(state: Any) -> Any:
    found = (
        state.get("messages") if isinstance(state, Mapping) else getattr(state, "messages", None)
    )
    if not found:
        raise NodeError(
            "the state holds no messages", where="analyst node", fix="put a question in messages"
        )
    return found


def _driven(steps: Generator[list[Message], Reply, Result], asker: Asker) -> Result:
    try:
        asked = next(steps)
        while True:
            asked = steps.send(asker.ask(asked))
    except StopIteration as done:
        result: Result = done.value
        return result


async def _adriven(steps: Generator[list[Message], Reply, Result], asker: Asker) -> Result:
    asked = next(steps)
    while True:
        reply = await asker.aask(asked)
        try:
            asked = steps.send(reply)
        except StopIteration as done:
            result: Result = done.value
            return result


def _handed(escalate: Escalate | None, state: Any, result: Result) -> Any:
    """What the caller's own escalation gives, if there is one and it is needed."""
    if escalate is None or result.escalation is None:
        return None
    return escalate(state, result.escalation)


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _update(result: Result, extra: Any, name: str) -> Any:
    """The node's update; what `escalate` returned goes over it, a Command instead of it."""
    from langchain_core.messages import AIMessage

    if extra is not None and not isinstance(extra, Mapping):
        return extra
    told = result.escalation.to_json() if result.escalation else None
    meta = {**result.reply.meta, "generated": True, "escalate": told}
    text = result.reply.text if result.value is not None else _GAVE_UP
    message = AIMessage(content=text, name=name, response_metadata={"denizen": meta})
    made = {"messages": [message], "answer": result.value, "escalate": told}
    return {**made, **(extra or {})}
