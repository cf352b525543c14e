"""How a run goes on after a fault."""

from typing import Annotated

from annotated_types import Ge, Interval

from gangen.recipe.strict import Section


class RecoveryRecipe(Section, title="recovery"):
    """What is done about faults, and how often, before one of them stops the run.

    ``times`` is how many turns may be skipped in a run, and how often it may be rolled back. ``rate`` is what each
    roll back multiplies the learning rates of all players with, for the rest of the run.
    """

    times: Annotated[int, Ge(0)] = 10
    rate: Annotated[float, Interval(gt=0, le=1)] = 0.5
