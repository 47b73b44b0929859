"""`asap push` with the real client against a Hub on 127.0.0.1: what is published, what stays, and one sentence for what goes wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import constants

from asap.cli import run
from run_fixtures import prune, read_rows, refusal, row, write_rows
from scripted_hub import LARGE, Hub, Repository

REPO = "me/shorter"
LICENSED = ("--license", "apache-2.0", "--language", "en")
PUBLIC = {"README.md", "pruned.jsonl", "pruned.parquet", "trl.jsonl", "decisions.jsonl", "rejected.jsonl", "manifest.json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over rows with columns of their own, one of them unusable, from a source with a full path, with its review page."""
    tmp_path = tmp_path_factory.mktemp("push")
    rows = [{**row(number), "level": number, "split_by": "hand"} for number in range(4)]
    out = prune(write_rows(tmp_path / "rows.jsonl", [*rows, "no JSON"]), tmp_path / "pruned", "--format", "trl", "--format", "parquet")
    assert run(["review", str(out), "--out", str(out / "review.html")]) == 0
    return out


def header_of(card: bytes) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(card.decode().split("---")[1])
    return found


def test_rows_decisions_and_a_complete_card_are_published_in_one_commit_and_in_private(
    folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["push", str(folder), REPO, *LICENSED]) == 0
    said = capsys.readouterr()
    repository = hub.repositories[REPO]
    assert repository.private
    assert repository.files.keys() - {".gitattributes"} == PUBLIC
    assert len(repository.titles) == 2
    header = header_of(repository.files["README.md"])
    assert {"license": "apache-2.0", "language": ["en"], "size_categories": ["n<1K"]}.items() <= header.items()
    assert header["configs"] == [{"config_name": "default", "data_files": "pruned.parquet"}]
    card = repository.files["README.md"].decode()
    assert "| licence | apache-2.0 |" in card
    assert "work.sqlite" not in card
    assert "to be filled in" not in card
    assert "sha256 of what stands above" not in card
    for name in ("pruned.jsonl", "pruned.parquet", "trl.jsonl", "decisions.jsonl"):
        assert repository.files[name] == (folder / name).read_bytes()
    assert f"published: {hub.url}/datasets/{REPO}, private" in said.out
    assert "stays here: review.html, work.sqlite" in said.out
    assert hub.token not in said.out + said.err
    assert not any(hub.token.encode() in path.read_bytes() for path in folder.iterdir())


def test_columns_of_the_source_reach_the_hub_and_folders_of_this_machine_do_not(folder: Path, hub: Hub, tmp_path: Path) -> None:
    assert run(["push", str(folder), REPO, *LICENSED]) == 0
    files = hub.repositories[REPO].files
    rows = [json.loads(line) for line in files["pruned.jsonl"].splitlines()]
    assert [(one["level"], one["split_by"]) for one in rows] == [(number, "hand") for number in range(4)]
    (tmp_path / "there.parquet").write_bytes(files["pruned.parquet"])
    assert {"level", "split_by"} < set(pq.read_schema(tmp_path / "there.parquet").names)
    assert str(folder.parent) in (folder / "manifest.json").read_text("utf-8")
    published = [name for name in files if str(folder.parent).encode() in files[name]]
    assert published == []
    assert json.loads(files["manifest.json"])["settings"]["sources"] == ["rows.jsonl"]
    assert json.loads(files["rejected.jsonl"])["source"] == "rows.jsonl"


def test_originals_and_the_review_page_are_published_only_when_asked(folder: Path, hub: Hub) -> None:
    assert run(["push", str(folder), REPO, *LICENSED, "--with-originals", "--with-review"]) == 0
    files = hub.repositories[REPO].files
    assert files.keys() - {".gitattributes"} == PUBLIC | {"work.sqlite", "review.html"}
    assert b"`work.sqlite`" in files["README.md"]
    assert run(["push", str(folder), REPO, *LICENSED]) == 0  # and what is no longer part of it goes
    assert hub.repositories[REPO].files.keys() - {".gitattributes"} == PUBLIC


def test_columns_that_repeat_the_original_traces_are_published_only_when_asked(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**one, "raw": {"text": f"<think>{one['cot']}</think>"}, "level": 3} for one in map(row, range(2))]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    random = ("--method", "random")
    out = prune(source, tmp_path / "pruned", *random)
    said = refusal(capsys, "push", str(out), REPO, *LICENSED, "--dry-run")
    assert "(raw)" in said
    assert "--keep-columns" in said
    assert run(["push", str(out), REPO, *LICENSED, "--dry-run", "--with-originals"]) == 0
    kept = prune(source, tmp_path / "kept", *random, "--keep-columns", "level")
    assert run(["push", str(kept), REPO, *LICENSED, "--dry-run"]) == 0
    whole = prune(source, tmp_path / "whole", "--method", "original")
    assert run(["push", str(whole), REPO, *LICENSED, "--dry-run"]) == 0
    assert hub.asked == []


def test_a_dry_run_lists_files_and_sizes_and_asks_nothing(
    folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert run(["push", str(folder), REPO, *LICENSED, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["files"]) == PUBLIC
    assert told["files"]["pruned.jsonl"] == (folder / "pruned.jsonl").stat().st_size
    assert told["left_out"] == ["review.html", "work.sqlite"]
    assert hub.asked == []


def test_a_second_push_sends_only_what_changed(folder: Path, hub: Hub) -> None:
    for _ in range(2):
        assert run(["push", str(folder), REPO, *LICENSED]) == 0
    assert set(hub.repositories[REPO].files) - {".gitattributes"} == PUBLIC


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface-hub's own
def test_large_files_go_by_their_own_way_and_are_not_sent_twice(hub: Hub, tmp_path: Path) -> None:
    answer = "okay " * (LARGE // 15)
    out = prune(write_rows(tmp_path / "rows.jsonl", [{**row(number), "note": answer} for number in range(4)]), tmp_path / "pruned")
    assert (out / "pruned.jsonl").stat().st_size > LARGE
    hub.failures["/commit/"] = [500]
    assert run(["push", str(out), REPO, *LICENSED]) == 2
    assert set(hub.repositories[REPO].files) == {".gitattributes"}  # nothing by halves
    content = (out / "pruned.jsonl").read_bytes()
    assert [hash(one) for one in hub.large.values()] == [hash(content)]  # no diff of megabytes where it fails
    assert run(["push", str(out), REPO, *LICENSED]) == 0
    assert sum(one.startswith("PUT /large/") for one in hub.asked) == 1
    assert hash(hub.repositories[REPO].files["pruned.jsonl"]) == hash(content)


def test_a_licence_is_asked_for(folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert "which licence do the original rows have?" in refusal(capsys, "push", str(folder), REPO)
    assert hub.asked == []
    assert run(["push", str(folder), REPO, "--license", "other", "--dry-run"]) == 0


def test_an_edited_card_keeps_its_text_and_its_licence(hub: Hub, tmp_path: Path) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "pruned")
    (out / "README.md").write_text("---\nlicense: mit\ntags: [mine]\n---\n\n# My words\n", "utf-8")
    assert run(["push", str(out), REPO]) == 0
    card = hub.repositories[REPO].files["README.md"]
    assert {"license": "mit", "tags": ["mine"], "size_categories": ["n<1K"]}.items() <= header_of(card).items()
    assert b"# My words" in card


def test_what_others_changed_on_the_hub_is_told_and_kept(folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", str(folder), REPO, *LICENSED]) == 0
    repository = hub.repositories[REPO]
    repository.titles.append("Update README.md")
    repository.files |= {"README.md": b"their words", "notes.md": b"theirs"}
    message = refusal(capsys, "push", str(folder), REPO, *LICENSED)
    assert f"{REPO} was changed on the Hub and not by asap push (last: 'Update README.md', commit " in message
    assert repository.files["README.md"] == b"their words"
    assert run(["push", str(folder), REPO, *LICENSED, "--replace"]) == 0
    assert repository.files["README.md"] != b"their words"
    assert repository.files["notes.md"] == b"theirs"


def test_a_change_during_the_push_wins(folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.meanwhile = "Somebody's commit"
    assert "somebody changed the repository during the push, so nothing was published" in refusal(
        capsys, "push", str(folder), REPO, *LICENSED
    )
    assert set(hub.repositories[REPO].files) == {".gitattributes"}


def test_nothing_becomes_public_unasked(folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.repositories[REPO] = Repository(private=False)
    assert f"{REPO} is public on the Hub" in refusal(capsys, "push", str(folder), REPO, *LICENSED)
    assert run(["push", str(folder), REPO, *LICENSED, "--public"]) == 0
    assert run(["push", str(folder), "me/new", *LICENSED, "--public"]) == 0
    assert not hub.repositories["me/new"].private
    hub.repositories["me/closed"] = Repository(private=True)
    assert run(["push", str(folder), "me/closed", *LICENSED, "--public"]) == 0
    assert "private (it was there already" in capsys.readouterr().out
    assert hub.repositories["me/closed"].private


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/api/datasets/", 403, "this token may not write there"),
        ("/api/datasets/", 500, "the Hub failed, status 500; push again"),
        ("/api/repos/create", 403, "this token may not write there"),
        ("/api/repos/create", 409, "the Hub has such a repository already"),
        ("/commit/", 409, "it is being changed; choose another name or wait"),
        ("/commit/", 503, "the Hub failed, status 503; push again"),
        ("/commit/", 413, "a file is larger than the Hub takes"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence(
    folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], path: str, status: int, sentence: str
) -> None:
    hub.failures[path] = [status]
    message = refusal(capsys, "push", str(folder), REPO, *LICENSED)
    assert message.startswith(f"{REPO}: ")
    assert sentence in message
    assert hub.token not in message


def test_a_hub_that_does_not_answer_is_told(
    folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asap.hub_push._CONNECT_S", 0.2)
    hub.failures["/api/datasets/"] = [0]
    assert refusal(capsys, "push", str(folder), REPO, *LICENSED).startswith(f"{REPO}: the Hub did not answer in time; push again")


def test_a_licence_that_the_hub_refuses_is_told_before_anything_is_sent(folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, "push", str(folder), REPO, "--license", "no-such-licence")
    assert '"license" must be one of' in message
    assert not any("preupload" in one for one in hub.asked)


def test_a_wrong_token_and_none_are_told(
    folder: Path, hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_secret")
    message = refusal(capsys, "push", str(folder), REPO, *LICENSED)
    assert "the Hub does not know this token" in message
    assert "hf_wrong_and_secret" not in message
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "none too"))
    assert "nobody is logged in on the Hub" in refusal(capsys, "push", str(folder), REPO, *LICENSED)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "was not written by asap, and only rows are published"),
        ({"manifest.json": {"settings": {}, "train_loss": 1}}, "holds a run of asap train, and only rows are published"),
        ({"summary.json": {"asap": "1", "settings": {}, "benchmarks": []}}, "holds a run of asap evaluate"),
        ({"manifest.json": {"settings": {"shard": "0/2"}, "counts": {}, "input_hash": ""}}, "is shard 0/2 of a run"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, object], sentence: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), "utf-8")
    assert sentence in refusal(capsys, "push", str(tmp_path), REPO, *LICENSED)


def test_an_unfinished_run_and_a_name_that_is_none_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "work.sqlite").write_bytes((folder / "work.sqlite").read_bytes())
    assert "its run has not ended" in refusal(capsys, "push", str(tmp_path), REPO, *LICENSED)
    assert "write OWNER/NAME" in refusal(capsys, "push", str(folder), "shorter", *LICENSED)
    assert "is no folder" in refusal(capsys, "push", str(tmp_path / "nothing"), REPO, *LICENSED)


def test_the_command_reads_the_address_and_the_token_of_the_environment(folder: Path, hub: Hub, tmp_path: Path) -> None:
    kept = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path)}
    words = [sys.executable, "-m", "asap", "push", str(folder), REPO, *LICENSED]
    done = subprocess.run(words, env={**os.environ, **kept}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [*read_rows(folder / "pruned.jsonl")] == [json.loads(line) for line in hub.repositories[REPO].files["pruned.jsonl"].splitlines()]
