"""The Analyst as a node of a graph: python examples/langgraph_graph.py "QUESTION"

A valid report goes on to `act`; whatever stays invalid after one repair, is doubted by the server
or did not come at all goes to `person`.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from denizen.serve.langgraph import make_analyst

QUESTION = (
    "I hold a pool position: fee APR 12%, no incentives, impermanent loss 2%, TVL $45M, audited 90 "
    "days ago, live for 400 days, the ten largest holders have 20%, in range. What should I do?"
)


class State(TypedDict, total=False):
    """What the graph knows: the node writes `answer` and `escalate`."""

    messages: Annotated[list[Any], add_messages]
    answer: dict[str, Any] | None
    escalate: dict[str, Any] | None


def act(state: State) -> State:
    """Stand-in for what follows an answer that can be relied on."""
    answer = state.get("answer") or {}
    print("report:", answer)
    return {}


def person(state: State) -> State:
    """Stand-in for a ticket, a mail, a stronger model."""
    print("escalated:", (state.get("escalate") or {}).get("reason"))
    return {}


def main() -> None:
    """Build the graph and ask once."""
    analyst = make_analyst(
        os.environ.get("DENIZEN_URL", "http://127.0.0.1:8484") + "/v1",
        key=os.environ.get("DENIZEN_KEY"),
        floor=0.5,
    )
    graph = StateGraph(State)
    graph.add_node("analyst", analyst)
    graph.add_node("act", act)
    graph.add_node("person", person)
    graph.add_edge(START, "analyst")
    graph.add_conditional_edges("analyst", lambda s: "person" if s.get("escalate") else "act")
    graph.add_edge("act", END)
    graph.add_edge("person", END)
    question = " ".join(sys.argv[1:]) or QUESTION
    final = graph.compile().invoke({"messages": [("user", question)]})
    print("generated:", final["messages"][-1].response_metadata["denizen"]["generated"])


if __name__ == "__main__":
    main()
