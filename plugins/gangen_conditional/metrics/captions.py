"""Whether captions are right about the pictures that they were made from."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from gangen import Figure, MetricContext, UsageError, once_a_run
from gangen_conditional.data.captions import Verdict, judge, understand
from gangen_conditional.data.scenes import read
from gangen_conditional.data.shapes import Shapes


class Captions:
    """Exact, for data ``conditional/shapes`` to text: captions are understood, pictures are read.

    ``captions`` is the share of ``samples`` held-out pictures that are described rightly: the caption is a sentence of
    the grammar, names every object that is there and no other by colour and shape, and what it says of a size or of
    how objects stand is so. Any wording will do, and a size may be left out: ``sizes_said`` is the share of objects
    of which it is said. ``captions_objects`` asks for colours and shapes alone. Beside these stand the figures of the
    true captions; ``captions_swapped`` is the floor, those of true captions that belong to another picture.

    Raises:
        UsageError: other data.
    """

    def __init__(self, *, samples: Annotated[int, Ge(1)] = 1000) -> None:
        self.samples = samples

    def check(self, context: MetricContext) -> None:
        """Raises UsageError for data that are no captions of shapes."""
        if not isinstance(context.data, Shapes) or context.data.to != "text":
            raise UsageError("conditional/captions judges captions of pictures: use conditional/shapes with to: text")

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        count = self.count(context)
        texts = context.data.codec.decode(context.samples(count))
        found = _figures(texts, read(context.conditions(count)["input"]))
        true, swapped = self._real(context)
        figures = {name: Figure(found[name], true[name], "high") for name in ("captions", "captions_objects")}
        figures["sizes_said"] = Figure(found["sizes_said"], true["sizes_said"])
        return figures | {"captions_swapped": Figure(swapped)}

    @once_a_run
    def _real(self, context: MetricContext) -> tuple[dict[str, float], float]:
        """The figures of true captions, and ``captions`` of those of the next picture."""
        rows = context.data.heldout.rows(range(self.count(context)), context.device)
        texts, scenes = context.data.codec.decode(rows["tokens"]), read(rows["input"])
        return _figures(texts, scenes), _figures(texts[1:] + texts[:1], scenes)["captions"]

    def count(self, context: MetricContext) -> int:
        """How many captions are looked at."""
        return min(self.samples, len(context.data.heldout))

    def protocol(self, context: MetricContext) -> dict[str, int]:
        """How many captions were looked at."""
        return {"samples": self.count(context)}


def _figures(texts: Sequence[str], scenes: Tensor) -> dict[str, float]:
    """Of captions with the scenes ``[n, objects, 5]`` that their pictures show."""
    said = [understand(text) for text in texts]
    verdicts = [judge(it, [o for o in scene if o[1] >= 0]) for it, scene in zip(said, scenes.tolist(), strict=True)]
    things = [thing for it in said if it is not None for thing in it.things]
    return {
        "captions": _share(verdicts, "all"),
        "captions_objects": _share(verdicts, "objects"),
        "sizes_said": sum(thing.size is not None for thing in things) / max(1, len(things)),
    }


def _share(verdicts: Sequence[Verdict], what: str) -> float:
    return sum(getattr(verdict, what) for verdict in verdicts) / len(verdicts)
