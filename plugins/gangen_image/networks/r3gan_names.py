"""What the tensors of R3GAN are called in the program of its authors, whose weights image/r3gan takes."""

from collections.abc import Mapping

from torch import Tensor

# Of a residual block. A bias belongs to the activation after its convolution there.
BLOCK = {
    "LinearLayer1.Layer.weight": "expand.weight",
    "NonLinearity1.Bias": "expand.bias",
    "LinearLayer2.Layer.weight": "mix.weight",
    "NonLinearity2.Bias": "mix.bias",
    "LinearLayer3.Layer.weight": "reduce.weight",
}


def generator_names(stages: int, blocks: int) -> dict[str, str]:
    """By their name that of a tensor of R3GANGenerator, but for labels; each stage begins with what leads to it.

    There as here a transition has no tensor where the number of channels stays.
    """
    names = {
        "MainLayers.0.Layers.0.Basis": "basis",
        "MainLayers.0.Layers.0.LinearLayer.weight": "input.weight",
        "AggregationLayer.Layer.weight": "output.weight",
    }
    for stage in range(1, stages):
        names[f"MainLayers.{stage}.Layers.0.LinearLayer.Layer.weight"] = f"transitions.{stage - 1}.weight"
    return names | _block_names(stages, blocks, first=1)


def discriminator_names(stages: int, blocks: int) -> dict[str, str]:
    """By their name that of a tensor of R3GANDiscriminator; each stage ends with what leads to the next.

    There as here a transition has no tensor where the number of channels stays.
    """
    last = f"MainLayers.{stages - 1}.Layers.{blocks}"
    names = {
        "ExtractionLayer.Layer.weight": "input.weight",
        f"{last}.Basis.weight": "basis.weight",
        f"{last}.LinearLayer.weight": "head.output.weight",
        "EmbeddingLayer.weight": "head.projection.weight",
    }
    for stage in range(stages - 1):
        names[f"MainLayers.{stage}.Layers.{blocks}.LinearLayer.Layer.weight"] = f"transitions.{stage}.weight"
    return names | _block_names(stages, blocks, first=0)


def renamed(weights: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """``weights`` by ``names``, those that are not there as they are; without filters, which are the same in all."""
    theirs = {name.removeprefix("Model."): it for name, it in weights.items() if not name.endswith(".Resampler.Kernel")}
    return {names.get(name, name): tensor for name, tensor in theirs.items()}


def _block_names(stages: int, blocks: int, first: int) -> dict[str, str]:
    """Of the residual blocks of all stages; the ``first`` layer of a stage that is one."""
    return {
        f"MainLayers.{stage}.Layers.{first + block}.{theirs}": f"stages.{stage}.{block}.{ours}"
        for stage in range(stages)
        for block in range(blocks)
        for theirs, ours in BLOCK.items()
    }
