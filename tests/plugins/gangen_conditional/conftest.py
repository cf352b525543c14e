"""Small data sources of images."""

import pytest
import torch

from gangen_conditional.data.unpaired import Images


@pytest.fixture
def images():
    """Make a source of ``n`` random images to train on, which go through the labels in turn, and ``held`` others."""
    chance = torch.Generator().manual_seed(0)

    def make(n, *, labels=("a", "b"), size=8, channels=1, held=12):
        sides = []
        for count in (n, held):
            pixels = torch.randint(256, (count, channels, size, size), generator=chance, dtype=torch.uint8)
            sides.append({"image": pixels} | ({"label": torch.arange(count) % len(labels)} if labels else {}))
        return Images.of(labels, *sides)

    return make
