"""gangen: adversarial text, conditional and image generation from plugins and recipes, on one trainer.

What plugins and applications may import stands in ``__init__.pyi``; everything else may change. ``import gangen`` is
cheap: torch is loaded with the first name that needs it.
"""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

try:
    __version__ = version("gangen")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"
