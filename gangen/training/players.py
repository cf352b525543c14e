"""Players: a network with its optimizer, moving average, clipping and shared gradients."""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gangen.collectives import all_sum, broadcast, world_size
from gangen.contracts import Clock, Stats
from gangen.networks import Players, count_parameters, differences, load_state, state_of, trainable
from gangen.optimizers import Learning
from gangen.recipe.players import CopyOf, HalfLife
from gangen.training.sharding import Shards, is_part, part_of, rows_of, whole_of

# Bytes of gradients that go in one message, as in DDP: what is copied for it is little beside a large player.
BUCKET = 25 * 2**20
# Numbers, of the weights of a player, that are kept to say how large a step was.
LOOKED_AT = 2**20
# Statistics of batch norms, as torch names them. Those that the last batches left are of other weights than averages.
RUNNING = "running_mean", "running_var"


class Player:
    """One network of the game and everything that changes its weights.

    A frozen one never learns, and neither does a copy of another player, which is brought up to date now and then: both
    are in evaluation mode.
    """

    # Where there is anything to learn.
    optimizer: torch.optim.Optimizer
    message: Tensor

    def __init__(
        self,
        name: str,
        net: nn.Module,
        learning: Learning,
        *,
        frozen: bool = False,
        copy_of: CopyOf | None = None,
        ema: float | HalfLife | None = None,
        clip: float | None = None,
        weight_clip: float | None = None,
    ) -> None:
        self.name = name
        self.net = net
        self.clip = clip
        self.weight_clip = weight_clip
        self.ema = ema
        self.copy_of = copy_of
        self.seen = 0  # samples that it has learned from
        if frozen or copy_of is not None:
            net.eval().requires_grad_(False)
        # Remembered once: an adapter's frozen base must stay frozen when this player's turn comes again.
        self.trainable = trainable(net)
        self.average: nn.Module | None = None
        if ema is not None:
            # What does not learn is shared with the network, not copied: it may be large.
            shared = {id(parameter): parameter for parameter in net.parameters() if not parameter.requires_grad}
            self.average = copy.deepcopy(net, shared)
            pairs = zip(self.average.parameters(), net.parameters(), strict=True)
            self._pair: Any = tuple(zip(*(pair for pair in pairs if pair[1].requires_grad), strict=True))
            self.average.eval().requires_grad_(False)
        # What the optimizer changes: the trainable parameters, or this process's parts of them.
        self.weights = self.trainable
        self.shards: Shards | None = None
        self.average_shards: Shards | None = None
        # Whether the network is ever another one than that which its options and the seed of the run make.
        self.changes = bool(self.trainable) or copy_of is not None
        if self.trainable:
            self.use_optimizer(learning)
            self.message = self.trainable[0].new_empty(0)

    def use_optimizer(self, learning: Learning) -> None:
        """Start afresh with an optimizer."""
        names = {id(parameter): name for name, parameter in self.net.named_parameters()}
        weights = zip(self.trainable, self.weights, strict=True)
        self.learning = learning
        self.optimizer = learning.optimizer({names[id(parameter)]: weight for parameter, weight in weights})

    def synchronize(self) -> None:
        """Take over parameters and buffers of process 0."""
        nets = [self.net] if self.average is None else [self.net, self.average]
        with torch.no_grad():
            broadcast([tensor for net in nets for tensor in (*net.parameters(), *net.buffers())])

    def before_training(self) -> None:
        """Let network and average get ready, on their device: what they do for it all processes do together."""
        for net in (self.net, self.average):
            getattr(net, "before_training", lambda: None)()

    def shard(self) -> None:
        """Where there are several processes, leave each with a part of the weights, of their average and of what the
        optimizer, which starts afresh, remembers of them.
        """
        if world_size() == 1 or not count_parameters(self.net):
            return
        self.shards = Shards(self.net.parameters())
        parts = {id(it): part for it, part in zip(self.shards.parameters, self.shards.parts, strict=True)}
        self.weights = [parts[id(parameter)] for parameter in self.trainable]
        if self.average is not None:
            self.average_shards = Shards(self._pair[0])
            self._pair = self.average_shards.parts, self.weights
        if self.trainable:
            self.use_optimizer(self.learning)

    @contextmanager
    def whole(self, *, here: bool = True, store: bool = False) -> Iterator[None]:
        """Around what takes whole weights of network and average, where these are sharded: all processes enter it.

        They are whole where ``here`` is true. With ``store`` the parts are made of what whole ones have become.
        """
        with ExitStack() as stack:
            for shards in (self.shards, self.average_shards):
                if shards is not None:
                    stack.enter_context(shards.whole(here=here, store=store))
            yield

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Around a turn: the network is whole, and so is its average once ``bring_average`` was called in there."""
        if self.shards is None:
            yield
            return
        with self.shards.whole(here=True, store=False):
            try:
                yield
            finally:
                if self.average_shards is not None:
                    self.average_shards.release()

    def bring_average(self) -> None:
        """Make the average whole in a turn that asks for it, as all processes do."""
        average = self.average_shards
        if average is not None and not average.gathered and self.shards is not None and self.shards.gathered:
            average.gather()

    def take_over(self, other: "Player") -> None:
        """Set the weights and buffers to those that ``other`` has now, whose network is built alike.

        A network of another kind takes what of these it has, by its method ``begin_as``.

        Raises UsageError where that cannot be.
        """
        alike = not differences(self.net, state_of(other.net))
        with self.whole(store=True), other.whole():
            for net in [self.net] if self.average is None else [self.net, self.average]:
                if alike:
                    load_state(net, state_of(other.net))
                else:
                    net.begin_as(other.net)  # type: ignore[operator]

    def divide_gradients(self, weight: Tensor) -> None:
        """Divide every gradient by ``weight``, a scalar."""
        torch._foreach_div_([parameter.grad for parameter in self.trainable if parameter.grad is not None], weight)

    def share_gradients(self) -> None:
        """Replace every gradient by its mean over all processes, in flat messages of ``BUCKET`` bytes.

        A gradient that is missing here but present elsewhere counts as zeros; one that is missing
        everywhere stays missing, so that the optimizer skips the parameter as it would in one process. A process that
        has a part of the weights is left with that of their gradients.
        """
        if world_size() == 1:
            return
        if self.shards is not None:
            self.shards.forget()  # the turn is played, and gradients are all that is needed of it
        parts = {id(parameter): weight for parameter, weight in zip(self.trainable, self.weights, strict=True)}
        groups = list(buckets(self.trainable))
        # One message is kept for the next: fresh memory takes a CPU as long as the copying. Of several none is.
        message = self.message if len(groups) == 1 else None
        for parameters in groups:
            # Which gradients there are travels with them, in the same message: processes may differ in it, as where a
            # head is used for some rows only, and all must take the same step.
            like = parameters[0]
            present = torch.tensor([p.grad is not None for p in parameters], dtype=like.dtype, device=like.device)
            pieces = [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in parameters]
            flat = torch.cat([*pieces, present], out=message)
            dist.all_reduce(flat)
            *means, present = flat.split([p.numel() for p in parameters] + [len(parameters)])
            for parameter, mean, anywhere in zip(parameters, means, present.tolist(), strict=True):
                if not anywhere:
                    parameter.grad = None
                else:
                    # With the parameter's strides, not those of the flat tensor: fused optimizers go through memory.
                    if parameter.grad is None or parameter.grad.stride() != parameter.stride():
                        parameter.grad = torch.empty_like(parameter)
                    torch.div(mean.view_as(parameter), world_size(), out=parameter.grad)
                if (weight := parts[id(parameter)]) is not parameter:
                    weight.grad = None if parameter.grad is None else part_of(parameter.grad, weight).clone()
                    parameter.grad = None

    def step(
        self, clock: Clock, scaler: torch.amp.GradScaler | None = None, *, rate: float = 1.0, measure: bool = False
    ) -> Stats:
        """Clip, let the optimizer take its step with the settings that the clock gives, and follow with the average.

        Learning rates are multiplied with ``rate`` for this step. With ``measure`` returns how large the step was, see
        ``StepSize``.
        """
        if scaler is not None:
            scaler.unscale_(self.optimizer)
        size = StepSize(self.weights) if measure else None
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.learning.follow(self.optimizer, clock)
        with slowed(self.optimizer, rate):
            if scaler is None:
                self.optimizer.step()
            else:
                scaler.step(self.optimizer)
        if self.weight_clip is not None:
            with torch.no_grad():
                torch._foreach_clamp_min_(self.weights, -self.weight_clip)
                torch._foreach_clamp_max_(self.weights, self.weight_clip)
        if self.average is not None:
            self._follow(self.average, clock)
        self.seen += clock.batch_size
        # Gradients that overflow in half precision are no fault: the scaler takes no step then, and there is no size.
        if size is None or (scaler is not None and not size.gradient_norm.isfinite()):
            return {}
        return {f"{self.name}/{name}": figure for name, figure in size.figures().items()}

    @torch.no_grad()
    def _follow(self, average: nn.Module, clock: Clock) -> None:
        decay = self._decay(clock)
        get_ema_multi_avg_fn(decay)(*self._pair, None)
        for (name, averaged), buffer in zip(average.named_buffers(), self.net.buffers(), strict=True):
            if name.rpartition(".")[2] in RUNNING:
                averaged.lerp_(buffer, 1 - decay)
            else:
                averaged.copy_(buffer)

    def _decay(self, clock: Clock) -> float:
        """The share of the average that outlasts a step: less in the beginning, when it would keep untrained weights.

        A constant decay is at most (1 + t) / (10 + t) after t steps, as in TensorFlow's ExponentialMovingAverage; they
        are counted over all phases, in batches of this one.
        """
        if isinstance(self.ema, HalfLife):
            return self.ema.decay(clock, self.seen)
        steps = self.seen / clock.batch_size
        return min(self.ema or 0.0, (1 + steps) / (10 + steps))


def buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters in groups of one dtype, each of at most ``BUCKET`` bytes or of one alone."""
    for dtype in dict.fromkeys(parameter.dtype for parameter in parameters):
        bucket: list[Tensor] = []
        size = 0
        for parameter in (it for it in parameters if it.dtype == dtype):
            if bucket and size + parameter.nbytes > BUCKET:
                yield bucket
                bucket, size = [], 0
            bucket.append(parameter)
            size += parameter.nbytes
        yield bucket


def networks_of(players: Mapping[str, Player]) -> Players:
    """What a game sees of its players: networks and averages."""
    averages = {name: player.average for name, player in players.items() if player.average is not None}
    nets = {name: player.net for name, player in players.items()}
    return Players(nets, averages, lambda name: players[name].bring_average())


@contextmanager
def whole(players: Iterable[Player], *, here: bool = True) -> Iterator[None]:
    """Around what takes whole weights of all of ``players``, see ``Player.whole``."""
    with ExitStack() as stack:
        for player in players:
            stack.enter_context(player.whole(here=here))
        yield


@contextmanager
def learning(players: Mapping[str, Player], names: Collection[str]) -> Iterator[list[Player]]:
    """Freeze everybody but ``names``, whose gradients start from nothing; the weights of all are whole."""
    learners = [players[name] for name in names]
    others = [parameter for name, player in players.items() if name not in names for parameter in player.trainable]
    for parameter in others:
        parameter.requires_grad_(False)
    for parameter in (parameter for player in learners for parameter in player.trainable):
        parameter.grad = None
    try:
        with ExitStack() as stack:
            for player in players.values():
                stack.enter_context(player.playing())
            yield learners
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


@contextmanager
def slowed(optimizer: torch.optim.Optimizer, rate: float) -> Iterator[None]:
    """Around a step whose learning rates are to be multiplied with ``rate``: what is saved of them stays as it is."""
    before = [(group, group["lr"]) for group in optimizer.param_groups if rate != 1 and "lr" in group]
    for group, lr in before:
        group["lr"] = lr * rate
    try:
        yield
    finally:
        for group, lr in before:
            group["lr"] = lr


class StepSize:
    """Looks at ``parameters`` before a step, whose gradients must be there, and at what the step made of them after it.

    Of more than ``LOOKED_AT`` numbers each so many-th is compared with what it was, where processes have parts of them
    the same on all. Nothing here waits for the device.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        moving = [parameter for parameter in parameters if parameter.grad is not None]
        self.gradient_norm = whole_of(get_total_norm([it.grad for it in moving if it.grad is not None]))
        self.parts = any(is_part(it) for it in moving)
        self.parameters = [rows_of(it) for it in moving]
        # Odd, since rows tend to be of even length: else some columns would never be looked at.
        self.stride = sum(it.numel() for it in moving) // LOOKED_AT | 1
        self.before = [it.clone() for it in self._looked_at()]

    def figures(self) -> Stats:
        """``gradient_norm`` before clipping; ``update_size``, the norm of the change over that of the weights."""
        if not self.parameters:
            return {}
        now = self._looked_at()
        change, weights = self._norm(torch._foreach_sub(now, self.before)), self._norm(now)
        # Weights of exactly zero have not changed, or went back to zero: no division by it either way.
        size = change / weights.clamp(min=torch.finfo(weights.dtype).tiny)
        return {"gradient_norm": self.gradient_norm, "update_size": size}

    def _looked_at(self) -> list[Tensor]:
        return [it.flatten()[:: self.stride] for it in self.parameters]

    def _norm(self, tensors: Iterable[Tensor]) -> Tensor:
        norm = get_total_norm(tensors)
        return all_sum(norm.square()).sqrt() if self.parts else norm
