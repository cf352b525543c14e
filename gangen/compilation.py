"""Compiled networks (torch.compile): what cannot be compiled to the same result runs as it is, and says why."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from gangen.errors import RunError, UsageError
from gangen.penalties import Judge, Penalty
from gangen.players import Player

# One graph or none, so that nothing is drawn or remembered half way. One for each shape: a run that goes on from a
# checkpoint then computes what it did before. Dropout draws what it would draw uncompiled.
SETTINGS = {"fullgraph": True, "dynamic": False, "options": {"fallback_random": True}}
TAKE_OUT = "take 'compile' out of the recipe's trainer section"

Say = Callable[[str], None]


class Compiled:
    """A function compiled as one graph. Where that fails, ``otherwise`` takes over for good, and ``say`` hears why."""

    def __init__(self, function: Callable, otherwise: Callable, name: str, say: Say) -> None:
        self.function = function
        self.otherwise = otherwise
        self.name = name
        self.say = say
        self.compiled: Callable | None = torch.compile(function, **SETTINGS)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():  # as part of a larger graph
            return self.function(*arguments, **named)
        if self.compiled is not None:
            try:
                return self.compiled(*arguments, **named)
            except Exception as error:
                if not _is_compilers(error):
                    raise
                self.compiled = None
                self.say(f"compile: {self.name} runs uncompiled: {_reason(error)}")
        return self.otherwise(*arguments, **named)


def compile_game(players: Mapping[str, Player], objective: Any, say: Say) -> None:
    """Compile, in place, what a game spends its time in: ``forward`` of every player and the slopes in penalties.

    Weights, checkpoints and moving averages are as ever. Networks in evaluation mode are not compiled, since sheets
    and metrics come in sizes of their own.
    """
    for name, player in players.items():
        _compile_forward(player.net, name, say)
    if isinstance(objective, nn.Module):
        for penalty in (module for module in objective.modules() if isinstance(module, Penalty)):
            name = f"the gradient in {type(penalty).__name__}"
            penalty.gradient = Compiled(nested_gradient, _uncompiled(penalty.gradient), name, say)


def nested_gradient(discriminator: Judge, samples: Tensor) -> Tensor:
    """``Penalty.gradient`` inside one graph, which then has a backward pass: torch.compile has no double backward."""
    return torch.func.grad(lambda x: discriminator(x).sum())(samples)


def check_compiler(device: torch.device) -> None:
    """Compile next to nothing on ``device``. Raises UsageError where that fails, as for lack of a C++ compiler."""
    try:
        torch.compile(lambda x: x.sin() + 1, **SETTINGS)(torch.ones(8, device=device))
    except Exception as error:
        raise UsageError(
            f"compile: torch.compile does not work here: {_reason(error)}\n"
            f"it needs a C++ compiler, such as g++, and Triton on a GPU; install what is missing, or {TAKE_OUT}"
        ) from None


@contextmanager
def explaining() -> Iterator[None]:
    """Raise RunError, with one line of the reason, for what only compiled networks fail at."""
    try:
        yield
    except RuntimeError as error:
        if "double backward" in str(error):
            raise RunError(
                "compile: a compiled network cannot be differentiated twice, as this recipe's objective does\n"
                f"let it take slopes by Penalty.gradient, or {TAKE_OUT}"
            ) from None
        if _is_compilers(error):
            raise RunError(f"compile: torch.compile fails: {_reason(error)}\n{TAKE_OUT}") from None
        raise


def _compile_forward(net: nn.Module, player: str, say: Say) -> None:
    plain = type(net).forward
    if plain is nn.Module.forward:
        say(f"compile: {type(net).__name__}, the {player}, has no forward() to compile")
        return
    compiled = Compiled(plain, plain, f"forward() of the {player}", say)

    def forward(self: nn.Module, *arguments: Any, **named: Any) -> Any:
        return (compiled if self.training else plain)(self, *arguments, **named)

    net.forward = MethodType(forward, net)  # a copy of the network gets a method of its own


def _uncompiled(function: Callable) -> Callable:
    def run(*arguments: Any) -> Any:
        with torch.compiler.set_stance("force_eager"):
            return function(*arguments)

    return run


def _is_compilers(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def _reason(error: Exception) -> str:
    """The line of the compiler's message that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    explanation = next((line for line in lines if line.startswith("Explanation:")), None)
    if explanation is not None:
        return explanation.removeprefix("Explanation: ").removeprefix("User-inserted graph break. Message: ")
    return next((line for line in lines if not line.endswith("raised:")), type(error).__name__)
