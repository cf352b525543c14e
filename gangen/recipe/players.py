"""Players as recipes describe them: a network, how it learns, its average, and what it is a copy of."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval
from pydantic import Field, field_validator, model_validator

from gangen.components.messages import Keys, any_of, refusal, show
from gangen.components.options import DEFINITION, Part, Use, read_use, to_plain
from gangen.errors import did_you_mean
from gangen.hookspecs import KINDS
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


# Each is looked for among all others.
MOST = 100

# What recipes in runs say of an optimizer that has no use for it: its default.
FORMER = {"betas": [0.9, 0.999], "eps": 1e-8, "momentum": 0.0}


class ParameterGroup(Section, title="a group of parameters"):
    """Parameters that learn with options of their own.

    ``match`` is a pattern of their names, as in "*.bias". Beside it stand options of the player's optimizer, which
    ``component`` is with these.
    """

    match: str
    component: Annotated[Use, Part("optimizers")] = Field(exclude=True)


class OptimizerRecipe(Section, title="the optimizer"):
    """How a player learns: an optimizer with its options, of which schedules run over a phase.

    ``use`` is the optimizer; without one, adam. ``groups`` say which parameters have options of their own, as in
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

    @field_validator("groups", mode="before")
    @classmethod
    def _after_the_component(cls, groups: Any, info: Any) -> Any:
        return groups if "component" in info.data else []  # each of them would repeat what is wrong with it

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
    return {key: options.pop(key) for key in ("match", "use") if key in options} | {
        "component": {**component, **options}
    }


class HalfLife(Section, title="a moving average"):
    """A moving average that forgets half within ``half_life`` samples, whatever the batch; it may follow a schedule.

    While that is more than ``ramp_up`` times the samples that the player has learned from since the run began, half is
    forgotten within the latter (StyleGAN2-ADA). With null there is no such beginning. A half-life of 0 is no average:
    R3GAN's goes from there to 5 million samples (CIFAR-10) by a cosine over 20 million, without a ramp.
    """

    half_life: Annotated[Schedule, Ge(0)]
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

    ``ema`` is the decay of a moving average of weights and of the statistics of batch norms, or its half-life; ``clip``
    is the largest norm of a gradient; ``weight_clip`` keeps every weight between minus that and that after each step,
    as in WGAN.

    A ``frozen`` player never learns. ``init`` names another whose weights this one begins with; networks of another
    kind take over what they have in common, where they can. ``copy_of`` makes it a snapshot of another, frozen but for
    being taken anew. A player with ``init`` or ``copy_of`` needs no ``use``.

    ``spec`` names the part of the data's description that the network is built for, where that has parts.

    With ``shard``, each of several processes keeps a part of the weights, of their average and of what the optimizer
    remembers, and has all of the weights while a turn is played: a large player takes less memory, and more messages.
    """

    spec: str | None = None
    optimizer: OptimizerRecipe = Field(default={}, validate_default=True)
    ema: Annotated[float, Interval(ge=0, lt=1)] | HalfLife | None = None
    clip: Annotated[float, Gt(0)] | None = None
    weight_clip: Annotated[float, Gt(0)] | None = None
    frozen: bool = False
    init: str | None = None
    copy_of: CopyOf | None = None
    shard: bool = False

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
    how it learns. ``use`` is the network; its options stand beside it.
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


def with_kinds(players: Any) -> Any:
    """Players as mappings, with the kinds that follow from their names; copies have the component of the original."""
    if not isinstance(players, Mapping):
        return players
    if len(players) > MOST:
        raise refusal([((), f"a game has {MOST} players at most, got {len(players):,}")])
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
