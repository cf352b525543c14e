"""Likelihood of samples under an n-gram model of real texts, and of real texts under one of samples."""

from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from gangen import Axis, Figure, MetricContext, Tradeoff, once_a_run
from gangen_text.metrics.decoding import SWEEPS
from gangen_text.metrics.kneser_ney import KneserNey
from gangen_text.metrics.words import OfText, available, real_rows


class NGramNLL(OfText):
    """What metrics have in common that look at ``samples`` texts by a ``KneserNey`` model of that ``order``."""

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 1000, order: Annotated[int, Ge(1)] = 3) -> None:
        self.samples = samples
        self.order = order


class ForwardNLL(NGramNLL):
    """``forward_nll``: of ``samples`` texts under an n-gram model of training texts, in nats per token.

    The model is ``KneserNey`` of that ``order``; tokens are those of the data's tokenizer, and the end is one of them.
    Beside it stands that of all held-out texts under the same model. Good samples are near it. Samples that
    repeat what is likely are below it, and far below are copies of training texts: look at ``reverse_nll`` and at
    text/copied beside it. Both figures depend on the tokenizer and on the training texts, not on ``samples``, but for
    chance.

    ``training`` is how many training texts the model learns from, by the seed; null is all.

    Raises:
        UsageError: training data is a stream, and ``training`` is None.
    """

    tradeoff = Tradeoff(Axis("forward_nll", "low"), Axis("reverse_nll", "low"), SWEEPS)

    def __init__(self, *, training: Annotated[int, Ge(1)] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.training = training

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        model, real = self._real(context)
        return {"forward_nll": Figure(model.nll(context.samples(self.samples)), real, "real")}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[KneserNey, float]:
        """The model of training texts, and how it scores held-out ones."""
        data = context.data
        model = KneserNey(real_rows(context, context.training, self.training), data.codec.spec, order=self.order)
        return model, model.nll(real_rows(context, data.heldout))

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many texts were scored, and how many the model has learned from."""
        rows = available(context.training, self.training)
        return {"samples": self.samples, "held-out rows": len(context.data.heldout), "training rows": rows}


class ReverseNLL(NGramNLL):
    """``reverse_nll``: of held-out texts under an n-gram model of samples, in nats per token; low is diverse and good.

    What real texts have and samples have not, words or turns of phrase, is unlikely under a model of samples (Zhao et
    al., 2018, reverse perplexity; Caccia et al., 2020), so samples that lack either diversity or quality raise it. The
    model is ``KneserNey`` of that ``order``, and learns from n texts: n is ``samples``, or the number of training texts
    where they are fewer. Beside it stands that of n training texts in the place of samples. All held-out texts are
    scored.

    Both figures fall as n grows, so they compare only at the same n, and with the same tokenizer. With more samples the
    two are further apart, and chance has less of a say; the default is what can be had at each temperature of a sweep.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        heldout, real = self._real(context)
        samples = context.samples(available(context.training, self.samples))
        model = KneserNey(samples, context.data.codec.spec, order=self.order)
        return {"reverse_nll": Figure(model.nll(heldout), real, "low")}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[Tensor, float]:
        """Held-out texts, and how a model of training texts scores them."""
        data = context.data
        heldout = real_rows(context, data.heldout)
        model = KneserNey(real_rows(context, context.training, self.samples), data.codec.spec, order=self.order)
        return heldout, model.nll(heldout)

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many texts the models have learned from, and how many were scored."""
        rows = available(context.training, self.samples)
        return {"samples": rows, "held-out rows": len(context.data.heldout), "training rows": rows}
