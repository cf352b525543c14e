"""A recipe: data, players, an objective, and how often its turns are played."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self

from annotated_types import Ge, Gt, Interval, MinLen

from gangen.components.messages import Finding, raise_findings, show
from gangen.components.options import DEFINITION, Part, Section, Use, read_use, to_plain
from gangen.components.registry import Registry
from gangen.errors import Problem, RecipeError, did_you_mean
from gangen.hookspecs import SINGULAR
from gangen.recipe.balance import Balance
from gangen.recipe.keep_best import KeepBest
from gangen.recipe.source import dump
from gangen.schedules import Schedule

PLAYER_KINDS = ("generators", "discriminators", "encoders")


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe(Section):
    """One of torch's optimizers; ``betas`` are for adam and adamw, ``momentum`` for sgd and rmsprop.

    ``lr`` and each of ``betas`` may change over a phase.
    """

    title: ClassVar = "the optimizer"
    shorthand: ClassVar = "use"

    use: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    lr: Schedule = field(default=Schedule(1e-3))
    betas: tuple[Schedule, Schedule] = (Schedule(0.9), Schedule(0.999))
    eps: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.0
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.0

    def check(self) -> Iterable[Finding]:
        if min(self.lr.start, self.lr.end or 0) < 0:
            yield Finding(("lr",), "lr must not be negative")
        for index, beta in enumerate(self.betas):
            if not all(0 <= value < 1 for value in (beta.start, beta.end or 0)):
                yield Finding(("betas", index), "betas must be at least 0 and less than 1")
        if self.use in ("adam", "adamw") and self.momentum:
            yield Finding(("momentum",), f"momentum is for sgd and rmsprop; {self.use} has betas")
        if self.use in ("sgd", "rmsprop") and self.betas != type(self).betas:
            yield Finding(("betas",), f"betas are for adam and adamw; {self.use} has momentum")


@dataclass(frozen=True, kw_only=True)
class TurnTimes(Section):
    """A turn is played ``times`` times in every step whose number is a multiple of ``every``."""

    title: ClassVar = "a turn"
    shorthand: ClassVar = "times"

    times: Annotated[int, Ge(1)] = 1
    every: Annotated[int, Ge(1)] = 1


@dataclass(frozen=True, kw_only=True)
class PhaseRecipe(Section):
    """Turns in the order in which they are played.

    ``optimizers`` replaces those of the named players by fresh ones, and ``batch_size`` that of the trainer. With
    ``balance``, turns are left out while a player is too weak or too strong.
    """

    title: ClassVar = "a phase"

    steps: Annotated[int, Ge(1)]
    turns: Annotated[dict[str, TurnTimes], MinLen(1)]
    optimizers: dict[str, OptimizerRecipe] = field(default_factory=dict)
    batch_size: Annotated[int, Ge(1)] | None = None
    balance: Balance | None = None

    def check(self) -> Iterable[Finding]:
        if self.balance is not None and self.balance.turn not in self.turns:
            message = f"{self.balance.figure!r} is the figure of no turn of this phase"
            hint = did_you_mean(self.balance.turn, self.turns) or f"; its turns are: {', '.join(self.turns)}"
            yield Finding(("balance", "figure"), message + hint)


@dataclass(frozen=True, kw_only=True)
class TrainerRecipe(Section):
    """``batch_size`` is that of all processes together; ``threads`` are torch's, per process.

    Without ``threads``, the processes on a machine that trains on its CPU share its cores. ``compile`` compiles what
    can be compiled to the same result, of networks and of the slopes in penalties, and says what it leaves as it is.
    """

    title: ClassVar = "the trainer"

    batch_size: Annotated[int, Ge(1)] = 64
    accumulate: Annotated[int, Ge(1)] = 1
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = "fp32"
    threads: Annotated[int, Ge(1)] | None = None
    trackers: list[str] = field(default_factory=list)
    noise: Literal["global", "local"] = "global"
    compile: bool = False
    keep_checkpoints: Annotated[int, Ge(1)] = 3


@dataclass(frozen=True, kw_only=True)
class Every(Section):
    """After how many steps something is done; 0 turns it off."""

    title: ClassVar = "every"

    log: Annotated[int, Ge(0)] = 10
    sample: Annotated[int, Ge(0)] = 500
    evaluate: Annotated[int, Ge(0)] = 0
    checkpoint: Annotated[int, Ge(0)] = 500


@dataclass(frozen=True, kw_only=True)
class HalfLife(Section):
    """A moving average that forgets half within ``half_life`` samples, whatever the batch.

    Early in a phase, while that is more than ``ramp_up`` times the samples seen in it, half is forgotten within the
    latter (the EMA of StyleGAN2 and R3GAN, with 0.05).
    """

    title: ClassVar = "a moving average"

    half_life: Annotated[float, Gt(0)]
    ramp_up: Annotated[float, Gt(0)] | None = None

    def decay(self, batch_size: int, seen: int) -> float:
        """The share of the average that outlasts one more step of ``batch_size`` samples after ``seen`` of them."""
        half_life = self.half_life if self.ramp_up is None else min(self.half_life, self.ramp_up * seen)
        return 0.5 ** (batch_size / half_life) if half_life else 0.0


@dataclass(frozen=True, kw_only=True)
class PlayerSettings(Section):
    """What a recipe says of a player besides its component.

    ``ema`` is the decay of a moving average of the weights, or its half-life; ``clip`` is the largest norm of a
    gradient; ``weight_clip`` keeps every weight between minus that and that after each step, as in WGAN.
    """

    title: ClassVar = "a player"

    optimizer: OptimizerRecipe = OptimizerRecipe()
    ema: Annotated[float, Interval(ge=0, lt=1)] | HalfLife | None = None
    clip: Annotated[float, Gt(0)] | None = None
    weight_clip: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True, kw_only=True)
class PlayerRecipe(PlayerSettings):
    """A network in the game and how it learns. The kind follows from the player's name, or from a key ``kind``."""

    component: Use

    def to_plain(self) -> dict[str, Any]:
        settings = {entry.name: to_plain(getattr(self, entry.name)) for entry in fields(PlayerSettings)}
        return {"kind": self.component.kind, **self.component.to_plain(), **settings}


class _Players:
    """Reads the mapping of players, each of which mixes ``use``, the component's options and the player's settings."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(lambda value, info: _read_players(value, info.context))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        kinds = {f"^{SINGULAR[kind]}": {DEFINITION: f"player_{kind}"} for kind in PLAYER_KINDS}
        return {"type": "object", "minProperties": 1, "patternProperties": kinds}


@dataclass(frozen=True, kw_only=True)
class Recipe(Section):
    """A complete, valid recipe: every default is filled in, every component known.

    ``keep_best`` names the figure by which evaluations are compared: the best model is kept beside the newest.
    ``guard`` is the callback that warns of what usually ends badly; null turns it off.

    ``source`` is the file that it was read from; two recipes that say the same are equal wherever they stand.
    """

    title: ClassVar = "the recipe"

    run: Annotated[str, MinLen(1)]
    seed: Annotated[int, Interval(ge=0, lt=2**63)] = 0
    code: list[Path] = field(default_factory=list)
    data: Annotated[Use, Part("data")]
    players: Annotated[dict[str, PlayerRecipe], _Players()]
    objective: Annotated[Use, Part("objectives")]
    phases: Annotated[dict[str, PhaseRecipe], MinLen(1)]
    trainer: TrainerRecipe = TrainerRecipe()
    resume: bool = True
    every: Every = Every()
    metrics: list[Annotated[Use, Part("metrics")]] = field(default_factory=list)
    keep_best: KeepBest | None = None
    callbacks: list[Annotated[Use, Part("callbacks")]] = field(default_factory=list)
    guard: Annotated[Use, Part("callbacks")] | None = "gangen/guard"

    def check(self) -> Iterable[Finding]:
        for name, phase in self.phases.items():
            named = {("phases", name, "optimizers", player): player for player in phase.optimizers}
            if phase.balance is not None:
                named["phases", name, "balance", "player"] = phase.balance.player
            for path, player in named.items():
                if player not in self.players:
                    yield Finding(path, f"there is no player {player!r}{did_you_mean(player, self.players)}")
            if name.startswith(".") or not set("/\\").isdisjoint(name):
                yield Finding(("phases", name), f"{name!r} cannot be the name of a phase: its model needs a folder")
        if self.keep_best is not None and not (self.metrics and self.every.evaluate):
            message = "keep_best compares evaluations, and there are none: give the recipe metrics and every.evaluate"
            yield Finding(("keep_best",), message)

    @property
    def observers(self) -> list[Use]:
        """All callbacks that the recipe names, the guard last."""
        return self.callbacks + ([self.guard] if self.guard else [])

    @property
    def source(self) -> Path:
        return self._source.path

    def where(self, *path: str | int) -> str:
        """``file:line:col`` of a key, or of the nearest key around it that was written down."""
        return str(self._source.where(*path))

    def fail(self, path: Sequence[str | int], message: str) -> NoReturn:
        """Raise a RecipeError about the key at ``path``."""
        raise RecipeError([Problem(self.where(*path), message)])

    def with_metrics(self, metrics: list[Use]) -> Self:
        """This recipe with other metrics, read from the same file."""
        other = replace(self, metrics=metrics)
        object.__setattr__(other, "_source", self._source)
        return other

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values, complete, in the order of the algorithm."""
        return self.to_plain()

    def to_yaml(self) -> str:
        """The complete recipe as YAML; reading it gives an equal recipe."""
        return dump(self.to_dict())


def _read_players(value: Any, registry: Registry) -> dict[str, PlayerRecipe]:
    if not isinstance(value, Mapping) or not value:
        raise_findings([Finding((), f"players must be a mapping of at least one player, got {show(value)}")])
    players, findings = {}, []
    for name, given in value.items():
        players[name], wrong = _read_player(name, given, registry)
        findings += [Finding((name, *path), message) for path, message in wrong]
    raise_findings(findings)
    return players


def _read_player(name: str, given: Any, registry: Registry) -> tuple[PlayerRecipe | None, list[Finding]]:
    options = dict(given) if isinstance(given, Mapping) else {}
    kind = options.pop("kind", next((kind for kind in PLAYER_KINDS if name.startswith(SINGULAR[kind])), None))
    if kind not in PLAYER_KINDS:
        what = f"got {show(kind)}" if kind else "since its name does not begin with generator, discriminator or encoder"
        message = f"player {name!r} needs a 'kind' of generators, discriminators or encoders, {what}"
        return None, [Finding(("kind",), message)]
    reserved = PlayerSettings.options()
    settings, wrong = reserved.validate({key: options.pop(key) for key in reserved.names if key in options}, registry)
    component, findings = read_use(kind, options if isinstance(given, Mapping) else given, registry)
    if wrong or findings:
        return None, wrong + findings
    return PlayerRecipe(component=component, **settings), []
