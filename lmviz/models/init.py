"""Initial weights: what the network is before it has seen any text.

Not the choice of a scheme (that is the config's); only what each scheme means, drawn from torch's default generator.
Xavier: Glorot and Bengio 2010. Kaiming: He et al. 2015. Orthogonal: Saxe et al. 2014. gpt2: Radford et al. 2019.

Schemes: `pytorch` leaves torch's own defaults; `xavier`, `kaiming` and `orthogonal` draw every block of rows (a gate,
or one of query, key, value) on its own, as if it were a layer, and set biases to zero.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lmviz.models.cells import Cell

GPT2_STD = 0.02


@torch.no_grad()
def init_matrix(weight: Tensor, scheme: str, gain: float = 1.0, blocks: int = 1) -> None:
    """Fill `weight` (blocks * rows, columns) in place, block by block, with `gain` times the scheme's values.

    Kaiming's factor is that of its paper, sqrt(2) for ReLU, whatever the layer's own nonlinearity is.

    Raises:
        KeyError: the scheme is not xavier, kaiming or orthogonal.
    """
    draw = _DRAW[scheme]
    for block in weight.chunk(blocks):
        draw(block)
        block.mul_(gain)


def _kaiming_relu_(weight: Tensor) -> Tensor:
    return nn.init.kaiming_uniform_(weight, nonlinearity="relu")


_DRAW: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming": _kaiming_relu_,
    "orthogonal": nn.init.orthogonal_,
}


@torch.no_grad()
def init_cell(
    cell: "Cell", scheme: str, gain: float = 1.0, gate_biases: Mapping[str, float | None] | None = None
) -> None:
    """Fill a recurrent cell in place.

    Args:
        cell: its weights are (G*H, D) and (G*H, H), its biases (G*H,).
        scheme: pytorch U(-1/sqrt(H), 1/sqrt(H)) for everything; or xavier, kaiming, orthogonal, with biases zero.
            orthogonal speaks of the recurrent weights; the input weights are then xavier.
        gain: factor on the recurrent weights; pytorch's default takes none.
        gate_biases: block name, such as gate.forget -> its total bias (bias_ih has the value, bias_hh zero); None
            leaves what the scheme gave.

    Raises:
        ValueError: a gate that the cell does not have.
    """
    if scheme == "pytorch":
        bound = 1 / math.sqrt(cell.hidden_size)
        for parameter in cell.parameters():
            nn.init.uniform_(parameter, -bound, bound)
    else:
        blocks = len(cell.blocks)
        init_matrix(cell.weight_ih, "xavier" if scheme == "orthogonal" else scheme, blocks=blocks)
        init_matrix(cell.weight_hh, scheme, gain, blocks)
        nn.init.zeros_(cell.bias_ih)
        nn.init.zeros_(cell.bias_hh)
    for name, value in (gate_biases or {}).items():
        if value is not None:
            block = cell.blocks.index(name)
            cell.bias_ih.view(-1, cell.hidden_size)[block] = value
            cell.bias_hh.view(-1, cell.hidden_size)[block] = 0.0


@torch.no_grad()
def init_transformer(
    model: nn.Module, scheme: str, gain: float, *, stacked: Sequence[nn.Linear], residual: Sequence[nn.Linear]
) -> None:
    """Fill a Transformer in place; layer norms stay at one and zero.

    Args:
        model: its nn.Linear weights follow the scheme; its tables (embedding, position_table) are N(0, 0.02) in every
            scheme but pytorch, as the output layer shares them.
        scheme: gpt2 N(0, 0.02); pytorch leaves torch's defaults; or xavier, kaiming, orthogonal.
        gain: factor on the nn.Linear weights; gpt2 and pytorch take none.
        stacked: the layers that hold query, key and value as three blocks of rows.
        residual: the two layers of each block that write into the residual stream; gpt2 scales them by
            1/sqrt(2 * layers), so that the stream does not grow with depth.
    """
    if scheme == "pytorch":
        return
    for name, parameter in model.named_parameters():
        if name in ("embedding.weight", "position_table"):
            nn.init.normal_(parameter, std=GPT2_STD)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
            if scheme == "gpt2":
                std = GPT2_STD / math.sqrt(len(residual)) if module in residual else GPT2_STD
                nn.init.normal_(module.weight, std=std)
            else:
                init_matrix(module.weight, scheme, gain, blocks=3 if module in stacked else 1)
