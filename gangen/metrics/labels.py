"""Metrics that ask a classifier: whether samples carry their labels, can be learned from, and are of many kinds."""

import copy
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Codec, Split
from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.metrics.extraction import Seeing, held_out
from gangen.options import Part
from gangen.splits import TensorSplit


class Classified(Seeing):
    """What metrics have in common that look at an extractor's logits."""

    def check(self, evaluation: Evaluation) -> None:
        """Raises UsageError where ``Seeing.check`` does, and for an extractor without logits."""
        super().check(evaluation)
        if not hasattr(self.extractor, "logits"):
            raise UsageError(f"metric {self.metric}: extractor '{self.extractor.name}' does not classify")

    def logits(self, evaluation: Evaluation) -> Tensor:
        """Those of the samples, float ``[samples, labels]``, found once for all metrics."""
        extractor, n = self.eyes(evaluation), self.samples
        return evaluation.once((extractor.key, "logits", n), lambda: extractor.logits(evaluation.samples(n)))

    def protocol(self, evaluation: Evaluation) -> dict[str, Any]:
        """How many rows there were on each side, and who judged them."""
        rows = len(evaluation.data.heldout)
        return {"samples": self.samples, "held-out rows": rows, "extractor": self.eyes(evaluation).name}


class Labelled(Classified):
    """What metrics have in common that ask whether labels are right."""

    def check(self, evaluation: Evaluation) -> None:
        """Raises UsageError where ``Classified.check`` does, and for data without labels."""
        if "label" not in evaluation.conditions(1):
            raise UsageError(f"metric {self.metric} needs data with labels; take it out of the recipe")
        super().check(evaluation)


class LabelAccuracy(Labelled):
    """Whether a conditional generator makes what it was asked for, and all of it.

    ``label_accuracy``: share of samples that the extractor gives the label they were asked for. Labels are asked for as
    often as held-out rows have them. ``label_accuracy_real`` is the extractor's share of right answers on all held-out
    rows: where that is low, the figure of samples means little. ``label_coverage``: the effective share of labels that
    the extractor sees in samples, exp(entropy) by their number; 1 where all are equally frequent, 1 / labels where
    there is but one; ``label_coverage_real`` is that of held-out rows.

    A generator that makes one good sample of each label has a figure of 1 in both: look at prdc beside it.
    """

    metric = "label_accuracy"

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        codec, real = evaluation.data.codec, held_out(evaluation, len(evaluation.data.heldout))
        on_samples, on_real = self.logits(evaluation), self.eyes(evaluation).logits(codec.samples_of(real))
        if on_real.shape[1] != (labels := len(codec.prompts())):
            raise UsageError(
                f"metric {self.metric}: extractor '{self.extractor.name}' knows {on_real.shape[1]} labels of its own, "
                f"and not the {labels} of these data"
            )
        return {
            "label_accuracy": _accuracy(on_samples, evaluation.conditions(self.samples)["label"]),
            "label_accuracy_real": _accuracy(on_real, real["label"]),
            "label_coverage": _coverage(on_samples),
            "label_coverage_real": _coverage(on_real),
        }


class ReverseLabelAccuracy(Labelled):
    """Train on fakes, test on reals: the classification accuracy score of Ravuri and Vinyals (2019).

    ``reverse_label_accuracy``: the share of held-out rows that an extractor of the same kind labels rightly which has
    learned from ``samples`` samples and the labels these were asked for; ``reverse_label_accuracy_real`` that of the
    extractor itself, which has learned from training rows. Samples that lack a part of the data cannot teach it.
    It costs as much as fitting the extractor.
    """

    metric = "reverse_label_accuracy"

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1)] = 4000,
        extractor: Annotated[Any, Part("extractors")] | None = None,
    ) -> None:
        super().__init__(samples=samples, extractor=extractor)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        data, extractor = evaluation.data, self.eyes(evaluation)
        rows = data.codec.batch_of(evaluation.samples(self.samples))
        fakes = TensorSplit(**rows, label=evaluation.conditions(self.samples)["label"])
        pupil = copy.copy(extractor)
        pupil.fit(Lesson(data.codec_class, data.codec, fakes, data.heldout), evaluation.device)
        real = held_out(evaluation, len(data.heldout))
        shown = data.codec.samples_of(real)
        return {
            "reverse_label_accuracy": _accuracy(pupil.logits(shown), real["label"]),
            "reverse_label_accuracy_real": _accuracy(extractor.logits(shown), real["label"]),
        }


@dataclass(frozen=True)
class Lesson:
    """Data whose training rows are samples; see ``gangen.contracts.Data``."""

    codec_class: type[Codec]
    codec: Codec
    train: Split
    heldout: Split


class InceptionScore(Classified):
    """exp of the mean KL(p(y|x) | p(y)) (Salimans et al., 2016); the Inception score where logits are Inception's.

    ``inception_score_NAME``, NAME being the extractor's, is high where each sample has one label, surely, and all
    together have many: at most the number of labels. ``inception_score_NAME_real`` is that of held-out rows, as many as
    there are up to ``samples``. All samples are one split, where the paper has the mean of ten. It does not look at
    real data, nor within a label.
    """

    metric = "inception_score"

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        extractor = self.eyes(evaluation)
        real = held_out(evaluation, min(self.samples, len(evaluation.data.heldout)))
        on_real = extractor.logits(evaluation.data.codec.samples_of(real))
        return {
            f"inception_score_{extractor.name}": inception_score(self.logits(evaluation)),
            f"inception_score_{extractor.name}_real": inception_score(on_real),
        }


def inception_score(logits: Tensor) -> float:
    """exp of the mean over rows of KL(p(y|x) | p(y)), p(y) being the mean row of p(y|x); of float ``[n, labels]``."""
    given = logits.double().log_softmax(1)
    divergence = (given.exp() * (given - given.exp().mean(0).log())).sum(1)
    return divergence.mean().exp().item()


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).double().mean().item()


def _coverage(logits: Tensor) -> float:
    shares = logits.argmax(1).bincount(minlength=logits.shape[1]).double() / len(logits)
    return (-shares.xlogy(shares).sum()).exp().item() / logits.shape[1]
