"""How good translations are, beside the truth and beside sources that are left as they are."""

from typing import Any, Literal

from gangen import Figure, MetricContext, UsageError, name_of
from gangen_text import ExactMatch as ExactMatchOfAnswers
from gangen_text import OfAnswers


class ExactMatch(ExactMatchOfAnswers):
    """``exact_match``: the share of translations that are the true one, as ``text/exact_match`` has it of answers."""


class Bleu(OfAnswers):
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
