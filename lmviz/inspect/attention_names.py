"""What a head may mostly do, in words. No torch."""

from lmviz.errors import N_

PATTERNS = {
    "previous": N_("Looks at the token just before."),
    "next": N_("Looks at the token just after."),
    "first": N_("Looks at the first token of the window, from any other."),
    "same": N_("Looks at other places with the same token."),
    "self": N_("Looks at the token itself."),
    "bracket": N_("Looks from a closing bracket or quote at the one that opened it."),
    "induction": N_("Looks at what followed the same token earlier (Olsson et al. 2022)."),
}
"""What a head may do, and what it means. A causal model has no `next`; one that looks both ways no `induction`."""
