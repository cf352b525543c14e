"""A trained model as a program of torch, which runs without gangen: noise and a condition in, samples out."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gangen.contracts import Batch
from gangen.errors import GangenError, UsageError
from gangen.failures import own_line, summary
from gangen.files import replacing, to_json
from gangen.noise import Source, drawing_from
from gangen.samplers import Sampler, drawn
from gangen.torch_draws import seeded

SUFFIX = ".pt2"
# In a file of torch.export: what the program takes, in JSON.
INPUTS = "inputs.json"
# How far a program may be from the network that it was made of.
TOLERANCE = 1e-5
# Of so many rows it is traced, and it is compared at so many: a size that was baked in would show.
_TRACED, _COMPARED = 3, (1, 4)


class Draw(NamedTuple):
    """One draw of noise: float ``[n, *shape]``, "normal" or "uniform" on [0, 1)."""

    distribution: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def example(self, n: int) -> Tensor:
        make = torch.rand if self.distribution == "uniform" else torch.randn
        return make(n, *self.shape, dtype=self.dtype).to(self.device)


class _Recording(Source):
    """Draws, and notes what was drawn."""

    def __init__(self, n: int) -> None:
        super().__init__(seed=0)
        self.n = n
        self.draws: list[Draw] = []

    def draw(self, function, rows: int, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
        if rows != self.n:
            raise UsageError(f"it draws {rows} rows of noise for {self.n} samples, and a program takes one for each")
        self.draws.append(Draw("uniform" if function is torch.rand else "normal", shape, dtype, device))
        return super().draw(function, rows, shape, device, dtype)


class _Given(Source):
    """Hands out noise that was drawn before."""

    def __init__(self, given: list[Tensor]) -> None:
        super().__init__()
        self.given = iter(given)

    def draw(self, function, rows: int, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
        return next(self.given)


class _Sampling(nn.Module):
    """What is traced: ``n`` samples, float ``[n, ...]``, of a list of noise and a condition, of ``n`` rows each."""

    def __init__(self, sampler: Sampler, networks: Mapping[str, nn.Module], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks.values())  # by number: a module's own names, as "values", are taken
        self.sampler = sampler
        self.settings = settings

    def forward(self, noise: list[Tensor], condition: dict[str, Tensor]) -> Tensor:
        n = (*noise, *condition.values())[0].shape[0]
        with drawing_from(_Given(noise)):
            return self.sampler.sample(n, condition, **self.settings)


def save_program(
    path: Path,
    sampler: Sampler,
    networks: Mapping[str, nn.Module],
    condition: Callable[[int], Batch],
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
    """Write what ``sampler`` does on a ``condition`` of so many rows, with ``settings``, for ``torch.export.load``.

    ``about`` is said in the file beside what the program takes.

    Raises UsageError for what cannot be traced, with the reason, where the program would make other samples, and for a
    path that cannot be written to.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"cannot write a program to {path}: let its name end in {SUFFIX}")
    module, example, recording = _Sampling(sampler, networks, settings), condition(_TRACED), _Recording(_TRACED)
    with seeded(0), torch.no_grad():
        with drawing_from(recording):
            drawn(sampler.sample, _TRACED, example, settings)
        draws = recording.draws
        program = _traced(module, [it.example(_TRACED) for it in draws], dict(example))
        played = program.module()
        for n in _COMPARED:
            arguments = [it.example(n) for it in draws], dict(condition(n))
            with _refusing():
                found, wanted = played(*arguments), module(*arguments)
            if not torch.allclose(found, wanted, rtol=0, atol=TOLERANCE):
                raise UsageError(f"as a program it makes other samples, by up to {(found - wanted).abs().max():.2g}")
    inputs = {
        "noise": [
            {"distribution": it.distribution, "type": _name(it.dtype), "shape": ["n", *it.shape]} for it in draws
        ],
        "condition": {name: {"type": _name(it.dtype), "shape": ["n", *it.shape[1:]]} for name, it in example.items()},
    }
    written = BytesIO()
    with _in_silence():
        torch.export.save(program, written, extra_files={INPUTS: to_json({**inputs, **about}, indent=1)})
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(written.getvalue())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write to {str(path)!r}: {error}") from None


def _traced(module: nn.Module, noise: list[Tensor], condition: dict[str, Tensor]) -> Any:
    if not noise and not condition:
        raise UsageError("it takes neither noise by gangen.noise nor a condition, and a program is a function of these")
    rows = {0: torch.export.Dim("n")}
    shapes = [rows for _ in noise], {name: rows for name in condition}
    with _refusing(), _in_silence():
        program = torch.export.export(module, (noise, condition), dynamic_shapes=shapes, strict=False)
    for node in program.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise UsageError(f"it draws by torch's own generators, as {node.target}: draw by gangen.noise")
    return program


@contextmanager
def _refusing() -> Iterator[None]:
    """Raises UsageError, with the reason, where torch makes no program, or one that cannot take so many rows."""
    try:
        yield
    except GangenError:
        raise
    except Exception as error:  # of many kinds, by what stands in the way
        words = summary(error)
        if "specialized it to be a constant" in words:
            reason = "its networks fix the number of rows, as by len(x), which x.shape[0] leaves open"
        elif "data-dependent" in words:
            reason = f"it decides by what it has computed, which a program cannot do, at {own_line(error)}"
        else:
            reason = f"torch.export refuses it: {words}, at {own_line(error)}"
        raise UsageError(reason) from None


@contextmanager
def _in_silence() -> Iterator[None]:
    """Without what torch prints on the way, such as the whole graph of what it refuses."""
    with warnings.catch_warnings(action="ignore"), redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        yield


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
