"""The one chart element of the app: a Plotly figure that is updated in place.

Streamlit's own `st.plotly_chart` makes a new chart at every change of the data, so zoom and hover are lost each second
of a live view. This element keeps its place in the page and calls `Plotly.react`; it also carries the alternative
text, follows the theme, gives the data as CSV, and fits a phone. The JavaScript is in chart.js, loaded once a browser
together with the plotly.js that the plotly package brings; both lie in Streamlit's static folder beside app.py.
"""

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import plotly
import plotly.graph_objects as go
import plotly.io as pio
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from lmviz.ui.i18n import _

_HERE = Path(__file__).resolve().parent
_PLOTLY = Path(plotly.__file__).resolve().parent / "package_data" / "plotly.min.js"
_PLOTLY_NAME = f"plotly-{plotly.__version__}.min.js.gz"
_MODULE = (_HERE / "chart.js").read_text("utf-8").replace("PLOTLY", _PLOTLY_NAME)
_MODULE_NAME = f"chart-{hashlib.sha256(_MODULE.encode()).hexdigest()[:12]}.js"

_LONG_AGO = 946_684_800  # 2000-01-01

_element = st.components.v2.component(
    "lmviz_chart",
    css=(_HERE / "chart.css").read_text("utf-8"),
    js=(_HERE / "chart_loader.js").read_text("utf-8").replace("MODULE", _MODULE_NAME),
    isolate_styles=False,  # Plotly's own style sheet does not reach into a shadow DOM
)

Click = dict[str, Any]
"""A clicked point: curve (number), name (of the trace), x, y, z, point (index, or [row, column]), customdata, text."""
Zoom = dict[str, Any]
"""What is to be seen: "x" and "y", each [from, to] on its axis (of categories their places), or None for all of it."""


def chart(
    figure: go.Figure,
    key: str,
    *,
    alt: str,
    height: int = 360,
    caption: str = "",
    csv: str | None = None,
    on_event: Callable[[Click], None] | None = None,
    on_zoom: Callable[[Zoom], None] | None = None,
    link: Mapping[str, str] | None = None,
) -> None:
    """Show a figure and keep it up to date under the same key.

    Args:
        figure: its title is set above the plot as text that wraps; texts such as theme.INK follow the theme.
        key: unique on the page; the element keeps zoom and hover as long as the key stays.
        alt: what a person who cannot see the figure should know, one or two sentences.
        height: of the plot alone, CSS pixels.
        caption: what is measured and over what, below the plot.
        csv: name of the files people download, without ending; the key if left out.
        on_event: called before the page runs again, with the point that was clicked.
        on_zoom: called before the page runs again, when a person has zoomed, moved or reset the picture.
        link: "x" and "y" -> a name; charts of the page with the same name for an axis show the same part of it, and
            those with both show their values at the same place together.

    Raises:
        ValueError: `alt` is empty.
    """
    if not alt.strip():
        raise ValueError(f"chart {key!r} needs a text for those who cannot see it")
    _publish(_static_folder())
    spec = {
        "figure": pio.to_json(figure, validate=False),
        "height": height,
        "alt": alt,
        "caption": caption,
        "file": csv or key,
        "clicks": on_event is not None,
        "zooms": on_zoom is not None,
        "link": dict(link or {}),
        "labels": _labels(),
    }
    data = json.dumps(spec, ensure_ascii=False).encode()

    def clicked() -> None:
        event = st.session_state[key].get("click")
        if event and on_event:
            on_event(event)

    def zoomed() -> None:
        event = st.session_state[key].get("zoom")
        if event and on_zoom:
            on_zoom(event)

    _element(key=key, data=data, on_click_change=clicked, on_zoom_change=zoomed)


def _labels() -> dict[str, Any]:
    return {
        "png": _("Download as picture (PNG)"),
        "csv": _("Download the data (CSV)"),
        "failed": _("The chart could not be loaded. Reload the page."),
        "plotly": {
            "Zoom": _("Zoom: drag over a part"),
            "Pan": _("Move: drag the picture"),
            "Reset axes": _("Show all"),
            "Reset": _("Show all"),
            "Orbital rotation": _("Turn: drag the picture"),
            "Turntable rotation": _("Turn: drag the picture"),
            "Reset camera to default": _("Show all"),
            "Double-click to zoom back out": _("Double-click to see all again"),
            "Double-click on legend to isolate one trace": _("Double-click on a name to see it alone"),
        },
    }


def _static_folder() -> Path:
    """`static` beside the entry script, where Streamlit looks for it (also if a page is run alone, as AppTest does)."""
    context = get_script_run_ctx(suppress_warning=True)
    script = Path(context.main_script_path if context else "app.py").resolve()
    folder = script.parent.parent if script.parent.name == "pages" else script.parent
    return folder / "static"


@cache
def _publish(folder: Path) -> None:
    """Put the two scripts where the browser can fetch them; once a process, and only if they are not there yet."""
    folder.mkdir(exist_ok=True)
    if not (folder / _PLOTLY_NAME).exists():
        _write(folder / _PLOTLY_NAME, gzip.compress(_PLOTLY.read_bytes(), mtime=0))
    if not (folder / _MODULE_NAME).exists():
        _write(folder / _MODULE_NAME, _MODULE.encode())


def _write(path: Path, content: bytes) -> None:
    """Write at once or not at all: two servers may start in the same folder."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    # Streamlit sends no Cache-Control for static files; a browser then keeps a file for a tenth of its age. Names
    # carry the version, so the content never changes: an old date keeps it for years.
    os.utime(file.name, (_LONG_AGO, _LONG_AGO))
    Path(file.name).replace(path)
