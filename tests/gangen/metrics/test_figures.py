"""Figures: what metrics may return, and what is said of anything else."""

import re

import numpy as np
import pytest
import torch

from gangen.errors import PluginError
from gangen.metrics.figures import Figure, checked


@pytest.mark.parametrize("found", [2, 2.0, True + 1, np.float32(2), np.int64(2), torch.tensor(2.0), np.array(2.0)])
def test_figures_may_be_numbers_of_any_kind(found):
    figures = checked("metric 'acme/radius'", {"bare": found, "whole": Figure(found, found, "low")})
    assert figures == {"bare": Figure(2.0), "whole": Figure(2.0, 2.0, "low")}
    assert type(figures["bare"].value) is type(figures["whole"].real) is float


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "metric 'acme/radius' returned NoneType None; it returns figures by name"),
        (3.0, "returned float 3.0; it returns figures by name"),
        ({"radius": "wide"}, "metric 'acme/radius' returned str 'wide' as radius; a figure is a number"),
        ({"radius": "0.5"}, "returned str '0.5' as radius"),
        ({"radius": None}, "returned NoneType None as radius"),
        ({"radius": torch.ones(1)}, "as radius; a figure is a number, or a gangen.Figure of numbers"),
        ({"radius": {"mean": 1.0}}, "returned dict {'mean': 1.0} as radius"),
        ({"radius": Figure(1.0, real="one")}, "as radius; a figure is a number"),
        (
            {"radius": Figure(1.0, good="best")},
            "radius is good at 'best', which is none of 'high', 'low', 'real' and None",
        ),
        ({"radius": Figure(1.0, good="real")}, "radius is good near real data, and says nothing of them"),
        ({"radius": 10**400}, "as radius; a figure is a number"),
        ({"step": 1.0}, "returned a figure called 'step'"),
        ({"turn/radius": 1.0}, "returned a figure called 'turn/radius'"),
    ],
)
def test_what_is_no_figure_is_refused_with_the_metric_and_its_name(found, message):
    with pytest.raises(PluginError, match=re.escape(message)):
        checked("metric 'acme/radius'", found)
