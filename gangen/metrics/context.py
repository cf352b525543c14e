"""What metrics look at: players, data and samples that all of them share."""

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

from gangen.components.registry import name_of
from gangen.contracts import Batch, Data, Extractor, Metric, Split, sheet_rows, training_rows
from gangen.errors import UsageError
from gangen.failures import during
from gangen.metrics.figures import Figure, checked
from gangen.networks import Players
from gangen.noise import mix
from gangen.samplers import PlayerSampler, Sampler, drawing, drawn

T = TypeVar("T")

# Of fewer rows a figure is mostly chance.
FEW = 50
# What is counted in protocols.
COUNTED = ("samples", "held-out rows", "training rows")


class MetricContext:
    """What a metric may look at: the players, the data, and samples.

    Samples and conditions are functions of ``seed`` alone, so that figures of different steps compare. They come from
    ``sampler``, by default the player "generator" by itself, ``batch_size`` at once; ``settings`` are the sampler's,
    such as a temperature.
    """

    def __init__(
        self,
        players: Players,
        data: Data,
        *,
        sampler: Sampler | None = None,
        device: torch.device,
        seed: int = 0,
        batch_size: int = 500,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.players = players
        self.data = data
        self.device = device
        self.seed = seed
        self.batch_size = batch_size
        self.settings = dict(settings or {})
        self._sampler = sampler
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        # By the name of a metric, of what it looks at few, and what to do about it.
        self.coarse: dict[str, tuple[Mapping[str, int], Sequence[str]]] = {}
        self._samples: list[Tensor] = []
        self._extractors: dict[Hashable, Extractor] = {}
        self._made: dict[Hashable, Any] = {}

    def sampled(self, seed: int, settings: Mapping[str, Any]) -> "MetricContext":
        """The same game and data, sampled anew: by another seed, with other settings."""
        return MetricContext(
            self.players,
            self.data,
            sampler=self._sampler,
            device=self.device,
            seed=seed,
            batch_size=self.batch_size,
            settings=settings,
        )

    @property
    def sampler(self) -> Sampler:
        """What samples come from."""
        if self._sampler is None:
            self._sampler = PlayerSampler(self.players)
        return self._sampler

    @property
    def training(self) -> Split:
        """The rows that are trained on, as they are before any augmentation."""
        return training_rows(self.data)

    def conditions(self, n: int) -> Batch:
        """The held-out rows that ``samples(n)`` are conditioned on, row by row."""
        batches = [self._condition(counter) for counter in range(math.ceil(n / self.batch_size))]
        return {name: torch.cat([batch[name] for batch in batches])[:n] for name in batches[0]}

    def samples(self, n: int) -> Tensor:
        """``n`` generated samples, first dimension the batch, conditioned as held-out rows are."""
        while len(self._samples) * self.batch_size < n:
            counter = len(self._samples)
            condition = self._condition(counter)
            self._samples.append(self._draw(self.batch_size, condition, self.seed + counter))
        return torch.cat(self._samples)[:n]

    def samples_on(self, condition: Batch, n: int, seed: int) -> Tensor:
        """``n`` samples on a condition of as many rows, by a seed of their own."""
        parts = []
        for start in range(0, n, self.batch_size):
            rows = {name: column[start : start + self.batch_size] for name, column in condition.items()}
            parts.append(self._draw(min(self.batch_size, n - start), rows, mix(seed, start)))
        return torch.cat(parts)

    def training_conditions(self, n: int) -> Iterator[Batch]:
        """What ``n`` training rows ask for, as they are drawn, in batches."""
        for counter, start in enumerate(range(0, n, self.batch_size)):
            rows = range(min(self.batch_size, n - start))
            batch = self.training.batch(counter, rows, self.batch_size, seed=self.seed, device=self.device)
            yield self.conditioned_on(batch)

    def samples_like_training(self, n: int) -> Iterator[Tensor]:
        """``n`` samples in batches, conditioned as training rows are drawn."""
        for counter, condition in enumerate(self.training_conditions(n)):
            count = min(self.batch_size, n - counter * self.batch_size)
            yield self._draw(count, condition, mix(self.seed, "training", counter))

    def ways(self, n: int, length: int) -> Iterator[Tensor]:
        """``n`` ways from one sample to another of ``length`` samples each, way by way, in batches of whole ways.

        They are conditioned as held-out rows are. The sampler has ``interpolate(rows, n, condition)``.
        """
        sampler: Any = self.sampler
        condition, at_once = self.conditions(n), max(1, self.batch_size // length)
        for start in range(0, n, at_once):
            here = {name: column[start : start + at_once] for name, column in condition.items()}
            with self._drawing(mix(self.seed, "ways", start)):
                yield sampler.interpolate(min(at_once, n - start), length, here)

    def conditioned_on(self, rows: Batch) -> Batch:
        """What of ``rows`` samplers are handed, going by the rows of sheets; the rest, as the truth, is for metrics."""
        return {name: rows[name] for name in rows if name in self._conditioned_on}

    def fitted(self, extractor: Extractor, data: Data | None = None) -> Extractor:
        """``extractor``, fitted to ``data`` (None: those of the run), or an equal one that another metric asked for.

        Metrics live as long as a run and are asked in the same order each time, so each extractor is fitted once a run.
        """
        data = self.data if data is None else data
        first = self._extractors.setdefault((extractor.key, id(data)), extractor)
        fit_extractor(first, data, self.device)
        return first

    @property
    def extractors(self) -> dict[str, str]:
        """Digests of the extractors that were asked for, by name."""
        return {extractor.name: extractor.digest for extractor in self._extractors.values()}

    def warn(self, message: str) -> None:
        """Say, once, what makes a figure doubtful, such as too few samples, and what would mend it."""
        if message not in self.warnings:
            self.warnings.append(message)

    def remark(self, message: str) -> None:
        """Say what figures mean, in words that stand below them."""
        self.remarks.append(message)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` returns, made for the first metric that asks with ``key`` and handed to all others.

        So metrics share what they work on, such as features of samples.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @cached_property
    def _conditioned_on(self) -> frozenset[str]:
        return frozenset(sheet_rows(self.data)[0].condition)

    def _condition(self, counter: int) -> Batch:
        size = self.batch_size
        rows = self.data.heldout.batch(counter, range(size), size, seed=self.seed, device=self.device)
        return self.conditioned_on(rows)

    def _draw(self, n: int, condition: Batch, seed: int) -> Tensor:
        with self._drawing(seed):
            return drawn(self.sampler.sample, n, condition, self.settings)

    def _drawing(self, seed: int) -> AbstractContextManager[None]:
        return drawing(seed, self.device, *(self.players.averaged(name) for name in self.sampler.networks))


def once_a_run(method: Callable[[Any, MetricContext], T]) -> Callable[[Any, MetricContext], T]:
    """For a metric's method that looks at real data: asked again only for other data, or another seed.

    Real data stay what they are during a run, and going back to the first rows of a stream is slow.
    """
    name = f"what {method.__name__} made"

    @wraps(method)
    def remembering(metric: Any, context: MetricContext) -> T:
        known = vars(metric).get(name)
        if known is None or known[0] is not context.data or known[1] != context.seed:
            known = vars(metric)[name] = context.data, context.seed, method(metric, context)
        return known[2]

    return remembering


def fit_extractor(extractor: Extractor, data: Data, device: torch.device) -> None:
    """Fit on one thread, whatever the run has: sums in another order are other weights, and another extractor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        extractor.fit(data, device)
    finally:
        torch.set_num_threads(threads)


def evaluate(metrics: list[Metric], context: MetricContext) -> dict[str, Figure]:
    """Figures of all metrics by name, as ``measure`` takes them and ``joined`` puts them together."""
    return joined([measure(metric, context) for metric in metrics], context)


def measure(metric: Metric, context: MetricContext) -> dict[str, Figure]:
    """Figures of one metric; none, and a warning, where it cannot be taken of these samples.

    Raises PluginError where it returns anything but figures.
    """
    try:
        with during(name_of(metric)):
            found = metric(context)
    except UsageError as error:
        context.warn(str(error))
        return {}
    _note_few_rows(metric, context)
    return checked(name_of(metric), found)


def _note_few_rows(metric: Metric, context: MetricContext) -> None:
    """Going by the counts in its protocol, unless it has said itself, in other words, that it is coarse."""
    name, protocol = name_of(metric), metric.protocol(context) if hasattr(metric, "protocol") else {}
    counts = {what: count for what in COUNTED if isinstance(count := protocol.get(what), int) and count < FEW}
    if not counts or any(it.startswith(f"{name} is coarse: ") for it in context.warnings):
        return
    ways = ["raise samples of the metric"] if getattr(metric, "samples", FEW) < FEW else []
    ways += ["hold out more rows"] if len(context.data.heldout) < FEW and "held-out rows" in counts else []
    context.coarse[name] = counts, ways or ["take more data"]


def _coarseness(coarse: Mapping[str, tuple[Mapping[str, int], Sequence[str]]]) -> str:
    """One warning for all metrics that look at few rows."""
    least: dict[str, int] = {}
    for counts, _ in coarse.values():
        least |= {what: min(count, least.get(what, count)) for what, count in counts.items()}
    seen = " and ".join(f"{count} {what.removesuffix('s') if count == 1 else what}" for what, count in least.items())
    each = " of each" if len(least) > 1 else ""
    ways = " and ".join(dict.fromkeys(way for _, ways in coarse.values() for way in ways))
    if len(coarse) == 1:
        return f"{next(iter(coarse))} is coarse: it looks at {seen}, and wants {FEW}{each}; {ways}"
    names = ", ".join(name.removeprefix("metric ") for name in coarse)
    return f"metrics {names} are coarse: they look at as few as {seen}, and want {FEW}{each}; {ways}"


def joined(rows: Sequence[Mapping[str, Figure]], context: MetricContext) -> dict[str, Figure]:
    """All figures; the evaluation warns of few rows, of those that are not finite, and of a name that two metrics use.

    Of few rows it does not where settings of sampling are tried out: there are as many at each of them.
    """
    if context.coarse and not context.settings:
        context.warn(_coarseness(context.coarse))
    figures: dict[str, Figure] = {}
    for row in rows:
        if twice := figures.keys() & row.keys():
            context.warn(f"two metrics report {', '.join(sorted(twice))}; the figures of the first are kept")
        figures |= {name: value for name, value in row.items() if name not in twice}
    for name, figure in figures.items():
        if not math.isfinite(figure.value):
            context.warn(f"{name} is {figure.value}: it says nothing of these samples")
    return figures
