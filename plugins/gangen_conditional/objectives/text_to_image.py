"""Images from texts."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from gangen import (
    AdversarialGame,
    Batch,
    Clock,
    Players,
    Schedule,
    Stats,
    all_gather,
    at_least_float32,
    needs,
    noise,
    updates,
)
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.networks.matcher import Views
from gangen_conditional.objectives.variational import bound, encoded, of_pixels
from gangen_conditional.objectives.wrong_texts import wrong_texts
from gangen_conditional.spec import ImageFromSpec

EPS = 1e-12


class TextToImage(AdversarialGame):
    """Reed et al. (2016), algorithm 1: a real image with a wrong text is a fake too; with AttnGAN's matching term.

    ``discriminate`` tells real images with their texts from fakes and from real images with wrong texts: half of the
    loss each. These are those of other rows; the share ``one_word`` of them is right but for one word, which another
    text as long has in its place: to tell whole other texts a discriminator looks at little of them. ``generate`` fools
    it, and with ``matching`` adds so many times the matching loss of fakes and their texts (AttnGAN, Xu et al. 2018,
    equation 6), by the player ``matcher``, which ``match`` teaches on real images, as a phase before the others.

    The matching loss is equations 7 to 13 of that paper over the rows of all processes: ``gamma_1`` says how sharply a
    word looks at places, ``gamma_2`` how much its best words decide on a text, ``gamma_3`` how sharply texts are told
    apart. Rows with equal texts are not told apart. ``matching_noise`` is the standard deviation of noise on all images
    that the matcher sees, as classifiers that learn with noise have gradients that look like what they recognise (Kaur
    et al. 2019): without it, fakes match by patterns that no one sees.

    ``reconstruct``, a phase before the others too, makes the generator the decoder of a conditional variational
    autoencoder (Sohn et al. 2015): the player ``encoder`` finds codes of real images, pixels have ``deviation`` around
    what comes of these and the text, and the divergence from what the generator expects by the text counts ``prior``
    times. That is to begin high: while codes are dear, what a text says is learned from the text, and what is learned
    from codes instead comes out wrong where they are drawn. With ``reconstruction``, ``generate`` adds so many times
    the likelihood term, by the encoder as it is, so that fooling undoes nothing (as in the cVAE-GAN of Zhu et al. 2017,
    equation 6).

    Loss and penalties are those of ``gangen/adversarial``.
    """

    def __init__(
        self,
        spec: ImageFromSpec,
        *,
        one_word: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        matching: Annotated[float, Ge(0)] = 1.0,
        matching_noise: Annotated[float, Ge(0)] = 0.0,
        gamma_1: Annotated[float, Gt(0)] = 4.0,
        gamma_2: Annotated[float, Gt(0)] = 5.0,
        gamma_3: Annotated[float, Gt(0)] = 10.0,
        reconstruction: Annotated[float, Ge(0)] = 0.0,
        prior: Annotated[Schedule, Ge(0)] = 1.0,
        deviation: Annotated[float, Gt(0)] = 0.5,
        **options,
    ) -> None:
        super().__init__(spec, **options)
        self.one_word = one_word
        self.matching = matching
        self.matching_noise = matching_noise
        self.gammas = gamma_1, gamma_2, gamma_3
        self.reconstruction = reconstruction
        self.prior = Schedule.of(prior)
        self.deviation = deviation
        self.needs = {"matcher": ["look", "read"]} if matching else {}
        if reconstruction:
            self.needs |= {"encoder": ["latent_dim"], "generator": ["relative"]}

    def verdicts(self, players: Players, batch: Batch, real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
        """The logits of real images, of fakes, and of real images with wrong texts."""
        right = batch["input"]
        wrong = wrong_texts(right, self.spec.input, self.one_word)
        return self.judge(players, {"input": torch.cat([right, right, wrong])})(torch.cat([real, fake, real])).chunk(3)

    @needs(matcher=("look", "read"))
    @updates("matcher")
    def match(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Learn which words belong to which parts of images."""
        return self._mismatch(players, self.real(batch), batch["input"])

    @needs(encoder="latent_dim", generator="relative")
    @updates("encoder", "generator")
    def reconstruct(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Learn to make images again, from their texts and what else an encoder says of them."""
        images = self.real(batch)
        code = players.generator.relative(encoded(players, images), batch)
        return bound(images, self._again(players, batch, code), code, self.prior(clock), self.deviation)

    @updates("generator")
    def generate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Fool the discriminator, by images that match their texts."""
        fakes = self.fakes(players, batch, clock)
        loss, stats = self.fool(players, batch, fakes, batch), {}
        if self.matching:
            mismatch, stats = self._mismatch(players, fakes, batch["input"])
            loss, stats = loss + self.matching * mismatch, {"mismatch": mismatch.detach(), **stats}
        if self.reconstruction:
            images = self.real(batch)
            with torch.no_grad():
                code = encoded(players, images)
            code = players.generator.relative(code, batch)
            pixels = of_pixels(images, self._again(players, batch, code), self.deviation)
            loss, stats = loss + self.reconstruction * pixels, {"pixels": pixels.detach(), **stats}
        return loss, stats

    def _again(self, players: Players, batch: Batch, code: Gaussian) -> Tensor:
        return players.generator.sample(len(code.mean), batch, latent=code.sample())

    def _mismatch(self, players: Players, images: Tensor, texts: Tensor) -> tuple[Tensor, Stats]:
        """Equation 13: of words and of sentences, each of texts by image and of images by text."""
        if self.matching_noise:
            images = images + self.matching_noise * noise.normal(
                *images.shape, device=images.device, dtype=images.dtype
            )
        seen, read = players.matcher.look(images), players.matcher.read(texts)
        seen, read = (Views(*(all_gather(it).flatten(0, 1) for it in views)) for views in (seen, read))
        texts = all_gather(texts).flatten(0, 1)
        # Rows that say the same are neither right nor wrong for each other.
        left_out = (texts.unsqueeze(1) == texts).all(2) & ~torch.eye(len(texts), dtype=torch.bool, device=texts.device)
        right = torch.arange(len(texts), device=texts.device)
        loss = torch.zeros((), device=images.device)
        for alike in (alike_in_words(seen, read, *self.gammas[:2]), alike_as_wholes(seen, read)):
            logits = (self.gammas[2] * at_least_float32(alike)).masked_fill(left_out, -torch.inf)
            loss = loss + cross_entropy(logits, right) + cross_entropy(logits.T, right)
        return loss, {"matched": (logits.argmax(1) == right).float().mean()}


def alike_in_words(seen: Views, read: Views, gamma_1: float, gamma_2: float) -> Tensor:
    """How alike each image and each text are by their parts, float ``[images, texts]``: equations 7 to 10."""
    scores = torch.einsum("twd,ipd->itwp", read.parts, seen.parts)
    absent = ~read.mask[None, :, :, None]
    looks = (gamma_1 * scores.masked_fill(absent, -torch.inf).softmax(2)).softmax(3)
    # The cosine of a word and what it looks at, the mean of places by its looks, without making that mean.
    among = seen.parts @ seen.parts.transpose(1, 2)
    lengths = (torch.einsum("itwp,ipq->itwq", looks, among) * looks).sum(3).clamp(min=EPS).sqrt()
    words = read.parts.square().sum(2).clamp(min=EPS).sqrt()
    relevance = (scores * looks).sum(3) / (lengths * words)
    return (gamma_2 * relevance).masked_fill(absent[..., 0], -torch.inf).logsumexp(2) / gamma_2


def alike_as_wholes(seen: Views, read: Views) -> Tensor:
    """The cosine of each image and each text, float ``[images, texts]``."""
    return normalize(seen.whole) @ normalize(read.whole).T
