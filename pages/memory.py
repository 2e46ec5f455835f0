"""Memory: how long a network can remember, and whether it can learn to."""

from lmviz.ui.i18n import _
from lmviz.ui.memory.page import memory
from lmviz.ui.shell import begin

begin(
    _("Memory"),
    _("How long can a network remember, and can it learn to? Train the cells on a task, at a few distances."),
)

memory()
