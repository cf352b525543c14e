"""The network of the published FID, KID and Inception Score, through the package torch-fidelity."""

import io
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gangen import Data, UsageError, digest, seeded
from gangen_image.extractors.classifier import as_bytes
from gangen_image.spec import ImageSpec

OUTPUTS = ["2048", "logits_unbiased"]
# Images that are looked at in one go; each is made 299 x 299.
CHUNK = 50


class Inception:
    """Inception-v3 of 2015, by its 2,048 pooled features: ``frechet_inception`` is the FID (Heusel et al., 2017).

    ``kid_inception`` is the KID and ``inception_score_inception`` the Inception Score. The network, and the way in
    which it makes images 299 x 299, are those of the original program in TensorFlow, which the package torch-fidelity
    has carried over. Grey images are seen as three equal channels. It is float32 at any precision of the run.

    ``weights`` is a local file: .safetensors, or what torch.save wrote of tensors alone. Without it the weights that
    the package names (91 MiB) are downloaded once, into torch's hub folder. No file is let run code.

    Published figures are mostly of 50,000 samples against all training images; those of fewer do not compare.
    """

    name = "inception"

    def __init__(self, *, weights: Path | None = None) -> None:
        self.weights = weights
        self.key = type(self), weights
        self._net: nn.Module | None = None

    def check(self, data: Data) -> None:
        """Raises UsageError for data that are not grey or colour images, and where package or weights are missing."""
        spec = data.codec.spec
        if not isinstance(spec, ImageSpec) or spec.channels not in (1, 3):
            raise UsageError(f"extractor image/inception looks at grey or colour images, which these are not: {spec}")
        self._load()

    def fit(self, data: Data, device: torch.device) -> None:
        """Put the network on ``device``; nothing is learned."""
        self._load().to(device)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its weights."""
        return digest(self._load().state_dict())

    def features(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, 2048]`` of images ``[n, 1 or 3, size, size]`` in [-1, 1], seen as a file would show them."""
        return self._outputs(samples)[0]

    def logits(self, samples: Tensor) -> Tensor:
        """Float32 ``[n, 1008]`` of images as ``features`` takes them; without bias, as the Inception Score has it.

        Its labels are those of ImageNet, not of the data; eight of them stand for nothing.
        """
        return self._outputs(samples)[1]

    @torch.no_grad()
    def _outputs(self, samples: Tensor) -> tuple[Tensor, ...]:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            chunks = [self._net(as_bytes(chunk).expand(-1, 3, -1, -1)) for chunk in samples.split(CHUNK)]
        return tuple(torch.cat(outputs) for outputs in zip(*chunks, strict=True))

    def _load(self) -> nn.Module:
        """The network, built by the first call."""
        if self._net is None:
            # The package's own reader lets a file run code, so it is given bytes that were written here.
            written = io.BytesIO()
            torch.save(self._read(), written)
            written.seek(0)
            with seeded(0):
                try:
                    self._net = _package().FeatureExtractorInceptionV3(
                        self.name, OUTPUTS, feature_extractor_weights_path=written
                    )
                except (RuntimeError, TypeError):
                    raise UsageError(
                        f"extractor image/inception: {self.weights} does not hold the weights of the Inception-v3 that "
                        "torch-fidelity has, by its names"
                    ) from None
        return self._net

    def _read(self) -> dict[str, Tensor]:
        """Weights by name: from the local file, or from the hub folder, where they are downloaded to."""
        url = _package().URL_INCEPTION_V3
        try:
            if self.weights is None:
                return torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
            if self.weights.suffix == ".safetensors":
                return load_file(self.weights)
            return torch.load(self.weights, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
            # What torch says of such a file is how to let it run code.
            reason = "the file holds more than tensors" if isinstance(error, UnpicklingError) else error
            if self.weights is None:
                advice = f"fetch {url} elsewhere and name the file by the option weights"
                raise UsageError(f"extractor image/inception cannot get its weights ({reason}); {advice}") from None
            raise UsageError(f"extractor image/inception cannot read weights from {self.weights}: {reason}") from None


def _package() -> ModuleType:
    """The module of torch-fidelity that has the network."""
    try:
        from torch_fidelity import feature_extractor_inceptionv3
    # Where torchvision is not the one that torch needs, importing it raises RuntimeError.
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            "extractor image/inception needs the package torch-fidelity, with a torchvision that fits torch: "
            f"pip install torch-fidelity ({error})"
        ) from None
    return feature_extractor_inceptionv3
