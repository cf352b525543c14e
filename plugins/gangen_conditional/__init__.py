"""The conditional plugin: games that make something from something, and what they need. Hooks only."""

from collections.abc import Callable

from gangen import hookimpl


@hookimpl
def gangen_data(register: Callable) -> None:
    register("domains", ".data.domains:Domains", summary="labelled pictures, any to be made one of any label: StarGAN")
    register("labelled_shapes", ".data.shapes:LabelledShapes", summary="built in: single shapes by colour or shape")
    register("masked", ".data.masked:Masked", summary="texts with holes, to be filled; of any source of texts")
    register("pairs", ".data.pairs:Pairs", summary="pairs of pictures, or pictures with an input derived from each")
    register("parallel", ".data.parallel:Parallel", summary="sentence pairs; built in: English with its Latin")
    register("shapes", ".data.shapes:Shapes", summary="built in: scenes of coloured shapes and their captions")
    register("unpaired", ".data.unpaired:Unpaired", summary="two sources of pictures, to be made of each other")


@hookimpl
def gangen_generators(register: Callable) -> None:
    register("attentive", ".networks.attentive:AttentiveGenerator", summary="LSTM decoder that attends to an encoder")
    register("captioner", ".networks.captioner:CaptionGenerator", summary="attentive, and remembers what it looked at")
    register(
        "contrastive_translator", ".networks.contrastive:ContrastiveTranslator", summary="a translator and encoder: CUT"
    )
    register("grid", ".networks.grid:GridDecoder", summary="grids of codes to images")
    register("infilling", ".networks.infilling:InfillingGenerator", summary="LSTM decoder that fills holes of texts")
    register("translator", ".networks.translator:Translator", summary="residual: Johnson et al., 2016; CycleGAN")
    register("unet", ".networks.unet:UNetGenerator", summary="a picture into a picture: Isola et al., 2017")
    register("word_resnet", ".networks.word_resnet:WordResNetGenerator", summary="an image that looks at a text")


@hookimpl
def gangen_discriminators(register: Callable) -> None:
    register("domains", ".networks.domains:DomainDiscriminator", summary="patches, and a classifier of labels: StarGAN")
    register("infilling", ".networks.infilling:InfillingDiscriminator", summary="a verdict on each word of a hole")
    register("joint", ".networks.joint:JointDiscriminator", summary="a text beside what it was made from, by attention")
    register("latent", ".networks.latent:LatentDiscriminator", summary="judges images beside latents")
    register("patch", ".networks.patch:PatchDiscriminator", summary="PatchGAN, of several scales: Isola et al., 2017")
    register("word_resnet", ".networks.word_resnet:WordResNetDiscriminator", summary="is it real, and of its text?")


@hookimpl
def gangen_encoders(register: Callable) -> None:
    register("grid", ".networks.grid:GridEncoder", summary="images to grids of codes, as latent diffusion wants them")
    register("latent", ".networks.latent:LatentEncoder", summary="images to the latents of image generators")
    register("matcher", ".networks.matcher:Matcher", summary="words and places of images in one space: AttnGAN's DAMSM")
    register("places", ".networks.places:Places", summary="convolutions: a state for each place of the input's picture")
    register("transformers", ".networks.pretrained:Transformers", summary="a pretrained model, by folder or hub name")
    register("words", ".networks.words:Words", summary="a bidirectional LSTM: a state for each word of the input")


@hookimpl
def gangen_objectives(register: Callable) -> None:
    register("autoencoder", ".objectives.autoencoder:Autoencoder", summary="VQGAN, and the KL kind: Esser et al., 2021")
    register("bigan", ".objectives.bigan:BiGAN", summary="with an inverse: Donahue et al., 2017")
    register("captioning", ".objectives.captioning:Captioning", summary="texts of pictures: Dai et al., 2017")
    register("cut", ".objectives.cut:CUT", summary="unpaired, one way: Park et al., 2020")
    register("cyclegan", ".objectives.cyclegan:CycleGAN", summary="unpaired; turns discriminate, translate")
    register("infilling", ".objectives.infilling:Infilling", summary="MaskGAN; turns imitate, discriminate, policy")
    register("pix2pix", ".objectives.pix2pix:Pix2Pix", summary="of pairs: Isola et al., 2017")
    register("stargan", ".objectives.stargan:StarGAN", summary="many domains; turns discriminate, generate")
    register("text_to_image", ".objectives.text_to_image:TextToImage", summary="Reed et al., 2016; AttnGAN's matching")
    register("translation", ".objectives.translation:Translation", summary="sentence pairs: Wu et al., 2017")
    register("vaegan", ".objectives.vaegan:VAEGAN", summary="a VAE that plays: Larsen et al., 2016")


@hookimpl
def gangen_samplers(register: Callable) -> None:
    register("both_ways", ".samplers.both_ways:BothWays", summary="either translator, by the setting direction")
    register("completion", ".samplers.completion:Completion", summary="fills what is missing of pictures")
    register("reconstruction", ".samplers.reconstruction:Reconstruction", summary="encodes and decodes pictures")
    register("to_domain", ".samplers.to_domain:ToDomain", summary="into the label that the setting to names")


@hookimpl
def gangen_metrics(register: Callable) -> None:
    register(
        "attributes", ".metrics.attributes:Attributes", summary="share of pictures of shapes that show what they should"
    )
    register("bleu", ".metrics.translations:Bleu", summary="corpus BLEU of translations, by sacrebleu")
    register("captions", ".metrics.captions:Captions", summary="share of pictures of shapes that are described rightly")
    register("completion", ".metrics.completion:Completion", summary="error where pictures are missing")
    register("exact_match", ".metrics.translations:ExactMatch", summary="share of translations that are the true one")
    register("fill_perplexity", ".metrics.fills:FillPerplexity", summary="how likely and how varied words in holes are")
    register("label_kept", ".metrics.label_kept:LabelKept", summary="samples in which the label of the input is seen")
    register("pairs", ".metrics.pairs:Pairs", summary="distance from the one truth: L1, PSNR, SSIM; needs torchmetrics")
    register("reconstruction", ".metrics.reconstruction:Reconstruction", summary="how far reconstructions are off")
