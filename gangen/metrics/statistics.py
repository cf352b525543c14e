"""What all training rows come to in the features of an extractor, kept in a file for other runs on the same data."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gangen.contracts import Codec, Extractor, HeldOut
from gangen.errors import UsageError
from gangen.files import replacing
from gangen.metrics.distances import Gaussian
from gangen.splits import in_chunks

FORMAT = "1"


def whose(extractor: Extractor, rows: HeldOut, codec: Codec) -> dict[str, str]:
    """What statistics belong to: an extractor, once it is fitted, and rows as it sees them, by name and SHA-256."""
    seen = sha256()
    for chunk in in_chunks(rows):
        samples = codec.samples_of(chunk)
        seen.update(f"{samples.dtype} {list(samples.shape[1:])}".encode())
        seen.update(samples.contiguous().view(torch.uint8).numpy().data)
    return {
        "format": FORMAT,
        "extractor": extractor.name,
        "extractor_sha256": extractor.digest,
        "rows": str(len(rows)),
        "rows_sha256": seen.hexdigest(),
    }


def write(path: Path, gaussian: Gaussian, belongs: Mapping[str, str]) -> None:
    """Write mean and covariance, and what they belong to, as safetensors: a file that is whole, or not there."""
    with replacing(path) as temporary:
        save_file(dict(zip(("mean", "covariance"), gaussian, strict=True)), temporary, dict(belongs))


def read(path: Path, belongs: Mapping[str, str]) -> Gaussian:
    """The mean float64 ``[F]`` and covariance ``[F, F]`` in ``path``.

    Raises:
        UsageError: it cannot be read, or what it holds belongs to something else than it should.
    """
    try:
        with safe_open(path, "pt") as file:
            found = file.metadata() or {}
            mean, covariance = file.get_tensor("mean"), file.get_tensor("covariance")
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} holds no statistics: {str(error).splitlines()[0]}") from None
    square = mean.dim() == 1 and covariance.shape == (len(mean), len(mean))
    if not square or not all(it.dtype == torch.float64 and it.isfinite().all() for it in (mean, covariance)):
        raise UsageError(f"{path} holds no statistics: a mean [F] and a covariance [F, F], both float64 and finite")
    for key, differs in (
        ("format", "in format {there}, where this version of gangen reads {here}"),
        ("extractor", "of extractor '{there}', and not of '{here}'"),
        ("extractor_sha256", "of an extractor of the same name that has other weights ({there:.8}, and not {here:.8})"),
        ("rows", "of {there} training rows, and these data have {here}"),
        ("rows_sha256", "of other training rows ({there:.8}, and not {here:.8})"),
    ):
        there, here = found.get(key, "?")[:80], belongs[key]
        if there != here:
            raise UsageError(f"{path} has statistics {differs.format(there=there, here=here)}; name another file")
    return mean, covariance
