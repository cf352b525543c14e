"""Metrics that ask a classifier: whether samples carry their labels, can be learned from, and are of many kinds."""

import copy
from dataclasses import dataclass
from operator import length_hint
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Codec, Extractor, Split
from gangen.errors import UsageError
from gangen.evaluation import Evaluation, fit_extractor, once_a_run
from gangen.metrics.extraction import ExtractorMetric, held_out
from gangen.options import Part
from gangen.splits import TensorSplit

# Held-out rows that are looked at in one go.
CHUNK = 1000


class Classified(ExtractorMetric):
    """What metrics have in common that look at an extractor's logits."""

    def check(self, evaluation: Evaluation) -> None:
        """Raises UsageError where ``ExtractorMetric.check`` does, and for an extractor without logits."""
        super().check(evaluation)
        if not hasattr(self.extractor, "logits"):
            raise UsageError(f"metric {self.metric}: extractor '{self.extractor.name}' does not classify")

    def logits(self, evaluation: Evaluation, n: int) -> Tensor:
        """Those of ``n`` samples, float ``[n, labels]`` on the CPU, found once for all metrics."""
        extractor = self.fitted_extractor(evaluation)
        return evaluation.once((extractor.key, "logits", n), lambda: extractor.logits(evaluation.samples(n)).cpu())


class Labelled(Classified):
    """What metrics have in common that ask whether labels are right.

    Raises:
        UsageError: the extractor has other labels than the data, which shows once it is fitted.
    """

    def check(self, evaluation: Evaluation) -> None:
        """Raises UsageError where ``Classified.check`` does, and for data without labels."""
        if "label" not in evaluation.conditions(1):
            raise UsageError(f"metric {self.metric} needs data with labels; take it out of the recipe")
        super().check(evaluation)

    def protocol(self, evaluation: Evaluation) -> dict[str, Any]:
        """How many rows there were on each side, and who judged them."""
        rows, extractor = len(evaluation.data.heldout), self.fitted_extractor(evaluation)
        return {"samples": self.samples, "held-out rows": rows, "extractor": extractor.name}

    def held_out(self, evaluation: Evaluation, extractor: Extractor) -> tuple[Tensor, Tensor]:
        """Logits float ``[m, labels]`` and labels int64 ``[m]`` of all held-out rows, on the CPU."""
        rows, codec = held_out(evaluation, len(evaluation.data.heldout)), evaluation.data.codec
        logits = torch.cat([extractor.logits(part) for part in codec.samples_of(rows).split(CHUNK)]).cpu()
        if logits.shape[1] != (labels := len(codec.prompts())):
            raise UsageError(
                f"metric {self.metric}: extractor '{extractor.name}' knows {logits.shape[1]} labels of its own, "
                f"and not the {labels} of these data"
            )
        return logits, rows["label"].cpu()


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
        logits, asked = self.logits(evaluation, self.samples), evaluation.conditions(self.samples)["label"].cpu()
        figures = {"label_accuracy": _accuracy(logits, asked), "label_coverage": _coverage(logits)}
        return figures | self._real(evaluation)

    @once_a_run
    def _real(self, evaluation: Evaluation) -> dict[str, float]:
        logits, labels = self.held_out(evaluation, self.fitted_extractor(evaluation))
        return {"label_accuracy_real": _accuracy(logits, labels), "label_coverage_real": _coverage(logits)}


class ReverseLabelAccuracy(Labelled):
    """Train on fakes, test on reals: the classification accuracy score of Ravuri and Vinyals (2019).

    ``reverse_label_accuracy``: the share of held-out rows that a student labels rightly, an extractor of the same kind
    which has learned from n samples and the labels these were asked for. ``reverse_label_accuracy_real`` is that of a
    student of n training rows: n is ``samples``, or the number of training rows where they are fewer. Samples that lack
    a part of the data cannot teach it. It costs as much as fitting the extractor, and twice that at first.

    Raises:
        UsageError: the extractor learns nothing from the data.
    """

    metric = "reverse_label_accuracy"

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1)] = 4000,
        extractor: Annotated[Any, Part("extractors")] | None = None,
    ) -> None:
        super().__init__(samples=samples, extractor=extractor)
        # Before it learns anything, since another metric may have it fitted to the data.
        self._unfitted = copy.deepcopy(extractor)

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        data, n = evaluation.data, self._count(evaluation)
        rows = data.codec.batch_of(evaluation.samples(n))
        taught = self._taught(evaluation, TensorSplit(**rows, label=evaluation.conditions(n)["label"]))
        return {"reverse_label_accuracy": taught, "reverse_label_accuracy_real": self._real(evaluation)}

    @once_a_run
    def _real(self, evaluation: Evaluation) -> float:
        n = self._count(evaluation)
        rows = evaluation.data.train.batch(0, range(n), n, seed=evaluation.seed, device=evaluation.device)
        return self._taught(evaluation, TensorSplit(**rows))

    def protocol(self, evaluation: Evaluation) -> dict[str, Any]:
        """See Labelled."""
        n = self._count(evaluation)
        return super().protocol(evaluation) | {"samples": n, "training rows": n}

    def _count(self, evaluation: Evaluation) -> int:
        return min(self.samples, length_hint(evaluation.data.train, self.samples))

    def _taught(self, evaluation: Evaluation, train: Split) -> float:
        """Accuracy on held-out rows of a student that has learned from ``train``."""
        data, teacher = evaluation.data, self.fitted_extractor(evaluation)
        student = data.codec.extractor() if self._unfitted is None else copy.deepcopy(self._unfitted)
        lesson = SyntheticData(data.codec_class, data.codec, train, data.heldout)
        student.check(lesson)
        fit_extractor(student, lesson, evaluation.device)
        if student.digest == teacher.digest:
            raise UsageError(f"metric {self.metric}: extractor '{teacher.name}' learns nothing from the data")
        return _accuracy(*self.held_out(evaluation, student))


@dataclass(frozen=True)
class SyntheticData:
    """Data with other training rows; see ``gangen.contracts.Data``."""

    codec_class: type[Codec]
    codec: Codec
    train: Split
    heldout: Split


class InceptionScore(Classified):
    """exp of the mean KL(p(y|x) | p(y)) (Salimans et al., 2016), of n samples in one split, where the paper has ten.

    ``inception_score_NAME``, NAME being the extractor's, is high where each sample has one label, surely, and all
    together have many: at most the number of labels. ``inception_score_NAME_real`` is that of n held-out rows: n is
    ``samples``, or the number of held-out rows where they are fewer. With Inception's logits it is the Inception score.
    It does not look at real data, nor within a label.
    """

    metric = "inception_score"

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        extractor, n = self.fitted_extractor(evaluation), self._count(evaluation)
        on_real = extractor.logits(evaluation.data.codec.samples_of(held_out(evaluation, n)))
        return {
            f"inception_score_{extractor.name}": inception_score(self.logits(evaluation, n)),
            f"inception_score_{extractor.name}_real": inception_score(on_real),
        }

    def protocol(self, evaluation: Evaluation) -> dict[str, Any]:
        """How many rows there were on each side, and who judged them."""
        n, extractor = self._count(evaluation), self.fitted_extractor(evaluation)
        return {"samples": n, "held-out rows": n, "extractor": extractor.name}

    def _count(self, evaluation: Evaluation) -> int:
        return min(self.samples, len(evaluation.data.heldout))


def inception_score(logits: Tensor) -> float:
    """exp of the mean over rows of KL(p(y|x) | p(y)), p(y) being the mean row of p(y|x); of float ``[n, labels]``."""
    given = logits.cpu().double().softmax(1)
    # The same as H(y) - H(y|x), which has no logarithm of 0.
    information = torch.special.entr(given.mean(0)).sum() - torch.special.entr(given).sum(1).mean()
    return information.exp().item()


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).double().mean().item()


def _coverage(logits: Tensor) -> float:
    shares = logits.argmax(1).bincount(minlength=logits.shape[1]).double() / len(logits)
    return torch.special.entr(shares).sum().exp().item() / logits.shape[1]
