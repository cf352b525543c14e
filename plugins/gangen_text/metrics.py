"""Figures of text generators: likelihood of held-out text, likelihood under an oracle, diversity."""

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from gangen.contracts import Data, Split
from gangen.errors import UsageError
from gangen.evaluation import Evaluation
from gangen.frontier import Axis, Tradeoff
from gangen.players import evaluating
from gangen_text.spec import TextSpec


class HeldOutNLL:
    """Negative log-likelihood in nats of the held-out texts under the generator, per token; the end is a token too.

    Where an evaluation has settings of sampling, such as a temperature, it is that of the texts so sampled.

    Raises:
        UsageError: the generator has no ``log_prob``, or there is no held-out text.
    """

    def check(self, evaluation: Evaluation) -> None:
        if not hasattr(evaluation.generator, "log_prob"):
            raise UsageError(f"metric text/nll: generator {type(evaluation.generator).__name__} has no log_prob()")

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        generator, spec = evaluation.generator, evaluation.data.codec.spec
        total = count = 0.0
        with evaluating(generator):
            for batch in _batches(evaluation):
                total -= generator.log_prob(batch["tokens"], batch, **evaluation.settings).double().sum().item()
                count += spec.mask(batch["tokens"]).sum().item()
        return {"nll": total / count}


class OracleNLL:
    """NLL_oracle (Yu et al., 2017): mean negative log-likelihood in nats per token of ``samples`` under the oracle.

    ``nll_oracle_median`` is that of the middle sample: a mean far below it comes from a few samples that repeat a token
    which the oracle likes. A low figure alone says little: cold samples have one too. Look at diversity beside it.
    ``nll_oracle_real`` is that of all held-out texts, which the oracle wrote itself.

    Raises:
        UsageError: the data has no oracle.
    """

    tradeoff = Tradeoff(Axis("nll_oracle", "low"), Axis("nll", "low"))

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 10_000) -> None:
        self.samples = samples
        self._real: tuple[Data, float] | None = None

    def check(self, evaluation: Evaluation) -> None:
        if getattr(evaluation.data, "oracle", None) is None:
            raise UsageError(
                "metric text/nll_oracle needs an oracle: use data text/oracle, or take the metric out of the recipe"
            )

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        data = evaluation.data
        if self._real is None or self._real[0] is not data:
            heldout = data.heldout.tensors["tokens"].to(evaluation.device)
            self._real = data, data.oracle.nll(heldout).double().mean().item()
        nll = data.oracle.nll(evaluation.samples(self.samples)).double()
        return {
            "nll_oracle": nll.mean().item(),
            "nll_oracle_median": nll.median().item(),
            "nll_oracle_real": self._real[1],
        }


class Variety:
    """What figures have in common that say how different texts are from one another.

    ``name`` is that of n samples, ``name`` with ``_real`` that of n held-out texts: n is ``samples``, or the number of
    held-out texts where they are fewer. Such figures change with n, so that they compare at the same n only.
    """

    name: str
    measure: Callable[[Tensor, TextSpec], float]

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 1000) -> None:
        self.samples = samples
        self._real: tuple[Data, float] | None = None

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        data, n = evaluation.data, self.count(evaluation)
        if self._real is None or self._real[0] is not data:
            self._real = data, self.measure(real_rows(evaluation, data.heldout, n), data.codec.spec)
        return {self.name: self.measure(evaluation.samples(n), data.codec.spec), f"{self.name}_real": self._real[1]}

    def count(self, evaluation: Evaluation) -> int:
        """How many texts are on each side."""
        return available(evaluation.data.heldout, self.samples)

    def protocol(self, evaluation: Evaluation) -> dict[str, int]:
        """How many texts were looked at."""
        count = self.count(evaluation)
        return {"samples": count, "held-out rows": count}


class Distinct(Variety):
    """``distinct_N`` (Li et al., 2016): distinct n-grams over all n-grams of samples; ends are no part of them.

    ``distinct_N_real`` is that of as many held-out texts (see ``Variety``). Good samples are near it: nonsense has
    more distinct n-grams than real texts. It falls with the number of samples.
    """

    def __init__(self, *, n: Annotated[int, Ge(1)] = 2, samples: Annotated[int, Ge(1)] = 1000) -> None:
        super().__init__(samples=samples)
        self.n = n
        self.name = f"distinct_{n}"

    def measure(self, tokens: Tensor, spec: TextSpec) -> float:
        grams = ngrams(tokens, spec, self.n)
        return len(grams.unique(dim=0)) / max(len(grams), 1)


class Entropy(Variety):
    """``entropy_N`` (Ent-n, Zhang et al., 2018): entropy in nats of the n-grams of samples; ends are no part of them.

    Unlike distinct-n it sees whether n-grams are used evenly, and not only which. ``entropy_N_real`` is that of as many
    held-out texts (see ``Variety``). Good samples are near it: nonsense has more. It rises with the number of samples,
    and with their length.
    """

    def __init__(self, *, n: Annotated[int, Ge(1)] = 2, samples: Annotated[int, Ge(1)] = 1000) -> None:
        super().__init__(samples=samples)
        self.n = n
        self.name = f"entropy_{n}"

    def measure(self, tokens: Tensor, spec: TextSpec) -> float:
        grams = ngrams(tokens, spec, self.n)
        shares = grams.unique(dim=0, return_counts=True)[1].double() / max(len(grams), 1)
        return torch.special.entr(shares).sum().item()


class Unique(Variety):
    """``unique``: share of distinct texts among samples; ``unique_real``, among held-out texts (see ``Variety``)."""

    name = "unique"

    def measure(self, tokens: Tensor, spec: TextSpec) -> float:
        # Whatever stands behind the end is no part of a text.
        tokens = tokens.masked_fill(~spec.mask(tokens), -1)
        return len(tokens.unique(dim=0)) / len(tokens)


def ngrams(tokens: Tensor, spec: TextSpec, n: int) -> Tensor:
    """All runs of ``n`` text tokens, int64 ``[count, n]``, of rows int64 ``[batch, length]``."""
    text = spec.mask(tokens)
    if spec.end is not None:
        text &= tokens != spec.end
    if n > tokens.shape[1]:
        return tokens.new_empty(0, n)
    return tokens.unfold(1, n, 1)[text.unfold(1, n, 1).all(-1)]


def available(split: Split, n: int | None) -> int:
    """``n``, or the number of rows of ``split`` where ``n`` is None or more than that; a stream never runs out."""
    if not hasattr(split, "__len__"):
        return n
    return len(split) if n is None else min(n, len(split))


def real_rows(evaluation: Evaluation, split: Split, n: int | None = None) -> Tensor:
    """``available`` rows of ``split``, int64 ``[n, length]`` on the CPU, by the evaluation's seed."""
    n = available(split, n)
    return split.batch(0, range(n), n, seed=evaluation.seed, device="cpu")["tokens"]


def _batches(evaluation: Evaluation) -> Iterator[dict[str, Tensor]]:
    """The held-out rows, each once, in the order they are kept in."""
    tensors = evaluation.data.heldout.tensors
    for start in range(0, len(evaluation.data.heldout), evaluation.batch_size):
        yield {
            name: tensor[start : start + evaluation.batch_size].to(evaluation.device)
            for name, tensor in tensors.items()
        }
