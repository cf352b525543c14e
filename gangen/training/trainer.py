"""The adversarial trainer: plays the turns of every phase on any number of processes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Annotated

import torch
from accelerate import Accelerator
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import noise
from gangen.collectives import all_mean, rank, world_size
from gangen.components.registry import name_of
from gangen.contracts import Callback, Clock, Data
from gangen.failures import during
from gangen.noise import mix
from gangen.objectives import Mean
from gangen.recipe.balance import Balance
from gangen.torch_draws import undisturbed
from gangen.training.data_digests import digests_of
from gangen.training.faults import NotFinite
from gangen.training.meter import Meter
from gangen.training.pace import Pace
from gangen.training.phases import Phase, Turn
from gangen.training.players import Player, learning, networks_of
from gangen.training.trial import Trial

Count = Annotated[int, Ge(0)]


@dataclass
class State:
    """Where a run is: ``step`` steps of phase number ``phase`` are done, ``total`` in all; ``batches`` were used, of
    the size that the phase has, or as many as hold the rows that phases before it used.

    ``balance`` is the moving mean of the figure that balances the phase. ``skipped`` turns were not finite; after
    ``rolled_back`` returns to a checkpoint, learning rates are multiplied with ``rate``.
    """

    phase: Count = 0
    step: Count = 0
    total: Count = 0
    batches: Count = 0
    balance: float | None = None
    skipped: Count = 0
    rolled_back: Count = 0
    rate: Annotated[float, Interval(gt=0, le=1)] = 1.0

    def find_place(self, lengths: Sequence[int]) -> None:
        """Phase and step by the steps done in all: since they were saved, the phase that was played may be longer."""
        self.phase, self.step = 0, self.total
        while self.phase < len(lengths) and self.step >= lengths[self.phase]:
            self.step -= lengths[self.phase]
            self.phase += 1

    def enter_next_phase(self) -> None:
        self.phase, self.step = self.phase + 1, 0

    def count_batches_anew(self, before: int, size: int) -> None:
        """In batches of ``size`` rows in the place of ``before``: the next begins behind the rows that were used."""
        self.batches = -(-self.batches * before // size)


class Trainer:
    """Plays a game to its end.

    A phase's batch is the global one: ``accumulate`` micro-batches on each process make it up. ``seed`` fixes every
    draw of the run: rows, noise and dropout are functions of it and of the counters in ``state``, so a run that
    goes on from a checkpoint is the run that never stopped. With ``shared_noise`` they do not depend on the
    number of processes either (torch's own dropout excepted). ``objective`` is given where the game is a module: what
    it keeps between turns then belongs to a checkpoint. With ``skips``, a turn whose figures or gradients are not
    finite on one of the processes is left out on all, so many times; ``left_out`` says of which that is yet to be told.
    """

    def __init__(
        self,
        *,
        accelerator: Accelerator,
        data: Data,
        players: Mapping[str, Player],
        phases: Sequence[Phase],
        objective: nn.Module | None = None,
        accumulate: int = 1,
        seed: int = 0,
        shared_noise: bool = True,
        skips: int = 0,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.accelerator = accelerator
        self.device = accelerator.device
        self.data = data
        self.players = dict(players)
        self.networks = networks_of(players)
        self.phases = tuple(phases)
        self.objective = objective
        self.accumulate = accumulate
        self.seed = seed
        self.shared_noise = shared_noise
        self.skips = skips
        self.callbacks = list(callbacks)
        self.state = State()
        self.meter = Meter(self.device)
        self.pace = Pace()
        self.stopping: str | None = None
        self.left_out: list[str] = []
        self._watched: set[str] = set()
        self.strict = False  # whether errors of what only looks at the run end it
        self._autocast = accelerator.autocast if accelerator.mixed_precision != "no" else nullcontext

    def fit(self) -> None:
        """Play every phase from where ``state`` stands; a callback may set ``stopping`` to leave early."""
        with ExitStack() as closing:
            for callback in self.callbacks:
                closing.callback(self._tell_one, callback, "close")
            self._tell("start")
            self.pace.begin()
            while self.state.phase < len(self.phases) and not self.stopping:
                phase = self.phases[self.state.phase]
                if self.state.step == 0:
                    self.pace.begin()
                with during(f"phase {phase.name}, step {self.state.step + 1}"):
                    with undisturbed():
                        self.play_step(phase)
                    self.pace.count()
                    self._tell("after_step")
            self._tell("finish")

    def meanwhile(self, words: str) -> None:
        """Tell callbacks what takes place between two steps; see ``Callback.meanwhile``."""
        for callback in self.callbacks:
            hear = getattr(callback, "meanwhile", None)
            if hear is not None:  # younger than the other moments, which all have
                with during(name_of(callback)):
                    hear(self, words)

    def _tell(self, moment: str) -> None:
        for callback in self.callbacks:
            self._tell_one(callback, moment)

    def _tell_one(self, callback: Callback, moment: str) -> None:
        with during(name_of(callback)):
            getattr(callback, moment)(self)

    def play_step(self, phase: Phase) -> None:
        """Every turn of ``phase``, in order and as often as the recipe says, but for those that its balance forbids."""
        if self.state.step == 0:
            self.state.balance = None  # not before, since the phase that ends the run may be made longer
            if self.state.phase:
                self.state.count_batches_anew(self.phases[self.state.phase - 1].batch_size, phase.batch_size)
            self.enter(phase)
        self.meter.begin_step()
        self.renew_copies(phase)
        whole = {"run_step": self.state.total, "run_steps": sum(phase.steps for phase in self.phases)}
        clock = Clock(phase.name, self.state.step, phase.steps, phase.batch_size, **whole)
        for turn in phase.turns:
            play = self.take if phase.allows(turn, self.state.balance) else self.skip
            with during(turn.title):
                for repeat in range(turn.times_at(self.state.step)):
                    play(turn, replace(clock, repeat=repeat) if repeat else clock)
        if phase.balance is not None:
            self.follow_balance(phase, phase.balance)
        self.state.step += 1
        self.state.total += 1
        if self.state.step == phase.steps:
            self.state.enter_next_phase()

    def enter(self, phase: Phase) -> None:
        for name, way in phase.optimizers.items():
            self.players[name].use_optimizer(way)

    def renew_copies(self, phase: Phase) -> None:
        """Take snapshots of players when a phase begins, and after every so many steps where the recipe says so."""
        for player in self.players.values():
            if (copied := player.copy_of) and self.state.step % (copied.every or phase.steps) == 0:
                player.take_over(self.players[copied.player])

    def take(self, turn: Turn, clock: Clock) -> None:
        """One turn: gradients of the whole batch, then a step of each of its players.

        The sizes of a player's steps cost as much as a few operations of its optimizer, so one step of each turn is
        measured between two readings of the meter: the first.
        """
        if not turn.updates:
            return self.watch(turn, clock)
        with learning(self.players, turn.updates) as learners:
            trial = self.trial()
            self.compute_gradients(turn, clock)
            if self.passes(trial, turn, learners):
                for player in learners:
                    player.share_gradients()
                    measure = self.meter.lacks(turn, f"{player.name}/gradient_norm")
                    sizes = player.step(clock, self.accelerator.scaler, rate=self.state.rate, measure=measure)
                    self.meter.add(turn, sizes)
                if self.accelerator.scaler is not None:
                    self.accelerator.scaler.update()
        self.state.batches += 1

    def skip(self, turn: Turn, clock: Clock) -> None:
        """Nobody learns from this turn; it is only watched where the balance needs its figure.

        Its batch counts as used: those of all other turns are the same whoever was left out.
        """
        if self.phases[self.state.phase].watches(turn):
            self.watch(turn, clock)
        else:
            self.state.batches += 1

    def watch(self, turn: Turn, clock: Clock) -> None:
        """A turn for the sake of its figures, and of what the objective remembers: everybody is frozen."""
        with learning(self.players, ()):
            trial = self.trial()
            for _ in self.losses(turn, clock):
                pass
            self.passes(trial, turn, ())
        self.state.batches += 1

    def trial(self) -> Trial | None:
        return Trial(self.players, self.objective, self.meter) if self.skips else None

    def passes(self, trial: Trial | None, turn: Turn, learners: Sequence[Player]) -> bool:
        """Whether a turn may count; what one has left behind that may not, and is left out, is taken back.

        Gradients that overflow in half precision are left to the scaler. Raises NotFinite after ``skips`` such turns.
        """
        if trial is None or not (failed := trial.failures(turn, learners, gradients=self.accelerator.scaler is None)):
            return True
        trial.take_back()
        where = f" on process {', '.join(map(str, failed))} of {world_size()}" if world_size() > 1 else ""
        step = self.state.total + 1
        what = f"turn '{turn.name}' of step {step}: its figures or gradients are not finite{where}"
        if self.state.skipped == self.skips:
            raise NotFinite(f"{what}, and {self.skips} were skipped before", since=step)
        self.state.skipped += 1
        self.left_out.append(what)
        return False

    def follow_balance(self, phase: Phase, balance: Balance) -> None:
        """Take this step's figure into the moving mean that decides over the next step; note who was left out."""
        mean = self.state.balance
        for turn in phase.turns:
            if turn.times_at(self.state.step):
                if turn.name == balance.turn and (not self.skips or self.meter.heard(turn)):
                    figure = self.meter.mean_of_step(balance.figure)
                    self.state.balance = balance.follow(mean, figure.item())
                skipped = not phase.allows(turn, mean)
                self.meter.add(turn, {"skipped": float(skipped)})

    def compute_gradients(self, turn: Turn, clock: Clock) -> None:
        """Leave in ``.grad`` the gradient of the turn's loss: its mean over processes is that of the whole batch."""
        weights = []
        for loss in self.losses(turn, clock):
            if isinstance(loss, Mean):
                weights.append(loss.weight)
                loss = loss.total
            if not loss.requires_grad:
                who = " and ".join(turn.updates)
                raise turn.complaint(f"its loss does not depend on the weights of {who}, which is to learn from it")
            (loss if self.accelerator.scaler is None else self.accelerator.scaler.scale(loss)).backward()
        if weights:
            if len(weights) < self.accumulate > 1:
                raise turn.complaint("it returns a gangen.Mean for some micro-batches, and a plain loss for others")
            whole = all_mean(torch.stack(weights).sum())
            for name in turn.updates:
                self.players[name].divide_gradients(whole)

    def losses(self, turn: Turn, clock: Clock) -> Iterator[Tensor | Mean]:
        """This process's micro-batches: of each the turn's loss as its share of their mean; figures go to the meter.

        What the share of a ``Mean`` is among several is known when all have been seen.
        """
        parts = world_size() * self.accumulate
        whole = self.phases[self.state.phase].batch_size
        size = whole // parts
        # What is drawn is a function of where the run is, not of what was drawn before: a run that goes on from a
        # checkpoint draws what it would have drawn.
        seed = mix(self.seed, self.state.phase, clock.step, turn.name, clock.repeat)
        for micro in range(self.accumulate):
            now = replace(clock, micro=micro, accumulate=self.accumulate) if self.accumulate > 1 else clock
            # Of the batch, cut into parts of equal size, the processes take neighbours: so its rows, and its noise, are
            # those of one process that plays it whole. Dropout is the exception: each part has its own.
            part = micro * world_size() + rank()
            self._seed_torch(mix(seed, part))
            rows = range(part * size, (part + 1) * size)
            with during(f"a batch of {name_of(self.data)}"):
                batch = self.data.train.batch(self.state.batches, rows, whole, seed=self.seed, device=self.device)
            draws = noise.shared(seed, part, parts) if self.shared_noise else noise.shared(mix(seed, part))
            with draws, self._watching(turn, parts), self._autocast():
                loss, stats = turn.loss(self.networks, batch, now)
            self.meter.add(turn, stats)
            if isinstance(loss, Mean):
                yield loss if self.accumulate > 1 else loss.value
            elif loss is not None:
                yield loss / self.accumulate if self.accumulate > 1 else loss

    def _watching(self, turn: Turn, parts: int) -> AbstractContextManager:
        """Where a batch is played in parts, the first play of a turn shows whether its noise is that of the batch."""
        if parts == 1 or not self.shared_noise or turn.name in self._watched:
            return nullcontext()
        self._watched.add(turn.name)
        # Watched, compiled networks would be compiled twice.
        compiled = any("forward" in vars(net) for net in self.networks.values())
        return nullcontext() if compiled else noise.NoOwnDraws(turn.title)

    def _seed_torch(self, seed: int) -> None:
        """Torch's own generators, of which dropout draws."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    @cached_property
    def data_digests(self) -> dict:
        """Which data are played with, as ``digests_of`` tells."""
        return digests_of(self.data)

    def state_dict(self) -> dict:
        """Everything beside the players that a resumed run needs, as JSON; all processes ask together."""
        scaler = self.accelerator.scaler
        return {
            "state": asdict(self.state),
            "figures": self.meter.state_dict(),
            "seen": {name: player.seen for name, player in self.players.items()},
            "scaler": scaler.state_dict() if scaler else None,
        }

    def load_state_dict(self, saved: Mapping) -> None:
        """Put back what ``state_dict`` gave; counters that this version does not know are left out."""
        known = {entry.name for entry in fields(State)}
        self.state = State(**{name: value for name, value in saved["state"].items() if name in known})
        self.state.find_place([phase.steps for phase in self.phases])
        for name, player in self.players.items():
            player.seen = saved["seen"][name]
        self.meter.load_state_dict(saved["figures"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
