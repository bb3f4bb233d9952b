"""Events of real chains over JSON-RPC: fetched whole, kept in order, recomputed by the engine."""

from denizen.evm.chain.ingest import Job, Summary, ingest
from denizen.evm.chain.rebuild import Report, rebuild
from denizen.evm.chain.rpc import Rpc, RpcError

__all__ = ["Job", "Report", "Rpc", "RpcError", "Summary", "ingest", "rebuild"]
