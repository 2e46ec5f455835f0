"""A heatmap's values in 16 bits: what comes out again, and that a figure carries it unchanged."""

import base64
import json

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest
from numpy.typing import NDArray

from lmviz.ui.figures.compact import MISSING, compact


def opened(packed: dict[str, object]) -> NDArray[np.float64]:
    """What chart.js makes of it."""
    rows, columns = (int(part) for part in str(packed["shape"]).split(","))
    whole = np.frombuffer(base64.b64decode(str(packed["bdata"])), "<i2").reshape(rows, columns)
    return np.where(whole == MISSING, np.nan, whole * float(str(packed["scale"])))


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e9])
def test_values_come_back_within_half_a_step(size: float) -> None:
    values = np.random.default_rng(0).normal(size=(5, 7)) * size
    step = np.abs(values).max() / 32767
    np.testing.assert_allclose(opened(compact(values)), values, rtol=0, atol=step * 0.5000001)


def test_the_largest_of_either_sign_is_not_the_mark_of_a_missing_number() -> None:
    values = np.array([[-2.0, 2.0, np.nan, np.inf]], "f4")
    np.testing.assert_allclose(opened(compact(values)), [[-2, 2, np.nan, np.nan]])


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.zeros((0, 3))])
def test_nothing_to_scale(values: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(opened(compact(values)), values)


def test_a_figure_carries_the_scale() -> None:
    packed = compact(np.array([[0.25, -0.5]]))
    figure = go.Figure(data=[{"type": "heatmap", "z": packed}])
    assert json.loads(pio.to_json(figure, validate=False))["data"][0]["z"] == packed
