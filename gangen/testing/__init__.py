"""Checks that a component keeps its kind's contract, for the tests of plugins.

A component is a name or a class, with its options beside it as in a recipe; data may also be an object that is ready.
What fails is an AssertionError that says what the contract is, and what was found.
"""

from gangen.testing.games import check_metric, check_objective, check_sampler, play, same_on_processes
from gangen.testing.losses import check_loss, check_penalty
from gangen.testing.networks import check_discriminator, check_encoder, check_generator
from gangen.testing.plugins import installed
from gangen.testing.rows import check_codec, check_data

__all__ = [
    "check_codec",
    "check_data",
    "check_discriminator",
    "check_encoder",
    "check_generator",
    "check_loss",
    "check_metric",
    "check_objective",
    "check_penalty",
    "check_sampler",
    "installed",
    "play",
    "same_on_processes",
]
