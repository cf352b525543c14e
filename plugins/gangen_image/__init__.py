"""The image plugin: image data, networks and games. Nothing heavy is imported here.

Its hooks stand below, the names that other plugins may import in ``__init__.pyi``.
"""

from collections.abc import Callable

import lazy_loader

from gangen import hookimpl

# Without the list of names that the module's own dir() would be: looking for hooks, pluggy would load them all.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


@hookimpl
def gangen_data(register: Callable) -> None:
    register("dataset", ".data.dataset:Dataset", summary="any images that `datasets` reads: folders, tables, hub names")
    register("arrays", ".data.arrays:Arrays", summary="IDX files as MNIST ships them, .npz and .npy")
    register("digits", ".data.digits:Digits", summary="built in: 5,000 handwritten digits of MNIST")
    register("stacked", ".data.stacked:Stacked", summary="Stacked MNIST: three digits as channels, 1,000 modes")
    register("few_labels", ".data.few_labels:FewLabels", summary="other data with only a few of its labels")
    register("points", ".data.points:Points", summary="points of a ring, a grid or one Gaussian in the plane")


@hookimpl
def gangen_generators(register: Callable) -> None:
    register("mlp", ".networks.mlp:MLPGenerator", summary="multilayer perceptron, for points and small images")
    register("dcgan", ".networks.dcgan:DCGANGenerator", summary="transposed convolutions: Radford et al., 2016")
    register("resnet", ".networks.resnet:ResNetGenerator", summary="residual blocks (SNGAN, BigGAN)")
    register("r3gan", ".networks.r3gan:R3GANGenerator", summary="modern residual blocks: Huang et al., 2024")
    register("style", ".networks.style:StyleGenerator", summary="modulated convolutions: StyleGAN2")
    register("module", ".networks.module:ModuleGenerator", summary="any module of torch, of a file of code")


@hookimpl
def gangen_discriminators(register: Callable) -> None:
    register("mlp", ".networks.mlp:MLPDiscriminator", summary="multilayer perceptron, for points and small images")
    register("dcgan", ".networks.dcgan:DCGANDiscriminator", summary="strided convolutions: Radford et al., 2016")
    register("resnet", ".networks.resnet:ResNetDiscriminator", summary="residual blocks (SNGAN, BigGAN)")
    register("r3gan", ".networks.r3gan:R3GANDiscriminator", summary="modern residual blocks: Huang et al., 2024")
    register("style", ".networks.style:StyleDiscriminator", summary="residual convolutions: StyleGAN2")
    register("features", ".networks.features:FeaturesDiscriminator", summary="sees with a pretrained network")
    register("module", ".networks.module:ModuleDiscriminator", summary="any module of torch, of a file of code")


@hookimpl
def gangen_objectives(register: Callable) -> None:
    register("gan", ".objectives.gan:ImageGAN", summary="the game of two; turns discriminate, generate")
    register("semi_supervised", ".objectives.semi_supervised:SemiSupervised", summary="it also tells labels apart")


@hookimpl
def gangen_samplers(register: Callable) -> None:
    register("rejection", ".samplers.rejection:Rejection", summary="the discriminator accepts: Azadi et al., 2019")


@hookimpl
def gangen_penalties(register: Callable) -> None:
    register("consistency", ".objectives.consistency:Consistency", summary="CR-GAN, bCR: Zhang et al., 2020")


@hookimpl
def gangen_augmentations(register: Callable) -> None:
    register("diffaugment", ".objectives.augmentation:DiffAugment", summary="always: Zhao et al., 2020")
    register("adaptive", ".objectives.augmentation:Adaptive", summary="ADA, as need be: Karras et al., 2020")


@hookimpl
def gangen_extractors(register: Callable) -> None:
    register("classifier", ".extractors.classifier:Classifier", summary="a small network that learns the data's labels")
    register(
        "rotations", ".extractors.rotations:Rotations", summary="the same, of images without labels: their upper side"
    )
    register("identity", ".extractors.identity:Identity", summary="the points or pixels themselves")
    register("features", ".extractors.features:Features", summary="any pretrained network of images")
    register("inception", ".extractors.inception:Inception", summary="the FID's network; needs torch-fidelity")


@hookimpl
def gangen_metrics(register: Callable) -> None:
    register("fid50k", ".metrics.fid:FID50k", summary="50,000 samples against all training images, as published")
    register("modes", ".metrics.modes:Modes", summary="modes found, share of good samples, evenness")
    register("stacked_modes", ".metrics.modes:StackedModes", summary="modes of stacked digits that are reached")
    register("accuracy", ".objectives.semi_supervised:Accuracy", summary="held-out images that are labelled rightly")
