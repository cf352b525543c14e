"""The public names of gangen_text: what other plugins may import, and where each is defined."""

from .codec import TextCodec as TextCodec
from .data.corpus import Corpus as Corpus
from .data.corpus import Texts as Texts
from .data.corpus import chosen as chosen
from .data.corpus import make_codec as make_codec
from .data.corpus import to_rows as to_rows
from .data.corpus import without as without
from .data.files import READERS as READERS
from .data.files import TextRows as TextRows
from .data.files import texts_of as texts_of
from .data.tokenization import is_full as is_full
from .data.unknown import unknown_parts as unknown_parts
from .data.unknown import unknown_token as unknown_token
from .metrics.kneser_ney import KneserNey as KneserNey
from .networks.draws import gumbel_softmax as gumbel_softmax
from .networks.draws import inverse_cdf as inverse_cdf
from .networks.filters import FilterBank as FilterBank
from .networks.generation import Autoregressive as Autoregressive
from .networks.generation import Condition as Condition
from .networks.transformer import Block as Block
from .objectives.gumbel import Gumbel as Gumbel
from .objectives.seqgan import SeqGAN as SeqGAN
from .objectives.turns import TextGame as TextGame
from .objectives.turns import moments as moments
from .objectives.turns import token_mean as token_mean
from .spec import TextSpec as TextSpec
