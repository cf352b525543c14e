"""Likelihood of held-out text under the generator, and of samples under an oracle."""

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from gangen import Axis, Figure, MetricContext, Tradeoff, UsageError, evaluating, once_a_run
from gangen_text.metrics.words import OfText


class HeldOutNLL(OfText):
    """Negative log-likelihood in nats of the held-out texts under the generator, per token; the end is a token too.

    Where an evaluation has a temperature, it is that under the texts so sampled. What a discriminator chooses among
    these is not looked at.

    Raises:
        UsageError: the generator has no ``log_prob``, there is no held-out text, or another setting of sampling.
    """

    def check(self, context: MetricContext) -> None:
        super().check(context)
        generator = context.players.averaged("generator")
        if not hasattr(generator, "log_prob"):
            raise UsageError(f"metric text/nll: generator {type(generator).__name__} has no log_prob()")

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        chosen = getattr(context.sampler, "plain", {})
        settings = {name: value for name, value in context.settings.items() if name not in chosen}
        if others := settings.keys() - {"temperature"}:
            raise UsageError(f"metric text/nll knows no likelihood of held-out texts under {min(others)}; take it out")
        generator, spec = context.players.averaged("generator"), context.data.codec.spec
        total = count = 0.0
        with evaluating(generator):
            for batch in _batches(context):
                total -= generator.log_prob(batch["tokens"], batch, **settings).double().sum().item()
                count += spec.mask(batch["tokens"]).sum().item()
        return {"nll": Figure(total / count, good="low")}

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many held-out texts there were."""
        return {"held-out rows": len(context.data.heldout)}


class OracleNLL:
    """NLL_oracle (Yu et al., 2017): mean negative log-likelihood in nats per token of ``samples`` under the oracle.

    ``nll_oracle_median`` is that of the middle sample: a mean far below it comes from a few samples that repeat a token
    which the oracle likes. A low figure alone says little: cold samples have one too. Look at diversity beside it.
    Beside them stand those of all held-out texts, which the oracle wrote itself.

    Raises:
        UsageError: the data has no oracle.
    """

    tradeoff = Tradeoff(Axis("nll_oracle", "low"), Axis("nll", "low"))

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 10_000) -> None:
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        if getattr(context.data, "oracle", None) is None:
            raise UsageError(
                "metric text/nll_oracle needs an oracle: use data text/oracle, or take the metric out of the recipe"
            )

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        found = _mean_and_median(context.data.oracle.nll(context.samples(self.samples)))
        pairs = zip(("nll_oracle", "nll_oracle_median"), found, self._real(context), strict=True)
        return {name: Figure(value, real, "real") for name, value, real in pairs}

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many texts were on each side."""
        return {"samples": self.samples, "held-out rows": len(context.data.heldout)}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[float, float]:
        data = context.data
        return _mean_and_median(data.oracle.nll(data.heldout.rows(device=context.device)["tokens"]))


def _mean_and_median(nll: Tensor) -> tuple[float, float]:
    nll = nll.double()
    return nll.mean().item(), nll.median().item()


def _batches(context: MetricContext) -> Iterator[dict[str, Tensor]]:
    """The held-out rows, each once, in the order they are kept in."""
    heldout = context.data.heldout
    for start in range(0, len(heldout), context.batch_size):
        yield heldout.rows(range(start, start + context.batch_size), context.device)
