"""Tiny models whose weights follow from a formula, so that a record made in one place can be checked in another.

The scripts beside this file record with them what original packages return; the tests load the same models through asap.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = """Okay, so I need to merge two sorted lists. Let me think about the simplest way first. The input has up to 100,000 numbers, \
so sorting the joined list again would cost O(n log n). That is fine, but is it needed? Probably not.

Wait, both lists are sorted already. So two pointers are enough: i = 0 and j = 0. In each round take the smaller of a[i] and b[j], e.g. \
a[i] = 3 and b[j] = 5 gives 3. Then move that pointer by one. When one list is used up, the rest of the other list follows. \
Dr. Smith's test has an empty list, so check that too. Hmm, what if the numbers are equal? Then either one is right, \
since 7 == 7. Let me write it down.

```python
def merge(a, b):
    i, j, out = 0, 0, []
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            out.append(a[i])
            i += 1
        else:
            out.append(b[j])
            j += 1
    return out + a[i:] + b[j:]
```

Let me check it with a = [1, 4, 9] and b = [2, 3, 10]. First 1, then 2, then 3, then 4, then 9, and at last 10. The result is \
[1, 2, 3, 4, 9, 10]. It holds! But is the last line right when one list is empty? With a = [] the loop ends at once, \
and out + a[0:] + b[0:] is b. Good. The time is O(n + m), which is linear.

Alternatively, heapq.merge does the same, but the question asks for a function that returns a list. So the answer is the function \
above. I am quite sure that it is correct. One more look at the memory: a new list of n + m numbers, that is all. So 200,000 numbers \
at most, which is fine. Done."""


def fill(model: torch.nn.Module, scale: float) -> None:
    """Weights from a formula of name and place."""
    with torch.no_grad():
        for name, values in model.named_parameters():
            seed = zlib.crc32(name.encode()) % 1000 / 100
            places = torch.arange(values.numel(), dtype=torch.float64)
            wave = torch.sin(places * (0.61 + seed / 7) + seed) * torch.cos(places * places * 0.0123 + seed)
            is_norm = "norm" in name.lower() or ".ln_" in name
            values.copy_((wave * (0.1 if is_norm else scale) + (1.0 if is_norm and name.endswith("weight") else 0.0)).reshape(values.shape))


def lesson() -> list[str]:
    """What the tokenizers are trained on."""
    return [line for line in TEXT.split("\n") if line]


def byte_level() -> Tokenizer:
    """As GPT-2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator(lesson(), trainer)
    return tokenizer


def sentencepiece() -> Tokenizer:
    """As XLM-R's: "▁" before words, line breaks and runs of spaces are spaces."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=220, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(lesson(), trainer)
    pairs = [("<s>", tokenizer.token_to_id("<s>")), ("</s>", tokenizer.token_to_id("</s>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=pairs)
    return tokenizer


def word_pieces() -> Tokenizer:
    """As BERT's, cased."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(lesson(), trainer)
    return tokenizer


SPECIAL = {
    "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    "xlm": {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
    "bert": {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"},
}
TRAINED = {"gpt2": byte_level, "xlm": sentencepiece, "bert": word_pieces}
_BODY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 514}


def save_model(kind: str, tokenizer_json: Any, folder: Path) -> Path:
    """The model of a kind with this tokenizer (what its tokenizer.json holds), as a folder that transformers loads."""
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json))
    special = {"unk_token": None, **SPECIAL[kind]}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    size = tokenizer.get_vocab_size()
    if kind == "gpt2":
        config = transformers.GPT2Config(vocab_size=size, n_positions=512, n_embd=16, n_layer=2, n_head=2)
        model = transformers.GPT2LMHeadModel(config)
    elif kind == "xlm":
        config = transformers.XLMRobertaConfig(vocab_size=size, type_vocab_size=1, pad_token_id=tokenizer.token_to_id("<pad>"), **_BODY)
        model = transformers.XLMRobertaForTokenClassification(config)
    else:
        config = transformers.BertConfig(vocab_size=size, pad_token_id=tokenizer.token_to_id("[PAD]"), **_BODY)
        model = transformers.BertForTokenClassification(config)
    fill(model, 0.6 / math.sqrt(2))
    model.eval().save_pretrained(folder)
    return folder
