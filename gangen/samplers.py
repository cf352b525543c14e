"""Samplers: how a game that was trained is drawn from, and with which of its networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any, Protocol, get_type_hints

import torch
from torch import Tensor, nn

from gangen import noise
from gangen.contracts import Batch
from gangen.errors import PluginError, UsageError, did_you_mean
from gangen.networks import Players, evaluating
from gangen.torch_draws import Draws


class Sampler(Protocol):
    """What draws samples; built with the players, of which it sees the moving averages where the recipe keeps them.

    Further methods are verbs of the trained model's by the same name, such as ``interpolate`` or ``reconstruct``: they
    take counts and a condition as ``sample`` does, and their keyword-only parameters are settings, which have a row for
    each sample where they are tensors. A model asks for some samples at a time, with noise of their own: see
    ``noise.by_row``. Where one takes ``**settings``, it has those of the sampler's ``generator``'s method by its name.

    What a setting is where it is None an attribute of the sampler's may say, of the setting's name.

    A sampler that draws otherwise than its generator alone may have ``plain``: settings by name with which it does not.
    Its class may have ``log_ratios_of``: players whose logits it takes for log-ratios of real to generated rows. They
    have one logit for each row; recipes that do not teach them so are refused. Or ``conditions``: the only columns of
    rows that it can draw on; data with others are refused.
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


class ChoosingSampler:
    """Base of samplers that choose by the logits of the ``discriminator`` among what the ``generator`` draws.

    ``sample`` of a subclass takes, as ``**settings``, what the generator's takes. Further verbs are the generator's
    own, and nothing is chosen there.
    """

    networks = ("generator", "discriminator")
    log_ratios_of = ("discriminator",)

    def __init__(self, players: Players) -> None:
        self.generator: Any = players.averaged("generator")
        self.discriminator: Any = players.averaged("discriminator")

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_") or verb in ("generator", "discriminator") or hasattr(nn.Module, verb):
            raise AttributeError(verb)
        return getattr(self.generator, verb)

    def propose(
        self,
        rows: Sequence[int],
        seeds: Sequence[Sequence[int]],
        condition: Batch | None,
        settings: Mapping[str, Any],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A candidate for each of ``rows``, numbers of rows of ``condition`` that may repeat, by the seed beside it.

        Returns samples ``[m, ...]``, their logits and, to choose by, uniform noise, both float64 ``[m]`` on the CPU.

        Raises:
            UsageError: the discriminator has other than one logit for a row.
        """
        condition = None if condition is None else _at(condition, rows)
        with noise.shared(seeds[0][0]), noise.by_row(seeds):
            samples = self.generator.sample(len(rows), condition, **_at(settings, rows))
            logits = self.discriminator(samples, condition)
            if logits.shape != (len(rows),):
                raise UsageError(
                    f"to choose among samples takes one logit for each, and of {len(rows)} the discriminator gave "
                    f"shape {list(logits.shape)}; take one that judges whole samples one by one"
                )
            return samples, logits.detach().cpu().double(), noise.uniform(len(rows), dtype=torch.float64)


def _at(columns: Mapping[str, Any], rows: Sequence[int]) -> dict[str, Any]:
    """``columns`` with ``rows`` of all tensors among them."""
    return {
        name: value[torch.tensor(rows, device=value.device)] if isinstance(value, Tensor) else value
        for name, value in columns.items()
    }


@contextmanager
def drawing(seed: int, device: torch.device, *networks: nn.Module) -> Iterator[None]:
    """Everything is drawn by ``seed``, by networks in evaluation mode, without gradients.

    That is so of ``gangen.noise`` and of torch's own generators, which go on afterwards as if nothing had been drawn;
    and of each thread by itself.
    """
    with Drawing(seed, device, *networks).going_on():
        yield


class Drawing:
    """What ``seed`` draws, a part in each context of ``going_on``, as in ``drawing``."""

    def __init__(self, seed: int, device: torch.device, *networks: nn.Module) -> None:
        self.draws = Draws(seed, device)
        self.noise = noise.Source(seed)
        self.networks = networks

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Draw on from where the context before ended."""
        with self.draws.going_on(), noise.drawing_from(self.noise), evaluating(*self.networks):
            yield


def drawn(verb: Callable[..., Tensor], n: int, condition: Batch, settings: Mapping[str, Any]) -> Tensor:
    """What a method of a sampler's makes. Raises PluginError where that are not ``n`` rows."""
    made: Any = verb(n, condition, **settings)
    if not isinstance(made, Tensor) or not made.dim() or len(made) != n:
        got = f"shape {list(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        raise PluginError(f"{getattr(verb, '__qualname__', verb)}() was asked for {n} samples and returned {got}")
    return made


def settings_of(verb: Callable[..., Any]) -> dict[str, Any]:
    """The settings of a sampler's method, its keyword-only parameters: types by name; of ``**settings`` see Sampler."""
    found: dict[str, Any] = {}
    for method in _methods(verb):
        try:
            types = get_type_hints(method, include_extras=True)
        except (NameError, TypeError):  # names that only type checkers know, or what is no function
            types = {}
        found = {it.name: types.get(it.name, Any) for it in _keyword_only(method)} | found
    return found


def defaults_of(verb: Callable[..., Any]) -> dict[str, Any]:
    """What the settings of a sampler's method are where nothing is said, by name."""
    return {it.name: it.default for method in reversed(_methods(verb)) for it in _keyword_only(method)}


def _methods(verb: Callable[..., Any]) -> list[Callable[..., Any]]:
    """``verb``, and behind it that of its generator which it hands ``**settings``."""
    found = [verb]
    if any(it.kind is it.VAR_KEYWORD for it in signature(verb).parameters.values()) and hasattr(verb, "__self__"):
        found += _methods(getattr(verb.__self__.generator, verb.__name__))
    return found


def _keyword_only(verb: Callable[..., Any]) -> list[Parameter]:
    return [it for it in signature(verb).parameters.values() if it.kind is it.KEYWORD_ONLY]
