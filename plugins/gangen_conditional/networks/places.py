"""Pictures as networks that write look at them: a state for each place of a grid."""

from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError
from gangen_conditional.networks.memory import Memory
from gangen_conditional.spec import ImageFromSpec, TextFromSpec
from gangen_image import ImageSpec, finish, normalization
from gangen_text import Block


class Places(nn.Module):
    """Halving convolutions down to ``grid`` times ``grid`` places (the annotations of Xu et al. 2015, section 3.1.1),
    which then look at each other in ``blocks`` of self-attention with ``heads`` (Vaswani et al. 2017).

    To what is seen at a place a learned vector for the place is added: what attends to states, which have no order,
    could tell neither above from below nor left from right without it. With ``blocks`` a state also knows how what is
    there stands to what is elsewhere.

    ``dim`` is the size of a state, ``width`` the channels after the first convolution, twice as many at each halving.

    ``norm`` normalises over the batch, over a channel of an image, over an image, or not at all.

    Raises:
        UsageError: the input is no image, halving its size does not lead to ``grid``, or ``dim`` is no multiple of
            ``heads``.
    """

    def __init__(
        self,
        spec: ImageFromSpec | TextFromSpec,
        *,
        dim: Annotated[int, Ge(1)] = 128,
        width: Annotated[int, Ge(1)] = 32,
        grid: Annotated[int, Ge(1)] = 4,
        norm: Literal["batch", "instance", "layer", "none"] = "layer",
        blocks: Annotated[int, Ge(0)] = 1,
        heads: Annotated[int, Ge(1)] = 4,
    ) -> None:
        super().__init__()
        given = getattr(spec, "input", None)
        if not isinstance(given, ImageSpec):
            raise UsageError("encoder conditional/places looks at pictures, and what these data are made from is none")
        halvings = (given.size // grid).bit_length() - 1
        if halvings < 1 or grid * 2**halvings != given.size:
            raise UsageError(
                f"encoder conditional/places halves pictures: halving {given.size} pixels does not lead to grid={grid}"
            )
        self.input = given
        self.dim = self.alone_dim = dim
        layers: list[nn.Module] = []
        before = given.channels
        for halving in range(halvings):
            after = width * 2**halving
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), normalization(norm, after), nn.ReLU()]
            before = after
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, dim, 3, padding=1))
        self.places = nn.Parameter(0.1 * torch.randn(grid * grid, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        finish(self, spectral_norm=False)

    def forward(self, rows: Tensor) -> Memory:
        """States float ``[n, grid * grid, dim]``, row by row of the grid, of pixels uint8 ``[n, channels, s, s]``; what
        is at a place alone is what convolutions see there.
        """
        alone = states = self.layers(self.input.prepare(rows)).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            states = block(states, dropout=0.0)
        states = self.norm(states)
        return Memory(states, states.new_ones(states.shape[:2], dtype=torch.bool), alone)
