"""Tiny tokenizers, one per family, and tiny random models, saved as the folders that a user would download."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.utils import logging

from asap.errors import InputError
from asap.lm.scorer import Scored, ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.tokens import TokenCounter
from asap.spans import Span
from asap.steps import split_steps

logging.set_verbosity_error()
logging.disable_progress_bar()

QUESTION = "Write a function that adds the numbers of a list. If the list is empty, the answer is 0."
TRACE = """Okay, so the question asks for the sum of a list. Let me think about the empty list first.

Wait, if the list is empty, the answer is 0! So 1 + 2 = 3, and the sum of [1, 2, 3] is 6.

```python
def add(numbers):
    total = 0

    for number in numbers:
        total += number
    return total
```

    return total

- But is that right? Hmm, let me check: 12 + 345 = 357.

答案是零。 So the answer is right 😀, and "naïve" is fine too.

So, the sum is right. Alternatively, use the built-in sum."""
OPENERS = ["Okay", "Wait", "```", "return", "-", "答", "So"]
LESSON = [*TRACE.split("\n"), *QUESTION.split("\n"), "numbers return total sum", "Wait, but So the answer", "Okay Hmm Alternatively"] * 4

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # also of R1-Distill
)
LLAMA3_SPLIT = QWEN_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
R1_BOS, R1_EOS, R1_USER, R1_ASSISTANT = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"
R1_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
    "{% else %}<｜User｜>{{ m['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
LLAMA3_CHAT = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "[INST] {{ m['content'] }} [/INST]{% endfor %}"
)


def puts_before(tokenizer: Tokenizer, bos: str) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))])


def byte_level(split: str | None, special: list[str], added: tuple[str, ...] = ()) -> Tokenizer:
    """A byte-level BPE; without a split rule it is GPT-2's, with digits apart as in SmolLM2."""
    tokenizer = Tokenizer(models.BPE())
    if split is None:
        rules = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        rules = [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(rules)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(["\n\n".join(LESSON)], trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in added])
    return tokenizer


def qwen() -> Tokenizer:
    tokenizer = byte_level(QWEN_SPLIT, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def r1() -> Tokenizer:
    tokenizer = byte_level(QWEN_SPLIT, [R1_BOS, R1_EOS], (R1_USER, R1_ASSISTANT, "<think>", "</think>"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = puts_before(tokenizer, R1_BOS)
    return tokenizer


def llama3() -> Tokenizer:
    bos = "<|begin_of_text|>"
    tokenizer = byte_level(LLAMA3_SPLIT, [bos, "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), puts_before(tokenizer, bos)])
    return tokenizer


def smol() -> Tokenizer:
    tokenizer = byte_level(None, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def sentencepiece() -> Tokenizer:
    """As Llama-2's: `▁` for spaces, one of them in front, no token with a line break but the byte <0x0A>."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    ascii_only = [line.encode("ascii", "ignore").decode() for line in LESSON]
    tokenizer.train_from_iterator(ascii_only, trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = puts_before(tokenizer, "<s>")
    return tokenizer


# how each family is made, the class its tokenizer_config.json names on the Hub, its special tokens and its chat template
FAMILIES: dict[str, tuple[Callable[[], Tokenizer], str, dict[str, str | None], str]] = {
    "qwen": (qwen, "Qwen2Tokenizer", {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}, CHATML),
    "r1": (r1, "LlamaTokenizerFast", {"bos_token": R1_BOS, "eos_token": R1_EOS}, R1_CHAT),
    "llama3": (llama3, "PreTrainedTokenizerFast", {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}, LLAMA3_CHAT),
    "smol": (smol, "GPT2Tokenizer", {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}, CHATML),
    "sentencepiece": (sentencepiece, "LlamaTokenizer", {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, MISTRAL_CHAT),
}
BOS = {"qwen": None, "r1": R1_BOS, "llama3": "<|begin_of_text|>", "smol": None, "sentencepiece": "<s>"}

BODY = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.35,  # wide, so that every prediction is far from uniform and a wrong row is a wrong number
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
MINICPM3_HEADS = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 12}
LONG_ROPE = {"rope_type": "longrope", "rope_theta": 10_000.0, "short_factor": [1.0] * 6, "long_factor": [4.0] * 6}
GPT2_BODY = {"n_embd": 48, "n_layer": 2, "n_head": 4, "initializer_range": 0.35, "bos_token_id": None, "eos_token_id": None}
CONFIGS: dict[str, Callable[..., transformers.PretrainedConfig]] = {
    "llama": lambda **sizes: transformers.LlamaConfig(**{**BODY, "max_position_embeddings": 4096, **sizes}),
    "qwen2": lambda **sizes: transformers.Qwen2Config(**{**BODY, "max_position_embeddings": 4096, "tie_word_embeddings": True, **sizes}),
    "gemma2": lambda **sizes: transformers.Gemma2Config(
        **{**BODY, "max_position_embeddings": 4096, "head_dim": 12, "final_logit_softcapping": 3.0, "sliding_window": 4096, **sizes}
    ),
    "cohere": lambda **sizes: transformers.CohereConfig(**{**BODY, "max_position_embeddings": 4096, "logit_scale": 0.0625, **sizes}),
    "cohere2": lambda **sizes: transformers.Cohere2Config(
        **{**BODY, "max_position_embeddings": 4096, "logit_scale": 0.3, "sliding_window": 4096, **sizes}
    ),
    "granite": lambda **sizes: transformers.GraniteConfig(**{**BODY, "max_position_embeddings": 4096, "logits_scaling": 8.0, **sizes}),
    "phi3": lambda **sizes: transformers.Phi3Config(  # texts of more than 192 tokens are rotated otherwise
        **{**BODY, "max_position_embeddings": 768, "original_max_position_embeddings": 192, "rope_parameters": LONG_ROPE, **sizes}
    ),
    "minicpm3": lambda **sizes: transformers.MiniCPM3Config(
        **{**BODY, "num_key_value_heads": 4, "max_position_embeddings": 4096, **MINICPM3_HEADS, "dim_model_base": 16, **sizes}
    ),
    "bloom": lambda **sizes: transformers.BloomConfig(**{"hidden_size": 48, "n_layer": 2, "n_head": 4, **sizes}),
    "gpt2": lambda **sizes: transformers.GPT2Config(**{**GPT2_BODY, "n_positions": 4096, **sizes}),
    "gpt_neo": lambda **sizes: transformers.GPTNeoConfig(
        **{"hidden_size": 48, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 64, **sizes}
    ),
    "mamba": lambda **sizes: transformers.MambaConfig(**{"hidden_size": 48, "num_hidden_layers": 2, "state_size": 8, **sizes}),
    "minimax": lambda **sizes: transformers.MiniMaxConfig(
        **{**BODY, "num_local_experts": 2, "layer_types": ["full_attention", "linear_attention"], "block_size": 16, **sizes}
    ),
    "mistral": lambda **sizes: transformers.MistralConfig(**{**BODY, "max_position_embeddings": 4096, "sliding_window": 8, **sizes}),
}


def save_tokenizer(family: str, folder: Path) -> Path:
    """The tokenizer's files, as the family's repositories have them on the Hub."""
    make, class_name, special, template = FAMILIES[family]
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=make(), **special)
    wrapped.chat_template = template
    wrapped.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    config["tokenizer_class"] = class_name
    if family == "r1":
        config |= {"add_bos_token": True, "add_eos_token": False, "legacy": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder


def save_model(architecture: str, folder: Path, **sizes: object) -> Path:
    """A random model with the tokenizer's vocabulary, always the same for the same sizes."""
    vocab_size = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    torch.manual_seed(7)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[architecture](**{"vocab_size": vocab_size, **sizes}))
    model.eval().save_pretrained(folder)
    return folder


def naive_ids(folder: Path, family: str, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """The ids that a model of the family should read for a text, and their character offsets, straight from tokenizer.json."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ids, offsets = encoding.ids, encoding.offsets
    bos = BOS[family]
    if bos is not None and not text.startswith(bos):
        ids, offsets = [tokenizer.token_to_id(bos), *ids], [(0, 0), *offsets]
    return ids, offsets


def naive_logprob(model: torch.nn.Module, ids: list[int], place: int) -> float:
    """The model's own forward over the ids before the place, and a log-softmax over its whole last row."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids[:place]])).logits[0, -1].float()
    return float(torch.log_softmax(logits, dim=-1)[ids[place]])


def visible_steps(text: str) -> list[Span]:
    """The steps of a text from their first character that shows."""
    return [Span(span.end - len(text[span.start : span.end].lstrip()), span.end) for span in split_steps(text)]


def scores(scorer: HFScorer, request: ScoreRequest) -> NDArray[np.float64]:
    """The log-probabilities of all spans of one request, one after the other."""
    [scored] = scorer.score([request])
    return np.concatenate([span.logprobs for span in scored.spans])


def whole(text: str, context: str = "") -> ScoreRequest:
    """Ask for every token of the text."""
    return ScoreRequest(context, text, [Span(0, len(text))])


def token_texts(counter: TokenCounter, text: str) -> list[str]:
    """What stands in the text at each token."""
    encoded = counter.encode(text)
    return [text[start:end] for start, end in zip(encoded.starts, encoded.ends, strict=True)]


def refusal(call: Callable[[], object], error: type[Exception] = InputError) -> str:
    """The one sentence with which a call is refused."""
    try:
        call()
    except error as refused:
        message = str(refused)
    else:
        raise AssertionError(f"nothing was refused; {error.__name__} was expected")
    assert "\n" not in message
    assert "Traceback" not in message
    return message


TABLE = {  # p(next | current) of a language of four words
    "<s>": {"<s>": 0.1, "sun": 0.5, "rain": 0.25, "wind": 0.15},
    "sun": {"<s>": 0.05, "sun": 0.05, "rain": 0.8, "wind": 0.1},
    "rain": {"<s>": 0.125, "sun": 0.25, "rain": 0.5, "wind": 0.125},
    "wind": {"<s>": 0.01, "sun": 0.01, "rain": 0.01, "wind": 0.97},
}


def same(one: Scored, other: Scored) -> None:
    """Assert that tails have the same tokens and, up to rounding, the same log-probabilities."""
    for ours, theirs in zip(one.spans, other.spans, strict=True):
        assert ours.starts.tolist() == theirs.starts.tolist()
        assert ours.ends.tolist() == theirs.ends.tolist()
        np.testing.assert_allclose(ours.logprobs, theirs.logprobs, rtol=1e-5, atol=1e-4)  # NaN is equal to NaN here
        assert np.isnan(ours.entropies).all()
