"""How often a text is answered as it should be."""

from typing import Annotated, Any

from annotated_types import Ge

from gangen import Figure, MetricContext, UsageError, name_of, settings_of
from gangen_text.spec import TextSpec
from gangen_text.text_input import TextInput


class OfAnswers:
    """What metrics have in common that look at answers to ``samples`` held-out texts, or to all where these are fewer:
    to each the likeliest, token by token, which is the sampler's at ``top_k=1``.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 1000) -> None:
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data that are no texts made from texts, and samplers without a ``top_k``."""
        codec = context.data.codec
        if not isinstance(codec.spec, TextSpec) or not isinstance(getattr(codec, "input", None), TextInput):
            raise UsageError(f"{name_of(self)} looks at texts that are made from texts, which these data are not")
        if "top_k" not in settings_of(context.sampler.sample):
            raise UsageError(f"{name_of(self)} looks at the likeliest texts, and the sampler has no setting top_k")

    def count(self, context: MetricContext) -> int:
        return min(self.samples, len(context.data.heldout))

    def likeliest(self, context: MetricContext) -> list[str]:
        """The likeliest answer to each text; all metrics share them."""
        greedy = context.once("likeliest texts", lambda: context.sampled(context.seed, context.settings | {"top_k": 1}))
        return context.data.codec.decode(greedy.samples(self.count(context)))

    def held_out(self, context: MetricContext) -> tuple[list[str], list[str]]:
        """The texts, in the order in which samples are made from them, and the true answers."""
        count, codec = self.count(context), context.data.codec
        rows = context.data.heldout.batch(0, range(count), count, seed=context.seed, device="cpu")
        return codec.input.decode(rows["input"]), codec.decode(rows["tokens"])

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many answers there were, and which."""
        count = self.count(context)
        return {"samples": count, "held-out rows": count, "decoding": "the likeliest token each time (top_k=1)"}


class ExactMatch(OfAnswers):
    """``exact_match``: the share of answers that are the true one, word for word.

    ``exact_match_sampled`` is that of answers as they are sampled, one to each text: how much of the
    distribution is right. ``exact_match_source`` is that of the texts themselves in the place of answers, the floor.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure | float]:
        sources, truths = self.held_out(context)
        sampled = context.data.codec.decode(context.samples(len(truths)))
        return {
            "exact_match": Figure(_equal(self.likeliest(context), truths), 1.0, "high"),
            "exact_match_sampled": Figure(_equal(sampled, truths), 1.0, "high"),
            "exact_match_source": _equal(sources, truths),
        }


def _equal(texts: list[str], truths: list[str]) -> float:
    return sum(text == truth for text, truth in zip(texts, truths, strict=True)) / len(truths)
