"""How good translations are, beside the truth and beside sources that are left as they are."""

from typing import Annotated, Any, Literal

from annotated_types import Ge

from gangen import Figure, MetricContext, UsageError, name_of, settings_of
from gangen_conditional.codecs.inputs import TextInput
from gangen_text import TextSpec


class OfTranslations:
    """What metrics have in common that look at translations of ``samples`` held-out texts, or of all where these are
    fewer: of each the likeliest, token by token, which is the sampler's at ``top_k=1``.
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
        """The likeliest translation of each source; all metrics share them."""
        greedy = context.once("likeliest texts", lambda: context.sampled(context.seed, context.settings | {"top_k": 1}))
        return context.data.codec.decode(greedy.samples(self.count(context)))

    def held_out(self, context: MetricContext) -> tuple[list[str], list[str]]:
        """The sources, in the order in which samples are made from them, and their true translations."""
        count, codec = self.count(context), context.data.codec
        rows = context.data.heldout.batch(0, range(count), count, seed=context.seed, device="cpu")
        return codec.input.decode(rows["input"]), codec.decode(rows["tokens"])

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """How many translations there were, and which."""
        count = self.count(context)
        return {"samples": count, "held-out rows": count, "decoding": "the likeliest token each time (top_k=1)"}


class ExactMatch(OfTranslations):
    """``exact_match``: the share of translations that are the true one, word for word.

    ``exact_match_sampled`` is that of translations as they are sampled, one of each source: how much of the
    distribution is right. ``exact_match_source`` is that of sources in the place of translations, the floor.
    """

    def __call__(self, context: MetricContext) -> dict[str, Figure | float]:
        sources, truths = self.held_out(context)
        sampled = context.data.codec.decode(context.samples(len(truths)))
        return {
            "exact_match": Figure(_equal(self.likeliest(context), truths), 1.0, "high"),
            "exact_match_sampled": Figure(_equal(sampled, truths), 1.0, "high"),
            "exact_match_source": _equal(sources, truths),
        }


class Bleu(OfTranslations):
    """``bleu``: corpus BLEU of translations from 0 to 100, by sacrebleu (Post, 2018), against the true ones.

    ``bleu_source`` is that of sources in the place of translations, the floor. ``tokenize`` is sacrebleu's: how texts
    are cut into words, "zh" and "char" for scripts without spaces.

    Raises:
        UsageError: sacrebleu is not installed.
    """

    def __init__(self, *, tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a", **options: Any) -> None:
        super().__init__(**options)
        self.tokenize = tokenize

    def check(self, context: MetricContext) -> None:
        super().check(context)
        self._bleu()

    def __call__(self, context: MetricContext) -> dict[str, Figure | float]:
        sources, truths = self.held_out(context)
        made, copied = (
            self._bleu().corpus_score(texts, [truths]).score for texts in (self.likeliest(context), sources)
        )
        return {"bleu": Figure(made, 100.0, "high"), "bleu_source": copied}

    def protocol(self, context: MetricContext) -> dict[str, Any]:
        """Also how words were cut, for who wants to compare."""
        return super().protocol(context) | {"tokenize": self.tokenize, "smoothing": "sacrebleu's exp, of no count"}

    def _bleu(self) -> Any:
        try:
            from sacrebleu.metrics import BLEU
        except ImportError as error:
            raise UsageError(f'{name_of(self)} needs sacrebleu: pip install "gangen[demo]" ({error})') from None
        return BLEU(tokenize=self.tokenize)


def _equal(texts: list[str], truths: list[str]) -> float:
    return sum(text == truth for text, truth in zip(texts, truths, strict=True)) / len(truths)
