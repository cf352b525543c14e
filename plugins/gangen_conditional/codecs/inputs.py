"""What prompts become where samples are made from something: rows of pixels, or of tokens."""

from pathlib import Path
from typing import Any, Protocol, Self

from PIL import Image
from torch import Tensor

from gangen import UsageError, did_you_mean, few
from gangen_conditional.spec import InputSpec
from gangen_image import Fit, ImageCodec, ImageSpec, open_image, to_pixels
from gangen_text import TextCodec, unknown_parts


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


class TextInput:
    """Texts as tokens int64 ``[max_length]``: those of the text, its end, padding."""

    prompt_types = (str,)

    def __init__(self, codec: TextCodec, takes: str = "a text") -> None:
        self.codec = codec
        self.spec = codec.spec
        self.takes = takes
        self.options = {"takes": takes}

    def read(self, prompt: str | None) -> Tensor:
        """The tokens of a text. Raises UsageError for one that is empty, too long, or has unknown words."""
        text = (prompt or "").strip()
        if not text:
            raise UsageError(f"there is nothing to start from: this model takes {self.takes}")
        refuse_unknown(self.codec, text, self.takes)
        (tokens,) = self.codec.tokenize([text])
        if len(tokens) >= self.spec.max_length:
            raise UsageError(f"{text!r} has {len(tokens)} tokens; this model reads {self.spec.max_length - 1} at most")
        return self.codec.pack([tokens])[0]

    def decode(self, rows: Tensor) -> list[str]:
        """Texts of rows int64 ``[n, max_length]``."""
        return self.codec.decode(rows)

    def save(self, folder: Path) -> None:
        """Write the codec's files."""
        self.codec.save(folder)

    @classmethod
    def load(cls, folder: Path, **options: Any) -> Self:
        """See Input."""
        return cls(TextCodec.load(folder), **options)


def refuse_unknown(codec: TextCodec, text: str, takes: str) -> None:
    """Raises UsageError where a model that ``takes`` texts does not know words of this one."""
    if unknown := unknown_parts(codec.tokenizer, text):
        vocabulary = codec.tokenizer.get_vocab()
        hints = [
            " with these spaces beside it" if word in vocabulary else did_you_mean(word, list(vocabulary))
            for word in unknown
        ]
        words = [f"{word!r}{hint}" for word, hint in zip(unknown, hints, strict=True)]
        raise UsageError(f"this model does not know {few(words)}\nit takes {takes}")
