"""Whether a conditional generator makes what it was asked for."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.options import Part


class LabelAccuracy:
    """Share of ``samples`` generated images that ``extractor`` gives the label they were asked for.

    Labels are asked for as often as held-out images have them. ``label_accuracy_real`` is the extractor's share of
    right answers on all held-out images: where that is low, the figure of samples means little. A generator that makes
    one good image of each label has a figure of 1, so look at image/frechet beside it.

    Raises:
        UsageError: held-out images have no labels, or the extractor does not classify.
    """

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1)] = 1000,
        extractor: Annotated[Any, Part("extractors")] = "image/classifier",
    ) -> None:
        self.samples = samples
        self.extractor = extractor

    def check(self, evaluation: Evaluation) -> None:
        if not hasattr(self.extractor, "logits"):
            raise UsageError(f"metric image/label_accuracy: extractor '{self.extractor.name}' does not classify")
        if not evaluation.data.codec.spec.labels:
            raise UsageError("metric image/label_accuracy needs data with labels; take it out of the recipe")
        self.extractor.check(evaluation.data)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        data = evaluation.data
        count = len(data.heldout)
        real = data.heldout.batch(0, range(count), count, seed=evaluation.seed, device=evaluation.device)
        classify = evaluation.fitted(self.extractor).logits
        asked = evaluation.conditions(self.samples)["label"]
        return {
            "label_accuracy": _accuracy(classify(evaluation.samples(self.samples)), asked),
            "label_accuracy_real": _accuracy(classify(data.codec.spec.prepare(real["image"])), real["label"]),
        }


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).double().mean().item()
