"""Whether what is made of an image keeps what it is about."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen import ExtractorMetric, Figure, MetricContext, Part, UsageError
from gangen_conditional.samplers.both_ways import Direction


class LabelKept(ExtractorMetric):
    """Share of samples in which ``extractor`` still sees the label of the input: a digit, whatever its style.

    The extractor learns to classify from the images that samples are to be like, and no game has a say in it.
    ``label_kept`` stands beside its share of right answers on held-out images of that kind, the floor of real data;
    ``label_kept_by_copying`` is what the inputs themselves have, as samples. Each held-out row is looked at once, of at
    most ``samples``. ``direction: to_input`` asks the sampler conditional/both_ways for the way back.

    Raises:
        UsageError: nobody knows of these data what is to be kept, there is no way back, or the extractor does not
            classify.
    """

    def __init__(
        self,
        *,
        direction: Direction = "to_image",
        samples: Annotated[int, Ge(1)] = 1000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        super().__init__(samples=samples, extractor=extractor)
        self.direction = direction

    def check(self, context: MetricContext) -> None:
        data = self._data(context)
        if getattr(data, "kept", None) is None:
            raise UsageError(
                "metric conditional/label_kept needs data whose inputs have the labels of the images, as "
                "conditional/unpaired has where both sides have the same labels; take it out"
            )
        if not hasattr(self.extractor, "logits"):
            raise UsageError(f"metric conditional/label_kept: extractor '{self.extractor.name}' does not classify")
        self.extractor.check(data.kept)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        here, n = self._context(context), self._count(context)
        rows = here.data.heldout.batch(0, range(n), n, seed=here.seed, device=here.device)
        real = here.data.kept.heldout.rows(device=here.device)
        copies = here.data.codec.spec.input.prepare(rows["input"])
        suffix = "" if self.direction == "to_image" else f"_{self.direction}"
        floor = self._right(here, here.data.kept.codec.samples_of(real), real["label"])
        return {
            f"label_kept{suffix}": Figure(self._right(here, here.samples(n), rows["kept"]), floor, "high"),
            f"label_kept_by_copying{suffix}": Figure(self._right(here, copies, rows["kept"]), floor),
        }

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many samples there were, and who judged them."""
        return {"samples": self._count(context), "extractor": self.extractor.name}

    def _right(self, here: MetricContext, images: Tensor, labels: Tensor) -> float:
        guesses = here.fitted(self.extractor, here.data.kept).logits(images).argmax(1)
        return (guesses == labels).double().mean().item()

    def _data(self, context: MetricContext) -> Any:
        return context.data if self.direction == "to_image" else getattr(context.data, "exchanged", None)

    def _context(self, context: MetricContext) -> MetricContext:
        """The game as it is looked at: the way back with held-out rows and samples of its own."""
        if self.direction == "to_image":
            return context
        return MetricContext(
            context.players,
            self._data(context),
            sampler=context.sampler,
            device=context.device,
            seed=context.seed,
            batch_size=context.batch_size,
            settings={"direction": self.direction},
        )

    def _count(self, context: MetricContext) -> int:
        return min(self.samples, len(self._data(context).heldout))
