"""The networks of a game, as turns, metrics and samplers see them; what any is asked: size, batches, evaluation."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Bytes that list the tensors of a file, some 60 each; and calls of torch that build what a tensor belongs to: networks
# that come with gangen take 5 to 40.
MOST_HEADER, CALLS = 2**22, 200


class Players(Mapping[str, nn.Module]):
    """The networks of a game by name: ``players.critic`` is ``players["critic"]``.

    ``averages`` holds the moving averages of those that have one; ``bring`` is called with the name of one before it is
    handed out.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        averages: Mapping[str, nn.Module] | None = None,
        bring: Callable[[str], None] | None = None,
    ) -> None:
        self._networks = dict(networks)
        self._averages = dict(averages or {})
        self._bring = bring
        # Remembered once: what is frozen from the start, such as the base of an adapter, stays so in `unfrozen`.
        self._trainable = {name: trainable(net) for name, net in self._networks.items()}

    def __getitem__(self, name: str) -> nn.Module:
        return self._networks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def __getattr__(self, name: str) -> Any:  # a network, whose methods are its own
        try:
            return self.__dict__["_networks"][name]
        except KeyError:
            raise AttributeError(f"no player called '{name}' in this game") from None

    def averaged(self, name: str) -> nn.Module:
        """The moving average of a player's weights, or the network itself where the recipe keeps none."""
        if self._bring is not None and name in self._averages:
            self._bring(name)
        return self._averages.get(name, self._networks[name])

    def averages(self) -> "Players":
        """The same game with moving averages in the place of the networks that have one."""
        return Players({name: self.averaged(name) for name in self})

    @contextmanager
    def unfrozen(self, name: str) -> Iterator[None]:
        """Lets a turn make the part of a graph that belongs to a player whose turn comes later in the same step.

        In turns that do not update a player its weights have no gradient; what is made in here has.
        """
        frozen = [parameter for parameter in self._trainable[name] if not parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)


def trainable(net: nn.Module) -> list[Tensor]:
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def state_of(net: nn.Module) -> dict[str, Tensor]:
    """What is kept of a network: its ``state_dict``, but of modules with ``state_names`` only what these list.

    A network, or a part of one, has ``state_names`` where it builds the rest from its options, as an adapter does its
    pretrained base.
    """
    state = net.state_dict()
    left_out = set()
    for prefix, module in net.named_modules():
        if (names := getattr(module, "state_names", None)) is not None:
            before = f"{prefix}." if prefix else ""
            left_out |= {name for name in state if name.startswith(before) and name.removeprefix(before) not in names}
    return {name: tensor for name, tensor in state.items() if name not in left_out}


def load_state(net: nn.Module, kept: Mapping[str, Tensor]) -> None:
    """Put back what ``state_of`` gave. Raises RuntimeError where names or shapes are not those of ``net``."""
    built = net.state_dict().keys() - state_of(net).keys()
    net.load_state_dict({name: tensor for name, tensor in net.state_dict().items() if name in built} | dict(kept))


def differences(net: nn.Module, kept: Mapping[str, Tensor]) -> str:
    """In words, by which names and shapes ``kept`` is not what ``load_state`` takes; empty where it is."""
    here, there = ({name: list(tensor.shape) for name, tensor in it.items()} for it in (state_of(net), kept))
    differ = [name for name in here | there if here.get(name) != there.get(name)]
    words = [f"{name} is {there.get(name, 'absent')} there and {here.get(name, 'absent')} here" for name in differ]
    return "; ".join(words[:3]) + (f"; and {len(words) - 3} more" if len(words) > 3 else "")


def soundness(net: nn.Module) -> dict[str, Tensor]:
    """Of every tensor that is kept of ``net`` by name, whether it is finite, a bool on its device.

    A buffer may hold infinity, as a mask does, but not nan.
    """
    parameters = {name for name, _ in net.named_parameters(remove_duplicate=False)}
    return {
        name: (tensor.isfinite() if name in parameters else ~tensor.isnan()).all()
        for name, tensor in state_of(net).items()
    }


def tensors_in(file: Path) -> dict[str, Tensor]:
    """The names and shapes in a safetensors file, as tensors without memory.

    Raises OSError where it cannot be read, ValueError where it is damaged or holds more tensors than any network has.
    """
    with file.open("rb") as start:
        size = int.from_bytes(start.read(8), "little")
    if size > MOST_HEADER:
        raise ValueError(f"{file.name} says that it lists {size:,} bytes of names")
    try:
        with safe_open(file, "pt") as header:
            return {name: torch.empty(header.get_slice(name).get_shape(), device="meta") for name in header.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{file.name} is cut off, or no safetensors file: {error}") from None


class without_memory(TorchFunctionMode):
    """Networks that are built in here, on the device "meta", take neither memory nor minutes.

    Raises ValueError in the place of more work than it takes to build one whose file holds ``tensors`` of them.
    """

    def __init__(self, tensors: int) -> None:
        super().__init__()
        self.tensors = tensors
        self.exceeded = False
        self._calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._calls += 1
        if self._calls > CALLS * (self.tensors + 10):
            self.exceeded = True
            raise ValueError(f"it would have many more tensors than the {self.tensors:,} that its file has")
        if func is torch.Tensor.normal_:  # the only one whose kernel for this device takes seconds to import
            return args[0]
        return func(*args, **(kwargs or {}))


def refuse_misfit(file: Path, build: Callable[[], nn.Module]) -> None:
    """Raises ValueError where the network that is described is not the one in ``file``, before it takes memory."""
    there = tensors_in(file)
    try:
        with torch.device("meta"), without_memory(len(there)) as counting:
            network = build()
    except Exception:
        if counting.exceeded:
            raise
        return  # one that can be built with memory alone, as those are that read files of others
    if differ := differences(network, there):
        raise ValueError(f"{file.name} does not fit: {differ}")


def batch_needs(net: nn.Module) -> tuple[int, int]:
    """Which batches a network takes that looks across rows: (``batch_multiple``, ``batch_least``), its attributes.

    It takes multiples of so many rows, counted on each process and in each micro-batch, as where it judges rows in
    groups; and of those of all processes at least so many, as where it normalises over them. Both are 1 by default.
    """
    return getattr(net, "batch_multiple", 1), getattr(net, "batch_least", 1)


def judges_all(logits: Tensor, rows: int, net: nn.Module) -> bool:
    """Whether there is a logit, or several in further dimensions, for each of so many ``rows``, or for each pack of
    them: ``batch_multiple`` of ``net`` has whole packs.
    """
    count = len(logits) if logits.dim() else 0
    return count > 0 and rows % count == 0 and batch_needs(net)[0] % (rows // count) == 0


def count_parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@contextmanager
def evaluating(*nets: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is put back afterwards."""
    before = [(module, module.training) for net in nets for module in net.modules()]
    for net in nets:
        net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training
