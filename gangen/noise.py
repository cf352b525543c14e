"""Noise that belongs to the global batch, so that many processes together draw what one would."""

import hashlib
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from gangen.errors import PluginError

_OWN_DRAWS = {
    *("bernoulli", "multinomial", "normal", "poisson", "rand", "randint", "randn", "randperm", "gumbel_softmax"),
    *("rand_like", "randint_like", "randn_like", "bernoulli_", "cauchy_", "exponential_", "geometric_"),
    *("log_normal_", "normal_", "random_", "uniform_"),
}


class _Source:
    """The current generator per device, and which part of the global batch this process and micro-batch holds."""

    def __init__(self) -> None:
        self.seed: int | None = None
        self.part = 0
        self.parts = 1
        self.generators: dict[torch.device, torch.Generator] = {}

    def generator(self, device: torch.device) -> torch.Generator | None:
        if self.seed is None:
            return None
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]


_source = _Source()


@contextmanager
def shared(seed: int, part: int = 0, parts: int = 1) -> Iterator[None]:
    """Within this context draws come from ``seed`` alone and are rows ``part`` of ``parts`` of the global batch.

    Every process must make the same draws in the same order; each keeps its own rows. Outside any such context
    the functions below draw from torch's default generator.
    """
    global _source
    outer, _source = _source, _Source()
    _source.seed, _source.part, _source.parts = seed, part, parts
    try:
        yield
    finally:
        _source = outer


def _draw(function, rows: int, shape: tuple[int, ...], device, dtype) -> Tensor:
    if torch.compiler.is_dynamo_compiling():
        # A graph would hold on to the generator of the turn in which it was traced.
        torch._dynamo.graph_break(msg="gangen.noise draws outside of compiled graphs")
    device = torch.device(device)
    drawn = function(
        rows * _source.parts,
        *shape,
        generator=_source.generator(device),
        device=device,
        dtype=dtype or torch.get_default_dtype(),
    )
    return drawn if _source.parts == 1 else drawn[rows * _source.part : rows * (_source.part + 1)]


def uniform(rows: int, *shape: int, device="cpu", dtype: torch.dtype | None = None) -> Tensor:
    """Uniform noise on [0, 1), float ``[rows, *shape]``; ``rows`` counts this process's rows, batch slowest."""
    return _draw(torch.rand, rows, shape, device, dtype)


def normal(rows: int, *shape: int, device="cpu", dtype: torch.dtype | None = None) -> Tensor:
    """Standard normal noise, float ``[rows, *shape]``; ``rows`` counts this process's rows, batch slowest."""
    return _draw(torch.randn, rows, shape, device, dtype)


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
