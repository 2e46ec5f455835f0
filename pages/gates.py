"""Gates: what a recurrent network does, character by character."""

from lmviz.ui.gates.page import gates
from lmviz.ui.i18n import _
from lmviz.ui.shell import begin

begin(
    _("Gates"),
    _("What does a network keep, write and forget as it reads? Click on a character, or on a cell of a map."),
)

gates()
