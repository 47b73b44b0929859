"""Replies are kept before they are used, found again, and asked for once."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from asap.errors import InputError
from asap.lm.generate import Generation, Request, RequestRefused
from asap.lm.reply_cache import REPLIES_FILE, CachedGenerator, ReplyCache, Usage


def request(text: str = "hello", **changes: object) -> Request:
    values = {"messages": [{"role": "user", "content": text}], "max_new_tokens": 10, "temperature": 0.0, **changes}
    return Request(**values)  # type: ignore[arg-type]


class Echo:
    """A completer that answers with the prompt, or refuses prompts that say so; it counts."""

    model, identity, context_tokens, concurrency, tokens, resumes = "echo", {"model": "echo"}, None, 4, None, False

    def __init__(self) -> None:
        self.asked = self.entered = self.left = 0

    async def __aenter__(self) -> "Echo":
        self.entered += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self.left += 1

    async def generate(self, request: Request) -> Generation:
        self.asked += 1
        await asyncio.sleep(0.01)
        text = request.messages[-1]["content"]
        if "refuse" in text:
            raise RequestRefused("bad_request", text)
        return Generation(text, "stop", len(text), 1)


def test_a_key_stands_for_model_and_request() -> None:
    keys = {
        request().key("a"),
        request().key("b"),
        request("other").key("a"),
        request(draw=1).key("a"),
        request(temperature=1.0).key("a"),
        request(max_new_tokens=11).key("a"),
        request(schema={"type": "object"}).key("a"),
        request(kind="anchor").key("a"),
    }
    assert len(keys) == 8
    assert request().key("a") == request().key("a")


def test_keys_of_stored_replies_never_change() -> None:
    assert request("é hello").key("m") == "4f48111c08f3eace2f60434fdd13b333d636234af6d00b9230074413df72783c"
    messages = ({"role": "system", "content": "s"}, {"role": "user", "content": "x"})
    other = Request(messages, 4096, 2.0, 0.9, {"type": "object", "required": ["b", "a"]}, 3, "select")
    assert other.key("openai/m") == "632f41b276f9c62d7bb7c848bffce330ca0183b6ae470d327f6a8f208463185f"


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    reply = Generation('odd: \x00 \ud83d {"a": "é"}', "stop", 7, 9, counted_here=True)
    with ReplyCache.open(tmp_path) as replies:
        replies.put("k", "anchor", reply)
    with ReplyCache.open(tmp_path) as replies:
        assert replies.get("k") == reply
        assert replies.get("other") is None
        assert replies.usage() == {"anchor": Usage(1, 7, 9)}


def test_replies_of_another_folder_are_brought_over_and_not_counted_as_paid(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    with ReplyCache.open(old) as replies:
        replies.put("k", "select", Generation("x", "stop", 1, 2))
    with ReplyCache.open(new, also=[old]) as replies:
        assert replies.get("k") == Generation("x", "stop", 1, 2)
        assert replies.usage() == {}
    with ReplyCache.open(new) as replies:
        assert replies.get("k") is not None


def test_a_folder_without_replies_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no replies\.sqlite"), ReplyCache.open(None, also=[tmp_path]):
        pass


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with ReplyCache.open(tmp_path), pytest.raises(InputError, match="another asap process"), ReplyCache.open(tmp_path):
        pass


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / REPLIES_FILE).write_bytes(b"not a database at all, but long enough to look like one" * 50)
    with pytest.raises(InputError, match=r"replies\.sqlite"), ReplyCache.open(tmp_path):
        pass


@pytest.mark.parametrize(
    "setting",
    [
        "prompt_tokens = -5",
        "prompt_tokens = 'many'",
        "completion_tokens = 1.5",
        "completion_tokens = 1 << 62",
        "finish_reason = x'00'",
        "kind = x'00'",
    ],
)
def test_an_edited_reply_is_told_and_adds_up_to_nothing(setting: str, tmp_path: Path) -> None:
    with ReplyCache.open(tmp_path) as replies:
        replies.put("k", "anchor", Generation("text", "stop", 1, 1))
    with closing(sqlite3.connect(tmp_path / REPLIES_FILE)) as database:
        database.execute(f"UPDATE replies SET {setting}")
        database.commit()
    with ReplyCache.open(tmp_path) as replies:
        with pytest.raises(InputError, match="the row 'k' of its table replies is damaged"):
            replies.get("k")
        if "tokens" in setting:
            with pytest.raises(InputError, match="the row 'k' of its table replies is damaged"):
                replies.usage()
    with ReplyCache.open(None, also=[tmp_path]) as replies, pytest.raises(InputError, match=str(tmp_path / REPLIES_FILE)):
        replies.get("k")


def test_a_damaged_reply_is_told(tmp_path: Path) -> None:
    with ReplyCache.open(tmp_path) as replies:
        replies.put("k", "anchor", Generation("text", "stop", 1, 1))
    database = sqlite3.connect(tmp_path / REPLIES_FILE)
    database.execute("UPDATE replies SET body = x'00'")
    database.commit()
    database.close()
    with pytest.raises(InputError, match="the row 'k' of its table replies is damaged"), ReplyCache.open(tmp_path) as replies:
        replies.get("k")


def test_equal_requests_at_once_and_later_are_asked_once(tmp_path: Path) -> None:
    async def work() -> None:
        echo = Echo()
        with ReplyCache.open(tmp_path) as replies:
            async with CachedGenerator(echo, replies) as cached:
                texts = await asyncio.gather(*(cached.generate(request()) for _ in range(5)))
                assert {reply.text for reply in texts} == {"hello"}
                await cached.generate(request())
                assert echo.asked == cached.asked == 1
                await cached.generate(request(draw=1))
                assert echo.asked == 2
            assert (echo.entered, echo.left) == (1, 1)
            async with CachedGenerator(echo, replies) as cached:
                await cached.generate(request())
            assert (echo.entered, echo.left) == (1, 1)

    asyncio.run(work())


def test_a_refusal_is_remembered_but_not_kept(tmp_path: Path) -> None:
    async def work() -> None:
        echo = Echo()
        with ReplyCache.open(tmp_path) as replies:
            for asked in (1, 2):
                async with CachedGenerator(echo, replies) as cached:
                    for _ in range(3):
                        with pytest.raises(RequestRefused):
                            await cached.generate(request("refuse"))
                assert echo.asked == asked

    asyncio.run(work())


def test_once_stopped_only_known_replies_are_given(tmp_path: Path) -> None:
    async def work() -> None:
        with ReplyCache.open(tmp_path) as replies:
            async with CachedGenerator(Echo(), replies) as cached:
                await cached.generate(request("known"))
                cached.stop(InputError("enough"))
                cached.stop(InputError("later"))
                assert (await cached.generate(request("known"))).text == "known"
                with pytest.raises(InputError, match="enough"):
                    await cached.generate(request("unknown"))

    asyncio.run(work())


def test_a_reply_that_was_kept_survives_kill_9(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from asap.lm.reply_cache import ReplyCache; from asap.lm.generate import Generation\n"
        "with ReplyCache.open(Path(sys.argv[1])) as replies:\n"
        "    for number in range(10**6):\n"
        "        replies.put(str(number), 'anchor', Generation('x' * 1000, 'stop', 1, 1)); print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with ReplyCache.open(tmp_path) as replies:
        assert all(replies.get(str(number)) for number in told)


def test_a_model_that_cannot_be_entered_is_not_entered_again_by_those_who_wait() -> None:
    class Broken(Echo):
        async def __aenter__(self) -> "Echo":
            self.entered += 1
            await asyncio.sleep(0.01)
            raise InputError("the model is damaged")

    async def work(broken: Broken) -> None:
        with ReplyCache.open(None) as replies:
            async with CachedGenerator(broken, replies) as cached:
                outcomes = await asyncio.gather(*(cached.generate(request(str(number))) for number in range(4)), return_exceptions=True)
        assert all(isinstance(outcome, InputError) for outcome in outcomes)

    broken = Broken()
    asyncio.run(work(broken))
    assert (broken.entered, broken.asked) == (1, 0)


def test_nothing_is_asked_if_everything_was_stopped_while_the_model_was_entered() -> None:
    class Slow(Echo):
        async def __aenter__(self) -> "Echo":
            await asyncio.sleep(0.05)
            return self

    async def work(slow: Slow) -> None:
        with ReplyCache.open(None) as replies:
            async with CachedGenerator(slow, replies) as cached:
                asking = asyncio.gather(*(cached.generate(request(str(number))) for number in range(3)), return_exceptions=True)
                await asyncio.sleep(0.01)
                cached.stop(InputError("enough"))
                assert all(isinstance(outcome, InputError) for outcome in await asking)
            async with CachedGenerator(slow, replies) as cached:  # another try is another beginning
                assert (await cached.generate(request("later"))).text == "later"

    slow = Slow()
    asyncio.run(work(slow))
    assert slow.asked == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"), ReplyCache.open(tmp_path / "file"):
        pass


def test_a_folder_may_be_named_as_its_own_source(tmp_path: Path) -> None:
    for _ in range(2):
        with ReplyCache.open(tmp_path, also=[tmp_path]) as replies:
            replies.put("k", "anchor", Generation("x", "stop", 1, 1))


def test_troubles_of_others_are_not_taken_for_its_own(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="another file"), ReplyCache.open(tmp_path):
        raise sqlite3.DatabaseError("another file is malformed")
