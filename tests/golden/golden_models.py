"""Tiny models of the golden runs: real ones that transformers loads, whose weights follow from Python's own random numbers.

No trainer and no function of the C library has a part in them, so that they are the same bits on every machine.
"""

import random
from pathlib import Path

import torch
import transformers
from golden_inputs import COUNT_EVEN, LAST_WORD, REPEATS, TRAIN_SPEED
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

_SPECIAL = ["<s>", "</s>"]
_TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
_LESSON = " ".join(row[part] for row in (LAST_WORD, COUNT_EVEN, TRAIN_SPEED, REPEATS) for part in ("question", "cot", "answer"))


def _tokenizer(share: float) -> Tokenizer:
    """A byte-level BPE that knows this share of the lesson's words, each one merged from its start."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = list(dict.fromkeys(word for word, _ in byte_level.pre_tokenize_str(_LESSON)))
    vocabulary = {token: number for number, token in enumerate([*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges = []
    for word in words[: int(len(words) * share)]:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocabulary:
                vocabulary[word[:end]] = len(vocabulary)
                merges.append((word[: end - 1], word[end - 1]))
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = byte_level
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(_SPECIAL)
    return made


def _fill(model: torch.nn.Module, seed: int) -> None:
    """Large random weights, so that what a model says about a token depends on all before it and differs a lot between tokens."""
    draws = random.Random(seed)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "norm" in name.lower():
                values.fill_(1.0 if name.endswith("weight") else 0.0)
                continue
            scale = 0.8 if name in ("lm_head.weight", "classifier.weight") else 1.0 if "embed" in name else 0.35
            drawn = [draws.random() * 2 - 1 for _ in range(values.numel())]
            values.copy_((torch.tensor(drawn, dtype=torch.float64) * scale).reshape(values.shape))


def _save_causal(folder: Path, seed: int, *, context: int = 1024, share: float = 1.0) -> None:
    tokenizer = _tokenizer(share)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    wrapped.chat_template = _TEMPLATE
    wrapped.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config)
    _fill(model, seed)
    model.eval().save_pretrained(folder)


def _save_classifier(folder: Path) -> None:
    tokenizer = _tokenizer(0.5)
    special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "</s>", "unk_token": "</s>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=66,
    )
    model = transformers.BertForTokenClassification(config)
    _fill(model, 3)
    model.eval().save_pretrained(folder)


def write_models(folder: Path) -> None:
    """Write the scorer, a scorer with little context, a judge and a classifier, each into a folder that transformers loads."""
    _save_causal(folder / "scorer", 1)
    _save_causal(folder / "short", 1, context=160)
    _save_causal(folder / "judge", 2, share=0.7)
    _save_classifier(folder / "classifier")
