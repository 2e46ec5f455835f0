"""The palette against the claims it makes: contrast, colour-vision deficiency, even steps."""

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from lmviz.ui import theme

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
APART = 20.0
"""CIE Lab distance that two lines on one chart must keep; about 2.3 is just noticeable on large patches."""


def contrast(one: str, other: str) -> float:
    low, high = sorted([theme.luminance(one), theme.luminance(other)])
    return (high + 0.05) / (low + 0.05)


def distance(one: str, other: str, vision: str = "normal") -> float:
    seen = [theme.to_lab(theme.linear_rgb(c) @ VISION[vision].T) for c in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def test_lab_of_known_colours() -> None:
    np.testing.assert_allclose(theme.to_lab(theme.linear_rgb("#ffffff")), [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(theme.to_lab(theme.linear_rgb("#ff0000")), [53.24, 80.09, 67.20], atol=0.02)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("kind", theme.KINDS)
@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("background", [theme.WHITE, theme.DARK])
def test_every_line_is_seen_on_both_backgrounds(kind: str, index: int, background: str) -> None:
    assert contrast(theme.run_style(kind, index).color, background) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_compared_kinds_stay_apart_for_everyone(vision: str) -> None:
    pairs = itertools.combinations(theme.COMPARED, 2)
    near = {pair: distance(theme.color(pair[0]), theme.color(pair[1]), vision) for pair in pairs}
    assert min(near.values()) >= APART, min(near.items(), key=lambda item: item[1])


def test_all_kinds_differ_in_colour_and_marker() -> None:
    looks = list(theme.KINDS.values())
    assert min(distance(a.color, b.color) for a, b in itertools.combinations(looks, 2)) >= 15
    assert len({look.symbol for look in looks}) == len({look.label for look in looks}) == len(looks)


def test_every_model_kind_has_a_look() -> None:
    from lmviz.models import MODELS

    assert set(MODELS) <= set(theme.KINDS)


def test_runs_of_one_kind_differ_in_dash_or_shade() -> None:
    styles = [theme.run_style("lstm", index) for index in range(10)]
    assert len({(s.color, s.dash) for s in styles}) == 10
    assert {s.symbol for s in styles} == {theme.KINDS["lstm"].symbol}


@pytest.mark.parametrize("mode", theme.SCALES)
def test_sequential_scale_is_even_and_readable_in_grey(mode: str) -> None:
    lab = theme.to_lab(np.array([theme.linear_rgb(c) for c in theme.SCALES[mode]["sequential"]]))
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    lightness = np.diff(lab[:, 0]) * (-1 if mode == "light" else 1)
    assert steps.max() / steps.min() < 1.35
    assert (lightness > 0).all()


@pytest.mark.parametrize("mode", theme.SCALES)
def test_diverging_scale_leaves_zero_evenly_on_both_sides(mode: str) -> None:
    lab = theme.to_lab(np.array([theme.linear_rgb(c) for c in theme.SCALES[mode]["diverging"]]))
    np.testing.assert_allclose(lab[4], lab[5])
    below, above = (np.linalg.norm(np.diff(arm, axis=0), axis=1) for arm in (lab[:5], lab[5:]))
    assert below.max() / below.min() < 1.35
    assert above.max() / above.min() < 1.35
    assert abs(below.sum() / above.sum() - 1) < 0.2


def test_the_settings_file_has_the_same_colours() -> None:
    settings = tomllib.loads((Path(__file__).parent.parent / ".streamlit/config.toml").read_text("utf-8"))["theme"]
    assert (settings["light"]["backgroundColor"], settings["dark"]["backgroundColor"]) == (theme.WHITE, theme.DARK)
    for mode, scales in theme.SCALES.items():
        assert settings[mode]["chartSequentialColors"] == scales["sequential"]
        assert settings[mode]["chartDivergingColors"] == scales["diverging"]
        for text in ("textColor", "grayTextColor", "linkColor"):
            assert contrast(settings[mode][text], settings[mode]["backgroundColor"]) >= 4.5
        assert contrast(settings[mode]["primaryColor"], "#ffffff") >= 4.3  # white words on the button


def test_plain_keeps_a_token_from_being_read_as_html() -> None:
    assert theme.plain("<b>&") == "&lt;b&gt;&amp;"
