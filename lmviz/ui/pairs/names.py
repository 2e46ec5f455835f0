"""Names and looks of what is compared."""

from lmviz.corpora.pairs import list_pairs
from lmviz.ui.i18n import _
from lmviz.ui.theme import RunStyle, color, run_style


def model_name(kind: str) -> str:
    names = {
        "plain": _("without attention"), "additive": _("with attention"),
        "multiplicative": _("with multiplicative attention"), "sampled": _("with attention, reads own guesses"),
        "transformer": _("Transformer"),
    }  # fmt: skip
    return names[kind]


def model_style(kind: str) -> RunStyle:
    """The colour of its architecture; variants of attention differ in their dashes."""
    place = {"additive": 0, "sampled": 1, "multiplicative": 2}
    if kind in place:
        return run_style("seq2seq-attention", place[kind])
    name = "seq2seq" if kind == "plain" else "transformer"
    return RunStyle(color(name), "solid", run_style(name).symbol)


def pairs_title(name: str) -> str:
    """Of a collection of pairs; a person's own has the name that was typed."""
    titles = {row.name: row.title for row in list_pairs()}
    return _(titles[name]) if name in titles else name.rsplit("/", 1)[-1]
