"""One look for every figure: a colour, a marker and a name for each architecture, and the Plotly template.

Not here: Streamlit (figures are drawn and tested without it) and the page's own colours (.streamlit/config.toml).

A colour has to be read on white and on our dark background, by people with any colour vision, from the last row: it
keeps a contrast of 3:1 to both (WCAG 2.2, 1.4.11), and the six that are compared most stay apart under the
deuteranopia and protanopia of Machado, Oliveira and Fernandes (2009). tests/test_theme.py measures this.

A text such as `var(--st-text-color)` is resolved by the chart element in the browser, so that a figure follows a
change from light to dark without being drawn again on the server.
"""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

WHITE, DARK = "#ffffff", "#12161c"
"""Backgrounds of the two themes."""

INK = "var(--st-text-color)"
MUTED = "var(--st-gray-text-color)"
GRID = "var(--st-border-color)"
FINE = "var(--st-border-color-light)"
SURFACE = "var(--st-background-color)"
PANEL = "var(--st-secondary-background-color)"
ACCENT = "var(--st-primary-color)"
FONT = "var(--st-font)"


@dataclass(frozen=True)
class Kind:
    """How one architecture is shown."""

    label: str
    color: str
    symbol: str
    """Plotly marker, the second encoding beside the colour."""


KINDS: dict[str, Kind] = {
    "ngram": Kind("n-gram", "#5a666c", "x-thin-open"),
    "ffn": Kind("FFN", "#8a6d3b", "pentagon"),
    "rnn": Kind("RNN", "#e06c26", "circle"),
    "nvsi": Kind("NVSI-RNN", "#e45ca9", "diamond"),
    "gru": Kind("GRU", "#2a905a", "triangle-up"),
    "lstm": Kind("LSTM", "#4296ea", "square"),
    "cbow": Kind("CBOW", "#0e8f94", "hexagon"),
    "skipgram": Kind("Skip-gram", "#6f8f1c", "hexagon-open"),
    "seq2seq": Kind("Seq2Seq", "#bd3f45", "triangle-right"),
    "seq2seq-attention": Kind("Seq2Seq + attention", "#9c4a86", "triangle-right-open"),
    "transformer": Kind("Transformer", "#3a6f8f", "star-square"),
    "bert": Kind("BERT", "#a87f12", "star-diamond"),
    "gpt": Kind("GPT", "#664ed8", "star"),
}

COMPARED = ("rnn", "nvsi", "gru", "lstm", "gpt", "ngram")
"""The kinds that stand together in most figures."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

LUMINANCE = (0.132, 0.295)
"""Relative luminance at which a colour keeps 3:1 to both backgrounds, with a little to spare."""


@dataclass(frozen=True)
class RunStyle:
    """How the line of one run is drawn."""

    color: str
    dash: str
    symbol: str


def label(kind: str) -> str:
    """The name people know: `nvsi` is "NVSI-RNN". Names are the same in every language."""
    return KINDS[kind].label


def color(kind: str) -> str:
    """`#rrggbb` of a kind."""
    return KINDS[kind].color


def run_style(kind: str, index: int = 0) -> RunStyle:
    """The line of the `index`-th run of this kind (0 first): same hue and marker, own dash, every second one shaded."""
    look = KINDS[kind]
    shade = look.color if index % 2 == 0 else _shade(look.color)
    return RunStyle(shade, DASHES[index % len(DASHES)], look.symbol)


def plain(text: str) -> str:
    """Text as it is: Plotly reads some HTML in its labels, and a token may well be `<b>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linear_rgb(hex_color: str) -> np.ndarray:
    """`#rrggbb` -> linear light, (3,) in 0..1 (IEC 61966-2-1)."""
    c = np.array([int(hex_color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4))


def to_hex(rgb: np.ndarray) -> str:
    """Linear light (3,) -> `#rrggbb`."""
    c = np.clip(rgb, 0, 1)
    c = np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(v * 255):02x}" for v in c)


RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE_POINT = RGB_TO_XYZ.sum(1)


def luminance(hex_color: str) -> float:
    """Relative luminance, 0..1."""
    return float(linear_rgb(hex_color) @ RGB_TO_XYZ[1])


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Linear light (..., 3) -> CIE L*a*b* (..., 3), white point D65."""
    x = np.clip(rgb, 0, 1) @ RGB_TO_XYZ.T / WHITE_POINT
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def _from_lab(lab: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (..., 3) -> linear light (..., 3)."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    x = np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389)
    return np.asarray((x * WHITE_POINT) @ np.linalg.inv(RGB_TO_XYZ).T)


def _shade(hex_color: str) -> str:
    """The same hue, as far from the colour's own luminance as 3:1 on both backgrounds allows."""
    rgb, here = linear_rgb(hex_color), luminance(hex_color)
    low, high = LUMINANCE
    if here - low > high - here:
        return to_hex(rgb * low / here)
    white_share = (high - here) / (1 - here)
    return to_hex(rgb * (1 - white_share) + white_share)


def _even_scale(stops: tuple[str, ...], size: int) -> list[str]:
    """Colours along the path through `stops`, at equal distances in CIE Lab: equal steps look equal."""
    corners = np.array([to_lab(linear_rgb(s)) for s in stops])  # (stops, 3)
    places = np.arange(len(stops))
    fine = np.linspace(0, len(stops) - 1, 1000)
    path = np.stack([np.interp(fine, places, corners[:, i]) for i in range(3)], -1)  # (1000, 3)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0, length[-1], size)
    lab = np.stack([np.interp(even, length, path[:, i]) for i in range(3)], -1)
    return [to_hex(rgb) for rgb in _from_lab(lab)]


SCALES: dict[str, dict[str, list[str]]] = {
    "light": {
        "sequential": _even_scale(("#f3f7f6", "#a3cdc4", "#3f9093", "#1d5477", "#121d42"), 10),
        "diverging": _even_scale(("#0f4f95", "#78aee0", "#f5f5f2"), 5)
        + _even_scale(("#f5f5f2", "#eb9e63", "#94430c"), 5),
    },
    "dark": {
        "sequential": _even_scale(("#1b2129", "#1f4a66", "#2c7d80", "#86b07c", "#f7e998"), 10),
        "diverging": _even_scale(("#a5d0f7", "#3f7fc0", "#232a33"), 5)
        + _even_scale(("#232a33", "#a4633a", "#f6bd8d"), 5),
    },
}
"""The colour scales of each theme. .streamlit/config.toml holds the same lists (a test compares), so that the browser
knows them. Nothing is the colour of the page, much stands out; lightness changes evenly, so a scale reads in grey too.
"""

SEQUENTIAL = [[i / 9, f"var(--st-chart-sequential-colors-{i})"] for i in range(10)]
"""Plotly colour scale from nothing to much, in the theme's colours."""

DIVERGING = [[min(i, 4) / 8 + max(i - 5, 0) / 8, f"var(--st-chart-diverging-colors-{i})"] for i in range(10)]
"""Plotly colour scale: below zero blue, zero pale, above zero orange. Give the colour axis `cmid=0` (`zmid=0`)."""


def _axis() -> dict[str, object]:
    return {
        "automargin": True,
        "gridcolor": FINE,
        "gridwidth": 1,
        "linecolor": GRID,
        "zerolinecolor": GRID,
        "zerolinewidth": 1,
        "ticks": "outside",
        "ticklen": 5,
        "tickcolor": "rgba(0,0,0,0)",  # room between the labels and the plot, no visible marks
        "tickfont": {"color": MUTED, "size": 12},
        "title": {"font": {"color": MUTED, "size": 13}, "standoff": 10},
        "exponentformat": "power",
        "hoverformat": ".6~g",
    }


COLORBAR = {
    "outlinewidth": 0,
    "thickness": 12,
    "ticks": "",
    "tickfont": {"color": MUTED, "size": 12},
    "title": {"font": {"color": MUTED, "size": 13}},
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "title": {"font": {"size": 16}, "x": 0, "xanchor": "left"},
        "paper_bgcolor": SURFACE,  # not transparent: Plotly derives the colours of hover labels from it
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": [color(kind) for kind in ("lstm", "rnn", "gru", "gpt", "nvsi", "ngram", "bert", "seq2seq", "cbow")],
        "colorscale": {"sequential": SEQUENTIAL, "sequentialminus": SEQUENTIAL, "diverging": DIVERGING},
        "coloraxis": {"colorbar": COLORBAR},
        "xaxis": _axis() | {"showgrid": False, "showline": True, "zeroline": False},
        "yaxis": _axis(),
        "hoverlabel": {
            "bgcolor": PANEL,
            "bordercolor": GRID,
            "font": {"family": FONT, "color": INK, "size": 13},
            "align": "left",
            "namelength": -1,
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
        },
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "separators": ".\u2009",  # 12 345.6: understood in every country
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": ACCENT},
        "hovermode": "closest",
    },
    data={
        "scatter": [{"line": {"width": 2}}],
        "heatmap": [{"colorbar": COLORBAR}],
        "bar": [{"marker": {"line": {"width": 0}}}],
    },
)
"""Thin and quiet. Registered as "lmviz" and Plotly's default wherever this module is imported."""

pio.templates["lmviz"] = TEMPLATE
pio.templates.default = "lmviz"
