"""Networks that others trained: of the package transformers, or any module of torch in a file of ``code``.

What opens a folder, or a name on the hub, goes by ``pretrained_source``; weights are safetensors, and nothing else.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gangen import hub
from gangen.errors import UsageError
from gangen.networks import differences, load_state
from gangen.printing import silent
from gangen.torch_draws import seeded

# What the libraries raise where they cannot open something.
OPENING = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, SafetensorError)


def pretrained_source(model: str) -> dict[str, Any]:
    """What ``from_pretrained`` is called with for a folder of ``save_pretrained``, or a name on the hub.

    No code that comes with a model is run. Of a folder nothing is looked up elsewhere; nor of a name where the hub does
    not answer within 5 seconds: what was fetched before is opened then. User/name is no name where there is a folder
    user/, or typing errors would be looked up there.

    Raises:
        ValueError: it is a file, or a path where no folder is.
    """
    local = Path(model).expanduser()
    if local.is_file():
        raise ValueError("it is a file")
    named = "/" not in model or hub.is_hub_name(model)
    if not local.exists() and (local.is_absolute() or not model or model[0] == "." or not named):
        raise ValueError("there is no such folder")
    name = str(local) if local.exists() else model
    alone = local.exists() or not hub.answers()
    return {"pretrained_model_name_or_path": name, "trust_remote_code": False, "local_files_only": alone}


@contextmanager
def opening_pretrained(model: str, who: str) -> Iterator[None]:
    """What libraries raise in here, and any ValueError, is a UsageError: ``who`` cannot open ``model``, and the way."""
    try:
        yield
    except OPENING as error:
        raise UsageError(f"{who} cannot open model {model!r}: {_explained(error, model)}") from None


def open_pretrained(model: str, who: str, *, unread: str | None = "pooler", auto: str = "AutoModel") -> nn.Module:
    """The network that ``transformers.AutoModel`` opens, or another class called ``auto``, in evaluation mode,
    for ``who``.

    Its file may lack weights whose names have ``unread`` in them, as those of a head that nobody looks at.

    Raises:
        UsageError: it cannot be opened, or lacks other weights.
    """
    with opening_pretrained(model, who):
        import transformers  # a second of imports that only those pay who look through one
        from transformers.utils import logging

        source, opening = pretrained_source(model), getattr(transformers, auto).from_pretrained
        # What is not in the file is drawn at random; it is told of by its name here, or read by nobody.
        with seeded(0), silent(logging):
            # The library looks for an adapter first, and would wait for the hub half a minute unless told here, too.
            adapter = {"local_files_only": source["local_files_only"]}
            net, report = opening(use_safetensors=True, output_loading_info=True, adapter_kwargs=adapter, **source)
        if missing := sorted(key for key in report["missing_keys"] if unread is None or unread not in key):
            raise ValueError(f"its weights lack {missing[0]}, among {len(missing)} in all")
    return net.eval()


def from_code(path: str) -> Any:
    """What my_net.py, a file of the recipe's ``code``, holds or imports, of "my_net:name".

    Nothing is imported here: what a stranger's recipe or model names runs only where its code is asked for.

    Raises:
        ValueError: there is no such file among the code.
        AttributeError: it has nothing of this name.
    """
    module, _, name = path.partition(":")
    if (found := sys.modules.get(f"gangen_local_{module}")) is None:
        raise ValueError(f"there is no {module}.py among the recipe's code")
    return getattr(found, name)


def open_module(path: str, who: str, *, options: Mapping[str, Any], weights: Path | None = None) -> nn.Module:
    """The module of torch that ``from_code`` finds, called with ``options``, for ``who``.

    In the place of a class there may be a function that is annotated to return one; nothing else is called.
    ``weights`` are put in, from a file of safetensors.

    Raises:
        UsageError: there is no such module, it cannot be built so, or the weights are those of another.
    """
    try:
        made = from_code(path)
        returned = made if inspect.isclass(made) else inspect.signature(made, eval_str=True).return_annotation
        if not (inspect.isclass(returned) and issubclass(returned, nn.Module)):
            raise TypeError("it is neither a class of torch modules nor a function that is annotated to return one")
        with nullcontext() if weights is None else seeded(0):
            net = made(**options)
    except (*OPENING, NameError) as error:
        raise UsageError(f"{who} cannot open network {path!r}: {_first_line(error)}") from None
    if weights is None:
        return net
    try:
        kept = load_file(weights)
    except OPENING as error:
        raise UsageError(
            f"{who} cannot read weights from {weights}, which must be safetensors: {_first_line(error)}\n"
            "convert what torch.save wrote: safetensors.torch.save_file(torch.load(FILE, weights_only=True), OTHER)"
        ) from None
    if words := differences(net, kept):
        raise UsageError(f"{who}: {weights} does not hold the weights of {path}: {words}")
    load_state(net, kept)
    return net


def _explained(error: Exception, model: str) -> str:
    """What went wrong, and what to do."""
    if "trust_remote_code" in str(error):
        return (
            "it brings code of its own, which would run here, and no code that comes with a model is run\n"
            "take a model of an architecture that transformers has itself"
        )
    if "couldn't connect" in str(error).lower():
        return (
            "it was not fetched before, and the hub does not answer\n"
            f"where there is a network: hf download {model} --local-dir FOLDER; then name that folder"
        )
    return (
        f"{_first_line(error)}\n"
        "name a folder that save_pretrained() of a model and what goes with it wrote, or a model on the hub\n"
        "weights must be safetensors, as pickles (pytorch_model.bin) can run code: save such a model again to "
        "convert it"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]
