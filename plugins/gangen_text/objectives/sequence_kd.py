"""Sequence-level distillation: the student imitates what its teacher answered."""

from gangen import NonSaturating
from gangen_text.objectives.turns import TextGame, idle
from gangen_text.spec import TextSpec


class SequenceKD(TextGame):
    """Maximum likelihood of a teacher's texts, the rows of the data (Kim and Rush, 2016, section 3.2).

    The control of games that go on from there, which plays their recipes: it imitates in the generator's turns, be they
    called ``imitate`` or ``policy``, and ``discriminate`` teaches nobody.
    """

    discriminate = idle
    policy = TextGame.imitate

    def __init__(self, spec: TextSpec) -> None:
        super().__init__(spec, loss=NonSaturating())
