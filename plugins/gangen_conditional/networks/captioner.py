"""A decoder that remembers what it has looked at."""

from typing import Any

import torch
from torch import Tensor, nn

from gangen_conditional.networks.attentive import AttentiveGenerator, DecoderState
from gangen_conditional.spec import TextFromSpec
from gangen_text import Condition


class CaptionGenerator(AttentiveGenerator):
    """The attentive decoder with a second LSTM, which reads what the first one looks at (Anderson et al., 2018, section
    3.2, without the way back to the first, so that a whole text is read in one go).

    What is said of an object, such as how it stands to another, is then a function of where it was seen. The decoder
    without that has to find the object by its name again, and learns that late or not at all.

    Options are those of ``conditional/attentive``.
    """

    def __init__(self, spec: TextFromSpec, **options: Any) -> None:
        super().__init__(spec, **options)
        hidden = self.lstm.hidden_size
        self.mix = nn.LSTM(self.encoder.dim + hidden, hidden, batch_first=True)

    def begin(self, n: int, condition: Condition | None) -> DecoderState:
        """See Autoregressive. Raises UsageError for a condition without "input"."""
        state = super().begin(n, condition)
        zeros = torch.zeros_like(state.layers[0][0])
        return DecoderState((*state.layers, (zeros, zeros)), state.memory)

    def step(self, state: DecoderState, embedded: Tensor) -> tuple[Tensor, DecoderState]:
        """See Autoregressive."""
        *first, second = state.layers
        features, layers = embedded, []
        for weights, before in zip(self.lstm.all_weights, first, strict=True):
            features, cell = torch.lstm_cell(features, before, *weights)
            layers.append((features, cell))
        seen = self.look(features.unsqueeze(1), state.memory).squeeze(1)
        features, cell = torch.lstm_cell(seen, second, *self.mix.all_weights[0])
        return features, DecoderState((*layers, (features, cell)), state.memory)

    def read_from(self, state: DecoderState, embedded: Tensor) -> Tensor:
        """See AttentiveGenerator."""
        *first, second = state.layers
        hidden, cell = (torch.stack(side) for side in zip(*first, strict=True))
        # Not every CPU has an LSTM in half precision.
        with torch.autocast(embedded.device.type, enabled=False):
            features, _ = self.lstm(self._drop(embedded), (hidden, cell))
        seen = self.look(features, state.memory)
        with torch.autocast(embedded.device.type, enabled=False):
            features, _ = self.mix(seen.to(features.dtype), tuple(side.unsqueeze(0) for side in second))
        return self._drop(features)
