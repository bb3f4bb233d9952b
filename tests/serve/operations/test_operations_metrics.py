"""Metrics: what happened is counted, and no input makes the number of series grow."""

from __future__ import annotations

from denizen.serve.exchange import Outcome, Usage
from denizen.serve.operations.metrics import CONTENT_TYPE, Metrics
from denizen.serve.route import Auditor, Budget


def samples(metrics: Metrics) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    return {
        f"{s.name}{sorted(s.labels.items())}": s.value
        for family in text_string_to_metric_families(metrics.text())
        for s in family.samples
    }


def test_everything_is_counted() -> None:
    metrics = Metrics()
    outcome = Outcome(
        "m",
        Usage(100, 20),
        origin="upstream",
        exact=True,
        corrections=(("1", "2"), ("3", "4")),
        flags=("low confidence",),
    )
    metrics.observe("/v1/chat/completions", 200, 0.2, outcome)
    metrics.observe("/v1/chat/completions", 200, 3.0, Outcome("m", Usage(1, 0), origin="abstained"))
    metrics.observe("/v1/chat/completions", 429, 0.001)
    metrics.used(Usage(101, 20))
    metrics.first_token(0.02)
    metrics.audited(True)
    metrics.guarded(("prompt_injection", "prompt_injection"))
    metrics.trace_lost(3)
    metrics.model("denizen-1", "Q4_K_M")
    metrics.watch(waiting=lambda: 7, used=lambda: 3, places=4, draining=lambda: True)
    found = samples(metrics)
    route = ("route", "/v1/chat/completions")
    assert found[f"denizen_requests_total{[route, ('status', '200')]}"] == 2
    assert found[f"denizen_requests_total{[route, ('status', '429')]}"] == 1
    assert found[f"denizen_request_seconds_count{[route]}"] == 3
    assert found[f"denizen_request_seconds_bucket{[('le', '0.25'), route]}"] == 2
    assert found["denizen_tokens_total[('direction', 'in')]"] == 101
    assert found["denizen_tokens_total[('direction', 'out')]"] == 20
    assert found["denizen_first_token_seconds_count[]"] == 1
    assert found["denizen_escalations_total[]"] == found["denizen_abstentions_total[]"] == 1
    assert found["denizen_corrections_total[]"] == 2
    assert found["denizen_exact_answers_total[]"] == 1
    assert found["denizen_answer_flags_total[('flag', 'low confidence')]"] == 1
    assert found["denizen_audits_total[('agreed', 'yes')]"] == 1
    assert found["denizen_guard_findings_total[('rule', 'prompt_injection')]"] == 2
    assert found["denizen_trace_losses_total[]"] == 3
    assert found["denizen_model_info[('model', 'denizen-1'), ('quant', 'Q4_K_M')]"] == 1
    assert found["denizen_queue_waiting[]"] == 7 and found["denizen_places_used[]"] == 3
    assert found["denizen_draining[]"] == 1
    assert found["process_resident_memory_bytes[]"] > 1_000_000


def test_series_are_bounded_whatever_is_asked() -> None:
    metrics = Metrics()
    hostile = Outcome("m", Usage(-5, 0), flags=tuple(f"flag{n}" for n in range(500)))
    for number in range(500):
        metrics.observe(f"/{number}", number, 0.1, hostile if number == 0 else None)
        metrics.guarded([f"rule{number}"])
        metrics.model(f"model{number}")
    metrics.observe('"} evil 1\nevil_total 1', 200, 0.1)
    found = samples(metrics)
    assert len(found) < 3000
    assert "evil_total[]" not in found
    assert sum(v for k, v in found.items() if k.startswith("denizen_requests_total")) == 501
    assert len(metrics.text()) < 400_000


def test_the_media_type_is_the_librarys() -> None:
    from prometheus_client import CONTENT_TYPE_LATEST

    assert CONTENT_TYPE == CONTENT_TYPE_LATEST


def test_two_servers_in_one_process_do_not_mix() -> None:
    one, two = Metrics(), Metrics()
    one.trace_lost()
    assert samples(two)["denizen_trace_losses_total[]"] == 0


def test_budget_audits_and_the_routers_standing_are_told() -> None:
    budget, auditor = Budget(0.5, 5), Auditor(0.1, b"s" * 32, risk=0.1, delta=0.05)
    metrics = Metrics()
    metrics.route(budget=budget.to_json, audits=auditor.to_json, calibrated=True)
    found = samples(metrics)
    assert found["denizen_router_calibrated[('why', '')]"] == 1
    assert found["denizen_audit_alarm[]"] == found["denizen_audit_compared[]"] == 0
    for number in range(4):
        budget.credit()
        budget.take()
        auditor.record(f"r{number}", False)
    auditor.record("r9", None)
    found = samples(metrics)  # read when they are asked for
    assert found["denizen_escalation_budget_requests_total[]"] == 4
    assert found["denizen_escalation_budget_taken_total[]"] == 2
    assert found["denizen_escalation_budget_refused_total[]"] == 2
    assert found["denizen_escalation_budget_left[]"] == 0
    assert found["denizen_audit_compared[]"] == found["denizen_audit_disagreed[]"] == 4
    assert found["denizen_audit_unjudged[]"] == found["denizen_audit_alarm[]"] == 1
    assert found["denizen_audit_rate[]"] == 1 and found["denizen_audit_kept[]"] == 0
    assert found["denizen_audit_e_value[]"] >= 20 and found["denizen_audit_rate_low[]"] > 0.1
    alone = Metrics()
    alone.route(why='not calibrated: "x"')
    found = samples(alone)
    assert found["denizen_router_calibrated[('why', 'not calibrated: \"x\"')]"] == 0
    assert not any("audit_alarm" in name or "budget" in name for name in found)
