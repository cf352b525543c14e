"""Metrics that ask a classifier: whether samples carry their labels, can be learned from, and are of many kinds."""

import copy
from operator import length_hint
from types import SimpleNamespace
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.components.registry import name_of
from gangen.contracts import Split
from gangen.errors import UsageError
from gangen.metrics.context import MetricContext, fit_extractor, once_a_run
from gangen.metrics.extraction import AgainstReal, ExtractorMetric, held_out
from gangen.metrics.figures import Figure
from gangen.splits import TensorSplit

# Held-out rows that are looked at in one go.
CHUNK = 1000


class Classified(ExtractorMetric):
    """What metrics have in common that look at an extractor's logits."""

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``ExtractorMetric.check`` does, and for an extractor without logits."""
        super().check(context)
        if not hasattr(self.extractor, "logits"):
            raise UsageError(f"{name_of(self)}: extractor '{self.chosen(context).name}' does not classify")

    def logits(self, context: MetricContext, n: int) -> Tensor:
        """Those of ``n`` samples, float ``[n, labels]`` on the CPU, found once for all metrics."""
        extractor: Any = self.fitted_extractor(context)
        return context.once((extractor.key, "logits", n), lambda: extractor.logits(context.samples(n)).cpu())


class Labelled(Classified):
    """What metrics have in common that ask whether labels are right.

    Raises:
        UsageError: the extractor has other labels than the data, which shows once it is fitted.
    """

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where ``Classified.check`` does, and for data without labels."""
        if "label" not in context.conditions(1):
            raise UsageError(f"{name_of(self)} needs data with labels; take it out of the recipe")
        super().check(context)

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many rows there were on each side, and who judged them."""
        rows, extractor = len(context.data.heldout), self.fitted_extractor(context)
        return {"samples": self.samples, "held-out rows": rows, "extractor": extractor.name}

    def held_out(self, context: MetricContext, extractor: Any) -> tuple[Tensor, Tensor]:
        """Logits float ``[m, labels]`` and labels int64 ``[m]`` of all held-out rows, on the CPU."""
        rows, codec = held_out(context, len(context.data.heldout)), context.data.codec
        logits = torch.cat([extractor.logits(part) for part in codec.samples_of(rows).split(CHUNK)]).cpu()
        if logits.shape[1] != (labels := len(codec.prompts() or getattr(codec.spec, "labels", ()))):
            raise UsageError(
                f"{name_of(self)}: extractor '{extractor.name}' knows {logits.shape[1]} labels of its own, "
                f"and not the {labels} of these data"
            )
        return logits, rows["label"].cpu()


class LabelAccuracy(Labelled):
    """Whether a conditional generator makes what it was asked for, and all of it.

    ``label_accuracy``: share of samples that the extractor gives the label they were asked for. Labels are asked for as
    often as held-out rows have them. Beside it stands the extractor's share of right answers on all held-out rows:
    where that is low, the figure of samples means little. ``label_coverage``: the effective share of labels that
    the extractor sees in samples, exp(entropy) by their number; 1 where all are equally frequent, 1 / labels where
    there is but one; beside it that of held-out rows.

    A generator that makes one good sample of each label has a figure of 1 in both: look at prdc beside it.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        logits, asked = self.logits(context, self.samples), context.conditions(self.samples)["label"].cpu()
        accuracy, coverage = self._real(context)
        return {
            "label_accuracy": Figure(_accuracy(logits, asked), accuracy, "high"),
            "label_coverage": Figure(_coverage(logits), coverage, "high"),
        }

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[float, float]:
        logits, labels = self.held_out(context, self.fitted_extractor(context))
        return _accuracy(logits, labels), _coverage(logits)


class ReverseLabelAccuracy(Labelled):
    """Train on fakes, test on reals: the classification accuracy score of Ravuri and Vinyals (2019).

    ``reverse_label_accuracy``: the share of held-out rows that a student labels rightly, an extractor of the same kind
    which has learned from n samples and the labels these were asked for. Beside it stands that of a student of n
    training rows: n is ``samples``, or the number of training rows where they are fewer. Samples that lack
    a part of the data cannot teach it. It costs as much as fitting the extractor, and twice that at first.

    Raises:
        UsageError: the extractor learns nothing from the data.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 4000, **options: Any) -> None:
        super().__init__(samples=samples, **options)
        # Before it learns anything, since another metric may have it fitted to the data.
        self._unfitted = copy.deepcopy(self.extractor)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        data, n = context.data, self._count(context)
        rows = data.codec.batch_of(context.samples(n))
        taught = self._taught(context, TensorSplit(**rows, label=context.conditions(n)["label"]))
        return {"reverse_label_accuracy": Figure(taught, self._real(context), "high")}

    @once_a_run
    def _real(self, context: MetricContext) -> float:
        n = self._count(context)
        rows = context.training.batch(0, range(n), n, seed=context.seed, device=context.device)
        return self._taught(context, TensorSplit(**rows))

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """See Labelled."""
        n = self._count(context)
        return super().protocol(context) | {"samples": n, "training rows": n}

    def _count(self, context: MetricContext) -> int:
        return min(self.samples, length_hint(context.training, self.samples))

    def _taught(self, context: MetricContext, train: Split) -> float:
        """Accuracy on held-out rows of a student that has learned from ``train``."""
        data, teacher = context.data, self.fitted_extractor(context)
        student = data.codec.extractor() if self._unfitted is None else copy.deepcopy(self._unfitted)
        same = {name: getattr(data, name) for name in ("codec_class", "codec", "heldout")}
        lesson: Any = SimpleNamespace(**same, train=train)
        student.check(lesson)
        fit_extractor(student, lesson, context.device)
        if student.digest == teacher.digest:
            raise UsageError(f"{name_of(self)}: extractor '{teacher.name}' learns nothing from the data")
        return _accuracy(*self.held_out(context, student))


class InceptionScore(AgainstReal, Classified):
    """exp of the mean KL(p(y|x) | p(y)) (Salimans et al., 2016), of n samples.

    ``inception_score_NAME``, NAME being the extractor's, is high where each sample has one label, surely, and all
    together have many: at most the number of labels. Beside it stands that of n held-out rows: n is ``samples``, or the
    number of held-out rows where they are fewer. With Inception's logits it is the Inception score. It does not look at
    real data, nor within a label.

    Of ``splits`` equal parts it is the mean, beside ``inception_score_deviation_NAME``, their standard deviation.
    Published scores have ten of 5,000: ``{samples: 50000, splits: 10, against: training}``, which draws all of them,
    on the labels of training rows. That of fewer samples is lower.
    """

    def __init__(self, *, splits: Annotated[int, Ge(1)] = 1, **options: Any) -> None:
        super().__init__(**options)
        self.splits = splits
        self.least = max(2, splits)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        extractor: Any = self.fitted_extractor(context)
        n, floor = self.count(context), None
        if self.against == "training":
            logits = torch.cat([extractor.logits(samples) for samples in context.samples_like_training(n)])
        else:
            logits = self.logits(context, n)
            on_real = extractor.logits(context.data.codec.samples_of(held_out(context, n)))
            floor = self._scores(on_real).mean().item()
        scores = self._scores(logits)
        figures = {f"inception_score_{extractor.name}": Figure(scores.mean().item(), floor, "high")}
        if self.splits > 1:
            figures[f"inception_score_deviation_{extractor.name}"] = Figure(scores.std(correction=0).item())
        return figures

    def _scores(self, logits: Tensor) -> Tensor:
        """Those of the parts, float64 ``[splits]``."""
        return torch.tensor([inception_score(part) for part in logits.tensor_split(self.splits)], dtype=torch.float64)


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
