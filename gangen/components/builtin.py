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
def gangen_objectives(register: Register) -> None:
    register("adversarial", "gangen.objectives:AdversarialGame", summary="the game of two; discriminate, generate")


@hookimpl
def gangen_penalties(register: Register) -> None:
    register("gradient_penalty", "gangen.penalties:GradientPenalty", summary="WGAN-GP: Gulrajani et al., 2017")
    register("r1", "gangen.penalties:R1", summary="Mescheder et al., 2018: squared slope at real samples")
    register("r2", "gangen.penalties:R2", summary="Mescheder et al., 2018: squared slope at fake samples")
    register("approximate_r1", "gangen.penalties:ApproximateR1", summary="R1 by finite differences: Lin et al., 2025")
    register("approximate_r2", "gangen.penalties:ApproximateR2", summary="R2 by finite differences")
    register("centring", "gangen.penalties:Centring", summary="the mean of all logits held at 0")
    register("lecam", "gangen.penalties:LeCam", summary="Tseng et al., 2021: logits held near their averages")
    register("virtual_adversarial", "gangen.penalties:VirtualAdversarial", summary="VAT: Miyato et al., 2018")


@hookimpl
def gangen_optimizers(register: Register) -> None:
    register("adam", "gangen.optimizers:adam", summary="Kingma and Ba, 2015")
    register("adamw", "gangen.optimizers:adamw", summary="Loshchilov and Hutter, 2019: weights decay apart")
    register("sgd", "gangen.optimizers:sgd", summary="gradient descent, with momentum or without")
    register("rmsprop", "gangen.optimizers:rmsprop", summary="Hinton, 2012: steps of an even size")


@hookimpl
def gangen_samplers(register: Register) -> None:
    register("player", "gangen.samplers:PlayerSampler", summary="a player that samples by itself")


@hookimpl
def gangen_metrics(register: Register) -> None:
    against, labels = "gangen.metrics.comparison", "gangen.metrics.labels"
    register("frechet", f"{against}:Frechet", summary="Frechet distance to real rows in features")
    register("kid", f"{against}:KID", summary="kernel distance to real rows in features")
    register("cmmd", f"{against}:CMMD", summary="distance under a Gaussian kernel, CMMD in CLIP's embeddings")
    register("mind", f"{against}:MIND", summary="transport along random lines, the Monge inception distance")
    register("intra_frechet", f"{against}:IntraFrechet", summary="Frechet distance within each label")
    register("prdc", f"{against}:PRDC", summary="precision, recall, density and coverage in features")
    register("divergence_frontier", f"{against}:DivergenceFrontier", summary="after MAUVE: shares of cells of features")
    register("nearest_neighbour", f"{against}:NearestNeighbour", summary="whether nearest neighbours are of one side")
    register("memorised", "gangen.metrics.memorised:Memorised", summary="how near samples come to training rows")
    register("path_length", "gangen.metrics.path_length:PathLength", summary="how evenly samples go into each other")
    register("judge", "gangen.metrics.judge:HeldOutJudge", summary="what a fresh discriminator can tell samples by")
    gains = "what the sampler's discriminator adds to held-out likelihood"
    register("likelihood_gain", "gangen.metrics.likelihood_gain:LikelihoodGain", summary=gains)
    register("label_accuracy", f"{labels}:LabelAccuracy", summary="samples that carry the label they were asked for")
    register("reverse_label_accuracy", f"{labels}:ReverseLabelAccuracy", summary="train on samples, test on real rows")
    register("inception_score", f"{labels}:InceptionScore", summary="sure of each label, and many labels in all")


@hookimpl
def gangen_callbacks(register: Register) -> None:
    register("guard", "gangen.training.callbacks.guard:Guard", summary="warns early: who wins, gradients, collapse")
    register("plot", "gangen.report.plot:LivePlot", summary="in a notebook, draws the figures of a run as it trains")


@hookimpl
def gangen_recipes() -> Iterable[Path]:
    """The recipes of the wheel, or those beside the package in a checkout."""
    package = Path(__file__).parents[1]
    return [folder for folder in (package / "recipes", package.parent / "recipes") if folder.is_dir()][:1]
