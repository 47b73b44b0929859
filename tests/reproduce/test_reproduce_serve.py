"""The server of a stage, with real processes: late, dead, silent, of another model, stubborn; interrupted, and gone on after."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reproduce_helpers import SERVED, miniature

from asap.errors import InputError
from asap.reproduce import serve
from asap.reproduce.child import end_of, start, stop
from asap.reproduce.serve import served
from asap.reproduce.stage import Stage

Begin = Callable[..., Any]
SERVER = Path(__file__).with_name("small_server.py")


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends the children of a killed process: servers were NOT checked")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def begin(tmp_path: Path, port: int) -> Begin:
    """`served` for a stage whose server has these options; its log is server.txt."""

    def begun(*options: str, silence_s: float = 60.0) -> Any:
        words = ("evaluate", "--model", "openai:m", "--base-url", f"http://127.0.0.1:{port}/v1")
        stage = Stage("evaluate", "arm", words, serve=(sys.executable, str(SERVER), "--port", str(port), *options))
        return served(stage, tmp_path, tmp_path / "server.txt", lambda text: None, silence_s)

    return begun


def writers_of(log: Path) -> list[int]:
    """The processes whose stdout is a file."""

    def writes(process: Path) -> bool:
        try:
            return (process / "fd" / "1").readlink() == log
        except OSError:
            return False

    return [int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit() and writes(process)]


def living(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_server_that_is_late_is_waited_for_and_stopped(begin: Begin, tmp_path: Path) -> None:
    with begin("--ready-after", "1.5", "--talks", silence_s=1.0) as server:
        server.check("now")
        assert living(server.process.pid)
    assert server.process.returncode == -signal.SIGTERM
    log = (tmp_path / "server.txt").read_text("utf-8")
    assert log.startswith("$ ")
    assert "small_server.py" in log.splitlines()[0]
    assert "still loading" in log


def test_a_server_that_ends_is_told_with_its_last_lines(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused, begin("--ends-after", "0"):
        pass
    assert str(refused.value) == (
        "the server ended with exit code 3 before it served m (loading weights / ValueError: no KV cache / for this model); "
        f"see {tmp_path / 'server.txt'}, and run the same command again to go on there"
    )
    with begin() as server:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        with pytest.raises(InputError, match=r"with exit code -9 while arm needed it \(.*loading weights\)"):
            server.check("while arm needed it")


def test_a_server_that_says_nothing_is_given_up(begin: Begin, tmp_path: Path) -> None:
    with (
        pytest.raises(
            InputError, match=r"does not answer at http://127.0.0.1:\d+/v1, and has written nothing for 0.0167 minutes \(.*weights"
        ),
        begin("--ready-after", "600", silence_s=1.0),
    ):
        pass
    assert writers_of(tmp_path / "server.txt") == []


def test_a_server_of_another_model_or_of_somebody_else_is_refused(begin: Begin, port: int) -> None:
    with pytest.raises(InputError, match=r"serves other, not m; mend `serve`"), begin("--served-model-name", "other"):
        pass
    with begin(), pytest.raises(InputError, match=r"a server answers at .* already, where .* starts its own"), begin():
        pass
    stage = Stage("evaluate", "arm", ("--model", "openai:m", "--base-url", f"http://127.0.0.1:{port}/v1"), serve=("no-such-program",))
    with (
        pytest.raises(InputError, match=r"no-such-program cannot be started \(No such file"),
        served(stage, Path(), Path(os.devnull), print),
    ):
        pass


def test_what_does_not_end_in_time_is_killed_with_what_it_started(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_STOPPING_S", 0.3)
    with begin("--stubborn") as server:
        helper = int(re.findall(r"helper (\d+)", (tmp_path / "server.txt").read_text())[-1])
        assert living(helper)
    assert server.process.returncode == -signal.SIGKILL
    while living(helper):
        time.sleep(0.01)


def test_whoever_interrupts_once_more_does_not_wait(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with (tmp_path / "log").open("wb") as log:
            process = start(
                [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"], log
            )
            while not (tmp_path / "log").stat().st_size:
                time.sleep(0.02)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                stop(process, signal.SIGTERM, 600)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert process.returncode == -signal.SIGKILL


def test_the_end_of_a_log_is_what_its_last_command_said(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("$ asap prune a\nfirst\nsecond\n$ asap prune a\n")
    assert end_of(log) == "it wrote nothing"
    with log.open("a") as file:
        file.write("asap: no\n")
    assert end_of(log) == "asap: no"


def reproduce(folder: Path, port: int, fault: str = "") -> "subprocess.Popen[str]":
    """A chain with a server. The fault is none of its command's words, which are a setting."""
    table = SERVED.replace("{python}", sys.executable).replace("{server}", f"{SERVER} --port {port}").replace("{port}", str(port))
    (folder / "mini.yaml").write_text(table, "utf-8")
    words = [sys.executable, "-m", "asap", "reproduce", "mini.yaml", "--scale", "miniature", "--out", "chain"]
    return subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "SMALL_SERVER": fault}
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_chain_with_a_server_goes_on_after_every_fault(tmp_path: Path, port: int, how: signal.Signals) -> None:
    folder = miniature(tmp_path / "a", SERVED)
    process = reproduce(folder, port, "--ready-after 100000")
    log = folder / "chain" / "logs"
    while not (found := [*log.glob("evaluate-*-server.txt")]) or "loading weights" not in found[0].read_text():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    [server] = writers_of(found[0])
    process.send_signal(how)
    said = process.communicate()[0]
    assert process.returncode == 130, said
    assert "asap: interrupted; the same command again goes on in chain" in said
    assert not living(server)
    done = {path.parent.name: path.stat().st_mtime_ns for path in (folder / "chain").glob("*/stage.json")}
    assert [name.partition("-")[0] for name in done] == ["data"]

    process = reproduce(folder, port, "--ends-at 3")
    said = process.communicate()[0]
    assert process.returncode == 2, said
    assert re.search(
        r"the server ended with exit code 9 while evaluate-zero-shot-new-\w+ needed it \(.*out of memory\); see chain/logs", said
    )

    process = reproduce(folder, port)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert "[1/3] data" not in said
    assert done.items() <= {path.parent.name: path.stat().st_mtime_ns for path in (folder / "chain").glob("*/stage.json")}.items()
    [text] = [path.read_text("utf-8") for path in log.glob("evaluate-*-server.txt")]
    assert len(text.split("$ ")) == 4, "the log has all three servers"
    assert text.split("$ ")[3].count("completion ") == 6 - text.split("$ ")[2].count("completion "), "each answer is written once"
