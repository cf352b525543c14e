"""Compiled networks (torch.compile): what cannot be compiled to the same result runs as it is, and says why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import shorten
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from gangen.errors import RunError, UsageError
from gangen.penalties import Judge, Penalty
from gangen.training.players import Player

TAKE_OUT = "take 'compile' out of the recipe's trainer section"

Say = Callable[[str], None]


class Compiled:
    """A function compiled as one graph. Where that fails, ``otherwise`` takes over for good, and ``say`` hears why.

    One graph or none, so that nothing is drawn or remembered half way; and one for each shape, so that a run that goes
    on from a checkpoint computes what it did before.
    """

    def __init__(self, function: Callable, otherwise: Callable, name: str, say: Say) -> None:
        self.function = function
        self.otherwise = otherwise
        self.name = name
        self.say = say
        self.compiled: Callable | None = torch.compile(function, fullgraph=True, dynamic=False, backend=self._backend)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():  # as part of a larger graph
            return self.function(*arguments, **named)
        if self.compiled is not None:
            try:
                return self.compiled(*arguments, **named)
            except Exception as error:
                if not _is_compilers(error):
                    raise
                self._give_up(error)
        return self.otherwise(*arguments, **named)

    def _backend(self, graph: GraphModule, inputs: Sequence[Tensor]) -> Callable:
        """Code for a graph, or the graph as it is where there is no code to be trusted.

        A graph that writes to what it was given, as spectral norm does to its buffers, cannot be: the compiled backward
        pass may compute parts of the forward pass again (pytorch#197039), then from what was written over since, and
        gradients would be wrong. Batch norm can: its op hides what it writes, and reads none of it while training.
        """
        try:
            if _rehearse(graph, inputs):
                raise NotImplementedError("it writes to buffers, which its compiled backward pass would read too late")
            code = generate_code(graph, inputs)
        except Exception as error:
            self._give_up(error)
            return graph
        trusted = False

        def run(*arguments: Tensor) -> Any:
            nonlocal code, trusted
            if not trusted:  # the backward pass is compiled here, while there still is another way
                trusted = True
                try:
                    _rehearse(code, arguments)
                except Exception as error:
                    self._give_up(error)
                    code = graph
            return code(*arguments)

        return run

    def _give_up(self, error: Exception) -> None:
        if self.compiled is not None:
            self.say(f"compile: {self.name} runs uncompiled: {_reason(error)}")
        self.compiled = None


def compile_game(players: Mapping[str, Player], objective: Any, say: Say) -> None:
    """Compile, in place, what a game spends its time in: ``forward`` of every player and the slopes in penalties.

    Weights, checkpoints and moving averages are as ever. Penalties that differentiate take a pass of their own through
    the discriminator, with dropout and augmentation of its own. Networks in evaluation mode are not compiled, since
    sheets and metrics come in sizes of their own.
    """
    for name, player in players.items():
        _compile_forward(player.net, name, say)
    slopes = Compiled(nested_gradient, _plain_gradient, "the gradient in penalties", say)
    for module in objective.modules() if isinstance(objective, nn.Module) else ():
        if isinstance(module, Penalty) and type(module).gradient is Penalty.gradient:
            # A pass of its own: what is compiled for the loss has no second derivative.
            module.gradient = lambda judge, samples: slopes(getattr(judge, "ask", judge), samples)  # type: ignore
            module.differentiates = ()


def nested_gradient(discriminator: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """``Penalty.gradient`` inside one graph, which then has a backward pass: torch.compile has no double backward."""

    def total(samples: Tensor) -> tuple[Tensor, Tensor]:
        logits = discriminator(samples)
        return logits.sum(), logits

    slope, logits = torch.func.grad(total, has_aux=True)(samples)
    return slope.reshape(len(logits), -1)


def generate_code(graph: GraphModule, inputs: Sequence[Tensor]) -> Callable:
    """What torch.compile does with a graph, but dropout draws what it would draw uncompiled."""
    return torch._inductor.compile(graph, list(inputs), options={"fallback_random": True})


def check_compiler(device: torch.device) -> None:
    """Compile next to nothing on ``device``. Raises UsageError where that fails, as for lack of a C++ compiler."""
    try:
        torch.compile(lambda x: x.sin() + 1, backend=generate_code)(torch.ones(8, device=device))
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
        if "double backward" not in str(error) and "donated buffer" not in str(error):  # it depends on the graph
            raise
        raise RunError(
            "compile: a compiled network cannot be differentiated twice, as this recipe's objective does\n"
            f"let it take slopes by Penalty.gradient, or {TAKE_OUT}"
        ) from None


def _compile_forward(net: nn.Module, player: str, say: Say) -> None:
    plain = type(net).forward
    if plain is nn.Module.forward:
        say(f"compile: {type(net).__name__}, the {player}, has no forward() to compile")
        return
    compiled = Compiled(plain, plain, f"forward() of the {player}", say)

    def forward(self: nn.Module, *arguments: Any, **named: Any) -> Any:
        return (compiled if self.training else plain)(self, *arguments, **named)

    net.forward = MethodType(forward, net)  # a copy of the network gets a method of its own


def _plain_gradient(discriminator: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    with torch.compiler.set_stance("force_eager"):
        return Penalty.gradient(Judge(discriminator), samples)


def _rehearse(function: Callable, inputs: Sequence[Tensor]) -> bool:
    """Forwards and backwards with copies of ``inputs``; whether these were written to."""
    copies = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in inputs]
    before = [tensor._version for tensor in copies]
    with torch.random.fork_rng():
        outputs = [output for output in function(*copies) if output.requires_grad]
        written = [tensor._version for tensor in copies] != before
        torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
    return written


def _is_compilers(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def _reason(error: Exception) -> str:
    """The line of the compiler's message that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.endswith("raised:")]
    explanation = next((line for line in lines if line.startswith("Explanation:")), "")
    reason = explanation.removeprefix("Explanation:").replace("User-inserted graph break. Message:", "")
    return shorten(reason or next(iter(lines), type(error).__name__), 160, placeholder=" ...")
