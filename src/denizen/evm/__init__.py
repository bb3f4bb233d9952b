"""Real contract bytecode in an embedded EVM: fetching, running, and certifying the engine."""

from denizen.evm.machine import EventLog, Machine, Revert
from denizen.evm.packages import PACKAGES, Package, artefact, creation_code, fetch

__all__ = [
    "PACKAGES",
    "EventLog",
    "Machine",
    "Package",
    "Revert",
    "artefact",
    "creation_code",
    "fetch",
]
