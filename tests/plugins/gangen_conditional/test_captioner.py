"""What the decoder of captions has over the attentive one: it remembers what it looked at."""

import torch

from gangen_conditional.networks.attentive import AttentiveGenerator
from gangen_conditional.networks.captioner import CaptionGenerator
from gangen_conditional.networks.places import Places
from gangen_conditional.spec import TextFromSpec
from gangen_image import ImageSpec


def test_what_was_seen_before_is_remembered():
    torch.manual_seed(0)
    spec = TextFromSpec(vocab_size=9, max_length=6, start=0, end=1, pad=2, input=ImageSpec(1, 16))
    embedded = torch.randn(1, 64)
    for network, remembers in ((AttentiveGenerator, False), (CaptionGenerator, True)):
        generator = network(spec, encoder=Places(spec, dim=8, width=2))
        state = generator.begin(1, {"input": torch.zeros(1, 1, 16, 16, dtype=torch.uint8)})
        _, here = generator.step(state, embedded)
        elsewhere = state._replace(memory=state.memory._replace(states=-state.memory.states))
        _, there = generator.step(elsewhere, embedded)
        features = [generator.step(it._replace(memory=state.memory), embedded)[0] for it in (here, there)]
        assert torch.equal(*features) != remembers
