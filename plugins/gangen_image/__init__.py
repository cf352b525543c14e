"""The image plugin: image data, networks and games. Hooks only; nothing heavy is imported here."""

from collections.abc import Callable

from gangen import hookimpl


@hookimpl
def gangen_data(register: Callable) -> None:
    register(
        "dataset",
        "gangen_image.dataset:Dataset",
        summary="any images that `datasets` reads: folders, tables, hub names",
    )
    register("arrays", "gangen_image.arrays:Arrays", summary="IDX files as MNIST ships them, .npz and .npy")
    register("digits", "gangen_image.digits:Digits", summary="built in: 5,000 handwritten digits of MNIST")
    register("stacked", "gangen_image.stacked:Stacked", summary="Stacked MNIST: three digits as channels, 1,000 modes")
    register("few_labels", "gangen_image.few_labels:FewLabels", summary="other data with only a few of its labels")
    register("points", "gangen_image.points:Points", summary="points of a ring, a grid or one Gaussian in the plane")


@hookimpl
def gangen_generators(register: Callable) -> None:
    register("mlp", "gangen_image.mlp:MLPGenerator", summary="multilayer perceptron, for points and small images")
    register("dcgan", "gangen_image.dcgan:DCGANGenerator", summary="transposed convolutions: Radford et al., 2016")
    register("resnet", "gangen_image.resnet:ResNetGenerator", summary="residual blocks (SNGAN, BigGAN)")
    register("r3gan", "gangen_image.r3gan:R3GANGenerator", summary="modern residual blocks: Huang et al., 2024")
    register("style", "gangen_image.style:StyleGenerator", summary="modulated convolutions: StyleGAN2")


@hookimpl
def gangen_discriminators(register: Callable) -> None:
    register("mlp", "gangen_image.mlp:MLPDiscriminator", summary="multilayer perceptron, for points and small images")
    register("dcgan", "gangen_image.dcgan:DCGANDiscriminator", summary="strided convolutions: Radford et al., 2016")
    register("resnet", "gangen_image.resnet:ResNetDiscriminator", summary="residual blocks (SNGAN, BigGAN)")
    register("r3gan", "gangen_image.r3gan:R3GANDiscriminator", summary="modern residual blocks: Huang et al., 2024")
    register("style", "gangen_image.style:StyleDiscriminator", summary="residual convolutions: StyleGAN2")


@hookimpl
def gangen_objectives(register: Callable) -> None:
    register("gan", "gangen_image.gan:ImageGAN", summary="the game of two; turns discriminate, generate")
    register(
        "semi_supervised",
        "gangen_image.semi_supervised:SemiSupervised",
        summary="a discriminator that also tells the labels apart",
    )


@hookimpl
def gangen_penalties(register: Callable) -> None:
    register("consistency", "gangen_image.consistency:Consistency", summary="CR-GAN, bCR: Zhang et al., 2020")


@hookimpl
def gangen_augmentations(register: Callable) -> None:
    register("diffaugment", "gangen_image.augmentation:DiffAugment", summary="always: Zhao et al., 2020")
    register("adaptive", "gangen_image.augmentation:Adaptive", summary="ADA, as need be: Karras et al., 2020")


@hookimpl
def gangen_extractors(register: Callable) -> None:
    register(
        "classifier", "gangen_image.classifier:Classifier", summary="a small network that learns the data's labels"
    )
    register("identity", "gangen_image.identity:Identity", summary="the points or pixels themselves")
    register(
        "inception",
        "gangen_image.inception:Inception",
        summary="the network of the FID; needs the package torch-fidelity",
    )


@hookimpl
def gangen_metrics(register: Callable) -> None:
    register("modes", "gangen_image.modes:Modes", summary="modes found, share of good samples, evenness")
    register("stacked_modes", "gangen_image.modes:StackedModes", summary="modes of stacked digits that are reached")
    register("accuracy", "gangen_image.semi_supervised:Accuracy", summary="held-out images that are labelled rightly")
