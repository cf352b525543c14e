"""The components that come with the framework itself, registered through the same hooks as a plugin's."""

from collections.abc import Iterable
from pathlib import Path

from gangen.hookspecs import Register, hookimpl


@hookimpl
def gangen_losses(register: Register) -> None:
    register("minimax", "gangen.losses:Minimax", summary="Goodfellow et al., 2014: the original zero-sum game")
    register("non_saturating", "gangen.losses:NonSaturating", summary="Goodfellow et al., 2014: maximise log D")
    register("least_squares", "gangen.losses:LeastSquares", summary="LSGAN: Mao et al., 2017")
    register("wasserstein", "gangen.losses:Wasserstein", summary="WGAN: Arjovsky et al., 2017")
    register("hinge", "gangen.losses:Hinge", summary="Lim and Ye, 2017")
    register("relativistic_paired", "gangen.losses:RelativisticPaired", summary="RpGAN: Jolicoeur-Martineau, 2019")
    register("relativistic_average", "gangen.losses:RelativisticAverage", summary="RaGAN: Jolicoeur-Martineau, 2019")


@hookimpl
def gangen_penalties(register: Register) -> None:
    register("gradient_penalty", "gangen.penalties:GradientPenalty", summary="WGAN-GP: Gulrajani et al., 2017")
    register("r1", "gangen.penalties:R1", summary="Mescheder et al., 2018: squared slope at real samples")
    register("r2", "gangen.penalties:R2", summary="Mescheder et al., 2018: squared slope at fake samples")
    register("lecam", "gangen.penalties:LeCam", summary="Tseng et al., 2021: logits held near their averages")
    register("virtual_adversarial", "gangen.penalties:VirtualAdversarial", summary="VAT: Miyato et al., 2018")


@hookimpl
def gangen_callbacks(register: Register) -> None:
    register("guard", "gangen.guard:Guard", summary="warns early: who wins, gradients, collapse; the recipe's `guard`")


@hookimpl
def gangen_recipes() -> Iterable[Path]:
    """The recipes of the wheel, or those beside the package in a checkout."""
    package = Path(__file__).parent
    return [folder for folder in (package / "recipes", package.parent / "recipes") if folder.is_dir()][:1]
