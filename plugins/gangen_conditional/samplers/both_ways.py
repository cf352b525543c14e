"""Two translators, each the other's way back."""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from gangen import Players

Direction = Literal["to_image", "to_input"]
BACK: Mapping[Direction, Direction] = {"to_image": "to_input", "to_input": "to_image"}


class BothWays:
    """Images of the condition, "input", through the translator that ``direction`` names: ``to_image`` takes inputs.

    ``reconstruct`` sends them there and back.
    """

    networks = ("to_image", "to_input")

    def __init__(self, players: Players) -> None:
        self.players = players

    def sample(
        self, n: int, condition: Mapping[str, Tensor] | None = None, *, direction: Direction = "to_image"
    ) -> Tensor:
        """Images float ``[n, channels, size, size]``."""
        return self.players[direction].sample(n, condition)

    def reconstruct(
        self, n: int, condition: Mapping[str, Tensor] | None = None, *, direction: Direction = "to_image"
    ) -> Tensor:
        """Images float ``[n, channels, size, size]`` of the kind that came in."""
        return self.players[BACK[direction]](self.sample(n, condition, direction=direction))
