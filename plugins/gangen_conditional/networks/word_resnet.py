"""Residual networks of images that look at words: a generator and a discriminator of what is made from a text."""

from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Batch, Part, UsageError
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.networks.memory import Encoder, Memory, attend
from gangen_conditional.networks.words import text_input
from gangen_conditional.spec import ImageFromSpec
from gangen_image import LatentGenerator, double, finish, normalization, resolutions, widths

SMALLEST = 4
SLOPE = 0.2
HIDDEN = 128
HEADS, HEAD_DIM = 4, 16


class Modulation(nn.Module):
    """A norm whose gain and shift follow from a vector: y = (1 + gain(v)) * norm(x) + shift(v)."""

    def __init__(self, norm: str, channels: int, dim: int) -> None:
        super().__init__()
        self.norm = normalization(norm, channels, affine=False)
        self.change = nn.Linear(dim, 2 * channels)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        gain, shift = self.change(vector)[:, :, None, None].chunk(2, dim=1)
        return (1 + gain) * self.norm(x) + shift


class LookAtWords(nn.Module):
    """Every place looks at words (as in Xu et al. 2018, section 3.1); what it sees is added to what it has.

    Where to look follows from words in their context, what is seen are words alone, one by each head: so a blue square
    is drawn by what is known of blue and of squares, also where it is the first one.
    """

    def __init__(self, channels: int, encoder: Encoder) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, HEADS * HEAD_DIM, 1)
        self.key = nn.Linear(encoder.dim, HEADS * HEAD_DIM)
        self.value = nn.Linear(encoder.alone_dim, HEADS * HEAD_DIM)
        self.output = nn.Conv2d(HEADS * HEAD_DIM, channels, 1)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        query = self.query(x).flatten(2).transpose(1, 2)
        seen = attend(query, self.key(memory.states), self.value(memory.alone), memory.mask, HEADS)
        return x + self.output(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class UpBlock(nn.Module):
    """norm, ReLU, doubling, 3x3, norm, ReLU, 3x3; around it doubling and 1x1; then a look at the words."""

    def __init__(self, before: int, after: int, norm: str, dim: int, words: Encoder | None) -> None:
        super().__init__()
        self.norms = nn.ModuleList([Modulation(norm, before, dim), Modulation(norm, after, dim)])
        self.convolutions = nn.ModuleList(nn.Conv2d(it, after, 3, padding=1) for it in (before, after))
        self.shortcut = nn.Conv2d(before, after, 1)
        self.look = LookAtWords(after, words) if words else None

    def forward(self, x: Tensor, vector: Tensor, memory: Memory) -> Tensor:
        shortcut = double(self.shortcut(x))
        x = self.convolutions[0](double(F.relu(self.norms[0](x, vector))))
        x = shortcut + self.convolutions[1](F.relu(self.norms[1](x, vector)))
        return x if self.look is None else self.look(x, memory)


class DownBlock(nn.Module):
    """Leaky ReLU, 3x3, Leaky ReLU and a 4x4 convolution that halves; around it halving and 1x1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(before, before, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(before, after, 4, stride=2, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(F.avg_pool2d(x, 2)) + self.convolutions(x)


class WordResNetGenerator(LatentGenerator):
    """Images from a text and a latent: a linear layer onto 4x4, a doubling block per resolution, 3x3 and tanh.

    ``encoder`` makes states of the words of the text. The mean of the words alone and the latent, of ``latent_dim``
    numbers, enter the first layer and modulate every norm (as in Zhang et al. 2019, section 3.2: there by labels). From
    8x8 up to ``attention`` pixels, every place looks at the words themselves, as in AttnGAN (Xu et al. 2018): by their
    states it finds those that speak of it.

    What is said of an image is not left to chance: before, latents are moved and stretched by a network of one hidden
    layer that knows the text, the prior network of conditional variational autoencoders (Sohn et al. 2015).

    ``width`` channels at the image's size, twice as many at each halving up to ``max_width``. ``norm`` normalises over
    the batch, over a channel of an image, over an image, or not at all.

    Raises:
        UsageError: images are made from no text, or their size is no power of two from 8.
    """

    def __init__(
        self,
        spec: ImageFromSpec,
        *,
        encoder: Annotated[Any, Part("encoders")] = "conditional/words",
        latent_dim: Annotated[int, Ge(1)] = 64,
        width: Annotated[int, Ge(1)] = 32,
        max_width: Annotated[int, Ge(1)] = 256,
        attention: Annotated[int, Ge(0)] = 16,
        norm: Literal["batch", "instance", "layer", "none"] = "batch",
    ) -> None:
        stages = resolutions(spec, "conditional/word_resnet")
        super().__init__(spec, latent_dim=latent_dim, condition="none")
        text_input(spec, "conditional/word_resnet")
        channels, dim = widths(stages, width, max_width), latent_dim + encoder.alone_dim
        self.expect = nn.Sequential(nn.Linear(encoder.dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * latent_dim))
        self.input = nn.Linear(dim, channels[0] * SMALLEST**2)
        self.blocks = nn.ModuleList(
            UpBlock(before, after, norm, dim, encoder if stage <= attention else None)
            for stage, (before, after) in zip(stages[1:], pairwise(channels), strict=True)
        )
        self.norm = Modulation(norm, channels[-1], dim)
        self.output = nn.Conv2d(channels[-1], spec.channels, 3, padding=1)
        finish(self, spectral_norm=False)
        self.encoder = encoder

    def forward(self, latent: Tensor, memory: Memory) -> Tensor:
        """Images float ``[n, channels, size, size]`` of latents float ``[n, latent_dim]`` and what was read."""
        expected = self.expected(memory)
        latent = expected.mean + (expected.log_variance / 2).exp() * latent
        vector = torch.cat([latent, memory.mean(memory.alone)], dim=1)
        x = self.input(vector).unflatten(1, (-1, SMALLEST, SMALLEST))
        for block in self.blocks:
            x = block(x, vector, memory)
        return self.output(F.relu(self.norm(x, vector))).tanh()

    def expected(self, memory: Memory) -> Gaussian:
        """What latents become where nothing but the text is known, ``[n, latent_dim]``: theirs are moved to it."""
        return Gaussian.of(self.expect(memory.mean(memory.states)))

    def relative(self, code: Gaussian, condition: Batch) -> Gaussian:
        """The latents, as ``sample`` takes them, that become ``code``, ``[n, latent_dim]``, by the condition's texts.

        Their divergence from N(0, 1) is that of ``code`` from what is expected.
        """
        expected = self.expected(self.encoder(tokens_of(condition)))
        scale = (expected.log_variance / 2).exp()
        return Gaussian((code.mean - expected.mean) / scale, code.log_variance - expected.log_variance)

    def sample(
        self,
        n: int,
        condition: Batch | None = None,
        *,
        truncation: Annotated[float, Interval(gt=0, le=1)] = 1.0,
        latent: Tensor | None = None,
    ) -> Tensor:
        """``n`` images with gradient of the texts, "input" of the condition; the rest is as in LatentGenerator."""
        latent = self.latent(n) if latent is None else latent
        return self(self.prior.truncate(latent, truncation), self.encoder(tokens_of(condition)))


class WordResNetDiscriminator(nn.Module):
    """Whether images are real and of their text: 4x4 that halves, halving blocks down to 4x4, two looks at the text.

    The mean state of the words stands beside the features of each place of 4x4; a 1x1 convolution, Leaky ReLU and a
    linear layer judge both together (Reed et al. 2016, section 4.1). And every word looks at the places of 8x8; a
    network of one hidden layer judges the word beside what it saw, and the mean over words is added.

    ``encoder`` makes states of the words. ``width`` channels after the first halving, twice as many at each further one
    up to ``max_width``. ``spectral_norm`` divides weights by their largest singular value, but for those of the
    encoder.

    Raises:
        UsageError: images are made from no text, or their size is no power of two from 8.
    """

    def __init__(
        self,
        spec: ImageFromSpec,
        *,
        encoder: Annotated[Any, Part("encoders")] = "conditional/words",
        width: Annotated[int, Ge(1)] = 32,
        max_width: Annotated[int, Ge(1)] = 256,
        spectral_norm: bool = True,
    ) -> None:
        stages = resolutions(spec, "conditional/word_resnet")
        super().__init__()
        text_input(spec, "conditional/word_resnet")
        channels = [spec.channels, *widths(stages[:-1], width, max_width)[::-1]]
        self.input = nn.Conv2d(channels[0], channels[1], 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(DownBlock(before, after) for before, after in pairwise(channels[1:]))
        last, places = channels[-1], channels[-2]
        self.joint = nn.Conv2d(last + encoder.dim, last, 1)
        self.whole = nn.Linear(last * SMALLEST**2, 1)
        self.word = nn.Linear(encoder.dim, places)
        self.key = nn.Conv2d(places, places, 1)
        self.compare = nn.Linear(3 * places, places)
        self.part = nn.Linear(places, 1)
        finish(self, spectral_norm)
        self.encoder = encoder

    def forward(self, images: Tensor, condition: Batch | None = None) -> Tensor:
        """Logits float ``[n]`` of images float ``[n, channels, size, size]`` and the condition's texts, "input"."""
        memory = self.encoder(tokens_of(condition))
        before, x = images, self.input(images)
        for block in self.blocks:
            before, x = x, block(x)
        return self._whole(F.leaky_relu(x, SLOPE), memory) + self._parts(F.leaky_relu(before, SLOPE), memory)

    def _whole(self, x: Tensor, memory: Memory) -> Tensor:
        sentence = memory.mean(memory.states)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.whole(F.leaky_relu(self.joint(torch.cat([x, sentence], dim=1)), SLOPE).flatten(1)).squeeze(1)

    def _parts(self, x: Tensor, memory: Memory) -> Tensor:
        word = self.word(memory.states)
        seen = attend(word, self.key(x).flatten(2).transpose(1, 2), x.flatten(2).transpose(1, 2))
        compared = F.leaky_relu(self.compare(torch.cat([word, seen, word * seen], dim=2)), SLOPE)
        return memory.mean(self.part(compared)).squeeze(1)


def tokens_of(condition: Batch | None) -> Tensor:
    """The texts of a condition. Raises UsageError where there are none."""
    if condition is None or "input" not in condition:
        raise UsageError("images are made from a text here: the condition needs an input")
    return condition["input"]
