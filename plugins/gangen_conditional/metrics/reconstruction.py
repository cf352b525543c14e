"""How much of pictures an autoencoder gives back."""

import torch
from torch import Tensor

from gangen import AgainstHeldOut, Figure, MetricContext, UsageError, drawing, frechet_distance, gaussian, name_of
from gangen_conditional.samplers.reconstruction import Reconstruction as Sampler


class Reconstruction(AgainstHeldOut):
    """Held-out pictures by way of the players "encoder" and "generator", compared with themselves.

    ``reconstruction_l1`` is the mean absolute error of pixels in [-1, 1]; ``reconstruction_frechet_NAME`` the Frechet
    distance of reconstructions from the pictures, in the features of the extractor, NAME. The pictures themselves have
    0 in both. Where the generator starts from latents that it can draw, ``fresh_frechet_NAME`` is the distance of
    images of fresh latents from the same pictures. As many pictures are looked at as ``samples`` says, or as are held
    out.
    """

    def check(self, context: MetricContext) -> None:
        """Raises UsageError where a player is missing, and where ``AgainstHeldOut.check`` does."""
        if absent := [name for name in Sampler.networks if name not in context.players]:
            raise UsageError(f"{name_of(self)} needs the players encoder and generator, and there is no {absent[0]}")
        super().check(context)

    def __call__(self, context: MetricContext) -> dict[str, Figure]:
        n, extractor, codec = self.count(context), self.fitted_extractor(context), context.data.codec
        rows = context.data.heldout.batch(0, range(n), n, seed=context.seed, device=context.device)
        truth, players = codec.samples_of(rows), context.players.averages()
        sampler = Sampler(players)
        found, fresh = [], []
        with drawing(context.seed, context.device, *(players[name] for name in Sampler.networks)):
            for some in rows["image"].split(context.batch_size):
                found.append(sampler.reconstruct(len(some), {"input": some}))
                if hasattr(players.generator, "latent"):
                    fresh.append(players.generator.sample(len(some)))
        real, name = gaussian(extractor.features(truth)), extractor.name

        def distance(images: list[Tensor]) -> Figure:
            return Figure(frechet_distance(real, gaussian(extractor.features(torch.cat(images)))), 0.0, "low")

        l1 = (torch.cat(found).clamp(-1, 1) - truth).abs().mean().item()
        figures = {"reconstruction_l1": Figure(l1, 0.0, "low"), f"reconstruction_frechet_{name}": distance(found)}
        return figures | ({f"fresh_frechet_{name}": distance(fresh)} if fresh else {})
