"""Seq2Seq: one sequence becomes another, with one vector between them or with attention."""

from lmviz.ui.i18n import _
from lmviz.ui.pairs.page import seq2seq
from lmviz.ui.shell import begin

begin(
    _("Seq2Seq"),
    _("How does a network turn one sequence into another, and what does attention change? Train both and compare."),
)

seq2seq()
