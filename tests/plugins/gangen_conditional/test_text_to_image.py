"""Images from texts: which texts are wrong, what matching adds up to, what the networks see and what is refused."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from gangen import UsageError, noise
from gangen.contracts import Clock
from gangen.losses import NonSaturating
from gangen.networks import Players
from gangen_conditional.networks.gaussian import Gaussian
from gangen_conditional.networks.latent import LatentEncoder
from gangen_conditional.networks.matcher import Matcher, Views
from gangen_conditional.networks.word_resnet import WordResNetDiscriminator, WordResNetGenerator
from gangen_conditional.networks.words import Words
from gangen_conditional.objectives.text_to_image import TextToImage, alike_in_words
from gangen_conditional.objectives.wrong_texts import wrong_texts
from gangen_conditional.spec import ImageFromSpec
from gangen_image import ImageSpec
from gangen_text import TextSpec

TEXT = TextSpec(vocab_size=9, max_length=5, start=1, end=2, pad=0)
SPEC = ImageFromSpec(3, 16, input=TEXT)
CLOCK = Clock("adversarial", 0, 10)
ROWS = torch.tensor([[3, 4, 2, 0, 0], [3, 4, 2, 0, 0], [5, 6, 7, 8, 2], [6, 2, 0, 0, 0]])
BATCH = {
    "image": torch.randint(256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    "input": ROWS,
}


def encoder():
    return Words(SPEC, embedding_dim=4, hidden_dim=3)


def game():
    torch.manual_seed(0)
    return Players(
        {
            "generator": WordResNetGenerator(SPEC, encoder=encoder(), latent_dim=3, width=4, max_width=8),
            "discriminator": WordResNetDiscriminator(SPEC, encoder=encoder(), width=4, max_width=8).eval(),
            "matcher": Matcher(SPEC, encoder=encoder(), dim=5, width=4, max_width=8),
        }
    )


def real(batch):
    return batch["image"].float() / 127.5 - 1


def test_wrong_texts_are_the_next_that_say_something_else():
    assert wrong_texts(ROWS, TEXT).tolist() == ROWS[[2, 2, 3, 0]].tolist()
    assert wrong_texts(ROWS[:2], TEXT).tolist() == ROWS[:2].tolist()


def test_wrong_texts_differ_in_one_word_that_another_text_as_long_has_in_its_place():
    rows = torch.tensor([[3, 4, 5, 2, 0], [6, 7, 2, 0, 0], [8, 4, 7, 2, 0], [3, 6, 2, 0, 0], [3, 4, 5, 6, 2]]).repeat(
        40, 1
    )
    found = wrong_texts(rows, TEXT, one_word=1.0)
    changed = (found != rows).sum(1).reshape(40, 5)
    assert (changed[:, :4] == 1).all() and torch.equal(found[4::5], rows[:1].expand(40, -1))
    assert {tuple(row) for row in found[0::5].tolist()} == {(8, 4, 5, 2, 0), (3, 4, 7, 2, 0)}
    assert {tuple(row) for row in found[1::5].tolist()} == {(3, 7, 2, 0, 0), (6, 6, 2, 0, 0)}
    half = (wrong_texts(rows, TEXT, one_word=0.5) != rows).sum(1).reshape(40, 5)[:, 0]
    assert 0.3 < (half == 1).float().mean() < 0.7


def test_a_real_image_with_a_wrong_text_is_half_of_what_is_fake():
    players, objective = game(), TextToImage(SPEC, loss=NonSaturating(), matching=0.0)
    latent = torch.randn(4, 3)
    players.generator.latent = lambda n: latent
    loss, stats = objective.discriminate(players, BATCH, CLOCK)
    fake = players.generator.sample(4, BATCH)
    judge = players.discriminator
    right, mistaken = softplus(-judge(real(BATCH), BATCH)), judge(real(BATCH), {"input": ROWS[[2, 2, 3, 0]]})
    made = judge(fake, BATCH)
    expected = right.mean() + (softplus(made).mean() + softplus(mistaken).mean()) / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert stats["fake"].item() == pytest.approx(made.mean().item(), rel=1e-4)


def matching_of(image, text, gamma_1, gamma_2):
    """Equations 7 to 10 of AttnGAN for one image, by its places [p, d], and one text, by its words [w, d]."""
    scores = [[sum(a * b for a, b in zip(word, place, strict=True)) for place in image] for word in text]
    sums = [sum(math.exp(scores[word][place]) for word in range(len(text))) for place in range(len(image))]
    total = 0.0
    for word in range(len(text)):
        looks = [math.exp(gamma_1 * math.exp(scores[word][place]) / sums[place]) for place in range(len(image))]
        context = [
            sum(look / sum(looks) * place[k] for look, place in zip(looks, image, strict=True)) for k in (0, 1, 2)
        ]
        dot = sum(a * b for a, b in zip(context, text[word], strict=True))
        total += math.exp(gamma_2 * dot / math.hypot(*context) / math.hypot(*text[word]))
    return math.log(total) / gamma_2


def test_images_and_texts_match_as_the_paper_says():
    parts, words = torch.randn(2, 4, 3, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    seen, read = Views(parts, torch.ones(2, 4, dtype=torch.bool), parts[:, 0]), Views(words, mask, words[:, 0])
    found = alike_in_words(seen, read, 4.0, 5.0)
    for image in range(2):
        for text in range(2):
            spoken = words[text][mask[text]].tolist()
            assert found[image, text].item() == pytest.approx(matching_of(parts[image].tolist(), spoken, 4.0, 5.0))


def test_matching_tells_rows_apart_but_not_those_of_equal_texts():
    players, objective = game(), TextToImage(SPEC, loss=NonSaturating(), gamma_3=7.0)
    loss, _ = objective.match(players, BATCH, CLOCK)
    seen, read = players.matcher.look(real(BATCH)), players.matcher.read(ROWS)
    whole = torch.nn.functional.cosine_similarity(seen.whole[:, None], read.whole[None], dim=2)
    expected = 0.0
    for alike in (alike_in_words(seen, read, 4.0, 5.0), whole):
        weights = (7.0 * alike).exp()
        for row in range(4):
            others = [it for it in range(4) if it == row or not torch.equal(ROWS[it], ROWS[row])]
            both = weights[row, others].sum(), weights[others, row].sum()
            expected -= sum((weights[row, row] / it).log().item() for it in both) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_generator_adds_how_badly_its_images_match():
    players, objective = game(), TextToImage(SPEC, loss=NonSaturating(), matching=3.0)
    latent = torch.randn(4, 3)
    players.generator.latent = lambda n: latent
    loss, stats = objective.generate(players, BATCH, CLOCK)
    fake = players.generator.sample(4, BATCH)
    fooled = softplus(-players.discriminator(fake, BATCH)).mean()
    assert loss.item() == pytest.approx((fooled + 3 * stats["mismatch"]).item(), rel=1e-5)


@pytest.mark.parametrize("size", [8, 16, 64])
def test_images_and_verdicts_depend_on_every_word_and_on_no_padding(size):
    spec = ImageFromSpec(3, size, input=TEXT)
    torch.manual_seed(0)
    generator = WordResNetGenerator(spec, encoder=encoder(), width=8, latent_dim=3).double().eval()
    judge = WordResNetDiscriminator(spec, encoder=encoder(), width=8).double().eval()
    latent, images = torch.randn(1, 3).double(), torch.randn(1, 3, size, size).double()
    texts = torch.tensor([[5, 6, 7, 2, 0], [4, 6, 7, 2, 0], [5, 6, 4, 2, 0], [5, 6, 7, 2, 8]])
    made = [generator.sample(1, {"input": text[None]}, latent=latent) for text in texts]
    said = [judge(images, {"input": text[None]}).item() for text in texts]
    assert made[0].shape == (1, 3, size, size) and made[0].abs().max() <= 1
    assert torch.equal(made[0], made[3]) and said[0] == said[3]
    assert all(not torch.allclose(made[0], made[it]) and said[0] != said[it] for it in (1, 2))


def test_a_condition_without_a_text_and_data_without_texts_are_refused():
    with pytest.raises(UsageError, match="the condition needs an input"):
        game().generator.sample(2)
    with pytest.raises(UsageError, match="conditional/word_resnet reads texts"):
        WordResNetGenerator(ImageFromSpec(3, 16, input=ImageSpec(3, 16)), encoder=encoder())


def with_encoder():
    players = game()
    torch.manual_seed(1)
    return Players({**players, "encoder": LatentEncoder(SPEC, latent_dim=3, width=2, norm="none")})


def expected(generator):
    """What is expected of codes by the texts of BATCH, their means and deviations."""
    memory = generator.encoder(ROWS)
    mean, log_variance = generator.expect(memory.mean(memory.states)).chunk(2, dim=1)
    return mean, (log_variance / 2).exp()


def drawn_again(players, chance):
    code = players.encoder(real(BATCH))
    mean, deviation = expected(players.generator)
    latent = (code.mean + (code.log_variance / 2).exp() * chance - mean) / deviation
    return code, players.generator.sample(4, BATCH, latent=latent)


def test_reconstruct_is_the_bound_of_a_conditional_variational_autoencoder():
    players, objective = with_encoder(), TextToImage(SPEC, loss=NonSaturating(), prior=0.5, deviation=0.25)
    with noise.shared(1):
        loss, _ = objective.reconstruct(players, BATCH, CLOCK)
    with noise.shared(1):
        chance = noise.normal(4, 3)
    code, again = drawn_again(players, chance)
    posterior, pixels = Normal(code.mean, (code.log_variance / 2).exp()), Normal(again, 0.25)
    divergence = kl_divergence(posterior, Normal(*expected(players.generator))).sum(1).mean()
    at_best = Normal(0.0, 0.25).log_prob(torch.zeros(()))
    unlikely = (at_best - pixels.log_prob(real(BATCH))).sum((1, 2, 3)).mean()
    assert loss.item() == pytest.approx((0.5 * divergence + unlikely).item(), rel=1e-4)
    assert TextToImage.reconstruct.updates == ("encoder", "generator")


def test_latents_are_moved_and_stretched_as_the_text_says():
    generator = game()["generator"].eval()
    code = Gaussian(torch.randn(4, 3), torch.randn(4, 3))
    relative = generator.relative(code, BATCH)
    mean, deviation = expected(generator)
    apart = kl_divergence(Normal(code.mean, (code.log_variance / 2).exp()), Normal(mean, deviation)).sum(1)
    assert torch.allclose(relative.divergence(), apart, rtol=1e-4)
    assert torch.allclose(relative.mean * deviation + mean, code.mean, atol=1e-6)
    # Another text moves them elsewhere, the same one to the same place.
    assert (mean[0] == mean[1]).all()
    assert (mean[0] != mean[2]).all()


def test_fooling_keeps_reconstructions_and_leaves_the_encoder_alone(monkeypatch):
    players = with_encoder()
    latent, chance = torch.randn(2, 4, 3)
    players.generator.latent = lambda n: latent
    options = {"loss": NonSaturating(), "matching": 0.0, "deviation": 0.25}
    _, again = drawn_again(players, chance)
    plain, _ = TextToImage(SPEC, **options).generate(players, BATCH, CLOCK)
    monkeypatch.setattr(Gaussian, "sample", lambda self: self.mean + (self.log_variance / 2).exp() * chance)
    loss, _ = TextToImage(SPEC, reconstruction=0.1, **options).generate(players, BATCH, CLOCK)
    pixels = (again - real(BATCH)).square().sum((1, 2, 3)).mean() / (2 * 0.25**2)
    assert loss.item() == pytest.approx((plain + 0.1 * pixels).item(), rel=1e-4)
    loss.backward()
    assert all(it.grad is None for it in players.encoder.parameters())


def test_an_encoder_of_other_latents_is_refused():
    players = with_encoder()
    players = Players({**players, "encoder": LatentEncoder(SPEC, latent_dim=4, width=2, norm="none")})
    with pytest.raises(UsageError, match="3 numbers in the generator and 4 in the encoder"):
        TextToImage(SPEC, loss=NonSaturating()).reconstruct(players, BATCH, CLOCK)
