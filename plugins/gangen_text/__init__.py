"""The text plugin: data, networks, games, extractors and metrics. Hooks only; nothing heavy is imported here."""

from collections.abc import Callable

from gangen import hookimpl


@hookimpl
def gangen_data(register: Callable) -> None:
    register(
        "lines", "gangen_text.lines:Lines", summary="any text that `datasets` reads: files, columns, folders, hub names"
    )
    register(
        "verses",
        "gangen_text.verses:Verses",
        summary="built in: Bible verses (American Standard Version) by group or book",
    )
    register("oracle", "gangen_text.oracle:OracleData", summary="synthetic sequences of an oracle LSTM (SeqGAN)")


@hookimpl
def gangen_generators(register: Callable) -> None:
    register("lstm", "gangen_text.lstm:LSTMGenerator", summary="recurrent language model")
    register(
        "transformer", "gangen_text.transformer:TransformerGenerator", summary="causal transformer decoder with cache"
    )


@hookimpl
def gangen_discriminators(register: Callable) -> None:
    register(
        "cnn", "gangen_text.cnn:CNNDiscriminator", summary="convolutions of many widths with a highway layer (TextCNN)"
    )
    register(
        "transformer", "gangen_text.transformer:TransformerDiscriminator", summary="bidirectional transformer encoder"
    )


@hookimpl
def gangen_objectives(register: Callable) -> None:
    register(
        "gumbel", "gangen_text.gumbel:Gumbel", summary="Gumbel-softmax relaxation; turns imitate, discriminate, relax"
    )
    register(
        "seqgan",
        "gangen_text.seqgan:SeqGAN",
        summary="policy gradient with rollouts; turns imitate, discriminate, policy",
    )


@hookimpl
def gangen_extractors(register: Callable) -> None:
    register("encoder", "gangen_text.encoder:Encoder", summary="a small network that learns texts and their labels")
    register("topics", "gangen_text.topics:Topics", summary="what texts are about: latent semantic analysis")
    register("ngrams", "gangen_text.hashed_ngrams:HashedNgrams", summary="hashed counts of n-grams; nothing is learned")
    register("transformers", "gangen_text.pretrained:Transformers", summary="a pretrained model, by folder or hub name")


@hookimpl
def gangen_metrics(register: Callable) -> None:
    register("nll", "gangen_text.metrics:HeldOutNLL", summary="negative log-likelihood per token of held-out text")
    register(
        "nll_oracle", "gangen_text.metrics:OracleNLL", summary="negative log-likelihood of samples under the oracle"
    )
    register("distinct", "gangen_text.metrics:Distinct", summary="share of distinct n-grams in samples")
    register("entropy", "gangen_text.metrics:Entropy", summary="entropy of the n-grams of samples")
    register("unique", "gangen_text.metrics:Unique", summary="share of distinct samples")
    register(
        "forward_nll", "gangen_text.ngram_nll:ForwardNLL", summary="likelihood of samples under n-grams of real texts"
    )
    register(
        "reverse_nll", "gangen_text.ngram_nll:ReverseNLL", summary="likelihood of real texts under n-grams of samples"
    )
    register("bleu", "gangen_text.bleu:Bleu", summary="BLEU-2 to 5 of samples against held-out texts")
    register("self_bleu", "gangen_text.bleu:SelfBleu", summary="BLEU-2 to 5 of samples against each other")
    register("copied", "gangen_text.copying:Copied", summary="how much of samples stands in the training texts")
    register("lengths", "gangen_text.lengths:Lengths", summary="distance of samples' lengths from held-out texts'")
