"""Gradients: how far back learning reaches, in cells at birth, in models as they learn, and on a text."""

from lmviz.errors import N_
from lmviz.ui.gradients.birth import birth
from lmviz.ui.gradients.learning import learning_part
from lmviz.ui.gradients.text import text_part
from lmviz.ui.i18n import _
from lmviz.ui.kept import switch
from lmviz.ui.shell import begin

PARTS = {
    "birth": (N_("At birth"), birth),
    "learning": (N_("While learning"), learning_part),
    "text": (N_("Where it goes"), text_part),
}
"""Part, as the address has it -> its name, and what shows it."""

begin(
    _("Gradients"),
    _("How far back does learning reach? A model can learn from an early step only if the gradient arrives there."),
)


names = {part: _(name) for part, (name, _show) in PARTS.items()}
PARTS[switch(_("What to look at"), names, "part", "part")][1]()
