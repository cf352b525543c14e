"""The text plugin: data, networks, games, extractors and metrics. Hooks only; nothing heavy is imported here."""

from collections.abc import Callable

from gangen import hookimpl


@hookimpl
def gangen_data(register: Callable) -> None:
    register(
        "lines",
        "gangen_text.data.lines:Lines",
        summary="any text that `datasets` reads: files, columns, folders, hub names",
    )
    register(
        "verses",
        "gangen_text.data.verses:Verses",
        summary="built in: Bible verses (American Standard Version) by group or book",
    )
    register("oracle", "gangen_text.data.oracle:OracleData", summary="synthetic sequences of an oracle LSTM (SeqGAN)")


@hookimpl
def gangen_generators(register: Callable) -> None:
    register("lstm", "gangen_text.networks.lstm:LSTMGenerator", summary="recurrent language model")
    register(
        "transformer",
        "gangen_text.networks.transformer:TransformerGenerator",
        summary="causal transformer decoder with cache",
    )


@hookimpl
def gangen_discriminators(register: Callable) -> None:
    register(
        "cnn",
        "gangen_text.networks.cnn:CNNDiscriminator",
        summary="convolutions of many widths with a highway layer (TextCNN)",
    )
    register(
        "transformer",
        "gangen_text.networks.transformer:TransformerDiscriminator",
        summary="bidirectional transformer encoder",
    )


@hookimpl
def gangen_objectives(register: Callable) -> None:
    register(
        "gumbel",
        "gangen_text.objectives.gumbel:Gumbel",
        summary="Gumbel-softmax relaxation; turns imitate, discriminate, relax",
    )
    register(
        "seqgan",
        "gangen_text.objectives.seqgan:SeqGAN",
        summary="policy gradient with rollouts; turns imitate, discriminate, policy",
    )


@hookimpl
def gangen_extractors(register: Callable) -> None:
    register(
        "encoder",
        "gangen_text.extractors.encoder:Encoder",
        summary="a small network that learns texts and their labels",
    )
    register("topics", "gangen_text.extractors.topics:Topics", summary="what texts are about: latent semantic analysis")
    register(
        "ngrams",
        "gangen_text.extractors.hashed_ngrams:HashedNgrams",
        summary="hashed counts of n-grams; nothing is learned",
    )
    register(
        "transformers",
        "gangen_text.extractors.pretrained:Transformers",
        summary="a pretrained model, by folder or hub name",
    )


@hookimpl
def gangen_metrics(register: Callable) -> None:
    register(
        "nll", "gangen_text.metrics.likelihood:HeldOutNLL", summary="negative log-likelihood per token of held-out text"
    )
    register(
        "nll_oracle",
        "gangen_text.metrics.likelihood:OracleNLL",
        summary="negative log-likelihood of samples under the oracle",
    )
    register("distinct", "gangen_text.metrics.variety:Distinct", summary="share of distinct n-grams in samples")
    register("entropy", "gangen_text.metrics.variety:Entropy", summary="entropy of the n-grams of samples")
    register("unique", "gangen_text.metrics.variety:Unique", summary="share of distinct samples")
    register(
        "forward_nll",
        "gangen_text.metrics.ngram_nll:ForwardNLL",
        summary="likelihood of samples under n-grams of real texts",
    )
    register(
        "reverse_nll",
        "gangen_text.metrics.ngram_nll:ReverseNLL",
        summary="likelihood of real texts under n-grams of samples",
    )
    register("bleu", "gangen_text.metrics.bleu:Bleu", summary="BLEU-2 to 5 of samples against held-out texts")
    register("self_bleu", "gangen_text.metrics.bleu:SelfBleu", summary="BLEU-2 to 5 of samples against each other")
    register("copied", "gangen_text.metrics.copying:Copied", summary="how much of samples stands in the training texts")
    register(
        "lengths", "gangen_text.metrics.lengths:Lengths", summary="distance of samples' lengths from held-out texts'"
    )
