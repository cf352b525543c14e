"""The text plugin: data, networks, games, extractors and metrics. Nothing heavy is imported here.

Its hooks stand below, the names that other plugins may import in ``__init__.pyi``.
"""

from collections.abc import Callable

import lazy_loader

from gangen import hookimpl

# Without the list of names that the module's own dir() would be: looking for hooks, pluggy would load them all.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


@hookimpl
def gangen_data(register: Callable) -> None:
    register("lines", ".data.lines:Lines", summary="any text that `datasets` reads: files, columns, folders, hub names")
    register("verses", ".data.verses:Verses", summary="built in: Bible verses (American Standard) by group or book")
    register("prompts", ".data.prompts:Prompts", summary="prompts with answers; built in: small tasks in words")
    register("oracle", ".data.oracle:OracleData", summary="synthetic sequences of an oracle LSTM (SeqGAN)")


@hookimpl
def gangen_generators(register: Callable) -> None:
    register("causal_lm", ".networks.causal_lm:CausalLM", summary="any causal language model of transformers")
    register(
        "hierarchical",
        ".networks.hierarchical:HierarchicalGenerator",
        summary="Manager, Worker, leaked features: LeakGAN",
    )
    register("lstm", ".networks.lstm:LSTMGenerator", summary="recurrent language model")
    register("relational_memory", ".networks.relational:RelationalMemory", summary="relational memory core: RelGAN")
    register("transformer", ".networks.transformer:TransformerGenerator", summary="causal decoder with a cache")


@hookimpl
def gangen_discriminators(register: Callable) -> None:
    register("cnn", ".networks.cnn:CNNDiscriminator", summary="TextCNN: convolutions of many widths, a highway layer")
    register("lstm", ".networks.lstm:LSTMDiscriminator", summary="recurrent, with a logit for each prefix of a text")
    register("transformer", ".networks.transformer:TransformerDiscriminator", summary="bidirectional encoder")
    register(
        "sequence_classifier", ".networks.sequence_classifier:SequenceClassifier", summary="a causal_lm with one logit"
    )
    register("pretrained", ".networks.pretrained:PretrainedDiscriminator", summary="any encoder of transformers")


@hookimpl
def gangen_objectives(register: Callable) -> None:
    register("gumbel", ".objectives.gumbel:Gumbel", summary="Gumbel-softmax; turns imitate, discriminate, relax")
    register("seqgan", ".objectives.seqgan:SeqGAN", summary="policy gradient; turns imitate, discriminate, policy")
    register("coop", ".objectives.coop:Coop", summary="imitates its own best; turns imitate, discriminate, cooperate")
    register(
        "maligan", ".objectives.maligan:MaliGAN", summary="own texts by weight; turns imitate, discriminate, policy"
    )
    register("cot", ".objectives.cot:CoT", summary="follows a mediator; turns imitate, mediate, cooperate")
    register("jsdgan", ".objectives.jsdgan:JSDGAN", summary="closed-form discriminator; turns imitate, generate")
    register("ddo", ".objectives.ddo:DDO", summary="its own discriminator; turns imitate, discriminate")
    register("sequence_kd", ".objectives.sequence_kd:SequenceKD", summary="imitates a teacher: the control")
    register(
        "adversarial_distillation",
        ".objectives.adversarial_distillation:AdversarialDistillation",
        summary="GAD; turns imitate, discriminate, policy",
    )
    register("imitation_rl", ".objectives.imitation_rl:ImitationRL", summary="TextGAIL; PPO with demonstrations")
    register("self_play", ".objectives.self_play:SelfPlay", summary="SPIN: prefers real texts; turns imitate, policy")
    register("rankgan", ".objectives.rankgan:RankGAN", summary="seqgan whose discriminator ranks texts beside others")
    register("sentigan", ".objectives.sentigan:SentiGAN", summary="penalties by label; turns as seqgan's")
    register("leakgan", ".objectives.leakgan:LeakGAN", summary="goals by leaked features; turns as seqgan's")
    register("scratchgan", ".objectives.scratchgan:ScratchGAN", summary="a reward for each token; turns as seqgan's")


@hookimpl
def gangen_samplers(register: Callable) -> None:
    register("residual", ".samplers.residual:Residual", summary="the discriminator chooses a text: Deng et al., 2020")


@hookimpl
def gangen_extractors(register: Callable) -> None:
    register("encoder", ".extractors.encoder:Encoder", summary="a small network that learns texts and their labels")
    register("topics", ".extractors.topics:Topics", summary="what texts are about: latent semantic analysis")
    register("ngrams", ".extractors.hashed_ngrams:HashedNgrams", summary="hashed counts of n-grams; nothing is learned")
    register("transformers", ".extractors.pretrained:Transformers", summary="a pretrained model, by folder or hub name")


@hookimpl
def gangen_metrics(register: Callable) -> None:
    register("nll", ".metrics.likelihood:HeldOutNLL", summary="negative log-likelihood per token of held-out text")
    register("nll_oracle", ".metrics.likelihood:OracleNLL", summary="nats per token of samples under the oracle")
    register("distinct", ".metrics.variety:Distinct", summary="share of distinct n-grams in samples")
    register("entropy", ".metrics.variety:Entropy", summary="entropy of the n-grams of samples")
    register("unique", ".metrics.variety:Unique", summary="share of distinct samples")
    register("forward_nll", ".metrics.ngram_nll:ForwardNLL", summary="likelihood of samples under real texts' n-grams")
    register("reverse_nll", ".metrics.ngram_nll:ReverseNLL", summary="likelihood of real texts under samples' n-grams")
    register(
        "generative_nll", ".metrics.generative_nll:GenerativeNLL", summary="likelihood of samples under another LM"
    )
    register("bleu", ".metrics.bleu:Bleu", summary="BLEU-2 to 5 of samples against held-out texts")
    register("self_bleu", ".metrics.bleu:SelfBleu", summary="BLEU-2 to 5 of samples against each other")
    register("copied", ".metrics.copying:Copied", summary="how much of samples stands in the training texts")
    register("invented", ".metrics.invented:Invented", summary="words that stand in no training text")
    register("exact_match", ".metrics.exact_match:ExactMatch", summary="share of answers that are the true one")
    register("lengths", ".metrics.lengths:Lengths", summary="distance of samples' lengths from held-out texts'")


@hookimpl
def gangen_commands(register: Callable) -> None:
    register("answers", ".commands.answers:Answers", summary="answers of a language model to prompts, as a table")
