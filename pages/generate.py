"""Generate: let a trained model write, and see why this word and what else it could have been."""

from lmviz.ui.generate.page import generate
from lmviz.ui.i18n import _
from lmviz.ui.shell import begin

begin(_("Generate"), _("What does a model write, why this word, and what else could it have been?"))

generate()
