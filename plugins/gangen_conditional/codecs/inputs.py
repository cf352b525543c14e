"""What prompts become where samples are made from something: rows of pixels, or of tokens."""

from pathlib import Path
from typing import Any, Protocol, Self

from PIL import Image
from torch import Tensor

from gangen import UsageError
from gangen_conditional.spec import InputSpec
from gangen_image import Fit, ImageCodec, ImageSpec, open_image, to_pixels


class Input(Protocol):
    """The side of a codec that reads prompts; saved with it."""

    takes: str
    """What a prompt is, in words."""
    prompt_types: tuple[type, ...]
    spec: InputSpec

    def read(self, prompt: Any) -> Tensor:
        """The row of a prompt. Raises UsageError for one that means nothing."""

    def decode(self, rows: Tensor) -> list[Any]:
        """What a person looks at: a picture or a text for each row."""

    @property
    def options(self) -> dict[str, Any]:
        """What ``load`` is to be told beside the files, as JSON."""

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, **options: Any) -> Self:
        """What ``save`` wrote. Raises DataError for a file that is missing or damaged."""


class ImageInput:
    """Pictures, or paths of such, as uint8 ``[channels, size, size]``, fitted as the data were.

    An ``optional`` one may be left out: what games do that make something of nothing as well.
    """

    prompt_types = (str, Path, Image.Image)

    def __init__(self, spec: ImageSpec, fit: Fit = "crop", *, optional: bool = False) -> None:
        self.spec = spec
        self.fit = fit
        self.optional = optional
        self.takes = "an image, or the path of one" + ", or nothing" * optional
        self.options = {"fit": fit, "optional": optional}
        self._codec = ImageCodec(spec)

    def read(self, prompt: str | Path | Image.Image | None) -> Tensor:
        """The pixels of a picture. Raises UsageError where there is none, or none that can be read."""
        if prompt is None or prompt == "":
            raise UsageError(f"there is nothing to start from: this model takes {self.takes}")
        try:
            image = prompt if isinstance(prompt, Image.Image) else open_image({"bytes": None, "path": prompt})
            return to_pixels(image, self.spec.channels, self.spec.size, self.fit)
        except FileNotFoundError:
            raise UsageError(f"there is no picture {str(prompt)!r}: this model takes {self.takes}") from None
        except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
            reason = "no picture" if isinstance(error, OSError) else str(error) or type(error).__name__
            raise UsageError(f"{prompt} cannot be read ({reason}): this model takes {self.takes}") from None

    def decode(self, rows: Tensor) -> list[Image.Image]:
        """Pictures of rows uint8 ``[n, channels, size, size]``."""
        return self._codec.decode(rows)

    def save(self, folder: Path) -> None:
        """Write codec.json."""
        self._codec.save(folder)

    @classmethod
    def load(cls, folder: Path, **options: Any) -> Self:
        """See Input."""
        return cls(ImageCodec.load(folder).spec, **options)
