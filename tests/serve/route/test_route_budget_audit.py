"""Budget: never above its share, in any order or number of threads. Audits: unguessable, honest."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.serve.route.route_sample import CORE

from denizen.project import ArtefactError
from denizen.project.config import RouteConfig
from denizen.serve.route.agreement import agrees
from denizen.serve.route.audit import Auditor, e_value
from denizen.serve.route.budget import Budget


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 1 / 3, 0.5, 1.0])
def test_no_prefix_of_any_stream_is_above_the_share(share: float) -> None:
    budget, taken = Budget(share, 20), 0
    # The worst order: nothing wants to escalate for long, then everything does.
    wants = [False] * 300 + [True] * 700
    for number, wanted in enumerate(wants, 1):
        budget.credit()
        taken += bool(wanted and budget.take())
        assert taken <= share * number + 1e-9
    assert (budget.requests, budget.taken) == (1000, taken)
    assert taken >= min(int(min(300 * share, 20)) + int(700 * share) - 1, 700)


def test_savings_are_capped_by_the_burst() -> None:
    budget = Budget(0.5, 3)
    for _ in range(1000):
        budget.credit()
    assert budget.left == 3
    assert [budget.take() for _ in range(5)] == [True] * 3 + [False] * 2
    assert budget.refused == 2


def test_it_is_exact_with_many_threads() -> None:
    budget = Budget(0.05, 1000)

    def work(_: int) -> int:
        count = 0
        for _ in range(2500):
            budget.credit()
            count += budget.take()
        return count

    with ThreadPoolExecutor(8) as workers:
        taken = sum(workers.map(work, range(8)))
    assert taken == budget.taken == 1000 and budget.requests == 20_000


def test_a_new_bucket_is_empty_and_bad_shares_are_refused() -> None:
    assert not Budget(1.0, 5).take()
    for share, burst in ((-0.1, 1), (1.1, 1), (0.5, 0)):
        with pytest.raises(ValueError, match="share"):
            Budget(share, burst)


def test_the_benchmarks_drift_stays_within_the_budget() -> None:
    from benchmarks.selective_risk import BUDGET, drift

    found = drift(requests=4000, threads=4)
    assert found["met"] and found["wanted"] > 0.3
    assert found["escalated"] <= BUDGET and found["most_above_budget_at_any_time"] <= 0


def auditor(share: float = 0.1, salt: bytes = b"s" * 32, **changed) -> Auditor:
    return Auditor(share, salt, **{"risk": 0.1, "delta": 0.05, **changed})


def test_picks_are_a_share_fixed_by_id_and_salt() -> None:
    one, other = auditor(), auditor(salt=b"t" * 32)
    ids = [f"req-{i}" for i in range(20_000)]
    picked = [one.pick(i) for i in ids]
    assert 0.09 < sum(picked) / len(ids) < 0.11
    assert picked == [one.pick(i) for i in ids]
    both = sum(a and other.pick(i) for a, i in zip(picked, ids, strict=True))
    assert both / len(ids) < 0.02  # another salt picks others: ids alone do not tell
    assert not any(auditor(0.0).pick(i) for i in ids[:100])
    assert all(auditor(1.0).pick(i) for i in ids[:100])


def test_the_alarm_wants_evidence_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "audits.jsonl"
    watch = auditor(path=path, calibration="c1")
    for n in range(60):
        state = watch.record(f"r{n}", n % 20 != 0, group="mechanics", confidence=0.9)
    assert not state.alarm and state.disagreed == 3 and state.audits == 60
    for n in range(60, 90):
        state = watch.record(f"r{n}", False)
    assert state.alarm and state.e_value >= 20 and state.low > 0.1
    watch.record("r90", None)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 91 and not {"text", "prompt", "answer"} & set(lines[0])
    path.write_text(path.read_text() + '{"cut by a ki')
    again = auditor(path=path, calibration="c1").state
    assert (again.audits, again.disagreed, again.unjudged) == (90, 33, 1) and again.alarm
    assert auditor(path=path, calibration="c2").state.audits == 0
    # What is written behind a cut line is read again, and no later luck takes the alarm back.
    watch = auditor(path=path, calibration="c1")
    for n in range(91, 1200):
        state = watch.record(f"r{n}", True)
    assert state.e_value < 1 and state.alarm
    again = auditor(path=path, calibration="c1").state
    assert (again.audits, again.alarm) == (1199, True)


def test_a_kept_promise_is_told_from_an_unknown_one() -> None:
    watch = auditor()
    assert not watch.state.kept and watch.state.high == 1.0
    for n in range(29):
        state = watch.record(f"r{n}", True)
    assert state.kept and state.high <= 0.1 + 1e-9


def test_e_values_by_brute_force_and_under_the_promise() -> None:
    for errors, n in ((0, 0), (0, 20), (3, 10), (9, 30), (30, 30)):
        rates = np.linspace(0.1, 1, 20_001)[:-1] + 0.9 / 40_000
        ratio = (rates / 0.1) ** errors * ((1 - rates) / 0.9) ** (n - errors)
        assert e_value(errors, n, 0.1) == pytest.approx(float(ratio.mean()), rel=1e-3)
    rng = np.random.default_rng(0)
    evidence = cache(lambda k, n: e_value(k, n, 0.1))
    alarms = 0
    for _ in range(400):
        wrong = np.cumsum(rng.random(150) < 0.1)
        alarms += any(evidence(int(k), n) >= 20 for n, k in enumerate(wrong, 1))
    assert alarms / 400 <= 0.05 + 0.033


def test_the_salt_is_made_once_and_private(tmp_path: Path) -> None:
    route = RouteConfig(audit=0.5)
    first, second = (Auditor.from_config(route, tmp_path) for _ in range(2))
    ids = [f"r{i}" for i in range(200)]
    assert [first.pick(i) for i in ids] == [second.pick(i) for i in ids]
    salt = tmp_path / "route" / "audit.salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600 and len(salt.read_bytes()) == 32
    salt.write_bytes(b"short")
    with pytest.raises(ArtefactError, match="salt"):
        Auditor.from_config(route, tmp_path)


def test_agreement_is_of_meaning() -> None:
    local = "v2. <calc>il_full(entry=1000; now=4000)</calc>"
    question = "What is the impermanent loss from 1000 to 4000?"
    assert agrees(question, local, "You lose 20% against holding.", CORE) is True
    assert agrees(question, local, "You lose 5.7% against holding.", CORE) is False
    assert agrees(question, local, "x <calc>il_full(entry=1000; now=4000)</calc>", CORE) is True
    assert agrees(question, "no call at all", "20%", CORE) is None
    assert agrees(question, "<calc>nonsense(a=1)</calc>", "20%", CORE) is None
