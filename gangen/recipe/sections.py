"""A recipe: data, players, an objective, and how often its turns are played."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn, Self

from annotated_types import Ge, Gt, Interval, MinLen
from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gangen.components.messages import Keys, any_of, refusal, show
from gangen.components.options import DEFINITION, Part, Use, read_use, to_plain
from gangen.errors import Problem, RecipeError, did_you_mean
from gangen.hookspecs import KINDS
from gangen.recipe.balance import Balance
from gangen.recipe.keep_best import KeepBest
from gangen.recipe.source import RecipeSource, dump
from gangen.recipe.strict import Section
from gangen.schedules import Schedule

if TYPE_CHECKING:  # recipes are read without torch
    from gangen.contracts import Clock

PLAYER_KINDS = {name: kind.singular for name, kind in KINDS.items() if kind.player}
PLAYERS_SCHEMA = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {f"^{singular}": {DEFINITION: f"player_{kind}"} for kind, singular in PLAYER_KINDS.items()},
}


# What recipes in runs say of an optimizer that has no use for it: its default.
FORMER = {"betas": [0.9, 0.999], "eps": 1e-8, "momentum": 0.0}


class ParameterGroup(Section, title="a group of parameters"):
    """Parameters that learn with options of their own.

    ``match`` is a pattern of their names, as in "*.bias". ``component`` is the player's optimizer with these options.
    """

    match: str
    component: Annotated[Use, Part("optimizers")]


class OptimizerRecipe(Section, title="the optimizer"):
    """How a player learns: an optimizer with its options, of which schedules run over a phase.

    ``component`` is the optimizer; without one, adam. ``groups`` say which parameters have options of their own, as in
    ``[{match: "*.bias", weight_decay: 0}]``; a parameter belongs to the first group that matches.
    """

    shorthand: ClassVar = "use"

    component: Annotated[Use, Part("optimizers")]
    groups: list[ParameterGroup] = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _sort(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        component = {"use": "adam", **given}
        groups = component.pop("groups", [])
        if component["use"] in ("adam", "adamw", "sgd", "rmsprop"):
            component = {key: value for key, value in component.items() if FORMER.get(key) != value}
        if isinstance(groups, list):
            groups = [_group(it, component) for it in groups]
        return {"component": component, "groups": groups}

    @property
    def overrides(self) -> list[tuple[str, dict[str, Any]]]:
        """Pattern and options of each group, as far as these are not those of all parameters."""
        usual = self.component.options
        return [
            (group.match, {key: value for key, value in group.component.options.items() if value != usual[key]})
            for group in self.groups
        ]

    def to_plain(self) -> dict[str, Any]:
        groups = [{"match": pattern, **to_plain(options)} for pattern, options in self.overrides]
        return self.component.to_plain() | ({"groups": groups} if groups else {})

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {DEFINITION: "player_optimizer"}


def _group(given: Any, component: Mapping[str, Any]) -> Any:
    if not isinstance(given, Mapping):
        return given
    options = dict(given)
    return {key: options.pop(key) for key in ("match",) if key in options} | {"component": {**component, **options}}


class TurnTimes(Section, title="a turn"):
    """A turn is played ``times`` times in every step whose number is a multiple of ``every``."""

    shorthand: ClassVar = "times"

    times: Annotated[int, Ge(1)] = 1
    every: Annotated[int, Ge(1)] = 1


class PhaseRecipe(Section, title="a phase"):
    """A stretch of a run.

    ``steps`` is how long it is. ``turns`` are played in this order, each so many times in a step.
    ``optimizers`` replaces those of the named players by fresh ones, and ``batch_size`` that of the trainer. With
    ``balance``, turns are left out while a player is too weak or too strong.
    """

    steps: Annotated[int, Ge(1)]
    turns: Annotated[dict[str, TurnTimes], MinLen(1)]
    optimizers: dict[str, OptimizerRecipe] = Field(default={})
    batch_size: Annotated[int, Ge(1)] | None = None
    balance: Balance | None = None

    def check(self) -> Iterable[tuple[Keys, str]]:
        if self.balance is not None and self.balance.turn not in self.turns:
            message = f"{self.balance.figure!r} is the figure of no turn of this phase"
            hint = did_you_mean(self.balance.turn, self.turns) or f"; its turns are: {', '.join(self.turns)}"
            yield ("balance", "figure"), message + hint


class TrainerRecipe(Section, title="the trainer"):
    """How the game is computed, which does not change what it is.

    ``batch_size`` is that of all processes together; ``threads`` are torch's, per process. A batch is played in
    ``accumulate`` parts, to save memory. ``precision`` is that of networks; bf16 and fp16 are mixed with fp32.
    ``trackers`` are what accelerate logs to, as in [tensorboard]. ``noise`` is drawn for the batch of all processes, or
    by each for itself with "local". ``keep_checkpoints`` is how many of the newest are kept.
    Without ``threads``, the processes on a machine that trains on its CPU share its cores. ``compile`` compiles what
    can be compiled to the same result, of networks and of the slopes in penalties, and says what it leaves as it is.
    ``eval_batch_size`` is how many samples are drawn at once for metrics, and later from the model.
    """

    batch_size: Annotated[int, Ge(1)] = 64
    accumulate: Annotated[int, Ge(1)] = 1
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = "fp32"
    threads: Annotated[int, Ge(1)] | None = None
    trackers: list[str] = Field(default=[])
    noise: Literal["global", "local"] = "global"
    compile: bool = False
    keep_checkpoints: Annotated[int, Ge(1)] = 3
    eval_batch_size: Annotated[int, Ge(1)] = 500


class Every(Section, title="every"):
    """After how many steps something is done; 0 turns it off.

    ``log`` writes figures down. ``sample`` writes a sheet of samples. ``evaluate`` takes the recipe's metrics.
    ``checkpoint`` saves all that is needed to go on.
    """

    log: Annotated[int, Ge(0)] = 10
    sample: Annotated[int, Ge(0)] = 500
    evaluate: Annotated[int, Ge(0)] = 0
    checkpoint: Annotated[int, Ge(0)] = 500


class HalfLife(Section, title="a moving average"):
    """A moving average that forgets half within ``half_life`` samples, whatever the batch; it may follow a schedule.

    While that is more than ``ramp_up`` times the samples that the player has learned from since the run began, half is
    forgotten within the latter (the EMA of StyleGAN2 and R3GAN). With null there is no such beginning.
    """

    half_life: Annotated[Schedule, Gt(0)]
    ramp_up: Annotated[float, Gt(0)] | None = 0.05

    def decay(self, clock: "Clock", seen: int) -> float:
        """The share of the average that outlasts one more step, after a player has learned from ``seen`` samples."""
        half_life = self.half_life(clock)
        if self.ramp_up is not None:
            half_life = min(half_life, self.ramp_up * seen)
        return 0.5 ** (clock.batch_size / half_life) if half_life else 0.0


class CopyOf(Section, title="a copy"):
    """A snapshot of another ``player``, taken when a phase begins; with ``every``, after so many steps in it again."""

    shorthand: ClassVar = "player"

    player: str
    every: Annotated[int, Ge(1)] | None = None


class PlayerSettings(Section, title="a player"):
    """What a recipe says of a player besides its component.

    ``ema`` is the decay of a moving average of the weights, or its half-life; ``clip`` is the largest norm of a
    gradient; ``weight_clip`` keeps every weight between minus that and that after each step, as in WGAN.

    A ``frozen`` player never learns. ``init`` names another whose weights this one begins with. ``copy_of`` makes it a
    snapshot of another, frozen but for being taken anew. A player with ``init`` or ``copy_of`` needs no ``use``.

    ``spec`` names the part of the data's description that the network is built for, where that has parts.
    """

    spec: str | None = None
    optimizer: OptimizerRecipe = Field(default={}, validate_default=True)
    ema: Annotated[float, Interval(ge=0, lt=1)] | HalfLife | None = None
    clip: Annotated[float, Gt(0)] | None = None
    weight_clip: Annotated[float, Gt(0)] | None = None
    frozen: bool = False
    init: str | None = None
    copy_of: CopyOf | None = None

    def check(self) -> Iterable[tuple[Keys, str]]:
        if self.init is not None and self.copy_of is not None:
            yield ("init",), "a copy begins as what it is a copy of; leave out init or copy_of"
        for name in ("ema", "clip", "weight_clip") if self.frozen or self.copy_of is not None else ():
            if getattr(self, name) is not None:
                yield (name,), f"{name} is for players that learn, and this one does not"

    @property
    def original(self) -> str | None:
        """The player whose weights this one takes over."""
        return self.copy_of.player if self.copy_of else self.init


class PlayerRecipe(PlayerSettings, title="a player"):
    """A network in the game and how it learns.

    ``kind`` is generators, discriminators or encoders; without it, what the player's name begins with. ``optimizer`` is
    how it learns. ``component`` is the network.
    """

    kind: str
    component: Use

    @model_validator(mode="before")
    @classmethod
    def _sort(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is no setting of the player is for its component: ``use`` and options."""
        if given.get("kind") not in PLAYER_KINDS:
            unknown = f"since its name does not begin with {any_of(PLAYER_KINDS.values())}"
            got, place = (f"got {show(given['kind'])}", ("kind",)) if "kind" in given else (unknown, ())
            raise refusal([(place, f"a player needs a 'kind' of {any_of(PLAYER_KINDS)}, {got}")])
        settings = {key: value for key, value in given.items() if key in ("kind", *PlayerSettings.model_fields)}
        return {**settings, "component": {key: value for key, value in given.items() if key not in settings}}

    @field_validator("component", mode="plain")
    @classmethod
    def _choose(cls, value: Any, info: Any) -> Use:
        optimizer = info.data.get("optimizer")
        inner = [f"optimizer.{name}" for name in optimizer.component.options] if optimizer else []
        return read_use(info.data["kind"], value, info.context, [*PlayerSettings.model_fields, *inner])

    def to_plain(self) -> dict[str, Any]:
        settings = {name: to_plain(getattr(self, name)) for name in PlayerSettings.model_fields}
        return {"kind": self.kind, **self.component.to_plain(), **settings}


def _with_kinds(players: Any) -> Any:
    """Players as mappings, with the kinds that follow from their names; copies have the component of the original."""
    if not isinstance(players, Mapping):
        return players
    kinds = {name: {"kind": kind} for name in players for kind in PLAYER_KINDS if name.startswith(PLAYER_KINDS[kind])}
    plain = {name: dict(given) if isinstance(given, Mapping) else {"use": given} for name, given in players.items()}
    complete = {name: kinds.get(name, {}) | given for name, given in plain.items()}
    problems = []
    for name, given in plain.items():
        for key in ("init", "copy_of"):
            original = given.get(key)
            original = original.get("player") if isinstance(original, Mapping) else original
            if not isinstance(original, str):
                continue
            if original not in (others := plain.keys() - {name}):
                problems.append(((name, key), f"there is no other player {original!r}{did_you_mean(original, others)}"))
            elif plain[original].get("init") or plain[original].get("copy_of"):
                problems.append(((name, key), f"{original!r} is a copy itself: name the player that it is a copy of"))
            elif "use" not in given:
                settings = PlayerSettings.model_fields.keys() - {"spec"}
                component = {k: v for k, v in complete[original].items() if k not in settings}
                complete[name] = component | given
    if problems:
        raise refusal(problems)
    return complete


class Recipe(Section, title="the recipe"):
    """A complete, valid recipe: every default is filled in, every component known.

    ``run`` is the folder of the run; without it, runs/ and the name of the recipe. ``seed`` decides all that is drawn.
    ``code`` are local files that hold components, relative to the recipe. ``data`` says what is learned
    from. ``players`` are the networks in the game. ``objective`` is the game. ``phases`` say how often its turns are
    played. ``trainer`` says how all of it is computed. ``every`` says how often something else is done. With ``resume``
    a run goes on where it stopped; without, a folder that holds one is refused. ``metrics`` are what evaluations
    measure, and ``callbacks`` observe the run.

    ``keep_best`` names the figure by which evaluations are compared: the best model is kept beside the newest.
    ``guard`` is the callback that warns of what usually ends badly; null turns it off. ``start_from`` is the run whose
    networks and averages those of this one begin as: all that its newest checkpoint has, or, by player, from one each.

    ``sampler`` says how the game is drawn from once it is trained, and with which players: by default the player
    "generator", by itself.

    ``source`` is the file that it was read from; two recipes that say the same are equal wherever they stand.
    """

    run: Annotated[str, MinLen(1)]
    seed: Annotated[int, Interval(ge=0, lt=2**63)] = 0
    code: list[Path] = Field(default=[])
    data: Annotated[Use, Part("data")]
    players: Annotated[dict[str, PlayerRecipe], MinLen(1), BeforeValidator(_with_kinds), WithJsonSchema(PLAYERS_SCHEMA)]
    objective: Annotated[Use, Part("objectives")]
    sampler: Annotated[Use, Part("samplers")] = Field(default="gangen/player", validate_default=True)
    phases: Annotated[dict[str, PhaseRecipe], MinLen(1)]
    trainer: TrainerRecipe = TrainerRecipe()
    start_from: str | dict[str, str] | None = None
    resume: bool = True
    every: Every = Every()
    metrics: list[Annotated[Use, Part("metrics")]] = Field(default=[])
    keep_best: KeepBest | None = None
    callbacks: list[Annotated[Use, Part("callbacks")]] = Field(default=[])
    guard: Annotated[Use, Part("callbacks")] | None = Field(default="gangen/guard", validate_default=True)

    def check(self) -> Iterable[tuple[Keys, str]]:
        for name, phase in self.phases.items():
            named = {("phases", name, "optimizers", player): player for player in phase.optimizers}
            if phase.balance is not None:
                named["phases", name, "balance", "player"] = phase.balance.player
            for path, player in named.items():
                if player not in self.players:
                    yield path, f"there is no player {player!r}{did_you_mean(player, self.players)}"
            if name.startswith(".") or not set("/\\").isdisjoint(name):
                yield ("phases", name), f"{name!r} cannot be the name of a phase: its model needs a folder"
        for name in self.start_from if isinstance(self.start_from, dict) else ():
            if name not in self.players:
                yield ("start_from", name), f"there is no player {name!r}{did_you_mean(name, self.players)}"
        if self.keep_best is not None and not (self.metrics and self.every.evaluate):
            message = "keep_best compares evaluations, and there are none: give the recipe metrics and every.evaluate"
            yield ("keep_best",), message

    @property
    def observers(self) -> list[Use]:
        """All callbacks that the recipe names, the guard last."""
        return self.callbacks + ([self.guard] if self.guard else [])

    @property
    def _written(self) -> RecipeSource:
        return vars(self)["_source"]

    @property
    def source(self) -> Path:
        return self._written.path

    @property
    def remarks(self) -> list[str]:
        """What is to be said of how it was read."""
        return self._written.remarks

    def where(self, *path: str | int) -> str:
        """``file:line:col`` of a key, or of the nearest key around it that was written down."""
        return str(self._written.where(*path))

    def fail(self, path: Sequence[str | int], message: str) -> NoReturn:
        """Raise a RecipeError about the key at ``path``."""
        raise RecipeError([Problem(self.where(*path), message)])

    def with_metrics(self, metrics: list[Use]) -> Self:
        """This recipe with other metrics, read from the same file."""
        return self.model_copy(update={"metrics": metrics})

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values, complete, in the order of the algorithm."""
        return self.to_plain()

    def to_yaml(self) -> str:
        """The complete recipe as YAML; reading it gives an equal recipe."""
        return dump(self.to_dict())
