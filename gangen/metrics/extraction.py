"""What metrics see with: the features of samples, held-out rows and training rows that an extractor gives."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, cast

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.components.options import Part
from gangen.components.registry import name_of
from gangen.contracts import Batch, Extractor, HeldOut, Split
from gangen.errors import UsageError
from gangen.metrics.context import MetricContext
from gangen.splits import in_chunks


def flattered(extractor: Extractor, players: Mapping[str, Any]) -> Iterator[str]:
    """In words, which players look through the network of the extractor too, so that its figures flatter."""
    if (network := getattr(extractor, "network_digest", None)) is None:
        return
    for name, net in players.items():
        if getattr(net, "network_digest", None) == network:
            yield (
                f"figures of extractor '{extractor.name}' flatter: player '{name}' looks through the same network, and "
                "samples are made to please it; take another extractor"
            )


class ExtractorMetric:
    """What metrics have in common that look at ``samples`` samples through an extractor.

    ``extractor`` is what it looks through; null is the one that the data bring along.
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1)] = 1000,
        extractor: Annotated[Any, Part("extractors")] | None = None,
    ) -> None:
        self.samples = samples
        self.extractor: Extractor | None = extractor

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data that bring no extractor along, or that it has no use for."""
        codec = context.data.codec
        lacks = [name for name in ("samples_of", "batch_of", "extractor") if not hasattr(codec, name)]
        if lacks:
            raise UsageError(
                f"{name_of(self)}: {type(codec).__name__} lacks {', '.join(lacks)}, by which samples are compared "
                "with real rows; see gangen/contracts.py"
            )
        self.chosen(context).check(context.data)

    def fitted_extractor(self, context: MetricContext) -> Extractor:
        """The extractor, fitted to the data; it comes with a warning where a player looks through its network too."""
        extractor = context.fitted(self.chosen(context))
        for words in flattered(extractor, context.players):
            context.warn(words)
        return extractor

    def chosen(self, context: MetricContext) -> Extractor:
        """The extractor that a recipe names, or the one that the data bring along; not fitted yet."""
        if self.extractor is None:
            self.extractor = context.data.codec.extractor()
        return self.extractor


class AgainstHeldOut(ExtractorMetric):
    """What metrics have in common that set samples against held-out rows, as many of each.

    That many are ``samples``, or the number of held-out rows where they are fewer.
    """

    least = 2

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``ExtractorMetric.check`` does, and for fewer rows than ``least``."""
        count = self.count(context)
        if count < self.least:
            raise UsageError(
                f"{name_of(self)} compares {count} held-out rows with as many samples, and needs at least "
                f"{self.least}; raise heldout of the data, or samples of the metric"
            )
        super().check(context)

    def count(self, context: MetricContext) -> int:
        """How many rows are on each side."""
        return min(self.samples, len(context.data.heldout))

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows were compared, and in what."""
        count = self.count(context)
        return {"samples": count, "held-out rows": count, "extractor": self.fitted_extractor(context).name}


class AgainstReal(AgainstHeldOut):
    """What metrics have in common that set samples against held-out rows, or against all training rows.

    ``against`` is the real rows: training is all that are trained on, as they are before any augmentation, by which
    most published figures are taken. There are ``samples`` samples then, asked for what training rows are drawn with,
    and beside a figure nothing stands, since there are no other real rows of that number.
    """

    def __init__(self, *, against: Literal["held_out", "training"] = "held_out", **options: Any) -> None:
        super().__init__(**options)
        self.against = against

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``AgainstHeldOut.check`` does, and for training rows that are not counted."""
        if self.against == "training":
            if not (hasattr(context.training, "rows") and hasattr(context.training, "__len__")):
                raise UsageError(
                    f"{name_of(self)} compares all training rows, and those of a stream have no end; take it out, or "
                    "data that are held in memory"
                )
            if (fewer := min(self.samples, len(cast(HeldOut, context.training)))) < self.least:
                raise UsageError(f"{name_of(self)} compares {fewer} rows, and needs at least {self.least}")
        super().check(context)

    def count(self, context: MetricContext) -> int:
        """How many samples there are."""
        return self.samples if self.against == "training" else super().count(context)

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows were compared, and in what."""
        protocol = super().protocol(context)
        if self.against == "training":
            protocol["training rows"] = len(cast(HeldOut, context.training))
            del protocol["held-out rows"]
        return protocol

    def features(self, context: MetricContext) -> Tensor:
        """Those of samples, float ``[n, F]``."""
        extractor, n = self.fitted_extractor(context), self.count(context)
        if self.against == "held_out":
            return generated_features(context, extractor, n)

        def look() -> Tensor:
            return torch.cat([extractor.features(samples) for samples in context.samples_like_training(n)])

        return context.once((extractor.key, "like training", n), look)

    def real_features(self, context: MetricContext) -> Tensor:
        """Those of real rows, float ``[m, F]``."""
        extractor, codec = self.fitted_extractor(context), context.data.codec
        if self.against == "held_out":
            return held_out_features(context, extractor, self.count(context))

        def look() -> Tensor:
            chunks = in_chunks(cast(HeldOut, context.training), context.device)
            return torch.cat([extractor.features(codec.samples_of(rows)) for rows in chunks])

        return context.once((extractor.key, "all training rows"), look)


def generated_features(context: MetricContext, extractor: Extractor, n: int) -> Tensor:
    """Features float ``[n, F]`` of ``n`` samples."""
    return context.once((extractor.key, "generated", n), lambda: extractor.features(context.samples(n)))


def held_out_features(context: MetricContext, extractor: Extractor, n: int) -> Tensor:
    """Features float ``[n, F]`` of the held-out rows that the ``n`` samples were conditioned on, in order."""

    def look() -> Tensor:
        return extractor.features(context.data.codec.samples_of(held_out(context, n)))

    return context.once((extractor.key, "held out", n), look)


def training_features(context: MetricContext, extractor: Extractor, n: int) -> Tensor:
    """Features float ``[n, F]`` of training rows: as many of each label as ``n`` held-out rows have, where possible."""

    def look() -> Tensor:
        return extractor.features(context.data.codec.samples_of(training_rows_like(context, n)))

    return context.once((extractor.key, "training", n), look)


def held_out(context: MetricContext, n: int) -> Batch:
    """The first ``n`` held-out rows in the order of the evaluation's seed."""
    return context.data.heldout.batch(0, range(n), n, seed=context.seed, device=context.device)


def training_rows_like(context: MetricContext, n: int) -> Batch:
    """Training rows, as many of each label as the first ``n`` held-out rows have, where possible."""

    def draw() -> Batch:
        batch = _like(held_out(context, n), context.training, context.seed)
        return {name: tensor.to(context.device) for name, tensor in batch.items()}

    return context.once(("training rows", n), draw)


def _like(rows: Batch, train: Split, seed: int) -> Batch:
    """As many training rows, and as many of each label where train is counted and has enough of them."""
    n = len(next(iter(rows.values())))
    counted = train.rows() if hasattr(train, "rows") else {}
    if "label" in counted and "label" in rows:
        order = torch.randperm(len(counted["label"]), generator=torch.Generator().manual_seed(seed))
        labels = counted["label"][order]
        wanted = zip(*rows["label"].cpu().unique(return_counts=True), strict=True)
        chosen = torch.cat([order[labels == label][:count] for label, count in wanted])
        if len(chosen) == n:
            return {name: tensor[chosen] for name, tensor in counted.items()}
    return train.batch(0, range(n), n, seed=seed, device=torch.device("cpu"))
