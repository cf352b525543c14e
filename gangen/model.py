"""A trained model: samples of its game, by prompt and seed."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
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
from gangen.program import save_program
from gangen.samplers import Drawing, Sampler, defaults_of, drawn, settings_of

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
        own = vars(self.sampler)
        found = defaults_of(self.sampler.sample)
        return {name: own.get(name) if value is None else value for name, value in found.items()}

    @property
    def written_settings(self) -> dict[str, Any]:
        """Those of ``settings`` that can be written down, as in JSON, and not in Python alone."""
        known = settings_of(self.sampler.sample)
        return {name: value for name, value in self.settings.items() if _writable(known[name])}

    @property
    def takes(self) -> str:
        """What a prompt is, in words."""
        return getattr(self.codec, "takes", "text")

    @property
    def takes_files(self) -> bool:
        """Whether a prompt may be a file, by its path."""
        types = getattr(self.codec, "prompt_types", str)
        return Path in (types if isinstance(types, tuple) else (types,))

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

    def save_program(self, path: PathLike[str] | str, prompt: Any = None, **settings: Any) -> None:
        """Write how it samples as a program of ``torch.export``, in a file .pt2 that runs without gangen.

        The program takes a list of noise and a condition by name, n rows of each, for any n, and returns samples as
        networks make them, float ``[n, ...]``; inputs.json in the file says which. ``prompt`` is an example of those
        that it is to take, where there are none without; ``settings`` stay as they are. Before it is written it is
        compared with the networks: it differs by no more than 1e-5.

        Raises UsageError for a model that cannot be so written, as one that decides by what it drew, and says why.
        """
        self._check(self.sampler.sample, settings, 0)
        about = {"model": self.name, "labels": self.labels, "settings": self.written_settings | settings}
        try:
            save_program(Path(path), self.sampler, self.networks, partial(self._condition, prompt), settings, about)
        except (UsageError, TypeError) as error:
            raise UsageError(f"{self.name} cannot be written as a program: {error}") from None

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

        around = Drawing(seed := _seed(seed), self.device, *self.networks.values())
        with around.going_on():
            condition = self._condition(prompt, rows)
        return list(self._decoded(ways, around, [(condition, rows)], settings, lambda row: (seed, 0, row)))

    def draw(self, verb: str, prompt: Any = None, n: int = 1, *, seed: int | None = None, **settings: Any) -> list[Any]:
        """What a method of the sampler's makes, decoded: ``draw("reconstruct", image)``. The rest is as in ``sample``.

        Raises UsageError where ``sample`` does, and where the sampler has no such method.
        """
        return list(self.stream(prompt, n, seed=seed, verb=verb, **settings))

    def stream(
        self, prompt: Any = None, n: int = 1, *, seed: int | None = None, verb: str = "sample", **settings: Any
    ) -> Iterator[Any]:
        """The samples of ``sample``, or of another verb, one by one: the first are there before the last are drawn.

        Raises UsageError where ``draw`` does, before anything is drawn.
        """
        if verb == "interpolate":
            return iter(self.interpolate(prompt, n, seed=seed, **settings))
        n, seed, prompts = _count("n", n), _seed(seed), prompt if isinstance(prompt, list) else [prompt]
        each = [(it, n) for it in prompts]
        return self._made(verb, each, seed, lambda row: (seed, row // n, row % n), settings)

    def labels_of(self, prompt: Any = None, n: int = 1) -> list[str | None]:
        """The label of each of ``n`` samples for a prompt, or for each of a list; None where it has none.

        Raises UsageError for a prompt that means nothing to this model.
        """
        found: list[str | None] = []
        for each in prompt if isinstance(prompt, list) else [prompt]:
            numbers = self._condition(each, n).get("label")
            found += [None] * n if numbers is None else [self.labels[number] for number in numbers.tolist()]
        return found

    def sample_each(self, asked: Sequence[tuple[Any, int, int | None]], **settings: Any) -> list[list[Any]]:
        """Several draws at once, each a prompt, ``n`` and a seed: what each gives is what ``sample`` gives for it.

        That is so of noise that comes from ``gangen.noise``. Raises UsageError where ``sample`` does for one of them.
        """
        made = self.stream_each(asked, **settings)
        return [list(islice(made, n)) for _, n, _ in asked]

    def stream_each(self, asked: Sequence[tuple[Any, int, int | None]], **settings: Any) -> Iterator[Any]:
        """The samples of ``sample_each`` one by one, those of the first draw first; who takes no more ends the drawing.

        Raises UsageError as it does, before anything is drawn.
        """
        chosen = [(prompt, _count("n", n), _seed(seed)) for prompt, n, seed in asked]
        noise_of = [(seed, 0, row) for _, n, seed in chosen for row in range(n)]
        prompts = [(prompt, n) for prompt, n, _ in chosen]
        return self._made("sample", prompts, chosen[0][2] if chosen else 0, noise_of.__getitem__, settings)

    def _made(
        self,
        verb: str,
        prompts: Sequence[tuple[Any, int]],
        seed: int,
        noise_of: Callable[[int], Sequence[int]],
        settings: Mapping[str, Any],
    ) -> Iterator[Any]:
        """So many samples for each prompt, once they are asked for; what is wrong with these is raised at once."""
        if not isinstance(verb, str):
            raise UsageError(f"a verb is text, as in 'sample', got {verb!r:.60}")
        method: Callable[..., Any] | None = None if verb.startswith("_") else getattr(self.sampler, verb, None)
        if not callable(method):
            raise UsageError(f"{self.name} cannot {verb}")
        self._check(method, settings, sum(n for _, n in prompts))
        around = Drawing(seed, self.device, *self.networks.values())
        with around.going_on():
            conditions = [(self._condition(prompt, n), n) for prompt, n in prompts]
        return self._decoded(partial(drawn, method), around, _together(conditions), settings, noise_of)

    def _decoded(
        self,
        make: Callable[[int, Batch, Mapping[str, Any]], Tensor],
        around: Drawing,
        conditions: Sequence[tuple[Batch, int]],
        settings: Mapping[str, Any],
        noise_of: Callable[[int], Sequence[int]],
    ) -> Iterator[Any]:
        """What ``make`` makes of so many rows of each of the ``conditions``, decoded.

        Row i of all of them has the noise ``noise_of(i)``: numbers from 0. Rows are made in parts, each in a context of
        its own, so that memory grows by no more than what is decoded, and who takes the samples may draw in between.
        """
        first = 0
        for condition, total in conditions:
            start, at_once = 0, FIRST_AT_ONCE
            while start < total:
                count = min(at_once, self.batch_size, total - start)
                rows, places = slice(start, start + count), range(first + start, first + start + count)
                with around.going_on():
                    with noise.by_row([noise_of(place) for place in places]):
                        chosen = _rows_of(settings, slice(places.start, places.stop))
                        made = make(count, _rows_of(condition, rows), chosen)
                    self._stop_unless_finite(made)
                    decoded = self.codec.decode(made)
                yield from decoded
                start, at_once = rows.stop, max(1, NUMBERS_AT_ONCE * count // max(1, made.numel()))
            first += total

    def _stop_unless_finite(self, made: Tensor) -> None:
        if made.is_floating_point() and not made.isfinite().all():
            raise RunError(
                f"{self.name} makes samples that are not finite: its weights have grown out of all measure\n"
                "sample from an earlier one, if phases/ or best/ have it, or train by a lower learning rate"
            )

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
        if isinstance(prompt, str) and not prompt.isascii() and any("\ud800" <= it <= "\udfff" for it in prompt):
            raise UsageError(
                f"a prompt is text, and {show(prompt)} has half of a character, or bytes that are no UTF-8"
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


def _together(conditions: Sequence[tuple[Batch, int]]) -> list[tuple[Batch, int]]:
    """Conditions and how many rows each has: all as one where their tensors are alike; else as they are."""
    alike = {tuple((name, tensor.shape[1:], tensor.dtype) for name, tensor in it.items()) for it, _ in conditions}
    if len(alike) != 1:
        return list(conditions)
    names = conditions[0][0]
    whole = {name: torch.cat([it[name] for it, _ in conditions]) for name in names}
    return [(whole, sum(count for _, count in conditions))]
