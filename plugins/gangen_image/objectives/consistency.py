"""Consistency regularisation: a discriminator should say the same of an image and of its augmented copy."""

from typing import Annotated, Any

from torch import Tensor

from gangen import Judge, Part, Penalty, Schedule


class Consistency(Penalty):
    """CR-GAN (Zhang et al. 2020, equation 1 with the last layer alone): ``E[(D(x) - D(T(x)))^2]`` on real images.

    T is ``augmentation``. ``fakes: true`` adds the same of fakes (balanced, Zhao et al. 2021, equation 3). Leave the
    objective's own augmentation off: it would be part of D.

    ``weight`` multiplies the penalty.
    """

    def __init__(
        self,
        *,
        weight: Schedule = 10.0,
        augmentation: Annotated[Any, Part("augmentations")] = "image/diffaugment",
        fakes: bool = False,
    ) -> None:
        super().__init__(weight=weight)
        self.augmentation = augmentation
        self.fakes = fakes

    def size(self, discriminator: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return sum(
            (discriminator(images) - discriminator(self.augmentation(images))).square().mean()
            for images in ([real, fake] if self.fakes else [real])
        )
