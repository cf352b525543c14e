"""The game of two: a discriminator tells real rows from those of a generator, and the generator fools it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from gangen.collectives import all_mean
from gangen.components.options import Part
from gangen.components.registry import name_of
from gangen.contracts import Batch, Clock, Stats, updates
from gangen.errors import PluginError, UsageError
from gangen.losses import accuracy, at_least_float32
from gangen.networks import Players, judges_all
from gangen.penalties import Judge


@dataclass(frozen=True)
class Mean:
    """A loss that is a mean over what rows have different numbers of, as over tokens: ``total`` over ``weight``.

    Both are scalars, sums over the rows at hand. A turn that returns it teaches the total of the whole batch over the
    weight of the whole batch, however processes and micro-batches share its rows. A mean over rows needs nothing of the
    kind: all shares have as many.
    """

    total: Tensor
    weight: Tensor

    @property
    def value(self) -> Tensor:
        """The mean over the rows at hand: once gradients are averaged, over those of all processes."""
        return self.total / all_mean(self.weight)


def judged(discriminator: nn.Module, rows: Tensor, *condition: Batch) -> Tensor:
    """What a discriminator says of ``rows``: logits, float32 or better, ``[B]``, or ``[B, parts]`` of several parts.

    Of rows that it takes in fours, it may say one for each two or four. Raises PluginError for fewer or more, with
    which a game would be played: losses are means.
    """
    logits = discriminator(rows, *condition)
    if not judges_all(logits, len(rows), discriminator):
        raise PluginError(
            f"logits of {name_of(discriminator)} are to be [{len(rows)}], or [{len(rows)}, parts], got "
            f"{list(logits.shape)}\n"
            "return one for each row, or several for parts of it"
        )
    return at_least_float32(logits)


class AdversarialGame(nn.Module):
    """Goodfellow et al. (2014), with a loss and penalties of your choice.

    ``loss`` is what either player makes of the logits. ``penalties`` are added to the loss of every ``discriminate``.
    Where they look at the rows that the loss looks at, one pass of the discriminator serves both, its dropout and
    augmentation drawn once; under mixed precision they take a pass of their own, in float32. ``lazy_penalties`` are
    what the turn ``penalize`` plays, as in ``penalize: {every: 16}`` (lazy regularisation, Karras et al. 2020, appendix
    B): weights count as they are, so a penalty that is played every 16th step wants 16 times its weight.

    The generator has ``sample(n, condition)``; the discriminator maps ``(rows, condition)`` to logits, one for each row
    or for each of its parts, float ``[B, parts]``. The condition of both is the batch. A game of your own overrides
    what differs: ``real``, ``fakes``, ``judge``, ``verdicts``, ``figures``; or adds to what its turns return.
    """

    def __init__(
        self,
        spec: Any,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        penalties: Sequence[Annotated[Any, Part("penalties")]] = (),
        lazy_penalties: Sequence[Annotated[Any, Part("penalties")]] = (),
    ) -> None:
        super().__init__()
        self.spec = spec
        self.loss = loss
        self.penalties = nn.ModuleList(penalties)
        self.lazy_penalties = nn.ModuleList(lazy_penalties)

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError for a recipe that plays ``penalize`` without lazy penalties, or ``discriminate`` with some
        that it never plays; see ``contracts.needs``.
        """
        if "penalize" in turns and not self.lazy_penalties:
            raise UsageError("turn 'penalize' has nothing to play: give the objective lazy_penalties")
        if self.lazy_penalties and "discriminate" in turns and "penalize" not in turns:
            raise UsageError("nothing plays lazy_penalties: give a phase their turn, as in penalize: {every: 16}")

    @property
    def log_ratio(self) -> bool:
        """Whether the discriminator's logits are to be log-ratios of real to generated rows: as the loss has it."""
        return getattr(self.loss, "log_ratio", False)

    def real(self, batch: Batch) -> Tensor:
        """The real rows of a batch, ``[B, ...]``: its first column, as ``prepare`` of the data's description makes it,
        where it has that.
        """
        rows = next(iter(batch.values()))
        prepare = getattr(self.spec, "prepare", None)
        return rows if prepare is None else prepare(rows)

    def fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        """As many rows of the generator, ``[B, ...]``, with their graph."""
        return players.generator.sample(len(next(iter(batch.values()))), batch)

    def fixed_fakes(self, players: Players, batch: Batch, clock: Clock) -> Tensor:
        """Fakes without a graph: what the discriminator learns from."""
        with torch.no_grad():
            return self.fakes(players, batch, clock)

    def judge(self, players: Players, condition: Batch) -> Callable[[Tensor], Tensor]:
        """What maps rows to logits, float ``[B]`` or ``[B, parts]``; where it judges packs, one for several rows."""
        return lambda rows: judged(players.discriminator, rows, condition)

    def verdicts(self, players: Players, batch: Batch, real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
        """The logits of real rows and of fakes, which carry the same condition; and of what else counts as fake.

        Of several kinds of fakes each has an equal part in the loss.
        """
        judge = self.judge(players, batch)
        return judge(real), judge(fake)

    def figures(self, real: Tensor, fake: Tensor) -> Stats:
        """What is logged of the logits of real rows and of fakes."""
        return {
            "accuracy": accuracy(self.loss, real, fake),
            "real": real.detach().mean(),
            "fake": fake.detach().mean(),
        }

    @updates("discriminator")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell the batch's real rows from as many fakes, which carry the same condition."""
        real = self.real(batch)
        return self.tell_apart(players, batch, real, self.fixed_fakes(players, batch, clock), clock)

    @updates("discriminator")
    def penalize(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """The lazy penalties alone."""
        with torch.no_grad():
            fake = self.fakes(players, batch, clock)
        judge = Judge(self.judge(players, batch))
        return _add_up(self.lazy_penalties, judge, self.real(batch), fake, clock)

    @updates("generator")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator."""
        return self.fool(players, batch, self.fakes(players, batch, clock), batch), {}

    def tell_apart(
        self, players: Players, batch: Batch, real: Tensor, fake: Tensor, clock: Clock
    ) -> tuple[Tensor, Stats]:
        """The discriminator's loss with its penalties, and figures; ``fake`` has no graph."""
        mixed = torch.is_autocast_enabled(real.device.type)
        differentiated = {which for penalty in self.penalties for which in getattr(penalty, "differentiates", ())}
        if not mixed and "real" in differentiated:
            real = real.detach().requires_grad_()
        if not mixed and "fake" in differentiated:
            fake = fake.detach().requires_grad_()
        said_real, said_fake, *others = self.verdicts(players, batch, real, fake)
        known = [] if mixed else [(real, said_real), (fake, said_fake)]
        judge = Judge(self.judge(players, batch), *known)
        penalty, stats = _add_up(self.penalties, judge, real, fake, clock)
        losses = [scalar_from(self.loss, self.loss.discriminator(said_real, said)) for said in (said_fake, *others)]
        return sum(losses) / len(losses) + penalty, stats | self.figures(said_real, said_fake)

    def fool(self, players: Players, batch: Batch, fake: Tensor, condition: Batch) -> Tensor:
        """The generator's loss for ``fake``, which were made for ``condition``; ``batch`` has the real rows."""
        said_fake = self.judge(players, condition)(fake)
        said_real = None
        if self.loss.relativistic:
            with torch.no_grad():
                said_real = self.judge(players, batch)(self.real(batch))
        return scalar_from(self.loss, self.loss.generator(said_real, said_fake))


def scalar_from(part: object, said: Any) -> Tensor:
    """What a loss or a penalty said.

    Raises PluginError, which names that part and not the game that asked it, where it is no scalar tensor.
    """
    if not isinstance(said, Tensor) or said.ndim:
        what = f"a tensor of shape {list(said.shape)}" if isinstance(said, Tensor) else f"a {type(said).__name__}"
        raise PluginError(f"{name_of(part)} must return a scalar tensor, such as a mean, got {what}")
    return said


def _add_up(penalties: Iterable[Any], judge: Judge, real: Tensor, fake: Tensor, clock: Clock) -> tuple[Tensor, Stats]:
    total = torch.zeros((), device=real.device)
    stats: Stats = {}
    for penalty in penalties:
        size = scalar_from(penalty, penalty(judge, real, fake, clock))
        total = total + size
        stats[type(penalty).__name__] = size.detach()
    return total, stats
