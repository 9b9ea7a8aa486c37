"""Tiny but real models, made in code: the same classes as the full ones, with random weights."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = [
    *("[PAD]", "[UNK]", "</s>", "<s>", ".", ",", ":", "'"),
    *("anna", "berlin", "paris", "lives", "works", "in", "for", "the", "report", "says", "sales", "rose", "fell"),
    *("one", "two", "three", "hello", "world", "summarize", "один", "два", "три"),
    *(letter for letter in _LETTERS),
    *(f"##{letter}" for letter in _LETTERS),
]

#: A text of known words.
TEXT = "Anna lives in Berlin, and works for UN."


def tokenizer() -> Any:
    """A fast tokenizer of lower-case words, spelling those it does not know."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    words = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.decoder = decoders.WordPiece()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="[PAD]",
        unk_token="[UNK]",
        eos_token="</s>",
        bos_token="<s>",
        model_max_length=32,
    )


def pair_tokenizer() -> Any:
    """The same, which tells the second text of a pair from the first."""
    from tokenizers import processors

    tokens = tokenizer()
    tokens.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 3), ("</s>", 2)]
    )
    return tokens


def tagger_folder(folder: Path, width: int = 16, spread: float = 0.8) -> Path:
    """A BERT that labels tokens, as ``from_pretrained`` reads it.

    Args:
        spread: of the random weights; above 0.5 every token has a clear label, and rounding is felt.
    """
    import torch
    from transformers import BertForTokenClassification

    torch.manual_seed(0)
    config = _bert_config(width, spread, ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))
    return _saved(BertForTokenClassification(config), folder)


def text_classifier_folder(
    folder: Path, labels: tuple[str, ...] = ("bad", "so-so", "good"), *, spread: float = 0.8, **settings: Any
) -> Path:
    """A BERT that labels texts and pairs of texts.

    Args:
        settings: more of its configuration, as its problem_type.
    """
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(1)
    config = _bert_config(16, spread, labels, **settings)
    return _saved(BertForSequenceClassification(config), folder, pair_tokenizer())


def encoder_folder(folder: Path, *, spread: float = 0.8) -> Path:
    """A plain BERT, which says nothing of sentences."""
    import torch
    from transformers import BertModel

    torch.manual_seed(2)
    return _saved(BertModel(_bert_config(16, spread, ()), add_pooling_layer=False), folder, pair_tokenizer())


def sentence_folder(folder: Path, *, spread: float = 0.8) -> Path:
    """The same as sentence-transformers keeps it: mean, a dense layer, length 1; prompts, and eight tokens at most."""
    from safetensors.numpy import save_file

    encoder_folder(folder, spread=spread)
    kinds = ("Transformer", "Pooling", "Dense", "Normalize")
    modules = [
        {"idx": index, "name": str(index), "path": f"{index}_{kind}" if index else "", "type": f"{_MODULES}.{kind}"}
        for index, kind in enumerate(kinds)
    ]
    files: dict[str, Any] = {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 8, "do_lower_case": True},
        "config_sentence_transformers.json": {
            "prompts": {"query": "one: ", "document": "two: "},
            "similarity_fn_name": "dot",
        },
        "1_Pooling/config.json": {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
        "2_Dense/config.json": {"in_features": 16, "out_features": 6, "bias": True, "activation_function": _TANH},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "3_Normalize").mkdir()
    numbers = np.random.default_rng(3).normal(scale=0.15, size=(6, 17)).astype(np.float32)
    dense = {"linear.weight": numbers[:, :16].copy(), "linear.bias": numbers[:, 16].copy()}
    save_file(dense, folder / "2_Dense" / "model.safetensors")
    return folder


_MODULES, _TANH = "sentence_transformers.models", "torch.nn.modules.activation.Tanh"


def _bert_config(width: int, spread: float, labels: tuple[str, ...], **settings: Any) -> Any:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=32,
        initializer_range=spread,
        pad_token_id=0,
        **(
            {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
            if labels
            else {}
        ),
        **settings,
    )


def generator_folder(folder: Path) -> Path:
    """A T5 that writes text, as ``from_pretrained`` reads it."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(VOCABULARY),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        initializer_factor=2.0,
        pad_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
    )
    return _saved(T5ForConditionalGeneration(config), folder)


def marian_folder(folder: Path) -> Path:
    """A Marian translator, which brings beams and a length of its own in its generation config."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(0)
    config = _two_towers(
        MarianConfig, len(VOCABULARY), pad_token_id=0, eos_token_id=2, decoder_start_token_id=0, forced_eos_token_id=2
    )
    model = MarianMTModel(config)
    model.generation_config.num_beams = 3
    model.generation_config.max_length = 24
    return _saved(model, folder)


def bart_folder(folder: Path) -> Path:
    """A BART, which begins and ends its longest answers as its generation config says, and never writes some words."""
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(0)
    tokens = {"pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 2, "decoder_start_token_id": 2}
    model = BartForConditionalGeneration(_two_towers(BartConfig, len(VOCABULARY), **tokens, forced_eos_token_id=2))
    model.generation_config.forced_bos_token_id = 3
    model.generation_config.bad_words_ids = [[8], [9], [2]]
    return _saved(model, folder)


def fsmt_folder(folder: Path) -> Path:
    """An FSMT translator."""
    import torch
    from transformers import FSMTConfig, FSMTForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"src_vocab_size": len(VOCABULARY), "tgt_vocab_size": len(VOCABULARY)}
    tokens = {"pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = _two_towers(FSMTConfig, len(VOCABULARY), langs=["en", "ru"], **sizes, **tokens)
    return _saved(FSMTForConditionalGeneration(config), folder)


def nllb_folder(folder: Path) -> Path:
    """An NLLB translator of three languages."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    torch.manual_seed(0)
    vocabulary = {token: number for number, token in enumerate(("<s>", "<pad>", "</s>", "<unk>", *_LETTERS, "▁"))}
    languages = ["eng_Latn", "fra_Latn", "rus_Cyrl"]
    tokens = NllbTokenizer(vocabulary, [], src_lang="eng_Latn", extra_special_tokens=languages)
    config = _two_towers(M2M100Config, len(tokens), pad_token_id=1, decoder_start_token_id=2)
    return _saved(M2M100ForConditionalGeneration(config), folder, tokens)


def old_marian_folder(folder: Path) -> Path:
    """A Marian translator with the tokenizer of its kind: SentencePiece files, and not a fast one."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    sentences = [f"{first} {last} lives in {place}" for first in "ab" for last in "xyz" for place in ("berlin", "rome")]
    for name in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_prefix=str(folder / name), vocab_size=22, minloglevel=2
        )
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
        (folder / f"{name}.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "source.spm"))
    words = ["</s>", "<unk>", *(pieces.id_to_piece(number) for number in range(3, len(pieces))), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    tokens = MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"))
    pad = len(words) - 1
    config = _two_towers(MarianConfig, len(words), pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad)
    return _saved(MarianMTModel(config), folder, tokens)


#: Answers each message with its role; refuses any but the usual ones.
CHAT_TEMPLATE = """{{ bos_token }}{% for message in messages %}
{% if message.role not in ["system", "user", "assistant"] %}
{{ raise_exception("Roles are system, user and assistant, not " + message.role) }}
{% endif %}
<{{ message.role }}>{{ message.content | trim }}</{{ message.role }}>
{% endfor %}
{% if add_generation_prompt %}<assistant>{% endif %}"""

_LINES = [
    "Anna lives in Berlin, and works for UN.",
    "один два три",
    "« ça va » 😀🎉 日本",
    "one two three hello world",
] * 3


def gpt2_folder(folder: Path) -> Path:
    """A GPT-2 that writes bytes, whole characters of some of them: no pad token, and no chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator(_LINES, trainer)
    tokens = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<|end|>", model_max_length=64)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    config = GPT2Config(
        vocab_size=len(tokens), n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.6, **ends
    )
    return _saved(GPT2LMHeadModel(config), folder, tokens)


def llama_folder(folder: Path, positions: int = 128) -> Path:
    """A Llama with grouped heads, pieces that carry spaces, bytes for what it does not know, and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    special = ["<unk>", "<s>", "</s>", "<end>"]
    words = [
        "▁hello",
        "▁world",
        "▁one",
        "▁two",
        "▁a",
        "▁lives",
        "▁in",
        "▁",
        ".",
        ",",
        "<",
        ">",
        "/",
        *_LETTERS,
        "д",
        "😀",
    ]
    vocabulary = {
        piece: number for number, piece in enumerate([*special, *(f"<0x{n:02X}>" for n in range(256)), *words])
    }
    pieces = Tokenizer(models.Unigram([(piece, -5.0) for piece in vocabulary], 0, byte_fallback=True))
    pieces.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    pieces.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    pieces.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=["<end>"],
        model_max_length=positions,
    )
    tokens.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        initializer_range=0.6,
        bos_token_id=1,
        eos_token_id=[2, 3],
    )
    model = LlamaForCausalLM(config)
    # At random it would write hardly anything else, and half characters only.
    model.generation_config.suppress_tokens = list(range(4, 260))
    return _saved(model, folder, tokens)


def _two_towers(config_class: Any, vocabulary_size: int, **settings: Any) -> Any:
    """The configuration of a small encoder-decoder."""
    return config_class(
        vocab_size=vocabulary_size,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=32,
        init_std=0.8,
        **settings,
    )


def _saved(model: Any, folder: Path, tokens: Any = None) -> Path:
    model.eval().save_pretrained(folder)
    (tokens or tokenizer()).save_pretrained(folder)
    return folder


def image_folder(folder: Path, kind: str = "ResNet", *, channels: int = 3, **settings: Any) -> Path:
    """An image classifier of three labels with its preprocessor, as ``from_pretrained`` reads it.

    Args:
        kind: ResNet, ConvNext, ViT, MobileNetV2, EfficientNet, Swin or Beit.
        settings: of the model's configuration.
    """
    import torch
    import transformers

    torch.manual_seed(0)
    labels = dict(enumerate(("cat", "dog", "bird")))
    config = getattr(transformers, f"{kind}Config")(
        num_channels=channels,
        id2label=labels,
        label2id={label: index for index, label in labels.items()},
        **_IMAGE_SIZES[kind] | settings,
    )
    model = getattr(transformers, f"{kind}ForImageClassification")(config)
    # Untrained layers say nearly the same of every image.
    model.classifier = torch.nn.Linear(model.classifier.in_features, 3) if kind == "MobileNetV2" else model.classifier
    model.eval().save_pretrained(folder)
    name = {"ResNet": "ConvNext", "Swin": "ViT"}.get(kind, kind)
    size = {"shortest_edge": 32} if name in ("ConvNext", "MobileNetV2") else {"height": 32, "width": 32}
    crop = {"crop_size": {"height": 32, "width": 32}} if name == "MobileNetV2" else {}
    grey = {"image_mean": [0.5], "image_std": [0.25]} if channels == 1 else {}
    getattr(transformers, f"{name}ImageProcessorPil")(size=size, **crop, **grey).save_pretrained(folder)
    return folder


_TRANSFORMER = {"image_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_IMAGE_SIZES: dict[str, dict[str, Any]] = {
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4},
    "ViT": _TRANSFORMER | {"patch_size": 8, "intermediate_size": 32, "initializer_range": 0.3},
    "Beit": _TRANSFORMER | {"patch_size": 8, "intermediate_size": 32, "initializer_range": 0.3},
    "MobileNetV2": {"image_size": 32, "depth_multiplier": 0.35},
    "EfficientNet": {"image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320},
    "Swin": {
        "image_size": 32,
        "patch_size": 4,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
}


def picture(width: int = 40, height: int = 30, *, grey: bool = False, kind: str = "PNG") -> bytes:
    """The file of an image that is another colour everywhere."""
    from PIL import Image

    rows, columns = np.mgrid[0:height, 0:width]
    values = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values[:, :, 1] if grey else values).save(file, kind)
    return file.getvalue()


COLUMNS = ("length", "width", "weight")


def classifier(seed: int = 0) -> Any:
    """A scikit-learn Pipeline with its preprocessing, fitted on an array: ``small`` or ``large``."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(seed).normal(size=(60, 3))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(
        rows, np.where(rows.sum(axis=1) > 0, "large", "small")
    )
