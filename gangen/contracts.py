"""What plugins and the framework ask of each other: turns, data, codecs, extractors, metrics, callbacks."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]
Stats = dict[str, Tensor | float]

SHEET_ROWS = 40


def updates(*players: str) -> Callable:
    """Mark a method of an objective as a turn that updates ``players``; everybody else is frozen while it is played.

    The method takes ``(players, batch, clock)`` and returns ``(loss, stats)``: a scalar tensor, and a dictionary of
    numbers or scalar tensors to be logged. Gradients flow through frozen players. With ``@updates()`` the turn teaches
    nobody: it looks, or puts something aside for others, and its loss may be None.
    """

    def mark(method: Callable) -> Callable:
        method.updates = players  # type: ignore[attr-defined]
        return method

    return mark


def needs(**methods: str | Iterable[str]) -> Callable:
    """Say which methods a turn calls on which player: ``@needs(generator=("relaxed", "log_prob"))``.

    A recipe that plays the turn with a player that lacks one is refused before any training. What the options of an
    objective ask for in all of its turns is its attribute ``needs``: names of methods by player. What cannot be said so
    its method ``check(players, turns)`` says, asked then with the names of all turns that are played: a UsageError.
    """

    def mark(method: Callable) -> Callable:
        method.needs = {  # type: ignore[attr-defined]
            player: (names,) if isinstance(names, str) else tuple(names) for player, names in methods.items()
        }
        return method

    return mark


@dataclass(frozen=True)
class Clock:
    """Where in its phase a turn is played: ``step`` of ``steps``, counted from 0, each of ``batch_size`` samples.

    ``repeat`` counts the plays of the same turn within the step, and ``micro`` the ``accumulate`` micro-batches of such
    a play that each process sees, both from 0. ``run_step`` of ``run_steps`` counts steps over all phases.
    """

    phase: str
    step: int
    steps: int
    batch_size: int = 1
    repeat: int = 0
    micro: int = 0
    accumulate: int = 1
    run_step: int = 0
    run_steps: int = 1

    @property
    def fraction(self) -> float:
        """Progress of the phase: 0.0 at its first step, 1.0 at its last."""
        return self.step / max(self.steps - 1, 1)

    @property
    def run_fraction(self) -> float:
        """Progress of the run: 0.0 at its first step, 1.0 at its last."""
        return self.run_step / max(self.run_steps - 1, 1)


class Loss(Protocol):
    """An adversarial loss on logits, float ``[batch]``; returns scalars.

    Where a discriminator judges parts of a row, as patches of an image, logits are float ``[batch, parts]``, and a loss
    is the mean over all.

    ``relativistic`` says whether the generator's loss compares with ``real``, which may be None where it does not. One
    whose best discriminator says log p(real row) - log p(fake row) has ``log_ratio = True``; without it, it counts as
    one whose logits have another scale.
    """

    relativistic: bool

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor: ...


class Generator(Protocol):
    """What sampler ``gangen/player`` asks of the player that it draws from, by default the one called ``generator``."""

    def sample(self, n: int, condition: Batch | None = None) -> Tensor:
        """``n`` samples, first dimension the batch; further keyword-only parameters are settings of sampling.

        A generator may also have ``interpolate(rows, n, condition)`` with settings of its own: ``rows`` times ``n``
        samples, row by row. Those of a row go evenly from one sample to another, all on the row's condition.
        """


class Split(Protocol):
    """Rows to train on.

    One that changes rows at random as it hands them out, as augmentation does, has ``plain``: the split without that.
    """

    def batch(self, counter: int, rows: range, size: int, *, seed: int, device: torch.device) -> dict[str, Tensor]:
        """``rows`` of global batch number ``counter`` of ``size`` rows: a function of these arguments and ``seed``."""


class HeldOut(Split, Protocol):
    """Rows to evaluate with, which are counted and have numbers; those to train on may be as well."""

    def __len__(self) -> int: ...

    def rows(self, rows: range | None = None, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """``rows`` (contiguous) by their numbers, all by default, always in the same order."""


@dataclass(frozen=True)
class SheetRow:
    """A row of a sheet: ``n`` samples of ``condition`` and, once they are drawn and decoded, ``samples``.

    ``beside`` is shown beside them, as ``Codec.decode`` would return it, and seen by no network: by name, "input" at
    the left of the samples and all else, such as "truth", at their right.
    """

    title: str
    n: int = 1
    condition: Batch = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[Any] = ()

    @property
    def cells(self) -> list[tuple[str, Any]]:
        """What is shown, from left to right, each with its name; samples have none."""
        cells = [("", sample) for sample in self.samples]
        for name, item in self.beside.items():
            cells.insert(0 if name == "input" else len(cells), (name, item))
        return cells


class Codec(Protocol):
    """Between what people write and look at and what networks take and make; saved with every model.

    Where samples are no text, a codec also has ``suffix``, that of the files it writes best, as in ".png". Where a
    terminal can show them, it has ``preview(sheet)``, a few lines of text.

    ``takes`` says what a prompt is, as in "an image, or the path of one", and ``prompt_types`` of which types, where
    that is not ``str``, as the command line knows it, alone. With ``pathlib.Path`` among them a text is the path of a
    file: who asks over HTTP sends the file, and no path of this machine is opened.

    With ``samples_of``, a first sheet shows held-out rows. Metrics that compare samples with these ask for two more:
    ``batch_of`` and ``extractor``; a judge, where a recipe names none, for ``batch_of`` and ``discriminator``.
    """

    spec: Any
    """The description of the data that networks are built for; a mapping of several, where players choose by name."""
    per_prompt: int
    """How many samples a sheet shows for each prompt."""

    def prompts(self) -> list[str]:
        """What sample sheets show, one row each, if the data have none: the labels, or ``[""]`` without any.

        Of more than 40 a sheet shows some, spread evenly.
        """

    def encode(self, prompt: Any, n: int) -> Batch:
        """The condition of ``n`` samples; None is no prompt. Raises UsageError for a prompt that means nothing."""

    def decode(self, samples: Tensor) -> list[Any]:
        """What a person looks at, one object per sample."""

    def samples_of(self, batch: Batch) -> Tensor:
        """The real rows of a batch in the form that generators make and ``decode`` takes."""

    def batch_of(self, samples: Tensor) -> Batch:
        """Samples as rows of data, without a label: what a person is shown of them, if that is less."""

    def extractor(self) -> "Extractor":
        """What metrics see with where a recipe names nothing. Raises UsageError where only a user can know."""

    def discriminator(self) -> nn.Module:
        """A fresh network that judges samples where a recipe names none: see discriminators."""

    def write(self, samples: list[Any], path: Path) -> None:
        """Decoded samples into one file that the user named.

        Where generators interpolate, it also takes ``columns``: how many samples make a row.
        """

    def render(self, sheet: Sequence[SheetRow], path: Path) -> Path | Sequence[Path]:
        """Rows with samples into a file, or several, whose names are that of ``path`` and a suffix; returns them.

        The suffix, as in "-2.wav", says what kind of media a file is.
        """

    def save(self, folder: Path) -> None:
        """Files that ``load`` reads. The same data give the same bytes: by these a run knows its data again."""

    @classmethod
    def load(cls, folder: Path) -> "Codec": ...


class Data(Protocol):
    """A data source: what is trained on, what is held out, and how to read it.

    It may also have ``sheet()``: what sheets of samples show, one ``gangen.SheetRow`` or more. The tensors that their
    conditions name are all that samplers are handed of held-out rows.

    ``accounts``, a ``gangen.Account`` or more, say what became of all that it was given; they are told before training.
    ``describe()`` has further lines for ``gangen data``. A source of rows made of another source's has its accounts.
    ``license``, of the class, is in words that of data which are the same for everybody: cards of models say it.
    """

    codec_class: type[Codec]
    codec: Codec
    train: Split
    heldout: HeldOut


def training_rows(data: Data) -> Split:
    """What is trained on, as it is before any augmentation: the rows that metrics see, and that extractors fit to."""
    return getattr(data.train, "plain", data.train)


def sheet_rows(data: Data) -> Sequence[SheetRow]:
    """The rows of sheets, yet without samples: those that ``data`` define, or one for each of ``sheet_prompts``."""
    if hasattr(data, "sheet"):
        return list(data.sheet())
    n, encode = data.codec.per_prompt, data.codec.encode
    return [SheetRow(prompt, n, encode(prompt, n)) for _, prompt in sheet_prompts(data.codec)]


def sheet_prompts(codec: Codec) -> list[tuple[int, str]]:
    """The codec's prompts with their numbers: all, or where they are too many to be looked at, 40 spread evenly."""
    prompts = list(enumerate(codec.prompts()))
    if len(prompts) <= SHEET_ROWS:
        return prompts
    return [prompts[place * (len(prompts) - 1) // (SHEET_ROWS - 1)] for place in range(SHEET_ROWS)]


class Extractor(Protocol):
    """What metrics compare samples in: the features of a network that is no player of the game.

    It is built from its options alone and fitted once to the data of a run, for which ``MetricContext.fitted`` cares.
    Features are a function of options, data and samples: what fitting draws leaves torch's default generators as they
    were. Only the main process evaluates, so an extractor has no collectives.

    One that classifies also has ``logits(samples)``, float ``[n, labels]``. One that cannot see a kind of fault says so
    in words, as ``blind_to``: "the order of words". Figures of such extractors alone are refused. One that looks
    through a pretrained network has ``network_digest``, that of its weights, as has a player that does: metrics warn of
    figures that see with the same network as the game.
    """

    name: str
    """What figures carry: "classifier" in "frechet_classifier"."""
    key: Hashable
    """The class and all options: of extractors with equal keys one serves all metrics."""
    digest: str
    """SHA-256 of all that features are computed with, asked for once it is fitted: a property, or set from the start.

    Figures compare where it is the same.
    """

    def check(self, data: Data) -> None:
        """Raises UsageError for data that this extractor has no use for."""

    def fit(self, data: Data, device: torch.device) -> None:
        """Get ready for ``data`` on ``device``, going by ``training_rows``; fitted to these already, do nothing."""

    def features(self, samples: Tensor) -> Tensor:
        """Float ``[n, features]`` of samples as a generator makes them, or of real rows in the same form.

        Samples are on the device of the run, in its precision; features may be on any device.
        """


class Metric(Protocol):
    """A measure of a trained game, taken on a ``gangen.MetricContext``.

    It may also have, all of them called with the same context:

    - ``check``, asked before any training: raises UsageError where players or data lack what it needs.
    - ``protocol``, asked after the figures: what options leave open of how they were measured, by name. Where it counts
      fewer than 50 "samples", "held-out rows" or "training rows", figures come with a warning.
    - ``sheets``: samples worth looking at, by the name of a sheet and then that of a row of it.

    ``extractor`` is what it sees with, where it does; ``tradeoff`` is a ``gangen.Tradeoff``.
    """

    def __call__(self, context: Any) -> Mapping[str, Any]:
        """Figures by name, each a ``gangen.Figure`` or a number.

        What is doubtful about them is said to ``context.warn``.
        """


class Command(Protocol):
    """What ``gangen NAME`` does. Its options without a default are words behind the name, in order, and others are
    settings, ``NAME=VALUE``; one called "output" is ``-o FILE``.
    """

    def __call__(self) -> Iterable[str]:
        """Do it; what is to be said on the way."""


class Callback:
    """Called by the trainer on every process; override what you need. Never changes what is trained.

    A run that is rolled back goes on with callbacks that are made anew, as one that goes on by the same command.
    """

    def start(self, trainer: Any) -> None:
        """Once, after a checkpoint was restored and before the first step."""

    def after_step(self, trainer: Any) -> None:
        """After every step; ``trainer.state`` has counted it already."""

    def meanwhile(self, trainer: Any, words: str) -> None:
        """On the main process alone: what begins now takes long, and is no step, in words; "" where it is over."""

    def watch(self, row: Mapping[str, Any]) -> Iterable[str]:
        """On the main process, with every row of figures that is logged: of turns, or of metrics; returns warnings.

        A row is that of ``metrics.jsonl``: the ``step``, the ``phase``, figures by name: numbers of turns, and those of
        metrics as ``gangen.Figure``. A run that goes on shows its earlier rows again before its first step; so what is
        a function of rows needs no place in a checkpoint.
        """
        return ()

    def finish(self, trainer: Any) -> None:
        """Once, after the last step, or when the run is stopped."""

    def close(self, trainer: Any) -> None:
        """At the very end, also when a step failed: put back what was changed outside of the run."""
