"""Vector quantisation: what becomes of vectors, what learns, and how averages follow."""

import pytest
import torch

from gangen import noise
from gangen_conditional.networks.codebook import Codebook


def book(decay=None, codes=3, dim=2):
    torch.manual_seed(0)
    return Codebook(codes, dim, commitment=0.25, decay=decay)


def grid(n=2, side=2, dim=2):
    return torch.randn(n, dim, side, side, generator=torch.Generator().manual_seed(1)).requires_grad_()


def test_every_vector_becomes_the_nearest_code():
    codebook, vectors = book(), grid()
    found = codebook(vectors)
    for row in range(2):
        for place in range(4):
            vector = vectors[row].flatten(1)[:, place]
            distances = (codebook.embedding - vector).square().sum(1)
            assert found.index[row, place] == distances.argmin()
            torch.testing.assert_close(found.latent[row].flatten(1)[:, place], codebook.embedding[distances.argmin()])


def test_gradients_go_straight_through_and_both_sides_pay_for_their_distance():
    codebook, vectors = book(), grid()
    found = codebook(vectors)
    weights = torch.randn(found.latent.shape)
    (through,) = torch.autograd.grad((found.latent * weights).sum(), vectors, retain_graph=True)
    torch.testing.assert_close(through, weights)
    pays, learns = torch.autograd.grad(found.cost, [vectors, codebook.embedding])
    chosen = codebook.embedding[found.index].mT.reshape(vectors.shape)
    torch.testing.assert_close(pays, 0.25 * 2 * (vectors - chosen) / vectors.numel())
    expected = torch.zeros(3, 2)
    expected.index_add_(0, found.index.flatten(), -2 * (found.vectors - chosen.flatten(2).mT).flatten(0, 1).detach())
    torch.testing.assert_close(learns, expected / vectors.numel())


def test_averages_are_those_of_the_vectors_that_chose_a_code():
    codebook = book(decay=0.5, codes=2)
    codebook.embedding.copy_(torch.tensor([[0.0, 0.0], [10.0, 10.0]]))
    count, total = torch.zeros(2), torch.zeros(2, 2)
    for step in range(3):
        vectors = torch.randn(2, 2, 2, 2) + torch.tensor([0.0, 10.0]).reshape(2, 1, 1, 1)
        flat = vectors.flatten(2).mT.flatten(0, 1)
        near = flat.sum(1) < 10
        count = count / 2 + torch.stack([near.sum(), (~near).sum()]) / 2
        total = total / 2 + torch.stack([flat[near].sum(0), flat[~near].sum(0)]) / 2
        with noise.shared(step):
            codebook.follow(codebook(vectors))
        torch.testing.assert_close(codebook.embedding, total / count[:, None])


def test_codes_that_nobody_chooses_begin_anew_at_vectors_of_the_batch():
    codebook, vectors = book(decay=0.9, codes=4), grid(n=8)
    codebook.embedding.fill_(100)
    codebook.embedding[0] = 0
    with noise.shared(0):
        codebook.follow(codebook(vectors))
    anew = codebook.embedding[1:]
    flat = vectors.detach().flatten(2).mT.flatten(0, 1)
    assert (torch.cdist(anew, flat).min(1).values < 1e-6).all()
    assert len(anew.unique(dim=0)) == 3


@pytest.mark.parametrize("decay", [None, 0.9])
def test_looking_changes_nothing(decay):
    codebook = book(decay)
    before = {name: tensor.clone() for name, tensor in codebook.state_dict().items()}
    codebook(grid())
    assert all(torch.equal(tensor, before[name]) for name, tensor in codebook.state_dict().items())


def test_perplexity_counts_codes_in_use():
    codebook = book(codes=4)
    found = codebook(grid())
    assert codebook.perplexity(found._replace(index=torch.tensor([[0, 1], [0, 1]]))).item() == pytest.approx(2)
    assert codebook.perplexity(found._replace(index=torch.tensor([[3, 3], [3, 3]]))).item() == pytest.approx(1)


def test_averages_are_as_fine_under_mixed_precision():
    found = []
    for mixed in (False, True):
        codebook = book(decay=0.5)
        vectors = grid().detach().bfloat16()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed), noise.shared(0):
            codebook.follow(codebook(vectors if mixed else vectors.float()))
        found.append(codebook.embedding)
    torch.testing.assert_close(*found)
