"""The Analyst as a node of a LangGraph graph: a checked object, one repair, else escalation.

Contract: importing this imports neither langgraph nor langchain-core (extra `langgraph`).
"""

from denizen.serve.langgraph.contract import Contract, Invalid, NodeError, contract_of
from denizen.serve.langgraph.conversation import Escalation
from denizen.serve.langgraph.node import make_analyst

__all__ = ["Contract", "Escalation", "Invalid", "NodeError", "contract_of", "make_analyst"]
