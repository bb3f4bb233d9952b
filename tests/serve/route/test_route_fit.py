"""Confidence: known optima, calibrated on unseen answers, missing signals told, same rows same model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.serve.route.route_sample import pool

from denizen.serve.route.fit import (
    Confidence,
    _logistic,
    columns_of,
    fit,
    isotonic,
    platt,
)


def fitted(n: int = 1200, seed: int = 0):
    scored = pool(n, seed)
    return fit([s.signals for s in scored], [s.ok for s in scored], [s.cluster for s in scored])


def test_newton_finds_the_optimum_of_the_penalised_loss() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3))
    y = (rng.random(150) < 1 / (1 + np.exp(-(x[:, 0] - 0.5 * x[:, 1])))).astype(float)

    def loss(b: np.ndarray) -> float:
        z = b[0] + x @ b[1:]
        return float((np.logaddexp(0, z) - y * z).sum() + (b[1:] ** 2).sum() * 2.0 / 2)

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    assert _logistic(x, y, 2.0) == pytest.approx(best, abs=1e-4)


def test_separable_answers_do_not_break_it() -> None:
    x = np.linspace(-1, 1, 40)[:, None]
    beta = _logistic(x, (x[:, 0] > 0).astype(float), 0.1)
    assert np.isfinite(beta).all() and beta[1] > 0


def test_isotonic_is_the_pool_of_adjacent_violators() -> None:
    z = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    y = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    knots = isotonic(z, y)
    assert [round(h, 3) for _, h in knots] == [0.083, 0.5, 0.917]
    assert [c for c, _ in knots] == [1.0, 2.5, 5.0]
    heights = [
        h for _, h in isotonic(np.random.default_rng(0).normal(size=300), np.tile([0.0, 1], 150))
    ]
    assert heights == sorted(heights) and 0 < heights[0] <= heights[-1] < 1


def test_platt_smooths_its_targets() -> None:
    z = np.linspace(-3, 3, 200)
    y = (np.random.default_rng(1).random(200) < 1 / (1 + np.exp(-(2 * z + 1)))).astype(float)
    ((a, b),) = platt(z, y)
    assert a == pytest.approx(2.0, abs=0.6) and b == pytest.approx(1.0, abs=0.6)
    ((a, _),) = platt(z, (z > 0).astype(float))
    assert math.isfinite(a)


def test_confidence_is_calibrated_on_unseen_answers() -> None:
    model = fitted(3000).model
    unseen = pool(4000, 50)
    stated = model.of([s.signals for s in unseen])
    right = np.array([s.ok for s in unseen])
    for low, high in ((0.3, 0.6), (0.6, 0.8), (0.8, 1.01)):
        part = (stated >= low) & (stated < high)
        assert part.sum() > 100
        assert stated[part].mean() == pytest.approx(right[part].mean(), abs=0.06)
    assert model.made["log_loss"][model.curve] < model.made["log_loss_of_the_rate"]
    assert "schema_failed" not in model.weights  # it never varied


def test_the_same_rows_give_the_same_model_and_one_row_its_own_figure() -> None:
    first, second = fitted(), fitted()
    assert first == second
    rows = [s.signals for s in pool(50, 3)]
    together = first.model.of(rows)
    assert [float(first.model.of([row])[0]) for row in rows] == together.tolist()
    assert first.model.of_columns(columns_of(rows), 50).tolist() == together.tolist()


def test_cross_fitted_confidences_have_not_seen_their_item() -> None:
    # Signals that are pure noise, many of them: a model that saw its items would look sure.
    rng = np.random.default_rng(4)
    rows = [
        {"margin_mean": float(rng.normal()), "coverage": float(rng.normal())} for _ in range(80)
    ]
    right = (rng.random(80) < 0.6).tolist()
    made = fit(rows, right, list(range(80)))
    spread = np.std(made.crossed)
    assert spread < 0.2


def test_a_missing_signal_is_a_feature_if_calibration_knew_it_and_a_refusal_if_not() -> None:
    scored = pool(600)
    rows = [dict(s.signals) for s in scored]
    for row in rows[::3]:
        row.pop("decisions")
    model = fit(rows, [s.ok for s in scored], [s.cluster for s in scored]).model
    assert set(model.absent) == {"decisions"}
    assert model.missing({"margin_least": 1.0}) == ()
    assert model.missing({"decisions": 3.0}) == ("margin_least",)
    value = float(model.of([{"margin_least": 1.0}])[0])
    assert 0 <= value <= 1


@pytest.mark.parametrize("right", [[True] * 30, [False] * 30, [True] * 27 + [False] * 3])
def test_too_few_of_a_kind_state_the_rate_alone(right: list[bool]) -> None:
    model = fit([{"margin_least": float(i)} for i in range(30)], right, list(range(30))).model
    assert model.curve == "constant"
    assert model.of([{}, {"margin_least": 9.0}]).tolist() == pytest.approx(
        [(sum(right) + 1) / 32] * 2, abs=1e-6
    )


def test_unpaired_rows_are_refused() -> None:
    for rows, right, clusters in (([], [], []), ([{}], [True, False], [1])):
        with pytest.raises(ValueError, match="paired"):
            fit(rows, right, clusters)


def test_a_curve_against_the_order_is_flat() -> None:
    model = Confidence(
        {"margin_least": 1.0}, {"margin_least": 0.0}, {"margin_least": 1.0}, {}, 0.0, "platt",
        ((-2.0, 0.5),), {},
    )  # fmt: skip
    low, high = model.of([{"margin_least": -3.0}, {"margin_least": 3.0}]).tolist()
    assert low == high
