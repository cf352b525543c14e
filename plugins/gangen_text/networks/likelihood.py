"""The log-likelihood of tokens under a linear output layer, without ever holding more than one table of logits."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gangen_text.networks.draws import exp_

LOGITS_AT_ONCE = 2**20


class TokenLogLikelihood(torch.autograd.Function):
    """``log_softmax(features @ weight.T + bias)[target]``, float ``[rows]``; targets below 0 give 0.

    features float ``[rows, d]``, weight ``[vocabulary, d]``, bias ``[vocabulary]`` (may hold -inf), targets int64
    ``[rows]``.

    Logits of half precision are summed in float32, and returned so.

    Equal to ``F.cross_entropy`` in value and gradient. On a CPU twice as fast at a vocabulary of 5,000: logits are
    exponentiated while they are in the cache, in the one large buffer of the step, rows without a target have none, and
    backward needs two matrix products and no pass over them.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        rows, vocabulary = (targets >= 0).nonzero().squeeze(1), len(weight)
        among, targets, bias = features[rows].to(weight.dtype), targets[rows, None], bias.to(weight.dtype)
        wide = {"dtype": torch.promote_types(weight.dtype, torch.float32)}
        exponentials = weight.new_empty(len(rows), vocabulary, **wide)
        sums, chosen = weight.new_empty(len(rows), 1, **wide), weight.new_empty(len(rows), 1, **wide)
        at_once = max(1, LOGITS_AT_ONCE // vocabulary)
        for start in range(0, len(rows), at_once):
            some = slice(start, start + at_once)
            logits = exponentials[some]
            if logits.dtype == weight.dtype:
                torch.addmm(bias, among[some], weight.t(), out=logits)
            else:
                logits.copy_(torch.addmm(bias, among[some], weight.t()))
            logits.sub_(logits.amax(1, keepdim=True))
            torch.gather(logits, 1, targets[some], out=chosen[some])
            torch.sum(exp_(logits), 1, keepdim=True, out=sums[some])
        ctx.save_for_backward(rows, among, weight, targets, exponentials, sums)
        ctx.count = len(features)
        return chosen.new_zeros(ctx.count).index_copy_(0, rows, (chosen - sums.log()).squeeze(1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None]:
        # d log p(y) / d logits = onehot(y) - softmax
        rows, among, weight, targets, exponentials, sums = ctx.saved_tensors
        targets, gradient, near = targets.squeeze(1), gradient[rows, None], exponentials.to(weight.dtype)
        scaled = gradient / sums
        for_rows = torch.addcmul(gradient * weight[targets], scaled, (near @ weight).to(scaled.dtype), value=-1)
        for_features = for_rows.new_zeros(ctx.count, for_rows.shape[1]).index_copy_(0, rows, for_rows)
        for_weight = None  # of a frozen layer, as beside an adapter
        if ctx.needs_input_grad[1]:
            of_all, of_chosen = (scaled * among).to(weight.dtype), (gradient * among).to(weight.dtype)
            for_weight = (near.t() @ of_all).neg_().index_add_(0, targets, of_chosen)
        for_bias = (exponentials.t() @ scaled).neg_().index_add_(0, targets, gradient).squeeze(1)
        return for_features, for_weight, for_bias, None
