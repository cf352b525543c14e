"""Frozen networks that know images already: of the package transformers, or any module of torch with its weights."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from math import isqrt, prod
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gangen import UsageError, digest, open_module, open_pretrained, opening_pretrained, pretrained_source
from gangen_image.spec import ImageSpec

# What most networks for photos were trained with: those of ImageNet.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of a model of transformers, unless a recipe names layers.
DEPTHS = 4
# What the libraries raise where there is no such file, or a network takes no such image.
UNFIT = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)


class _AllHeard(Exception):
    """All layers that are looked at have spoken."""


class FeatureNetwork(nn.Module):
    """What a frozen network makes of images at several depths.

    ``model`` is a folder of ``save_pretrained`` of a vision model of the package transformers, or a name on the hub. In
    its place ``network`` is a class of torch modules, or a function that is annotated to return one, "my_net:Class" of
    what my_net.py holds or imports, a file of ``code``. ``network_options`` are what it is called with. ``weights`` is
    the file of safetensors that has its weights. No pickle is read, and no code that comes with a model is run.

    ``layers`` are the names of modules in it whose outputs are looked at, float ``[n, c, h, w]``, ``[n, tokens, c]``
    of a grid or ``[n, c]``; without any, four depths of a model of transformers, spread evenly. Images are made
    ``size`` x ``size``; null leaves them as they are, or as large as the model says. ``resize`` is how: "bicubic" is
    that of Pillow, by which published figures in DINOv2 and CLIP are taken. Channels from 0 to 1 have ``mean`` taken
    off and are divided by ``std``; null is what the model says, or else those of ImageNet. Grey images are seen as
    three equal channels.

    Raises:
        UsageError: the network cannot be opened, or has no such layers; the message says what to change.
    """

    who = "image/features"
    # What weights may be missing of: what a model makes of an image as a whole.
    unread: str | None = "pooler"

    def __init__(
        self,
        *,
        model: str | None = None,
        network: str | None = None,
        network_options: dict[str, Any] | None = None,
        weights: Path | None = None,
        layers: Sequence[str] = (),
        size: Annotated[int, Ge(1)] | None = None,
        resize: Literal["bilinear", "bicubic"] = "bilinear",
        mean: tuple[float, float, float] | None = None,
        std: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)], Annotated[float, Gt(0)]] | None = None,
    ) -> None:
        super().__init__()
        if (model is None) == (network is None):
            raise UsageError(f"{self.who} looks through either a model or a network: give it one of the two")
        self.layers = tuple(layers)
        self.resize = resize
        if model is not None:
            net, told = self._open(model)
        else:
            if weights is None or not self.layers:
                raise UsageError(f"{self.who}: a network needs weights, a file of safetensors, and layers to look at")
            net, told = open_module(str(network), self.who, weights=weights, options=network_options or {}), {}
        net = net.to(torch.get_default_dtype())
        net = convert_conv2d_weight_memory_format(net, torch.channels_last)  # of 4-D weights alone
        self.net = net.eval().requires_grad_(False)
        self.net.state_names = []  # type: ignore[assignment]  # it is not stored with the game, which needs it again
        self.given_size = size if size is not None else told.get("size")
        for name, values in (("mean", mean or told.get("mean") or MEAN), ("std", std or told.get("std") or STD)):
            self.register_buffer(name, torch.tensor(values).reshape(-1, 1, 1), persistent=False)
        names = [name for name, _ in self.net.named_modules() if name]
        if absent := [name for name in self.layers if name not in names]:
            raise UsageError(f"{self.who}: there is no layer {absent[0]!r}; there are, among others: {_some(names)}")

    @cached_property
    def network_digest(self) -> str:
        """SHA-256 of the network's weights: who looks through the same one has the same."""
        return digest({name: tensor.float() for name, tensor in self.net.state_dict().items()})

    def train(self, mode: bool = True) -> "FeatureNetwork":
        """The network itself stays in evaluation mode."""
        super().train(mode)
        self.net.eval()
        return self

    def shown(self, images: Tensor) -> Tensor:
        """Float ``[n, 3, given_size, given_size]`` as the network takes them, of what ``maps`` takes."""
        if self.given_size is not None and self.given_size != images.shape[-1]:
            images = F.interpolate(images, self.given_size, mode=self.resize, antialias=self.resize == "bicubic")
        return ((images + 1) / 2 - self.mean) / self.std

    def maps(self, images: Tensor) -> list[Tensor]:
        """Float ``[n, c, h, w]`` of each depth, for images float ``[n, 1 or 3, size, size]`` in [-1, 1]."""
        images = self.shown(images)
        if not self.layers:
            states = self.net(images, output_hidden_states=True, return_dict=True).hidden_states
            count = min(DEPTHS, len(states) - 1)
            return [_map(states[(depth + 1) * (len(states) - 1) // count]) for depth in range(count)]
        heard: dict[str, Any] = {}

        def listen(name: str) -> Callable:
            def hear(module: nn.Module, given: Any, out: Any) -> None:
                heard[name] = out
                if len(heard) == len(hooks):  # what lies behind the last one would be computed for nobody
                    raise _AllHeard

            return hear

        modules = dict(self.net.named_modules())
        hooks = [modules[name].register_forward_hook(listen(name)) for name in set(self.layers)]
        try:
            with suppress(_AllHeard):
                self.net(images)
        finally:
            for hook in hooks:
                hook.remove()
        return [_map(heard[name]) for name in self.layers]

    def seeing(self, model: nn.Module) -> nn.Module:
        """The part that sees images, of a model that may read texts too."""
        return getattr(model, "vision_model", model)

    def tried(self, spec: ImageSpec) -> list[torch.Size]:
        """The shapes of ``maps`` of such images.

        Raises:
            UsageError: they are no images, the network cannot take them, or what it says of them is not finite or is
                drawn at random.
        """
        if not isinstance(spec, ImageSpec) or spec.channels not in (1, 3):
            raise UsageError(f"{self.who} looks at grey or colour images, which these are not: {spec}")
        two = torch.linspace(-1, 1, 2 * prod(spec.shape)).to(self.mean).view(2, *spec.shape)  # no part is like another
        try:
            with torch.no_grad():
                try:
                    first, again = self.maps(two), self.maps(two)
                except UNFIT:  # one that views what convolutions say as it lies cannot have their channels last
                    convert_conv2d_weight_memory_format(self.net, torch.contiguous_format)
                    first, again = self.maps(two), self.maps(two)
        except UNFIT as error:
            raise UsageError(
                f"{self.who}: the network cannot take images of {spec.channels} x {spec.size} x {spec.size}, made "
                f"{self.given_size or spec.size} pixels wide: {_first_line(error)}\n"
                "give it another size, or other layers"
            ) from None
        if two.is_meta:  # built for the shapes of its tensors alone
            return [it.shape[1:] for it in first]
        if not all(it.isfinite().all() for it in [*first, *again]):
            raise UsageError(
                f"{self.who}: the network says nan or infinity of images; look at its weights, or take another"
            )
        if not all(map(_alike, first, again)):
            raise UsageError(
                f"{self.who}: the network says something else of the same images each time, as one that masks parts of "
                "them at random does; take another"
            )
        return [it.shape[1:] for it in first]

    def _open(self, model: str) -> tuple[nn.Module, dict[str, Any]]:
        """The network, and what its folder says of images."""
        whole = open_pretrained(model, self.who, unread=self.unread)
        with opening_pretrained(model, self.who):
            net: Any = self.seeing(whole)
            if net.main_input_name != "pixel_values":
                raise ValueError("it is no model of images")
        try:
            from transformers import ImageProcessingMixin

            source = pretrained_source(model)
            processing = ImageProcessingMixin.get_image_processor_dict(**source)[0]
        except UNFIT:
            processing = {}
        size = getattr(net.config, "image_size", None)
        told = {"mean": processing.get("image_mean"), "std": processing.get("image_std")}
        return net, told | {"size": size[0] if isinstance(size, list | tuple) else size}


def _alike(said: Tensor, again: Tensor) -> bool:
    """Whether they differ by no more than rounding does, however large or small they are."""
    return said.shape == again.shape and bool((said - again).abs().max() <= 1e-3 * said.abs().max())


def _map(output: Any) -> Tensor:
    """What a layer said as float ``[n, c, h, w]``; of tokens those that make a square, without the ones before."""
    x = output if isinstance(output, Tensor) else output[0]
    match x.dim():
        case 4:
            return x
        case 3:
            side = isqrt(x.shape[1])
            return x[:, -side * side :].transpose(1, 2).unflatten(2, (side, side))
        case 2:
            return x[:, :, None, None]
    raise ValueError(f"a layer says {list(x.shape)}, which is neither a map, nor tokens, nor a vector for each image")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _some(names: Sequence[str]) -> str:
    """A few of many names, evenly."""
    return ", ".join(names[:: max(1, len(names) // 12)])
