"""Filters over windows of tokens, and the largest response of each."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ROWS_AT_ONCE = 64
WINDOWS_AT_ONCE = 256


class Responses(NamedTuple):
    """What filters have made of texts that they read token by token.

    ``recent`` are the last embedded tokens, as many as the widest filter sees, float ``[n, ..., tokens, embedding]``;
    ``largest`` are the responses to windows of tokens that were read, float ``[n, ..., filters]``, -inf where there is
    none; ``length`` tokens were read.
    """

    recent: Tensor
    largest: Tensor
    length: int

    def select(self, index: Tensor) -> "Responses":
        """Those of the rows at ``index``, int64 ``[m]``, repeats allowed."""
        return Responses(self.recent[index], self.largest[index], self.length)


class FilterBank(nn.ModuleList):
    """For each width some filters, slid over embedded tokens: one ``nn.Linear`` on the tokens of a window, in order.

    Text shorter than a window is filled up with zeros.
    """

    def __init__(self, embedding_dim: int, widths: Sequence[int], counts: Sequence[int]) -> None:
        super().__init__(nn.Linear(width * embedding_dim, count) for width, count in zip(widths, counts, strict=True))
        self.widths = tuple(widths)

    def forward(self, embedded: Tensor) -> Tensor:
        """Largest response of every filter, float ``[batch, filters]``, to float ``[batch, length, embedding_dim]``."""
        pairs = zip(self, self.widths, strict=True)
        return torch.cat([_largest(_padded(embedded, width), linear, width) for linear, width in pairs], dim=1)

    def of_tokens(self, tokens: Tensor, embedding: Tensor) -> Tensor:
        """The same for tokens int64 ``[batch, length]`` with ``embedding`` float ``[vocabulary, embedding_dim]``.

        Faster than ``forward``, but the gradient cannot be differentiated again.
        """
        if not torch.is_grad_enabled():
            return self._looked_up(tokens, embedding)
        embedded = F.embedding(tokens, embedding)
        largest = []
        for linear, width in zip(self, self.widths, strict=True):
            if embedded.shape[1] > width:
                largest.append(_Largest.apply(embedded, linear.weight, width) + linear.bias)
            else:  # one window, and nothing to choose
                largest.append(linear(_padded(embedded, width).flatten(1)))
        return torch.cat(largest, dim=1)

    def begin(self, *rows: int) -> Responses:
        """Those to texts of no tokens; read on from there, each window is looked at once."""
        weight, filters = self[0].weight, sum(linear.out_features for linear in self)
        recent = weight.new_zeros(*rows, 0, self[0].in_features // self.widths[0])
        return Responses(recent, weight.new_full((*rows, filters), -torch.inf), 0)

    def advance(self, responses: Responses, embedded: Tensor) -> Responses:
        """Those to texts that go on with a token, float ``[n, ..., embedding_dim]``."""
        recent = torch.cat([responses.recent, embedded.unsqueeze(-2)], dim=-2)[..., -max(self.widths) :, :]
        length, largest = responses.length + 1, []
        for linear, width, highest in self._each(responses.largest):
            if length >= width:
                highest = torch.maximum(highest, linear(recent[..., -width:, :].flatten(-2)))
            largest.append(highest)
        return Responses(recent, torch.cat(largest, dim=-1), length)

    def filled(self, responses: Responses, padding: Tensor, room: int) -> Tensor:
        """Those to texts that end here and are filled up with ``room`` times ``padding``, float
        ``[..., embedding_dim]``: what ``forward`` gives of such, float ``[n, ..., filters]``.
        """
        largest = []
        for linear, width, highest in self._each(responses.largest):
            # Only windows that reach into the padding are new; of those that hold nothing else one is enough.
            tokens = responses.recent[..., max(0, responses.recent.shape[-2] - width + 1) :, :]
            fill = padding.unsqueeze(-2).expand(*tokens.shape[:-2], min(room, width), -1)
            if room or responses.length < width:
                rest = _padded(torch.cat([tokens, fill], dim=-2), width)
                found = _largest(rest.flatten(0, -3), linear, width)
                highest = torch.maximum(highest, found.view(*rest.shape[:-2], -1))
            largest.append(highest)
        return torch.cat(largest, dim=-1)

    def _each(self, largest: Tensor) -> Iterator[tuple[nn.Linear, int, Tensor]]:
        """Filters of a width, the width, and their columns of responses float ``[..., filters]``."""
        columns = largest.split([linear.out_features for linear in self], dim=-1)
        return zip(self, self.widths, columns, strict=True)

    def _looked_up(self, tokens: Tensor, embedding: Tensor) -> Tensor:
        vocabulary, tokens = tokens.unique(return_inverse=True)
        embedded = F.pad(embedding[vocabulary], (0, 0, 0, 1))
        largest = embedded.new_empty(len(tokens), sum(linear.out_features for linear in self))
        columns = largest.split([linear.out_features for linear in self], dim=1)
        for column, linear, width in zip(columns, self, self.widths, strict=True):
            _look_up(tokens, embedded, linear, width, out=column)
        return largest


def _look_up(tokens: Tensor, embedded: Tensor, linear: nn.Linear, width: int, out: Tensor) -> None:
    """Write the largest responses of one width into ``out``, float ``[batch, filters]``.

    What a token contributes at one place of a window is a row of a table, so that a response is a sum of ``width``
    rows instead of ``width`` matrix products. tokens count the rows of ``embedded``, whose last one is all zeros.
    """
    weights = linear.weight.unflatten(1, (width, -1)).permute(2, 1, 0).flatten(1)
    table = (embedded @ weights).view(-1, linear.out_features)
    places = torch.arange(width, device=tokens.device)
    missing = max(0, width - tokens.shape[1])
    for into, some in zip(out.split(ROWS_AT_ONCE), tokens.split(ROWS_AT_ONCE), strict=True):
        windows = F.pad(some, (0, missing), value=len(embedded) - 1).unfold(1, width, 1) * width + places
        responses = F.embedding_bag(windows.flatten(0, 1), table, mode="sum").unflatten(0, windows.shape[:2])
        torch.add(responses.amax(1), linear.bias, out=into)


def _padded(embedded: Tensor, width: int) -> Tensor:
    """float ``[batch, ..., length, e]``, with zeros at the end where that is shorter than a window."""
    return F.pad(embedded, (0, 0, 0, max(0, width - embedded.shape[-2])))


def _windows(embedded: Tensor, width: int) -> Tensor:
    """float ``[batch, windows, width * e]`` of float ``[batch, length, e]``."""
    return embedded.unfold(1, width, 1).transpose(2, 3).flatten(2)


def _strongest(embedded: Tensor, weight: Tensor, bias: Tensor | None, width: int) -> tuple[Tensor, Tensor]:
    """The largest response of each filter to float ``[batch, length, e]``, and which window it is to, int64: both are
    ``[batch, filters]``. Of several windows the first wins.
    """
    # Texts as images of one line, whose channels are last in memory: so a CPU convolves and pools them fastest.
    kernel = weight.unflatten(1, (1, width, -1)).permute(0, 3, 1, 2)
    responses = F.conv2d(embedded.transpose(1, 2).unsqueeze(2), kernel, bias)
    largest, winners = F.max_pool2d(responses, (1, responses.shape[3]), return_indices=True)
    return largest.flatten(1), winners.flatten(1)


def _largest(embedded: Tensor, linear: nn.Linear, width: int) -> Tensor:
    """Largest responses, float ``[batch, filters]``, to windows of float ``[batch, length, e]``."""
    weight, bias = linear.weight, linear.bias  # once: spectral normalisation moves on each time
    learns = torch.is_grad_enabled()
    if learns and embedded.shape[1] - width < weight.shape[1]:
        return _strongest(embedded, weight, bias, width)[0]
    with torch.no_grad():
        groups = [_strongest(some, weight, bias, width) for some in embedded.split(WINDOWS_AT_ONCE)]
    if not learns:
        return torch.cat([largest for largest, _ in groups])
    # Of small windows those that won are fewer numbers than all responses, which then need no gradient.
    winners = torch.cat([won for _, won in groups])
    texts, starts = embedded.flatten(1), winners * embedded.shape[2]
    largest = bias.expand(len(texts), -1)
    for place, weights in enumerate(weight.unbind(1)):
        largest = torch.addcmul(largest, texts.gather(1, starts + place), weights)
    return largest


class _Largest(torch.autograd.Function):
    """max over windows of ``windows @ weight.T``, float ``[batch, filters]``.

    Only the window that won has a gradient: one in ten at length 20 and widths to 20. Weighted sums of rows
    (``embedding_bag``) leave the others out, where a convolution's backward multiplies by zeros.
    """

    @staticmethod
    def forward(ctx: Any, embedded: Tensor, weight: Tensor, width: int) -> Tensor:
        largest, winners = _strongest(_padded(embedded, width), weight, None, width)
        ctx.save_for_backward(embedded, weight, winners)
        ctx.width = width
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        embedded, weight, winners = ctx.saved_tensors
        gradient = gradient.to(weight.dtype)
        windows = _windows(_padded(embedded, ctx.width), ctx.width)
        batch, count, _ = windows.shape
        rows = winners + torch.arange(batch, device=winners.device).unsqueeze(1) * count
        for_weight = F.embedding_bag(
            rows.t().contiguous(), windows.flatten(0, 1), mode="sum", per_sample_weights=gradient.t().contiguous()
        )

        rows, order = rows.flatten().sort()
        starts = torch.searchsorted(rows, torch.arange(batch * count, device=rows.device))
        for_windows = F.embedding_bag(
            order % len(weight), weight, starts, mode="sum", per_sample_weights=gradient.flatten()[order]
        ).view(batch, count, ctx.width, -1)
        for_embedded = embedded.new_zeros(batch, max(embedded.shape[1], ctx.width), embedded.shape[2])
        for place in range(ctx.width):
            for_embedded[:, place : place + count] += for_windows[:, :, place]
        return for_embedded[:, : embedded.shape[1]], for_weight, None
