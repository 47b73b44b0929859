"""Values come back as they were put, the first one stays, and whatever is wrong with a file is one sentence about that file."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.errors import Busy, InputError
from asap.store.content import Contents, Database, packed, packed_text, storage_error

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=5))
def test_values_come_back_as_they_were_put(values: dict[str, Any]) -> None:
    """Halves of surrogate pairs in the values too: models write them."""
    with Database.open(None) as database:
        contents = Contents(database, "kept")
        assert contents.missing(values) == list(values)
        for key, value in values.items():
            contents.put(key, value)
            contents.put(key, "another")
        assert {key: contents.get(key) for key in values} == values
        assert contents.missing([*values, "\x00not there", *values, "\x00not there"]) == ["\x00not there"] * ("\x00not there" not in values)
        for key in values:
            contents.replace(key, "another")
            assert contents.get(key) == "another"


@given(st.text(st.characters()))
def test_texts_come_back_as_they_were_packed(text: str) -> None:
    with Database.open(None) as database:
        assert database.text(packed_text(text)) == text
        assert database.value(packed(text)) == text


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Database.open(tmp_path / "file") as database:
        contents = Contents(database, "kept")
        with pytest.raises(TypeError), database.transaction():
            contents.put("a", contents.put("c", 3) or object())
        with database.transaction():
            contents.put("b", 2)
    with Database.open(tmp_path / "file") as database:
        assert Contents(database, "kept").missing(["a", "b", "c"]) == ["a", "c"]


@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_was_deleted_meanwhile_is_told_at_once(tmp_path: Path, again: bool) -> None:
    folder = tmp_path / "out"
    with Database.open(folder / "kept.sqlite", "CREATE TABLE numbers (number INTEGER);") as database:
        with database.transaction():
            database.execute("INSERT INTO numbers VALUES (1)")
        shutil.rmtree(folder)
        if again:
            folder.mkdir()
            (folder / "kept.sqlite").touch()
        with (
            pytest.raises(InputError, match=r"out/kept\.sqlite was deleted or replaced while this command ran; run it again"),
            database.transaction(),
        ):
            database.execute("INSERT INTO numbers VALUES (2)")


def test_damage_is_told_of_the_file_that_has_it_though_another_one_is_open_too(tmp_path: Path) -> None:
    sound, damaged = tmp_path / "sound", tmp_path / "damaged"
    with Database.open(damaged) as database:
        Contents(database, "kept").put("a", {"long": "x" * 100})
    with closing(sqlite3.connect(damaged)) as connection, connection:
        connection.execute("UPDATE kept SET body = SUBSTR(body, 1, 9)")
    with Database.open(damaged) as outer, Database.open(sound) as inner:
        Contents(inner, "kept").put("a", 1)
        with pytest.raises(InputError) as error:
            Contents(outer, "kept").get("a")
        assert str(error.value).startswith(f"{damaged} is damaged (a row is malformed: ")
        with pytest.raises(InputError, match=f"{damaged} is damaged"):
            outer.copy("kept", inner)


def test_a_copied_table_is_added_and_replaces_what_has_its_keys(tmp_path: Path) -> None:
    with Database.open(tmp_path / "one") as one, Database.open(tmp_path / "two") as two:
        Contents(one, "kept").put("a", [1])
        for key in "ab":
            Contents(two, "kept").put(key, [2])
        one.copy("kept", two)
        assert [Contents(two, "kept").get(key) for key in "ab"] == [[1], [2]]


def test_rows_that_outlive_their_file_do_no_harm(tmp_path: Path) -> None:
    """An error's traceback keeps them."""
    left = list[Iterator[object]]()

    def read(database: Database) -> None:
        for key in "ab":
            Contents(database, "kept").put(key, key)
        left.append(database.rows("SELECT key FROM kept ORDER BY key"))
        raise KeyError(next(left[0]))

    with pytest.raises(KeyError, match="a"), Database.open(tmp_path / "file") as database:
        read(database)
    del left[0]


def test_only_a_shared_file_is_open_twice(tmp_path: Path) -> None:
    def put(key: str) -> None:
        with Database.open(tmp_path / "shared", shared=True) as database:
            Contents(database, "kept").put(key, key)

    threads = [Thread(target=put, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Database.open(tmp_path / "shared", shared=True) as one, Database.open(tmp_path / "shared", shared=True) as two:
        assert one.execute("SELECT COUNT(*) FROM kept") == two.execute("SELECT COUNT(*) FROM kept") == [(8,)]
    with Database.open(tmp_path / "own") as database:
        Contents(database, "kept")
        with pytest.raises(Busy, match=f"another asap process is working in {tmp_path}"), Database.open(tmp_path / "own"):
            pass


def test_a_file_for_reading_has_the_table_and_is_not_written_to(tmp_path: Path) -> None:
    with Database.open(tmp_path / "file?#%20") as database:
        Contents(database, "kept").put("a", 1)
    with Database.reading(tmp_path / "file?#%20", "kept") as database:
        assert database.execute("SELECT key FROM kept") == [("a",)]
        with pytest.raises(InputError, match="readonly"):
            database.execute("DELETE FROM kept")
    for file, table in ((tmp_path / "file?#%20", "other"), (tmp_path / "nowhere", "kept")):
        with pytest.raises(InputError, match="cannot be read"), Database.reading(file, table):
            pass
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("database is locked", "another asap process is working in out; wait for it or choose another --out"),
        ("database or disk is full", "the disk of out is full; free some space and run the same command again"),
        ("file is not a database", "out/x.sqlite is damaged (file is not a database); move it away to start over"),
        ("disk I/O error", "out/x.sqlite cannot be used (disk I/O error)"),
    ],
)
def test_an_error_of_sqlite_is_a_sentence(said: str, sentence: str) -> None:
    assert str(storage_error(sqlite3.OperationalError(said), Path("out/x.sqlite"))).startswith(sentence)
