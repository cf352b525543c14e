"""Samplers: how a game that was trained is drawn from, and with which of its networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, Protocol, get_type_hints

import torch
from torch import Tensor, nn

from gangen import noise
from gangen.contracts import Batch
from gangen.errors import PluginError, UsageError, did_you_mean
from gangen.networks import Players, evaluating


class Sampler(Protocol):
    """What draws samples; built with the players, of which it sees the moving averages where the recipe keeps them.

    Further methods are verbs of the trained model's by the same name, such as ``interpolate`` or ``reconstruct``: they
    take counts and a condition as ``sample`` does, and their keyword-only parameters are settings, which have a row for
    each sample where they are tensors. A model asks for some samples at a time, with noise of their own: see
    ``noise.by_row``.
    """

    networks: Sequence[str]
    """The players that it draws with: what is exported with the model, and all that it is built with when that is read.

    Where the class has it, recipes that lack one of them are refused.
    """

    def sample(self, n: int, condition: Batch | None = None) -> Tensor:
        """``n`` samples, first dimension the batch; further keyword-only parameters are settings of sampling."""


class PlayerSampler:
    """One ``player``, which samples by itself; whatever else it can, as ``interpolate``, is a verb of the sampler's.

    Raises UsageError where there is no such player, or it does not sample.
    """

    def __init__(self, players: Players, *, player: str = "generator") -> None:
        try:
            self._network: Any = players.averaged(player)
        except KeyError:
            raise UsageError(
                f"sampler 'gangen/player' needs a player '{player}'{did_you_mean(player, players)}"
            ) from None
        if not hasattr(self._network, "sample"):
            raise UsageError(f"player '{player}' lacks sample(), which sampler 'gangen/player' needs")
        self.networks: Sequence[str] = (player,)
        self.sample: Any = self._network.sample

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_") or hasattr(nn.Module, verb):
            raise AttributeError(verb)
        return getattr(self._network, verb)


@contextmanager
def drawing(seed: int, device: torch.device, *networks: nn.Module) -> Iterator[None]:
    """Everything is drawn by ``seed``, by networks in evaluation mode, without gradients.

    That is so of ``gangen.noise`` and of torch's own generators, which go on afterwards as if nothing had been drawn.
    """
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda), noise.shared(seed), evaluating(*networks):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


def drawn(verb: Callable[..., Tensor], n: int, condition: Batch, settings: Mapping[str, Any]) -> Tensor:
    """What a method of a sampler's makes. Raises PluginError where that are not ``n`` rows."""
    made: Any = verb(n, condition, **settings)
    if not isinstance(made, Tensor) or not made.dim() or len(made) != n:
        got = f"shape {list(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        raise PluginError(f"{getattr(verb, '__qualname__', verb)}() was asked for {n} samples and returned {got}")
    return made


def settings_of(verb: Callable[..., Any]) -> dict[str, Any]:
    """The settings of a sampler's method, its keyword-only parameters: types by name."""
    try:
        types = get_type_hints(verb, include_extras=True)
    except (NameError, TypeError):  # names that only type checkers know, or what is no function
        types = {}
    keywords = (it.name for it in signature(verb).parameters.values() if it.kind is it.KEYWORD_ONLY)
    return {name: types.get(name, Any) for name in keywords}
