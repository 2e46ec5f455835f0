"""Attention: which token looks at which, and what for."""

from lmviz.ui.attention.page import attention
from lmviz.ui.i18n import _
from lmviz.ui.shell import begin

begin(
    _("Attention"),
    _("Which token looks at which, and what for? Every head of a model, on your text, at any moment of its training."),
)

attention()
