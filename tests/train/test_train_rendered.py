"""`--format-model`: rows as the text that `asap train` learns, and what is said of rows that a tool's chat template may rob of thinking."""

import json
from pathlib import Path
from typing import Any

import pytest
from train_helpers import FAST, model_folder, template
from transformers import AutoTokenizer

from agent_rows import ROWS, SAID_12, user
from asap.cli import run
from asap.dataset.formats import FORMATS
from asap.rendered_rows import RENDERED
from asap.sample import Sample

THOUGHT, EARLIER = "First this.\n\nThen that.\n\nSo it is 4.", "What was asked is read again."
ROW = {"id": "p", "question": "What is 2 + 2?", "response": f"<think>\n{THOUGHT}\n</think>\n\nIt is 4.", "topic": "sums"}
TURNS = {"id": "t", "messages": [user(), SAID_12, user(), {"role": "assistant", "content": "Nothing to think about."}]}
EXCLUDED = {"id": "e", "messages": [user(), {**SAID_12, "train": False}, user(), {**SAID_12, "train": True}]}


def pruned(tmp_path: Path, rows: list[dict[str, Any]], *options: str) -> int:
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return run(["prune", str(source), "--out", str(tmp_path / "out"), "--method", "keep-tail", "--ratio", "0.5", *options])


def for_model(family: str, *formats: str) -> list[str]:
    return [*(word for name in formats for word in ("--format", name)), "--format-model", f"hf:{model_folder(family)}"]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("family", ["r1", "smol"])
@pytest.mark.parametrize("tool", ["trl", "axolotl", "llamafactory"])
def test_rows_are_those_that_training_emits(tool: str, family: str, tmp_path: Path) -> None:
    """Conversations, too, of which each turn is told what its template shows before it."""
    assert pruned(tmp_path, [ROW, TURNS, EXCLUDED, ROWS["sharegpt"]], *for_model(family, tool), "--train-turns", "thinking") == 0
    settings = [word for value in FAST for word in ("--set", value)]
    words = ["train", str(tmp_path / "out"), "--model", f"hf:{model_folder(family)}", "--out", str(tmp_path / "emitted")]
    assert run([*words, "--emit-config", tool, *settings]) == 0
    written = lines(tmp_path / "out" / f"{tool}.jsonl")
    assert written[0].pop("topic") == "sums"
    assert written == lines(tmp_path / "emitted" / "train.jsonl")
    assert len(written) >= 4


def test_each_turn_that_carries_the_loss_is_a_row(tmp_path: Path) -> None:
    """Turns that do not think are written without tags, and earlier thinking only where the template shows it."""
    assert pruned(tmp_path, [TURNS], *for_model("smol", "trl", "verl")) == 0
    thinking, plain = lines(tmp_path / "out/trl.jsonl")
    assert thinking["completion"].startswith("<think>\n")
    assert plain["completion"] == "Nothing to think about.<|im_end|>"
    assert "<think>" not in plain["prompt"]
    for row, chat in zip((thinking, plain), lines(tmp_path / "out/verl.jsonl"), strict=True):
        assert [message["content"] for message in chat["messages"]] == [row["prompt"], row["completion"]]
    assert pruned(tmp_path, [TURNS], *for_model("smol", "trl", "verl"), "--train-turns", "last") == 0
    assert lines(tmp_path / "out/trl.jsonl") == [plain]


def test_rows_that_training_could_not_take_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    early = {**ROW, "id": "early", "response": f"<think>\n{THOUGHT}\n</think>\n\nIt <|im_end|> is 4."}
    assert pruned(tmp_path, [ROW, early], *for_model("qwen", "trl", "axolotl")) == 0
    assert "training could not take these, so they are in pruned.jsonl alone: eos_inside 1" in capsys.readouterr().out
    assert [len(lines(tmp_path / "out" / f"{name}.jsonl")) for name in ("pruned", "trl", "axolotl")] == [2, 1, 1]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["counts"]["not_rendered"] == {"eos_inside": 1}


def test_a_folder_keeps_to_its_model(tmp_path: Path) -> None:
    """A cut of it names the model again; the same command without it writes the same."""
    assert pruned(tmp_path, [ROW], *for_model("r1", "trl")) == 0
    written = (tmp_path / "out/trl.jsonl").read_bytes()
    assert pruned(tmp_path, [ROW]) == 0
    assert (tmp_path / "out/trl.jsonl").read_bytes() == written
    assert json.loads((tmp_path / "out/manifest.json").read_text())["format_model"] == f"hf:{model_folder('r1')}"
    card = (tmp_path / "out/README.md").read_text("utf-8")
    assert f"rendered as text for hf:{model_folder('r1').name}" in card
    assert "drop" not in card
    assert run(["cut", str(tmp_path / "out"), "--ratio", "0.5", "--out", str(tmp_path / "bare")]) == 0  # without a format there is no model
    assert not (tmp_path / "bare/trl.jsonl").exists()
    assert run(["cut", str(tmp_path / "out"), "--ratio", "0.5", "--out", str(tmp_path / "cut"), *for_model("r1", "trl")]) == 0
    assert (tmp_path / "cut/trl.jsonl").read_bytes() == written


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "sharegpt"], "sharegpt rows are rendered by the tool that reads them"),
        (["--format", "trl", "--format", "rllm"], "rllm rows are rendered by the tool that reads them"),
        ([], "--format-model needs a --format that can be rendered for a model: trl, axolotl, llamafactory, verl"),
    ],
)
def test_what_cannot_be_rendered_is_refused(options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pruned(tmp_path, [ROW], *options, "--format-model", f"hf:{model_folder('r1')}") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_server_has_no_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pruned(tmp_path, [ROW], "--format", "trl", "--format-model", "openai:gpt") == 2
    assert "a server's chat template cannot be read" in capsys.readouterr().err


def test_chat_messages_come_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the summary and on the card; LLaMA-Factory's rows need none, since its own templates keep the thinking."""
    assert pruned(tmp_path, [ROW], "--format", "verl", "--format", "llamafactory", "--format", "trl") == 0
    warned = "hold chat messages, which the training tool renders with the model's chat template, and many templates drop thinking"
    assert f"trl.jsonl, verl.jsonl {warned}" in capsys.readouterr().out
    assert f"- `trl.jsonl`, `verl.jsonl` {warned}" in (tmp_path / "out/README.md").read_text("utf-8")


def _kept_by(name: str) -> dict[str, bool]:
    """What a chat template that TRL ships leaves of the thinking in rows of chat messages."""
    import trl

    stock = Path(trl.__file__).parent.joinpath("chat_templates", f"{name}.jinja").read_text("utf-8")
    tokenizer = AutoTokenizer.from_pretrained(model_folder("r1"))
    sample = Sample("p", "What is 2 + 2?", THOUGHT, "It is 4.")
    inside, beside = FORMATS["trl"](sample), FORMATS["axolotl"](sample)["messages"]
    earlier = [user(), {"role": "assistant", "content": f"<think>\n{EARLIER}\n</think>\n\n4"}]
    chats = {"inside": [*inside["prompt"], *inside["completion"]], "beside": beside, "earlier": [*earlier, *sample.messages]}
    if name == "qwen3":  # as verl renders each message
        alone = tokenizer.apply_chat_template(chats["inside"][-1:], chat_template=stock, tokenize=False)
        assert "It is 4." in alone
        assert THOUGHT not in alone
    texts = {where: tokenizer.apply_chat_template(chat, chat_template=stock, tokenize=False) for where, chat in chats.items()}
    return {where: (EARLIER if where == "earlier" else THOUGHT) in text for where, text in texts.items()}


@pytest.mark.parametrize(
    ("names", "inside", "beside", "earlier"),
    [
        (["deepseek_r1_distill", "deepseekv3"], False, False, False),
        (["qwen3", "qwen3_5_think", "glm4moe", "nemotron_3_nano"], True, True, False),
        (["qwen2_5", "llama3", "phi3", "gemma3", "cohere2"], True, False, True),
    ],
)
def test_what_is_said_of_the_stock_templates_is_so(names: list[str], inside: bool, beside: bool, earlier: bool) -> None:
    for name in names:
        assert _kept_by(name) == {"inside": inside, "beside": beside, "earlier": earlier}, name


def test_text_for_a_model_has_the_thinking_that_its_template_drops(tmp_path: Path) -> None:
    """R1-Distill's stock template, as TRL ships it."""
    import trl

    made = template("r1")
    own, made.tokens.hf.chat_template = (
        made.tokens.hf.chat_template,
        Path(trl.__file__).parent.joinpath("chat_templates/deepseek_r1_distill.jinja").read_text("utf-8"),
    )
    try:
        made.tokens.hf.save_pretrained(tmp_path / "tokenizer")
    finally:
        made.tokens.hf.chat_template = own
    options = [word for name in RENDERED for word in ("--format", name)]
    assert pruned(tmp_path, [ROW], *options, "--format-model", f"hf:{tmp_path / 'tokenizer'}") == 0
    learnt = "<think>\nSo it is 4.\n</think>\n\nIt is 4.<｜end▁of▁sentence｜>"
    [trl_row], [axolotl], [llamafactory], [verl] = (lines(tmp_path / "out" / f"{name}.jsonl") for name in RENDERED)
    assert trl_row["completion"] == axolotl["segments"][1]["text"] == llamafactory["output"] == verl["messages"][1]["content"] == learnt
