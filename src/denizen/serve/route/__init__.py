"""Calibrated escalation: signals, Learn then Test, the router, the upstream, its budget and audits.

Contract: nothing heavy is imported here; a name's module is imported when the name is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denizen.serve.route.agreement import agrees
    from denizen.serve.route.audit import Auditor, AuditState
    from denizen.serve.route.budget import Budget
    from denizen.serve.route.calibrating import calibrate
    from denizen.serve.route.calibration import Calibration, NotCalibrated, read_calibration
    from denizen.serve.route.fingerprint import DOCUMENTS, depends_on
    from denizen.serve.route.reply import UpstreamFailed
    from denizen.serve.route.report import RouteReport
    from denizen.serve.route.reporting import report_of
    from denizen.serve.route.router import Decision, Router
    from denizen.serve.route.signals import SIGNALS, Reading, read_answer, signals_of
    from denizen.serve.route.upstream import Answered, Upstream

_WHERE = {
    "Answered": "upstream",
    "DOCUMENTS": "fingerprint",
    "NotCalibrated": "calibration",
    "depends_on": "fingerprint",
    "AuditState": "audit",
    "Auditor": "audit",
    "Budget": "budget",
    "Calibration": "calibration",
    "Decision": "router",
    "Reading": "signals",
    "RouteReport": "report",
    "Router": "router",
    "SIGNALS": "signals",
    "Upstream": "upstream",
    "UpstreamFailed": "reply",
    "agrees": "agreement",
    "calibrate": "calibrating",
    "read_answer": "signals",
    "read_calibration": "calibration",
    "report_of": "reporting",
    "signals_of": "signals",
}

__all__ = [
    "DOCUMENTS",
    "SIGNALS",
    "Answered",
    "AuditState",
    "Auditor",
    "Budget",
    "Calibration",
    "Decision",
    "NotCalibrated",
    "Reading",
    "RouteReport",
    "Router",
    "Upstream",
    "UpstreamFailed",
    "agrees",
    "calibrate",
    "depends_on",
    "read_answer",
    "read_calibration",
    "report_of",
    "signals_of",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
