"""Noise that belongs to the global batch, or to each row: however many processes or parts draw it, it is the same."""

import hashlib
import math
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from gangen.errors import PluginError

_OWN_DRAWS = {
    *("bernoulli", "multinomial", "normal", "poisson", "rand", "randint", "randn", "randperm", "gumbel_softmax"),
    *("rand_like", "randint_like", "randn_like", "bernoulli_", "cauchy_", "exponential_", "geometric_"),
    *("log_normal_", "normal_", "random_", "uniform_"),
}

_STEP = np.uint64(0x9E3779B97F4A7C15)


class Source:
    """A generator per device, and which part of the global batch this process and micro-batch holds."""

    def __init__(self, seed: int | None = None, part: int = 0, parts: int = 1) -> None:
        self.seed = seed
        self.part = part
        self.parts = parts
        self.generators: dict[torch.device, torch.Generator] = {}

    def generator(self, device: torch.device) -> torch.Generator | None:
        if self.seed is None:
            return None
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]

    def draw(self, function, rows: int, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
        generator = self.generator(device)
        drawn = function(rows * self.parts, *shape, generator=generator, device=device, dtype=dtype)
        return drawn if self.parts == 1 else drawn[rows * self.part : rows * (self.part + 1)]


class _Rows:
    """The noise of each row by SplitMix64 (Steele, Lea and Flood 2014), and the source around, which draws the rest.

    Number k of a row is a hash of the row's seed and k, so that all rows are drawn at once: a generator for each would
    cost more to seed than a small network takes to run.
    """

    def __init__(self, seeds: Sequence[int | Sequence[int]], around: "Source | _Rows") -> None:
        self.seeds = seeds
        self.around = around
        self.drawn = 0

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the sequence of each row begins, uint64 ``[rows]``: anywhere, however near the seeds are."""
        return np.frombuffer(b"".join(map(_digest_of, self.seeds)), "<u8")

    def draw(self, function, rows: int, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
        each, rest = divmod(rows, len(self.seeds))
        if rest:
            return self.around.draw(function, rows, shape, device, dtype)
        first, self.drawn = self.drawn, self.drawn + each * math.prod(shape)
        hashes = _scramble(self.starts[:, None] + np.arange(first + 1, self.drawn + 1, dtype=np.uint64) * _STEP)
        # The middles of 2^52 equal parts: neither 0 nor 1, of which the normal distribution has no quantile.
        uniform = torch.from_numpy(((hashes >> 12) + 0.5) * 2.0**-52).reshape(rows, *shape)
        if function is not torch.rand:
            return torch.special.ndtri(uniform).to(dtype).to(device)
        # What is nearly 1 would be rounded to it.
        return uniform.to(dtype).clamp(max=1 - torch.finfo(dtype).eps / 2).to(device)


def _digest_of(seed: int | Sequence[int]) -> bytes:
    parts = seed if isinstance(seed, Sequence) else [seed]
    return hashlib.blake2b(b"".join(int(part).to_bytes(8, "little") for part in parts), digest_size=8).digest()


def _scramble(numbers: np.ndarray) -> np.ndarray:
    """The hash of SplitMix64, of uint64 in place."""
    numbers ^= numbers >> 30
    numbers *= 0xBF58476D1CE4E5B9
    numbers ^= numbers >> 27
    numbers *= 0x94D049BB133111EB
    numbers ^= numbers >> 31
    return numbers


# A thread begins with the default, so that what one draws from is no other's.
_source: ContextVar[Source | _Rows] = ContextVar("source of noise", default=Source())  # noqa: B039


@contextmanager
def shared(seed: int, part: int = 0, parts: int = 1) -> Iterator[None]:
    """Within this context draws come from ``seed`` alone and are rows ``part`` of ``parts`` of the global batch.

    Every process must make the same draws in the same order; each keeps its own rows. Outside any such context
    the functions below draw from torch's default generator.
    """
    with drawing_from(Source(seed, part, parts)):
        yield


@contextmanager
def by_row(seeds: Sequence[int | Sequence[int]]) -> Iterator[None]:
    """Within this context every row has noise of its own, that of its seed in ``seeds``.

    A seed is one or more numbers from 0 to 2^64 - 1. What row i draws depends neither on how many rows there are
    nor on which they are. A draw of m rows for each has those of row i next to each other. A draw of any other number
    of rows is made by the context around.
    """
    with drawing_from(_Rows(seeds, _source.get())):
        yield


@contextmanager
def drawing_from(source: Source | _Rows) -> Iterator[None]:
    """Within this context draws come from ``source``, and go on where those of an earlier such context ended."""
    outer = _source.set(source)
    try:
        yield
    finally:
        _source.reset(outer)


def _draw(function, rows: int, shape: tuple[int, ...], device, dtype) -> Tensor:
    if torch.compiler.is_dynamo_compiling():
        # A graph would hold on to the generator of the turn in which it was traced.
        torch._dynamo.graph_break(msg="gangen.noise draws outside of compiled graphs")
    return _source.get().draw(function, rows, shape, torch.device(device), dtype or torch.get_default_dtype())


def uniform(rows: int, *shape: int, device="cpu", dtype: torch.dtype | None = None) -> Tensor:
    """Uniform noise on [0, 1), float ``[rows, *shape]``; ``rows`` counts this process's rows, batch slowest."""
    return _draw(torch.rand, rows, shape, device, dtype)


def normal(rows: int, *shape: int, device="cpu", dtype: torch.dtype | None = None) -> Tensor:
    """Standard normal noise, float ``[rows, *shape]``; ``rows`` counts this process's rows, batch slowest."""
    return _draw(torch.randn, rows, shape, device, dtype)


def seeds(rows: int) -> list[int]:
    """A seed from 0 for each row, of which ``by_row`` makes noise that is the row's own wherever it is drawn."""
    return (uniform(rows, dtype=torch.float64) * 2**53).long().tolist()


class NoOwnDraws(TorchFunctionMode):
    """Within this context torch's own draws raise PluginError, in which ``what`` made them; dropout does not."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = named or {}
        if getattr(function, "__name__", "") in _OWN_DRAWS and named.get("generator") is None:
            caller = sys._getframe(1)
            error = PluginError(
                f"{self.what} draws by {resolve_name(function)}, at {caller.f_code.co_filename}:{caller.f_lineno}: "
                "each process, or micro-batch, draws rows of its own, and the gradient is not that of one process\n"
                "draw by gangen.noise; or give the recipe trainer.noise: local, which does without that promise"
            )
            error.shared = True
            raise error
        return function(*arguments, **named)


def mix(*parts: int | str) -> int:
    """A 63-bit seed that depends on every part, the same on every machine."""
    packed = b"".join(part.encode() + b"\0" if isinstance(part, str) else struct.pack("<q", part) for part in parts)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little") >> 1
