"""A translator: from an image to one of another kind that keeps its places."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn

from gangen import UsageError, label_of
from gangen_conditional.spec import input_image
from gangen_image import ConditionalNorm, ImageSpec, finish, initialize


class Layer(nn.Module):
    """A convolution, a norm with gain and shift for each of ``classes``, where there are any, and ReLU."""

    def __init__(self, convolution: nn.Module, norm: str, channels: int, classes: int, *, relu: bool = True) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = ConditionalNorm(norm, channels, classes)
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        return self.relu(self.norm(self.convolution(x), label))


class Residual(nn.Module):
    """3 x 3, norm, ReLU, 3 x 3, norm; added to what came in (Johnson et al., 2016)."""

    def __init__(self, channels: int, norm: str, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(_mirrored(channels, channels, 3, norm), norm, channels, classes, relu=relu) for relu in (True, False)
        )

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        return x + self.layers[1](self.layers[0](x, label), label)


class Translator(nn.Module):
    """Johnson et al. (2016), as CycleGAN has it (Zhu et al. 2017, appendix 7.2): 7 x 7, ``halvings`` convolutions that
    halve, ``blocks`` residual ones, as many transposed ones that double, 7 x 7 and tanh.

    ``width`` is how many channels there are at the image's size, twice as many after each halving. The paper has 64,
    and 6 blocks for images of 128 pixels, 9 for larger ones. Borders are mirrored. ``norm`` normalises over a channel
    of an image, over the batch, over an image, or not at all.

    With ``labelled`` it makes several kinds of images, the labels of the data: each norm has a gain and shift for each
    label. (StarGAN has planes of labels beside the image; behind mirrored borders, a norm over an image's channel takes
    out what these add.)

    Raises:
        UsageError: there is no image of the same size as input, it cannot be halved so often, or lacks labels.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        width: Annotated[int, Ge(1)] = 64,
        halvings: Annotated[int, Ge(0)] = 2,
        blocks: Annotated[int, Ge(0)] = 6,
        norm: Literal["instance", "batch", "layer", "none"] = "instance",
        labelled: bool = False,
    ) -> None:
        super().__init__()
        self.input = input_image(spec, "conditional/translator")
        least = 2 ** (halvings + 1)  # a place and its neighbour, for borders to be mirrored
        if spec.size % 2**halvings or spec.size < max(least, 4):
            raise UsageError(
                f"conditional/translator cannot halve images of {spec.size} pixels {halvings} times; give the data a "
                f"size that is a multiple of {2**halvings}, from {max(least, 4)}, or take fewer halvings"
            )
        if labelled and not spec.labels:
            raise UsageError("conditional/translator: labelled is for data with labels, and these have none")
        self.labels = spec.labels if labelled else ()
        classes = len(self.labels)
        widths = [width * 2**step for step in range(halvings + 1)]
        self.down = nn.ModuleList([Layer(_mirrored(self.input.channels, width, 7, norm), norm, width, classes)])
        for before, after in pairwise(widths):
            self.down.append(Layer(_mirrored(before, after, 3, norm, stride=2), norm, after, classes))
        self.blocks = nn.ModuleList(Residual(widths[-1], norm, classes) for _ in range(blocks))
        self.up = nn.ModuleList()
        for before, after in pairwise(widths[::-1]):
            doubling = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=norm == "none")
            self.up.append(Layer(doubling, norm, after, classes))
        self.output = nn.Conv2d(width, spec.channels, 7, padding=3, padding_mode="reflect")
        initialize(self)
        finish(self, spectral_norm=False)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """What becomes of images of the input, float ``[n, channels, size, size]`` in [-1, 1]; labels int64 ``[n]``."""
        x = images
        for layer in (*self.down, *self.blocks, *self.up):
            x = layer(x, label)
        return self.output(x).tanh()

    def sample(self, n: int, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        """What becomes of the ``n`` images "input" of the condition, and of its "label" where it is ``labelled``."""
        if not condition or "input" not in condition:
            raise UsageError("there is nothing to start from: a translator needs an image, as input")
        return self(self.input.prepare(condition["input"]), label_of(condition, self.labels))


def _mirrored(before: int, after: int, kernel: int, norm: str, stride: int = 1) -> nn.Conv2d:
    """A convolution of images whose borders are mirrored."""
    # A bias before a norm would be taken out by its mean.
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, padding_mode="reflect", bias=norm == "none")
