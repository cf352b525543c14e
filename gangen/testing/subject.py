"""What is checked: a component as a recipe would have it built, and what is said of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from gangen import noise
from gangen.api import named
from gangen.components.messages import problems_of
from gangen.components.options import read_use
from gangen.components.registry import Registry
from gangen.contracts import Batch, Data
from gangen.errors import PluginError, UsageError
from gangen.torch_draws import seeded


class Contract:
    """What is owed by ``title``, as in "loss 'gangen/hinge'"."""

    def __init__(self, title: str) -> None:
        self.title = title

    def expect(self, holds: object, contract: str, found: object = "") -> None:
        """Raises AssertionError where the contract does not hold."""
        if not holds:
            raise AssertionError(f"{self.title}: {contract}{f'; found: {found}' if found != '' else ''}")


class Subject(Contract):
    """A component of a kind with its options, to be built anew as often as it takes.

    Raises UsageError for an option that a recipe could not give.
    """

    def __init__(self, kind: str, component: Any, options: Mapping[str, Any]) -> None:
        self.registry = Registry.discover()
        try:
            self.use = read_use(kind, {"use": named(component), **named(options)}, self.registry)
        except ValidationError as error:
            raise UsageError("; ".join(message for _, message in problems_of(error))) from None
        super().__init__(str(self.registry.find(kind, self.use.name)))

    def build(self, seed: int = 0, **at_hand: Any) -> Any:
        """What torch's own generators draw on the way follows from ``seed``."""
        with seeded(seed):
            return self.registry.build(self.use, **at_hand)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Raises AssertionError where torch's own generators are drawn from, dropout excepted."""
        try:
            with noise.NoOwnDraws(self.title):
                yield
        except PluginError as error:
            raise AssertionError(f"{self.title}: all that is random comes from gangen.noise\n{error}") from None


def data_of(data: Any) -> Data:
    """Data as they are, or those that a name, a class or a mapping of ``use`` and options chooses in a recipe."""
    if not isinstance(data, str | type | Mapping):
        return data
    options = dict(data) if isinstance(data, Mapping) else {"use": data}
    return Subject("data", options.pop("use"), options).build()


def batch_of(data: Data, size: int) -> Batch:
    return data.train.batch(0, range(size), size, seed=0, device=torch.device("cpu"))


def real_rows(data: Data, batch: Batch, column: str | None = None) -> Tensor:
    """Real rows as generators make them: ``column``; without it, those of the codec, or of the game ``adversarial``."""
    if column is None and hasattr(data.codec, "samples_of"):
        return data.codec.samples_of(batch)
    rows = next(iter(batch.values())) if column is None else batch[column]
    prepare = getattr(data.codec.spec, "prepare", None)
    return rows if prepare is None else prepare(rows)


def part_of(columns: Batch, rows: slice) -> dict[str, Tensor]:
    return {name: column[rows] for name, column in columns.items()}


def alike(one: Tensor, other: Tensor) -> bool:
    """Equal but for how floats are rounded."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    size = max(1e-3, one.detach().abs().max().item()) if one.numel() else 1.0
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * size, equal_nan=True)


def by_rows(count: int, seed: int = 0) -> Any:
    """Noise of each row's own, that of its number and a seed."""
    return noise.by_row([(seed, row) for row in range(count)])
