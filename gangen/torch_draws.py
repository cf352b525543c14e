"""Torch's own generators, of which a process has one for each device: which thread draws from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock, local

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_OWNER = RLock()
_THREAD = local()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within this context no other thread seeds torch's own generators by the functions here; waits for one that has.

    Who seeds them then draws what belongs to the seed, unless another thread draws from them without any of these.
    """
    with _OWNER:
        yield


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """What torch's own generators draw is drawn by ``seed``; afterwards they go on as if nothing had been drawn.

    A thread that finds those of a CPU in the hands of another draws the same numbers by a generator of its own. On CUDA
    it waits for the other: some kernels draw from the one of the device alone.
    """
    with Draws(seed, device).going_on():
        yield


class Draws:
    """What torch's own generators draw by a seed, a part in each context of ``going_on``, as in ``seeded``."""

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.generator = torch.Generator().manual_seed(seed)
        cuda = torch.device(device).type == "cuda"
        self.on_device = torch.Generator(device).manual_seed(seed) if cuda else None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Draw on from where the context before ended."""
        # Inside of draws that are redirected they stay so, whoever may have left meanwhile.
        redirected = getattr(_THREAD, "redirected", False)
        if redirected or not _OWNER.acquire(blocking=self.on_device is not None):
            _THREAD.redirected = True
            try:
                with _Redirected(self.generator):
                    yield
            finally:
                _THREAD.redirected = redirected
            return
        try:
            with _lent(self.generator, torch.get_rng_state, torch.set_rng_state):
                if self.on_device is None:
                    yield
                    return
                device = self.on_device.device
                put = partial(torch.cuda.set_rng_state, device=device)
                with _lent(self.on_device, partial(torch.cuda.get_rng_state, device), put):
                    yield
        finally:
            _OWNER.release()


@contextmanager
def _lent(ours: torch.Generator, get: Callable[[], Tensor], put: Callable[[Tensor], None]) -> Iterator[None]:
    """Torch's own generator draws what ``ours`` would; afterwards each is where it would be."""
    before = get()
    put(ours.get_state())
    try:
        yield
    finally:
        ours.set_state(get())
        put(before)


class _Redirected(TorchDispatchMode):
    """What would be drawn on the CPU by torch's own generator is drawn by one of this thread's, to the same numbers."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to hide from a compiler that nobody uses here would cost seconds, in which it is imported

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        named = named or {}
        if torch.Tag.nondeterministic_seeded in function.tags:
            names = [it.name for it in function._schema.arguments]
            given = dict(zip(names, arguments, strict=False)) | named
            device = next((it.device for it in arguments if isinstance(it, Tensor)), named.get("device"))
            if given.get("generator") is None and torch.device(device or "cpu").type == "cpu":
                if "generator" in names:
                    arguments = arguments[: names.index("generator")]
                else:
                    function = getattr(function.overloadpacket, _WITH_GENERATOR[function._overloadname])
                named = {**named, "generator": self.generator}
        return function(*arguments, **named)


# Of torch.rand and its like, which have one function with a generator and one without.
_WITH_GENERATOR = {
    "default": "generator",
    "low": "low_generator",
    "low_dtype": "low_generator_dtype",
    "Tensor": "Tensor_generator",
}
