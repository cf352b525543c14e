"""A recipe: data, players, an objective, and how often its turns are played."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self

from annotated_types import Ge, Interval, MinLen
from pydantic import BeforeValidator, Field, WithJsonSchema

from gangen.components.messages import Keys, show
from gangen.components.options import Part, Seed, Use
from gangen.errors import DataError, PluginError, Problem, RecipeError, UsageError, did_you_mean
from gangen.names import RULE, is_name
from gangen.recipe.balance import Balance
from gangen.recipe.keep_best import KeepBest
from gangen.recipe.players import PLAYERS_SCHEMA, OptimizerRecipe, PlayerRecipe, with_kinds
from gangen.recipe.recovery import RecoveryRecipe
from gangen.recipe.source import RecipeSource, dump
from gangen.recipe.strict import Section


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
    ``accumulate`` parts, to save memory. ``precision`` is that of networks: fp32 is all of float32 on GPUs too, tf32
    lets them round what is multiplied to 10 bits, and bf16 and fp16 are mixed with fp32. ``trackers`` are what
    accelerate logs to, as in [tensorboard]. ``noise`` is drawn for the batch of all processes, or by each for itself
    with "local". ``keep_checkpoints`` is how many of the newest are kept. Without ``threads``, those that a launcher
    starts on a machine that trains on its CPU share its cores, and one that is started alone has as many as torch
    takes, which OMP_NUM_THREADS says. ``compile`` compiles what can be compiled to the same result, of networks and of
    the slopes in penalties, and says what it leaves as it is. ``eval_batch_size`` is how many samples are drawn at once
    for metrics, and later from the model. Processes wait for each other for ``timeout`` seconds, which must be more
    than an evaluation takes. ``non_finite`` says what follows a loss or gradient that is infinite or no number: the run
    stops before anything of it is saved; or, with "skip", looks at each turn and leaves such a one out, or, with
    "roll_back", goes back to the newest checkpoint and on with smaller steps. ``recovery`` says how often, and how
    small.
    """

    batch_size: Annotated[int, Ge(1)] = 64
    accumulate: Annotated[int, Ge(1)] = 1
    precision: Literal["fp32", "tf32", "fp64", "bf16", "fp16"] = "fp32"
    threads: Annotated[int, Interval(ge=1, le=1024)] | None = None
    trackers: list[str] = Field(default=[])
    noise: Literal["global", "local"] = "global"
    compile: bool = False
    keep_checkpoints: Annotated[int, Ge(1)] = 3
    eval_batch_size: Annotated[int, Ge(1)] = 500
    timeout: Annotated[float, Interval(gt=0, le=10**7)] = 1800.0
    non_finite: Literal["stop", "skip", "roll_back"] = "stop"
    recovery: RecoveryRecipe = RecoveryRecipe()


class Every(Section, title="every"):
    """After how many steps something is done; 0 turns it off.

    ``log`` writes figures down. ``sample`` writes a sheet of samples. ``evaluate`` takes the recipe's metrics.
    ``checkpoint`` saves all that is needed to go on.
    """

    log: Annotated[int, Ge(0)] = 10
    sample: Annotated[int, Ge(0)] = 500
    evaluate: Annotated[int, Ge(0)] = 0
    checkpoint: Annotated[int, Ge(0)] = 500


class Recipe(Section, title="the recipe"):
    """A complete, valid recipe: every default is filled in, every component known.

    ``run`` is the folder of the run; without it, runs/ and the name of the recipe. ``seed`` decides all that is drawn.
    ``requires`` are packages with their versions that must be installed, as in [gangen-acme>=1.2].
    ``code`` are local files that hold components, relative to the recipe. ``data`` says what is learned
    from. ``players`` are the networks in the game. ``objective`` is the game. ``phases`` say how often its turns are
    played. ``trainer`` says how all of it is computed. ``every`` says how often something else is done. With ``resume``
    a run goes on where it stopped; without, a folder that holds one is refused. ``metrics`` are what evaluations
    measure, and ``callbacks`` observe the run.

    ``keep_best`` names the figure by which evaluations are compared: the best model is kept beside the newest.
    ``guard`` is the callback that warns of what usually ends badly; null turns it off. ``start_from`` is the run whose
    networks and averages those of this one begin as: all that its newest checkpoint has, or, by player, from one each,
    or from a file of safetensors.

    ``sampler`` says how the game is drawn from once it is trained, and with which players: by default the player
    "generator", by itself.

    ``source`` is the file that it was read from; two recipes that say the same are equal wherever they stand.
    """

    run: Annotated[str, MinLen(1)]
    seed: Seed = 0
    requires: list[str] = Field(default=[])
    code: list[Path] = Field(default=[])
    data: Annotated[Use, Part("data")]
    players: Annotated[dict[str, PlayerRecipe], MinLen(1), BeforeValidator(with_kinds), WithJsonSchema(PLAYERS_SCHEMA)]
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
        for section, singular in (("phases", "phase"), ("players", "player")):
            alike: dict[str, str] = {}
            for name in getattr(self, section):
                if not is_name(name):
                    message = f"{show(name)} cannot be the name of a {singular}: files are called by it; use {RULE}"
                    yield (section, name), message
                elif (other := alike.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)) != name:
                    yield (section, name), f"{name!r} and {other!r} are one name to some file systems; rename one"
        if isinstance(self.start_from, str) and self.start_from.endswith(".safetensors"):
            yield ("start_from",), "a file has the weights of one player; name it, as in {generator: FILE}"
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

    @contextmanager
    def building(self, *path: str | int) -> Iterator[None]:
        """Around the building of a component: what its constructor refuses is told with the place of ``path``.

        Raises RecipeError in the place of UsageError; of a plugin that breaks its contract the recipe is not to blame.
        """
        try:
            yield
        except (RecipeError, PluginError):
            raise
        except UsageError as error:
            told = RecipeError([Problem(self.where(*path), str(error))])
            for note in getattr(error, "__notes__", ()):
                told.add_note(note)
            raise told from error

    @contextmanager
    def building_data(self) -> Iterator[None]:
        """Around the building of data, as ``building``: of data that cannot be read it is told who asks for them."""
        with self.building("data"):
            try:
                yield
            except DataError as error:
                overrides = self._written.overrides_of("data")
                error.add_note(f"at {', '.join(dict.fromkeys([self.where('data'), *overrides]))}")
                raise

    def with_metrics(self, metrics: list[Use]) -> Self:
        """This recipe with other metrics, read from the same file."""
        return self.model_copy(update={"metrics": metrics})

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values, complete, in the order of the algorithm."""
        return self.to_plain()

    def to_yaml(self) -> str:
        """The complete recipe as YAML; reading it gives an equal recipe."""
        return dump(self.to_dict())
