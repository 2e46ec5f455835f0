"""How the cells of the memory experiment are called and drawn, as on every other page."""

from lmviz.ui.gradients.findings import cell_label
from lmviz.ui.i18n import _
from lmviz.ui.theme import RunStyle, run_style


def cell_name(cell: str) -> str:
    """The name of one of lmviz.memory.CELLS; `carry` is what the addresses of page Gradients have for nvsi+carry."""
    return cell_label("carry" if cell == "nvsi+carry" else cell)


def line_name(cell: str, mixed: bool) -> str:
    return _("{cell}, mixed lags").format(cell=cell_name(cell)) if mixed else cell_name(cell)


def line_style(cell: str, mixed: bool) -> RunStyle:
    """The cell's line; dotted for a curriculum."""
    look = run_style("nvsi", 1) if cell == "nvsi+carry" else run_style(cell)
    return RunStyle(look.color, "dot" if mixed else look.dash, look.symbol)
