"""CUT: one translator learns from images without pairs, and without a way back."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import cross_entropy

from gangen import AdversarialGame, Batch, Clock, Players, Stats, at_least_float32, judged, needs, noise, updates
from gangen_conditional.spec import input_image
from gangen_image import ImageSpec


class CUT(AdversarialGame):
    """Park et al. (2020), equation 5: a place of the image that is made is to be recognised among all places of the
    input, by the translator's own encoder.

    Of each layer ``places`` of an image are looked at. With v the features of a place of what was made, v+ those of the
    same place of the input, and v- those of its other places, the generator minimises ``contrast`` times the mean of

        -log(exp(v.v+ / ``temperature``) / (exp(v.v+ / ``temperature``) + sum exp(v.v- / ``temperature``)))

    beside the adversarial loss (equation 3, PatchNCE). With ``identity`` half of that weight is for real images of the
    right kind, which then are to be left alone. The paper's loss is least squares.

    Batches are those of conditional/unpaired; the generator is conditional/contrastive_translator.
    """

    def __init__(
        self,
        spec: ImageSpec,
        *,
        contrast: Annotated[float, Ge(0)] = 1.0,
        identity: bool = True,
        places: Annotated[int, Ge(2)] = 256,
        temperature: Annotated[float, Gt(0)] = 0.07,
        **options: Any,
    ) -> None:
        super().__init__(spec, **options)
        self.input = input_image(spec, "conditional/cut")
        self.contrast = contrast
        self.identity = identity
        self.places = places
        self.temperature = temperature

    def judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: judged(players.discriminator, images)

    @updates("generator")
    @needs(generator=("activations", "project"))
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator, and let each place be recognised."""
        fakes = self.fakes(players, batch, clock)
        contrast = self._contrast(players.generator, self.input.prepare(batch["input"]), fakes)
        stats = {"contrast": contrast.detach()}
        if self.identity:
            real = self.real(batch)
            contrast = (contrast + self._contrast(players.generator, real, players.generator(real))) / 2
        return self.fool(players, batch, fakes, batch) + self.contrast * contrast, stats

    def _contrast(self, generator: Any, start: Tensor, made: Tensor) -> Tensor:
        """The mean over layers, images and places of equation 3."""
        with torch.no_grad():
            starts = generator.activations(start)
        total = torch.zeros((), device=made.device)
        for layer, (before, after) in enumerate(zip(starts, generator.activations(made), strict=True)):
            count = before[0, 0].numel()
            places = noise.uniform(len(before), count, device=made.device).argsort(1)[:, : self.places]
            with torch.no_grad():
                known = generator.project(layer, before, places)
            found = generator.project(layer, after, places)
            likeness = at_least_float32(found @ known.transpose(1, 2)) / self.temperature
            same = torch.arange(places.shape[1], device=made.device).expand(places.shape)
            total = total + cross_entropy(likeness.flatten(0, 1), same.flatten())
        return total / len(starts)
