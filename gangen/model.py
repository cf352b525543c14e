"""A trained model: samples of its game, by prompt and seed."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import ConfigDict, PydanticInvalidForJsonSchema, TypeAdapter, ValidationError
from torch import Tensor, nn

from gangen import noise
from gangen.account import few
from gangen.components.messages import EXPECTED, any_of, show
from gangen.contracts import Batch, Codec
from gangen.errors import RunError, UsageError, did_you_mean
from gangen.networks import count_parameters
from gangen.printing import visible
from gangen.samplers import Sampler, defaults_of, drawing, drawn, settings_of

# How many samples are drawn at once, at most, where a model does not say, as those of format 1 do not.
AT_ONCE = 500
# A few samples show how large one is; then so many are drawn at once that they hold no more numbers than this. What
# networks of images make on the way is hundreds of times as large as the image, and slower where no cache holds it.
FIRST_AT_ONCE, NUMBERS_AT_ONCE = 8, 2**18
MOST = 10_000_000
_SETTING = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Model:
    """The sampler of a trained game, with the codec of the data it learned from.

    ``batch_size`` is how many samples are drawn at once at most: of large ones it is fewer.
    """

    def __init__(
        self,
        sampler: Sampler,
        networks: Mapping[str, nn.Module],
        codec: Codec,
        name: str,
        device: torch.device,
        batch_size: int = AT_ONCE,
    ) -> None:
        self.sampler = sampler
        self.networks = {name: network.eval() for name, network in networks.items()}
        self.codec = codec
        self.name = name
        self.device = device
        self.batch_size = batch_size

    @property
    def labels(self) -> list[str]:
        """The labels that a prompt may be, in order; none where the data have none."""
        return [prompt for prompt in self.codec.prompts() if prompt]

    @property
    def settings(self) -> dict[str, Any]:
        """What ``sample`` takes besides a prompt, by name, with the values where nothing is said."""
        return defaults_of(self.sampler.sample)

    @property
    def takes(self) -> str:
        """What a prompt is, in words."""
        return getattr(self.codec, "takes", "text")

    def to(self, device: torch.device | str) -> Self:
        """Move the networks to a device; returns the model. Raises UsageError for one that cannot be used here."""
        self.device = usable(device)
        for network in self.networks.values():
            network.to(self.device)
        return self

    def save_pretrained(self, folder: PathLike[str] | str) -> None:
        """Write the one network that can be so written to a folder as others open it, such as transformers.

        Raises UsageError for a model without such a network, or with several, and for what can be no folder.
        """
        able: list[Any] = [it for it in self.networks.values() if hasattr(it, "save_pretrained")]
        if len(able) != 1:
            which = "several of its networks are" if able else "none of its networks is"
            raise UsageError(f"{self.name} cannot be written as a pretrained model: {which} one")
        try:
            place = Path(folder)
            place.mkdir(parents=True, exist_ok=True)
            able[0].save_pretrained(place)
        except (OSError, TypeError, ValueError) as error:
            raise UsageError(f"cannot write a pretrained model to {show(folder)}: {error}") from None

    def __repr__(self) -> str:
        counts = [f"{name} {count_parameters(network):,}" for name, network in self.networks.items()]
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        lines = {
            "takes": self.takes,
            "labels": f"{few(self.labels)} ({len(self.labels):,})" if self.labels else "",
            "settings": settings,
            "parameters": ", ".join(counts),
            "device": str(self.device),
        }
        told = [f"  {name}: {line}" for name, line in lines.items() if line]
        return visible("\n".join([f"Model {self.name}", *told]))

    def sample(self, prompt: Any = None, n: int = 1, *, seed: int | None = None, **settings: Any) -> list[Any]:
        """``n`` decoded samples for a prompt; None asks for whatever the data holds.

        A prompt is what the codec takes: a label, a text, an image. A list holds several, and the samples come prompt
        by prompt, ``n`` for each. ``settings`` are the sampler's (for texts, say, ``temperature=0.8``); a tensor among
        them has a row for each sample.

        ``seed``, from 0, makes samples repeatable: sample i of a prompt is the same for any ``n``, and whatever prompts
        follow. That is so of noise that comes from ``gangen.noise``; of a network that draws by torch's own generators
        the same call gives the same samples, and no other call. How floats are rounded depends on how many samples are
        computed at once: rarely, a pixel differs by 1 of 255, or a token is another.

        Raises UsageError for a prompt or a setting that means nothing to this model, and for values out of range.
        """
        return self.draw("sample", prompt, n, seed=seed, **settings)

    def interpolate(
        self, prompt: Any = None, n: int = 8, *, rows: int = 1, seed: int | None = None, **settings: Any
    ) -> list[Any]:
        """``rows`` times ``n`` decoded samples, row by row: those of a row go evenly from one sample to another.

        ``prompt``, ``seed`` and ``settings`` as in ``sample``; row r of a seed is the same for any number of rows.
        Raises UsageError where it does, and for a model that knows no way between its samples.
        """
        method: Any = getattr(self.sampler, "interpolate", None)
        if method is None:
            raise UsageError(f"{self.name} cannot interpolate: there is nothing between two of its samples")
        n, rows = _count("n", n, 2), _count("rows", rows)
        self._check(method, settings, rows)

        def ways(count: int, condition: Batch, chosen: Mapping[str, Any]) -> Tensor:
            return method(count, n, condition, **chosen)

        with drawing(seed := _seed(seed), self.device, *self.networks.values()):
            return list(self._decoded(ways, rows, self._condition(prompt, rows), settings, seed, range(1)))

    def draw(self, verb: str, prompt: Any = None, n: int = 1, *, seed: int | None = None, **settings: Any) -> list[Any]:
        """What a method of the sampler's makes, decoded: ``draw("reconstruct", image)``. The rest is as in ``sample``.

        Raises UsageError where ``sample`` does, and where the sampler has no such method.
        """
        n = _count("n", n)
        if not isinstance(verb, str):
            raise UsageError(f"a verb is text, as in 'sample', got {verb!r:.60}")
        if verb == "interpolate":
            return self.interpolate(prompt, n, seed=seed, **settings)
        method: Callable[..., Any] | None = None if verb.startswith("_") else getattr(self.sampler, verb, None)
        if not callable(method):
            raise UsageError(f"{self.name} cannot {verb}")
        prompts = prompt if isinstance(prompt, list) else [prompt]
        self._check(method, settings, n * len(prompts))
        made: list[Any] = []
        with drawing(seed := _seed(seed), self.device, *self.networks.values()):
            for which, condition in _together([self._condition(each, n) for each in prompts]):
                here = _rows_of(settings, slice(len(made), len(made) + n * len(which)))
                made += self._decoded(partial(drawn, method), n, condition, here, seed, which)
        return made

    def _decoded(
        self,
        make: Callable[[int, Batch, Mapping[str, Any]], Tensor],
        n: int,
        condition: Batch,
        settings: Mapping[str, Any],
        seed: int,
        prompts: range,
    ) -> Iterator[Any]:
        """What ``make`` makes of ``n`` rows of ``condition`` for each of the prompts with these numbers, decoded.

        The noise of a row follows from ``seed``, the number of its prompt and its own behind this prompt. Rows are made
        in parts, so that memory grows by no more than what is decoded.
        """
        start, total, at_once = 0, n * len(prompts), FIRST_AT_ONCE
        while start < total:
            count = min(at_once, self.batch_size, total - start)
            rows = slice(start, start + count)
            with noise.by_row([(seed, prompts[row // n], row % n) for row in range(start, rows.stop)]):
                made = make(count, _rows_of(condition, rows), _rows_of(settings, rows))
            if made.is_floating_point() and not made.isfinite().all():
                raise RunError(
                    f"{self.name} makes samples that are not finite: its weights have grown out of all measure\n"
                    "sample from an earlier one, if phases/ or best/ have it, or train by a lower learning rate"
                )
            yield from self.codec.decode(made)
            start, at_once = rows.stop, max(1, NUMBERS_AT_ONCE * count // max(1, made.numel()))

    def _check(self, verb: Callable[..., Any], settings: Mapping[str, Any], n: int) -> None:
        """Raises UsageError for a setting that ``verb`` does not have, or that is not of its type or of ``n`` rows."""
        known = settings_of(verb)
        for name, value in settings.items():
            if name not in known:
                raise UsageError(
                    f"{self.name} has no sampling setting '{name}'{did_you_mean(name, known)}\n{_has(known)}"
                )
            try:
                TypeAdapter(known[name], config=_SETTING).validate_python(value)
            except ValidationError as error:
                wrong = [EXPECTED.get(it["type"], it["msg"]).format(**it.get("ctx", {})) for it in error.errors()]
                where = "" if _writable(known[name]) else "\nit can be given in Python alone"
                raise UsageError(
                    f"sampling setting '{name}' must be {any_of(wrong)}, got {show(value)}{where}"
                ) from None
            if isinstance(value, Tensor) and value.shape[:1] != (n,):
                shape = list(value.shape)
                raise UsageError(f"sampling setting '{name}' has a row for each of {n} samples, got shape {shape}")

    def _condition(self, prompt: Any, n: int) -> Batch:
        if prompt is not None and not isinstance(prompt, getattr(self.codec, "prompt_types", str)):
            raise UsageError(
                f"{self.name} has no use for a prompt of type {type(prompt).__name__}: it takes {self.takes}"
            )
        return {name: tensor.to(self.device) for name, tensor in self.codec.encode(prompt, n).items()}


def usable(device: torch.device | str) -> torch.device:
    """The device of a name. Raises UsageError for what is none, or none that can be computed on here."""
    try:
        place = torch.device(device)
        if place.type == "meta":
            raise RuntimeError("nothing is computed there")
        torch.empty(0, device=place)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"device must be one that torch can use here, as 'cpu', got {show(device)}: {why}") from None
    return place


def _seed(given: int | None) -> int:
    if given is None:
        return secrets.randbits(63)
    if not _whole(given) or not 0 <= given < 2**64:
        raise UsageError(f"a seed is a whole number from 0 to 2^64 - 1, got {given!r:.60}")
    return int(given)


def _count(name: str, given: int, least: int = 1) -> int:
    if not _whole(given) or not least <= given <= MOST:
        raise UsageError(f"{name} must be a whole number from {least} to {MOST:,}, got {given!r:.60}")
    return int(given)


def _whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _writable(setting: Any) -> bool:
    """Whether a setting of this type can be written down, which a tensor cannot."""
    try:
        TypeAdapter(setting, config=_SETTING).json_schema()
    except PydanticInvalidForJsonSchema:
        return False
    return True


def _has(known: Mapping[str, Any]) -> str:
    """The settings in words, apart from each other what can be written down and what only Python can give."""
    written = [name for name, setting in known.items() if _writable(setting)]
    others = [name for name in known if name not in written]
    words = [f"it has: {', '.join(written)}"] if written else []
    words += [f"in Python alone: {', '.join(others)}"] if others else []
    return "\n".join(words) or "it has none"


def _rows_of(columns: Mapping[str, Any], rows: slice) -> dict[str, Any]:
    """``rows`` of all tensors among ``columns``."""
    return {name: value[rows] if isinstance(value, Tensor) else value for name, value in columns.items()}


def _together(conditions: Sequence[Batch]) -> list[tuple[range, Batch]]:
    """All conditions as one, with the range of their numbers, where their tensors are alike; else one by one."""
    alike = {tuple((name, tensor.shape[1:], tensor.dtype) for name, tensor in it.items()) for it in conditions}
    if len(alike) > 1:
        return [(range(number, number + 1), condition) for number, condition in enumerate(conditions)]
    names = conditions[0] if conditions else ()
    return [(range(len(conditions)), {name: torch.cat([it[name] for it in conditions]) for name in names})]
