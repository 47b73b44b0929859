"""Records what the package `llmlingua` makes of a text with two tiny classifiers: llmlingua.json beside this file.

    python -m venv other && other/bin/pip install torch==2.13.0 "transformers<5" tiktoken nltk accelerate numpy && \
        other/bin/pip install --no-deps llmlingua==0.2.2 && other/bin/python tests/recorded/record_llmlingua.py

The package counts words with a tokenizer of OpenAI that it downloads; here it counts with a byte-level one that comes with the record.
Its models are told apart by their folder names. Random embeddings that it adds for marked tokens are never used.
"""

import json
import tempfile
from pathlib import Path
from unittest.mock import patch

import tiktoken
from llmlingua import PromptCompressor
from tiny_models import TEXT, TRAINED, save_model
from tokenizers import Tokenizer

NAMES = {"xlm": "xlm-roberta-large", "bert": "bert-base-multilingual-cased"}
SHORT = "Sort the list; then take the first 3 items. That's it: x1=10, x2=[4, 5]."
RATES = (0.9, 0.75, 0.5, 0.33, 0.1)


class Counter:
    """Stands in for OpenAI's tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        return list(self.tokenizer.encode(text).ids)


def main() -> None:
    """Run the package and write the record."""
    counting = TRAINED["gpt2"]()
    record = {"texts": {"long": TEXT, "short": SHORT}, "counting": json.loads(counting.to_str()), "tokenizers": {}, "runs": []}
    for kind, name in NAMES.items():
        record["tokenizers"][kind] = json.loads(TRAINED[kind]().to_str())
        with tempfile.TemporaryDirectory() as scratch, patch.object(tiktoken, "encoding_for_model", lambda model: Counter(counting)):
            folder = save_model(kind, record["tokenizers"][kind], Path(scratch) / name)
            compressor = PromptCompressor(str(folder), device_map="cpu", use_llmlingua2=True)
            for which, text in record["texts"].items():
                for rate in RATES:
                    for digits in (False, True):
                        made = compressor.compress_prompt_llmlingua2([text], rate=rate, force_reserve_digit=digits)
                        record["runs"].append(
                            {"model": kind, "text": which, "rate": rate, "keep_digits": digits, "result": made["compressed_prompt"]}
                        )
    Path(__file__).with_name("llmlingua.json").write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
