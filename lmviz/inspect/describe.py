"""All that is said of a model's gradients over time steps, as JSON: norms and what they come from."""

from typing import Any

from torch import Tensor

from lmviz.inspect.gradients import as_json, entry, state_norms
from lmviz.inspect.jacobian import fits, jacobian_norms, path_factors, spectrum
from lmviz.models.recurrent import RecurrentModel


def describe(
    model: RecurrentModel, tokens: Tensor, targets: Tensor, *, every_step: bool = False, jacobian: bool = False,
    spectra: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """One entry for each state of the top layer; an LSTM has two.

    Args:
        model: as `in_float64` gives it.
        tokens, targets: (B, T) int64.
        every_step: of the sum of the losses at all steps instead of the last one's.
        jacobian: also the spectral norm of the Jacobian product at each lag, along the first sequence; None where
            that would take too much memory.
        spectra: also singular values and spectral radius of W_hh.

    Returns:
        {"state", "norms" by lag relative to lag 0, "decay", "horizon", "jacobian_norm", "terms", "spectrum"} each.
    """
    found = state_norms(model, tokens, targets, every_step=every_step)
    top = model.layers[-1]
    wanted = jacobian and fits(top, tokens.shape[1])
    shared = {
        "jacobian_norm": as_json(jacobian_norms(model, tokens[0])) if wanted else None,
        "terms": path_factors(model, tokens),
        "spectrum": spectrum(top) if spectra else None,
    }
    return [{**shared, **entry(found, state)} for state in found]
