"""A translator whose layers can be compared place by place."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import normalize

from gangen_conditional.networks.translator import Translator
from gangen_image import ImageSpec


class ContrastiveTranslator(Translator):
    """conditional/translator as CUT needs it (Park et al. 2020, section 3): its first half is an encoder, too.

    What the layers that halve and the last residual block say of a place becomes ``dim`` features (the paper has 256),
    by a perceptron with one hidden layer for each.
    """

    def __init__(self, spec: ImageSpec, *, dim: Annotated[int, Ge(1)] = 256, **options: Any) -> None:
        super().__init__(spec, **options)
        widths = [layer.convolution.out_channels for layer in self.down]
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(width, dim), nn.ReLU(), nn.Linear(dim, dim)) for width in [*widths, widths[-1]]
        )

    def activations(self, images: Tensor) -> list[Tensor]:
        """What these layers make of images float ``[n, channels, size, size]``: each ``[n, width, height, width]``."""
        found = [images]
        for layer in self.down:
            found.append(layer(found[-1], None))
        last = found[-1]
        for block in self.blocks:
            last = block(last, None)
        return [*found[1:], last]

    def project(self, layer: int, activations: Tensor, places: Tensor) -> Tensor:
        """Features float ``[n, m, dim]``, of length 1, of some places of a layer, int64 ``[n, m]``, counted by rows."""
        chosen = (
            activations.flatten(2).transpose(1, 2).gather(1, places.unsqueeze(2).expand(-1, -1, activations.shape[1]))
        )
        return normalize(self.projections[layer](chosen), dim=2)
