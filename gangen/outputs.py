"""Decoded samples on their way out: in lines, in JSON, and as files of the kind that their codec writes."""

import base64
import json
import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gangen.contracts import Codec
from gangen.errors import UsageError
from gangen.metrics.figures import is_number


def plain_lines(samples: Iterable[Any]) -> Iterator[str]:
    """A line for each sample as it is. Raises UsageError for what is no text."""
    for sample in samples:
        if not isinstance(sample, str):
            raise UsageError("these samples are not text: name a file for them with -o FILE, or take --json")
        yield " ".join(sample.splitlines())


def json_lines(
    samples: Iterable[Any],
    codec: Codec,
    prompts: Sequence[str | None],
    n: int,
    seed: int,
    labels: Sequence[str | None] | None,
) -> Iterator[str]:
    """A line for each of ``n`` samples for each prompt: what it was made of, and the sample as JSON."""
    for place, sample in enumerate(samples):
        line = {"prompt": prompts[place // n], "label": labels[place] if labels else None, "seed": seed}
        yield json.dumps(line | {"number": place % n, "sample": as_json(sample, codec)}, ensure_ascii=False)


def refuse_suffix(sample: Any, codec: Codec, path: Path) -> None:
    """Raises UsageError where the codec writes no such files as ``path``: by one sample, before others are drawn."""
    with TemporaryDirectory() as folder:
        trial = Path(folder) / path.name
        try:
            codec.write([sample], trial)
        except UsageError as error:
            hint = f", or --json -o {path.with_suffix('.jsonl')}" if path.suffix in (".json", ".jsonl") else ""
            raise UsageError(f"{str(error).replace(str(trial), str(path))}{hint}") from None


def as_json(sample: Any, codec: Codec) -> Any:
    """A sample for JSON: text and numbers as they are, all else as the data URI of a file."""
    if isinstance(sample, str) or (isinstance(sample, list | tuple) and all(map(is_number, sample))):
        return sample
    return f"data:{media_type(codec)};base64,{base64.b64encode(as_file([sample], codec)).decode()}"


def as_file(samples: Sequence[Any], codec: Codec) -> bytes:
    """What is in a file of these samples."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"samples{_suffix(codec)}"
        codec.write(list(samples), path)
        return path.read_bytes()


def media_type(codec: Codec) -> str:
    """The MIME type of files of a codec."""
    return mimetypes.guess_type(f"samples{_suffix(codec)}", strict=False)[0] or "application/octet-stream"


def _suffix(codec: Codec) -> str:
    return getattr(codec, "suffix", ".txt")
