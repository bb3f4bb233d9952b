"""Running an endpoint: keys, limits, the admission queue, metrics, redaction, start and stop.

Contract: `Operations` is what the interfaces ask before and after each request; `run` (in
running.py, imported by itself for it needs uvicorn) serves until a signal; `redact` hides secrets
in anything that is logged, traced or sent away.
"""

from denizen.serve.operations.keys import SCOPES, Key, KeyStore
from denizen.serve.operations.operations import Operations
from denizen.serve.operations.redaction import Redactor, redact

__all__ = ["SCOPES", "Key", "KeyStore", "Operations", "Redactor", "redact"]
