"""Whether pictures of coloured shapes show what their captions say."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from gangen import Figure, MetricContext, UsageError, once_a_run
from gangen_conditional.data.captions import judge, understand
from gangen_conditional.data.scenes import read
from gangen_image import as_bytes
from gangen_text import TextSpec


class Attributes:
    """Shares of ``samples`` pictures that are right about their held-out captions, as ``data.scenes`` reads them.

    ``objects_right``: the objects are those of the caption, by colour and shape, and no others. ``sizes_right`` and
    ``relations_right``: besides, all that it says of their sizes, or of how they stand to each other, is so.
    ``caption_right``: all of it. Real pictures stand beside these.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 500) -> None:
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data other than pictures of scenes from captions."""
        spec = context.data.codec.spec
        if not isinstance(getattr(spec, "input", None), TextSpec) or "scene" not in context.data.heldout.rows(range(1)):
            raise UsageError("metric conditional/attributes is for conditional/shapes with to: image")

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many samples were looked at."""
        return {"samples": self.samples}

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        drawn = as_bytes(context.samples(self.samples)).cpu()
        found = self._right(context, drawn, context.conditions(self.samples)["input"])
        real = self._real(context)
        return {name: Figure(found[name], real[name], "high") for name in found}

    @once_a_run
    def _real(self, context: MetricContext) -> dict[str, float]:
        rows = context.data.heldout.rows(range(min(self.samples, len(context.data.heldout))))
        return self._right(context, rows["image"], rows["input"])

    def _right(self, context: MetricContext, pictures: Tensor, tokens: Tensor) -> dict[str, float]:
        there = [[it for it in rows if it[1] >= 0] for rows in read(pictures).tolist()]
        captions = context.data.codec.input.decode(tokens)
        verdicts = [judge(understand(text), objects) for text, objects in zip(captions, there, strict=True)]
        names = {"objects": "objects", "sizes": "sizes", "relations": "relations", "all": "caption"}
        return {
            f"{name}_right": sum(getattr(it, field) for it in verdicts) / len(verdicts) for field, name in names.items()
        }
