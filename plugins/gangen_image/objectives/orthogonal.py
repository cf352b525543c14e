"""Orthogonal regularisation: filters of a layer that have nothing to do with each other."""

import torch
from torch import Tensor, nn


def orthogonality(net: nn.Module) -> Tensor:
    """BigGAN (Brock et al., 2019), equation 3: the sum over layers of ``|W W' * (1 - I)|^2``, the rows of W being its
    filters, a scalar; of convolutions and linear layers, as they are before any spectral norm. Norms' are left open.
    """
    total = torch.zeros((), device=next(net.parameters()).device)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            stored = getattr(module, "parametrizations", {})
            weight = stored["weight"].original if "weight" in stored else module.weight
            rows = weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight
            products = rows.flatten(1) @ rows.flatten(1).t()
            total = total + (products - products.diag().diag()).square().sum()
    return total
