"""The synthetic task of SeqGAN: learn to write what an oracle LSTM of random parameters writes."""

from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gangen import DataError, Seed, TensorSplit, evaluating, noise
from gangen_text.codec import TextCodec
from gangen_text.data.tokenization import numbers
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.spec import TextSpec

DIMENSION = 32
START = 0
# The logits of so many rows stay in a CPU's cache: more at once take twice the time.
ROWS_AT_ONCE = 100


class Oracle:
    """An LSTM whose distribution over rows of tokens is known.

    ``parameters`` has "embedding.weight" ``[vocabulary, e]``; "lstm.weight_ih_l0" ``[4h, e]``, "lstm.weight_hh_l0"
    ``[4h, h]``, "lstm.bias_ih_l0", "lstm.bias_hh_l0" ``[4h]`` (gates in torch's order: input, forget, cell, output);
    "lm_head.weight" ``[vocabulary, h]`` and "lm_head.bias" ``[vocabulary]``.
    """

    def __init__(self, parameters: dict[str, Tensor], length: int) -> None:
        vocab_size, embedding_dim = parameters["embedding.weight"].shape
        self.spec = TextSpec(vocab_size, length, START)
        self.net = LSTMGenerator(
            self.spec, embedding_dim=embedding_dim, hidden_dim=parameters["lm_head.weight"].shape[1]
        )
        self.net.load_state_dict({name.replace("lm_head.", "output."): tensor for name, tensor in parameters.items()})
        self.net.requires_grad_(False)

    def sample(self, n: int, seed: int) -> Tensor:
        """``n`` rows of the oracle's own, int64 ``[n, length]``, by ``seed``."""
        with noise.shared(seed), evaluating(self.net):
            return self.net.sample(n)

    def nll(self, tokens: Tensor) -> Tensor:
        """Mean negative log-likelihood per token in nats, float ``[n]``, of rows int64 ``[n, length]``."""
        net = self.net.to(tokens.device)
        with evaluating(net):
            return torch.cat([-net.log_prob(rows).mean(dim=1) for rows in tokens.split(ROWS_AT_ONCE)])


class OracleData:
    """Rows of an oracle (Yu et al., 2017): LSTM with 32 embedding and 32 hidden dimensions, all parameters N(0, 1).

    The oracle is drawn by ``seed`` for ``vocab_size``, or read from ``path``, a safetensors file with the names that
    ``Oracle`` gives. Rows have ``length`` tokens and no end; as text they are numbers. ``oracle`` is for metrics.

    ``train_size`` rows are trained on, and ``heldout_size`` others held out.

    Raises:
        DataError: ``path`` holds no oracle.
    """

    codec_class = TextCodec

    def __init__(
        self,
        *,
        path: Path | None = None,
        vocab_size: Annotated[int, Ge(2)] = 5000,
        length: Annotated[int, Ge(2)] = 20,
        train_size: Annotated[int, Ge(1)] = 10_000,
        heldout_size: Annotated[int, Ge(1)] = 2000,
        seed: Seed = 0,
    ) -> None:
        self.oracle = Oracle(random_parameters(vocab_size, seed), length) if path is None else read_oracle(path, length)
        rows = self.oracle.sample(train_size + heldout_size, seed)
        self.train = TensorSplit(tokens=rows[:train_size])
        self.heldout = TensorSplit(tokens=rows[train_size:])
        self.codec = TextCodec(numbers(self.oracle.spec.vocab_size), self.oracle.spec)


def random_parameters(vocab_size: int, seed: int) -> dict[str, Tensor]:
    """The parameters of an oracle, all N(0, 1) by ``seed``; the original has one bias per gate, so the other is 0."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "embedding.weight": (vocab_size, DIMENSION),
        "lstm.weight_ih_l0": (4 * DIMENSION, DIMENSION),
        "lstm.weight_hh_l0": (4 * DIMENSION, DIMENSION),
        "lstm.bias_ih_l0": (4 * DIMENSION,),
        "lm_head.weight": (vocab_size, DIMENSION),
        "lm_head.bias": (vocab_size,),
    }
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return drawn | {"lstm.bias_hh_l0": torch.zeros(4 * DIMENSION)}


def read_oracle(path: Path, length: int) -> Oracle:
    """The oracle in a safetensors file.

    Raises:
        DataError: no such file, or one that holds something else.
    """
    try:
        return Oracle(load_file(path.expanduser()), length)
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read the oracle {path}: {error}") from None
    except (KeyError, ValueError, RuntimeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error).replace("\n", " ")
        raise DataError(f"{path} holds no oracle LSTM: {reason}") from None
