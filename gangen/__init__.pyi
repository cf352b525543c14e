"""The public names of gangen: what plugins and applications may import, and where each is defined.

``gangen/__init__.py`` reads this list, and loads a name when it is first asked for.
"""

from . import noise as noise
from .account import Account as Account
from .account import few as few
from .collectives import all_gather as all_gather
from .collectives import all_mean as all_mean
from .collectives import all_roll as all_roll
from .collectives import all_sum as all_sum
from .collectives import rank as rank
from .collectives import world_size as world_size
from .components.options import Part as Part
from .components.registry import name_of as name_of
from .contracts import Batch as Batch
from .contracts import Callback as Callback
from .contracts import Clock as Clock
from .contracts import Codec as Codec
from .contracts import Data as Data
from .contracts import Extractor as Extractor
from .contracts import Generator as Generator
from .contracts import HeldOut as HeldOut
from .contracts import Loss as Loss
from .contracts import Metric as Metric
from .contracts import SheetRow as SheetRow
from .contracts import Split as Split
from .contracts import Stats as Stats
from .contracts import needs as needs
from .contracts import training_rows as training_rows
from .contracts import updates as updates
from .errors import DataError as DataError
from .errors import GangenError as GangenError
from .errors import PluginError as PluginError
from .errors import RunError as RunError
from .errors import UsageError as UsageError
from .errors import did_you_mean as did_you_mean
from .files import digest as digest
from .files import replacing as replacing
from .files import write_atomically as write_atomically
from .hookspecs import hookimpl as hookimpl
from .labels import in_order as in_order
from .labels import label_number as label_number
from .labels import label_of as label_of
from .labels import labels_shown as labels_shown
from .labels import numbered as numbered
from .labels import with_rows as with_rows
from .losses import NonSaturating as NonSaturating
from .losses import accuracy as accuracy
from .losses import at_least_float32 as at_least_float32
from .metrics.context import MetricContext as MetricContext
from .metrics.context import once_a_run as once_a_run
from .metrics.distances import frechet_distance as frechet_distance
from .metrics.distances import gaussian as gaussian
from .metrics.extraction import AgainstHeldOut as AgainstHeldOut
from .metrics.extraction import ExtractorMetric as ExtractorMetric
from .metrics.figures import Figure as Figure
from .metrics.tradeoff import Axis as Axis
from .metrics.tradeoff import Tradeoff as Tradeoff
from .model import Model as Model
from .networks import Players as Players
from .networks import evaluating as evaluating
from .objectives import AdversarialGame as AdversarialGame
from .penalties import Judge as Judge
from .penalties import Penalty as Penalty
from .rows import Chunk as Chunk
from .rows import Rows as Rows
from .samplers import Sampler as Sampler
from .samplers import drawing as drawing
from .saved_model import load as load
from .saved_model import sample as sample
from .schedules import Schedule as Schedule
from .splits import StreamSplit as StreamSplit
from .splits import TensorSplit as TensorSplit
from .splits import held_out as held_out

__version__: str
