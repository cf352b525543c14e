"""Games played on one process and on two, and how what they wrote down compares."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

Written = dict[str, dict[str, Tensor]]


class Played:
    """What ``gradients.py`` wrote of many games: on one process, and on each of two."""

    def __init__(self, one: Path, first: Path, second: Path) -> None:
        self.one, self.first, self.second = (read(path) for path in (one, first, second))

    def turns(self, game: str) -> set[str]:
        """The turns of ``game`` that were played."""
        return {key.split(".")[1].partition("/")[0] for key in self.one[game] if key.startswith("figures.")}

    def differences(self, game: str, other: str = "") -> list[str]:
        """What two processes that play ``game`` have other than each other, or than one that plays it, or ``other``."""
        expected, first, second = self.one[other or game], self.first[game], self.second[game]
        assert expected.keys() == first.keys() == second.keys()
        return [
            key for key in expected if not (same(first[key], second[key]) and close(key, first[key], expected[key]))
        ]


def read(path: Path) -> Written:
    """What one process wrote, by game and then by name."""
    found: Written = {}
    for key, tensor in load_file(path).items():
        game, _, name = key.partition("/")
        found.setdefault(game, {})[name] = tensor
    return found


def same(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=0, atol=0, equal_nan=True)


def close(name: str, found: Tensor, expected: Tensor) -> bool:
    """Equal to 1e-10 of the vector's largest entry; figures, which are means in float32, to 1e-6."""
    if name.startswith("figures."):
        return torch.allclose(found, expected, rtol=1e-6, atol=1e-6)
    tolerance = 1e-10 * expected.nan_to_num().abs().max().item()
    return torch.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)


@pytest.fixture(scope="session")
def play_on_one_and_two(python, root, tmp_path_factory) -> Callable[[Mapping[str, str]], Played]:
    """Play recipes, text by name, all on one process and then all on two."""

    def play(recipes: Mapping[str, str]) -> Played:
        folder: Path = tmp_path_factory.mktemp("games")
        for name, text in recipes.items():
            (folder / f"{name}.yaml").write_text(text)
        script = root / "tests/distributed/gradients.py"
        python(script, folder, folder / "one")
        # What they wrote is what counts: gloo now and then aborts a process that is done, at the interpreter's exit.
        python(script, folder, folder / "two", processes=2, check=False)
        return Played(*(folder / f"{name}.safetensors" for name in ("one/rank0", "two/rank0", "two/rank1")))

    return play
