"""Data sources and their codecs: what rows, prompts and files owe to the trainer and to people."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from gangen.contracts import Batch, Codec, Data, sheet_prompts
from gangen.errors import UsageError
from gangen.testing.subject import Contract, Subject, alike, batch_of, data_of, real_rows
from gangen.training.data_digests import digests_of

_CPU = torch.device("cpu")


def check_data(data: str | type, /, *, real_column: str | None = None, **options: Any) -> None:
    """Batches are functions of (seed, counter), of which a process may ask for some rows; held-out rows are counted and
    in order; the same options give the same rows; and the codec is as in ``check_codec``, which says what
    ``real_column`` is.

    Raises AssertionError where that is not so.
    """
    it = Subject("data", data, options)
    built, again = it.build(), it.build(1)
    whole = built.train.batch(3, range(8), 8, seed=1, device=_CPU)
    it.expect(
        isinstance(whole, Mapping) and whole and all(isinstance(it, Tensor) and len(it) == 8 for it in whole.values()),
        "train.batch(counter, rows, size, seed=, device=) is a mapping of tensors, each with as many rows",
    )
    it.expect(
        _same(built.train.batch(3, range(8), 8, seed=1, device=_CPU), whole),
        "a batch is a function of its arguments: asked for again, it is the same",
    )
    built.train.batch(0, range(8), 8, seed=1, device=_CPU)
    halves = [built.train.batch(3, range(4 * part, 4 * part + 4), 8, seed=1, device=_CPU) for part in (0, 1)]
    it.expect(
        _same({name: torch.cat([half[name] for half in halves]) for name in whole}, whole),
        "rows 0 to 3 and 4 to 7 of a batch, which two processes ask for, are the batch",
    )
    it.expect(
        any(not _same(built.train.batch(counter, range(8), 8, seed=1, device=_CPU), whole) for counter in range(3)),
        "batches of other counters have other rows",
    )
    held = built.heldout
    some = held.rows(range(1, len(held)))
    it.expect(
        _same({name: column[1:] for name, column in held.rows().items()}, some),
        "heldout.rows(range) are these rows, always in the same order, and len(heldout) counts all",
    )
    for side in (whole, some):
        odd = [name for name, column in side.items() if column.is_floating_point() and not column.isfinite().all()]
        it.expect(not odd, "rows of floats are finite", odd)
    it.expect(
        digests_of(built) == digests_of(again),
        "the same options give the same codec and rows, also in another process: what is random in them has a seed",
    )
    _check_codec(it, built, real_column)


def check_codec(data: Any, /, *, real_column: str | None = None) -> None:
    """The codec of data: it encodes its own prompts, refuses what means nothing, decodes one object for each sample,
    writes files, and is the same after it was saved and loaded.

    ``real_column`` has real rows, where these are neither the codec's ``samples_of`` nor the first. Raises
    AssertionError where that is not so.
    """
    source = data_of(data)
    _check_codec(Contract(f"codec {type(source.codec).__name__}"), source, real_column)


def _check_codec(it: Contract, data: Data, real: str | None) -> None:
    codec, suffix = data.codec, getattr(data.codec, "suffix", ".txt")
    it.expect(isinstance(codec, data.codec_class), "codec is an object of codec_class", type(codec).__name__)
    prompts: list[Any] = [prompt for _, prompt in sheet_prompts(codec)]
    for prompt in prompts:
        condition = codec.encode(prompt, 3)
        odd = [name for name, column in condition.items() if not isinstance(column, Tensor) or len(column) != 3]
        it.expect(not odd, f"encode({prompt!r}, 3), one of its own prompts, has 3 rows in each tensor", odd)
    try:
        codec.encode("nothing is called so", 1)
    except UsageError:
        pass
    except Exception as error:
        it.expect(False, "a prompt that means nothing is a UsageError in words for its author", repr(error))
    samples = real_rows(data, batch_of(data, 4), real)
    decoded = codec.decode(samples)
    it.expect(isinstance(decoded, list) and len(decoded) == 4, "decode(samples) is a list of one object for each")
    with TemporaryDirectory() as named:
        folder = Path(named)
        codec.write(decoded, folder / f"samples{suffix}")
        it.expect((folder / f"samples{suffix}").is_file(), "write(samples, path) writes the file that the user named")
        first, second = _saved(codec, folder / "first"), _saved(codec, folder / "second")
        it.expect(
            first == second, "save(folder) writes the same bytes for the same data: a run knows its data by these"
        )
        pickled = [name for name, content in first.items() if content[:2] in (b"\x80\x04", b"\x80\x02", b"PK")]
        it.expect(not pickled, "files of a model run no code: JSON or safetensors, no pickle", pickled)
        loaded = data.codec_class.load(folder / "first")
        it.expect(loaded.spec == codec.spec, "load(folder) has the spec that was saved", loaded.spec)
        it.expect(loaded.prompts() == codec.prompts(), "load(folder) has the prompts that were saved")
        for prompt in prompts[:3]:
            it.expect(
                _same(loaded.encode(prompt, 3), codec.encode(prompt, 3)), "what was loaded encodes as what was saved"
            )
        codec.write(loaded.decode(samples), folder / f"again{suffix}")
        it.expect(
            (folder / f"again{suffix}").read_bytes() == (folder / f"samples{suffix}").read_bytes(),
            "what was loaded decodes as what was saved",
        )


def _saved(codec: Codec, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    codec.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _same(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
