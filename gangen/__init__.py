"""gangen: adversarial text, conditional and image generation from plugins and recipes, on one trainer."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from gangen.hookspecs import hookimpl

if TYPE_CHECKING:
    from gangen.sampling import load, sample

try:
    __version__ = version("gangen")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

__all__ = ["hookimpl", "load", "sample"]


def __getattr__(name: str) -> Any:
    # `import gangen` stays cheap: torch is loaded with the first call that needs it.
    if name in ("load", "sample"):
        from gangen import sampling

        return getattr(sampling, name)
    raise AttributeError(f"module 'gangen' has no attribute '{name}'")
