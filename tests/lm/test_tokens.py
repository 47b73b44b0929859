"""One tokenisation, with exact counts and character offsets, for every family of tokenizers."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from lm_helpers import BOS, FAMILIES, LESSON, QUESTION, TRACE, refusal, save_tokenizer, token_texts
from tokenizers import Tokenizer

from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter

Folder = Callable[[str], Path]
every_family = pytest.mark.parametrize("family", FAMILIES)
TEXTS = [
    "",
    " ",
    "\n\n",
    "a",
    TRACE,
    QUESTION,
    "😀",
    "👩‍👩‍👧 and 日本語\r\n\r\n\tx",
    "e\u0301 naïve",
    "<think>\nx\n</think>",
    "<s>x</s>",
    "12345",
]


@every_family
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_costs_as_many_tokens_as_the_file_gives_it(tokenizer_folder: Folder, family: str, text: str) -> None:
    counter = TokenCounter.load(str(tokenizer_folder(family)))
    expected = Tokenizer.from_file(str(tokenizer_folder(family) / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    assert counter.encode(text).ids.tolist() == expected
    assert counter.hf(text, add_special_tokens=False)["input_ids"] == expected
    assert counter.count(text) == len(expected)
    assert counter.count_many([text, text]) == [len(expected)] * 2


@every_family
def test_no_texts_cost_nothing(tokenizer_folder: Folder, family: str) -> None:
    assert TokenCounter.load(str(tokenizer_folder(family))).count_many([]) == []


@every_family
def test_offsets_are_characters_in_order_and_miss_only_white_space(tokenizer_folder: Folder, family: str) -> None:
    encoded = TokenCounter.load(str(tokenizer_folder(family))).encode(TRACE)
    assert (encoded.starts[1:] >= encoded.starts[:-1]).all()
    assert (encoded.ends[1:] >= encoded.ends[:-1]).all()
    covered = {place for start, end in zip(encoded.starts, encoded.ends, strict=True) for place in range(start, end)}
    assert all(TRACE[place].isspace() for place in set(range(len(TRACE))) - covered)
    assert int(encoded.ends[-1]) == len(TRACE)


@every_family
@pytest.mark.parametrize("character", ["😀", "是", "ï"])
def test_each_token_of_a_many_byte_character_stands_at_that_character(tokenizer_folder: Folder, family: str, character: str) -> None:
    counter = TokenCounter.load(str(tokenizer_folder(family)))
    texts = token_texts(counter, f"So, {character}\n\nWait")
    at = [place for place, text in enumerate(texts) if character in text]
    assert at
    assert at == list(range(at[0], at[-1] + 1))
    assert all(texts[place].strip() == character for place in at)
    assert "".join(texts[at[-1] + 1 :]).strip() == "Wait"


def test_a_tokenizer_that_composes_characters_gives_offsets_in_the_text_as_written(tokenizer_folder: Folder) -> None:
    counter = TokenCounter.load(str(tokenizer_folder("qwen")))
    decomposed = unicodedata.normalize("NFD", "naïveté\n\nWait")
    assert counter.encode(decomposed).ids.tolist() == counter.encode(unicodedata.normalize("NFC", decomposed)).ids.tolist()
    assert "".join(token_texts(counter, decomposed)[-4:]).endswith("Wait")
    assert int(counter.encode(decomposed).starts[0]) == 0


@every_family
def test_bos_is_known_only_where_the_tokenizer_adds_it(tokenizer_folder: Folder, family: str) -> None:
    counter = TokenCounter.load(str(tokenizer_folder(family)))
    file = Tokenizer.from_file(str(tokenizer_folder(family) / "tokenizer.json"))
    bos = BOS[family]
    assert counter.bos_id == (None if bos is None else file.token_to_id(bos))
    assert counter.count("a") == len(file.encode("a").ids) - (bos is not None)


def test_a_declared_bos_that_is_not_added_is_no_bos(tokenizer_folder: Folder) -> None:
    counter = TokenCounter.load(str(tokenizer_folder("smol")))
    assert counter.hf.bos_token == "<|endoftext|>"
    assert counter.bos_id is None


@pytest.mark.parametrize("family", ["qwen", "llama3"])
def test_truncation_and_padding_in_the_file_are_switched_off(tmp_path: Path, family: str) -> None:
    save_tokenizer(family, tmp_path)
    file = tmp_path / "tokenizer.json"
    plain = TokenCounter.load(str(tmp_path)).encode(TRACE)
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=700)
    tokenizer.save(str(file))
    counter = TokenCounter.load(str(tmp_path))
    assert counter.encode(TRACE).ids.tolist() == plain.ids.tolist()
    assert counter.count("a") == 1
    assert counter.count_many(["a", TRACE]) == [1, len(plain.ids)]


def test_a_limit_on_the_length_in_the_configuration_cuts_nothing(tmp_path: Path) -> None:
    save_tokenizer("r1", tmp_path)
    plain = TokenCounter.load(str(tmp_path)).count(TRACE)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 5}), "utf-8")
    assert TokenCounter.load(str(tmp_path)).count(TRACE) == plain


def test_a_tokenizer_without_offsets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"<unk>": 0, "a</w>": 1}', "utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    transformers.CTRLConfig(vocab_size=2, n_embd=4, n_layer=1, n_head=1, dff=4).save_pretrained(tmp_path)
    assert "no character offsets" in refusal(lambda: TokenCounter.load(str(tmp_path)))


@pytest.mark.parametrize(("content", "what"), [("{", "tokenizer"), ("{}", "tokenizer"), ("", "tokenizer")])
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, content: str, what: str) -> None:
    save_tokenizer("llama3", tmp_path)
    (tmp_path / "tokenizer.json").write_text(content, "utf-8")
    message = refusal(lambda: TokenCounter.load(str(tmp_path)))
    assert message.startswith(f"{tmp_path} cannot be loaded as a {what}: ")


def test_fingerprints_tell_tokenizers_apart_and_are_stable(tokenizer_folder: Folder) -> None:
    fingerprints = [TokenCounter.load(str(tokenizer_folder(family))).fingerprint for family in (*FAMILIES, *FAMILIES)]
    assert len(set(fingerprints)) == len(FAMILIES)
    assert fingerprints[: len(FAMILIES)] == fingerprints[len(FAMILIES) :]


def test_one_changed_merge_changes_the_fingerprint(tokenizer_folder: Folder, tmp_path: Path) -> None:
    shutil.copytree(tokenizer_folder("llama3"), tmp_path, dirs_exist_ok=True)
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    content["model"]["merges"].pop()
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    assert TokenCounter.load(str(tmp_path)).fingerprint != TokenCounter.load(str(tokenizer_folder("llama3"))).fingerprint


def test_a_tokenizer_is_loaded_by_spec_and_by_bare_folder(tokenizer_folder: Folder) -> None:
    folder = tokenizer_folder("qwen")
    assert load_tokens(f"hf:{folder}").fingerprint == load_tokens(str(folder)).fingerprint
    assert load_tokens(f"hf:{folder}").name == f"hf:{folder}"


def test_tokens_of_many_threads_worth_of_texts_keep_their_order(tokenizer_folder: Folder) -> None:
    counter = TokenCounter.load(str(tokenizer_folder("smol")))
    assert counter.count_many(LESSON) == [counter.count(line) for line in LESSON]
