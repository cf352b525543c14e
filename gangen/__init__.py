"""gangen: adversarial text, conditional and image generation from plugins and recipes, on one trainer.

What stands in ``__all__`` is what plugins and applications may import; everything else may change.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gangen import noise as noise
    from gangen.collectives import all_gather as all_gather
    from gangen.collectives import all_mean as all_mean
    from gangen.collectives import all_sum as all_sum
    from gangen.collectives import world_size as world_size
    from gangen.components.options import Part as Part
    from gangen.contracts import Batch as Batch
    from gangen.contracts import Callback as Callback
    from gangen.contracts import Clock as Clock
    from gangen.contracts import Codec as Codec
    from gangen.contracts import Data as Data
    from gangen.contracts import Extractor as Extractor
    from gangen.contracts import Generator as Generator
    from gangen.contracts import HeldOut as HeldOut
    from gangen.contracts import Loss as Loss
    from gangen.contracts import Metric as Metric
    from gangen.contracts import SheetRow as SheetRow
    from gangen.contracts import Split as Split
    from gangen.contracts import Stats as Stats
    from gangen.contracts import needs as needs
    from gangen.contracts import updates as updates
    from gangen.errors import DataError as DataError
    from gangen.errors import GangenError as GangenError
    from gangen.errors import PluginError as PluginError
    from gangen.errors import RunError as RunError
    from gangen.errors import UsageError as UsageError
    from gangen.errors import did_you_mean as did_you_mean
    from gangen.files import digest as digest
    from gangen.files import replacing as replacing
    from gangen.files import write_atomically as write_atomically
    from gangen.hookspecs import hookimpl as hookimpl
    from gangen.losses import NonSaturating as NonSaturating
    from gangen.losses import accuracy as accuracy
    from gangen.losses import at_least_float32 as at_least_float32
    from gangen.metrics.context import MetricContext as MetricContext
    from gangen.metrics.context import once_a_run as once_a_run
    from gangen.metrics.extraction import AgainstHeldOut as AgainstHeldOut
    from gangen.metrics.extraction import ExtractorMetric as ExtractorMetric
    from gangen.metrics.figures import Figure as Figure
    from gangen.metrics.tradeoff import Axis as Axis
    from gangen.metrics.tradeoff import Tradeoff as Tradeoff
    from gangen.model import Model as Model
    from gangen.model import load as load
    from gangen.model import sample as sample
    from gangen.networks import Players as Players
    from gangen.networks import evaluating as evaluating
    from gangen.objectives import AdversarialGame as AdversarialGame
    from gangen.penalties import Judge as Judge
    from gangen.penalties import Penalty as Penalty
    from gangen.rows import Rows as Rows
    from gangen.rows import numbered as numbered
    from gangen.samplers import Sampler as Sampler
    from gangen.schedules import Schedule as Schedule
    from gangen.splits import StreamSplit as StreamSplit
    from gangen.splits import TensorSplit as TensorSplit

try:
    __version__ = version("gangen")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0"

_NAMES = {
    "gangen.collectives": ("all_gather", "all_mean", "all_sum", "world_size"),
    "gangen.components.options": ("Part",),
    "gangen.contracts": (
        "Batch",
        "Callback",
        "Clock",
        "Codec",
        "Data",
        "Extractor",
        "Generator",
        "HeldOut",
        "Loss",
        "Metric",
        "SheetRow",
        "Split",
        "Stats",
        "needs",
        "updates",
    ),
    "gangen.errors": ("DataError", "GangenError", "PluginError", "RunError", "UsageError", "did_you_mean"),
    "gangen.files": ("digest", "replacing", "write_atomically"),
    "gangen.hookspecs": ("hookimpl",),
    "gangen.losses": ("NonSaturating", "accuracy", "at_least_float32"),
    "gangen.metrics.context": ("MetricContext", "once_a_run"),
    "gangen.metrics.extraction": ("AgainstHeldOut", "ExtractorMetric"),
    "gangen.metrics.figures": ("Figure",),
    "gangen.metrics.tradeoff": ("Axis", "Tradeoff"),
    "gangen.model": ("Model", "load", "sample"),
    "gangen.networks": ("Players", "evaluating"),
    "gangen.objectives": ("AdversarialGame",),
    "gangen.penalties": ("Judge", "Penalty"),
    "gangen.rows": ("Rows", "numbered"),
    "gangen.samplers": ("Sampler",),
    "gangen.schedules": ("Schedule",),
    "gangen.splits": ("StreamSplit", "TensorSplit"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(["__version__", "noise", *_MODULE_OF])


def __getattr__(name: str) -> Any:
    # `import gangen` stays cheap: torch is loaded with the first name that needs it.
    if name == "noise":
        return import_module("gangen.noise")
    if name in _MODULE_OF:
        found = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return found
    raise AttributeError(f"module 'gangen' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
