"""What this CPU multiplies fast: float32 by oneDNN where that is exact and faster, and bfloat16's speed, measured once and remembered.

A run's number type never follows the measurement, since its bytes depend on it: `auto` is float32 on every CPU.
"""

import json
import platform
import time
from contextlib import suppress
from pathlib import Path

from asap.atomic import replacing
from asap.digest import content_digest
from asap.errors import InputError
from asap.lm.cache import cache_folder

_SPEEDS = "bfloat16-speed.json"
_EXACT = 1e-5  # of a product's mean size: float32 is ten times closer, bfloat16 a thousand times further away
_TOKENS, _ROUNDS = 1024, 3
_SLOWER = 0.8  # nearer to 1 is noise


def multiply_fast() -> None:
    """Have this process multiply float32 matrices by the faster library: on Intel's CPUs MKL, which is theirs, on others oneDNN.

    The vendor decides and no timing, so that a CPU always computes alike.
    """
    if _cpuinfo().get("vendor_id") != "GenuineIntel":
        multiply_by_onednn()


def multiply_by_onednn() -> None:
    """Have oneDNN multiply the float32 matrices of this process: with AVX-512 on AMD it is twice as fast as MKL.

    torch knows this only as permission to round to bfloat16, which oneDNN makes use of on CPUs with AMX: there it stays off.
    """
    import torch

    settings = getattr(torch.backends.mkldnn, "matmul", None)  # since torch 2.9
    if settings is None:
        return
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    if not _is_exact():
        settings.fp32_precision = before


def _is_exact() -> bool:
    """Whether this process multiplies float32 matrices in float32."""
    import torch

    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(256, 512, generator=generator), torch.randn(512, 1024, generator=generator)
    exact = left.double() @ right.double()
    return bool(((left @ right - exact).abs().max() < _EXACT * exact.abs().mean()).item())


def slow_dtype_note() -> str | None:
    """One sentence where bfloat16 is slow on this CPU."""
    if (speed := bfloat16_speed()) > _SLOWER:
        return None
    return f"on this CPU bfloat16 takes {1 / speed:.1f} times as long as float32 (measured); leave --dtype out, which means float32"


def bfloat16_speed(*, remember: bool = True) -> float:
    """How many times as fast as in float32 this CPU computes in bfloat16; measured once for each kind of CPU and torch."""
    import torch

    known = _known_speeds()
    key = f"{_cpu()}, torch {torch.__version__}"
    if key not in known:
        known[key] = round(_measured_speed(), 2)
        if remember:
            with suppress(OSError, InputError):  # without a cache it is measured again the next time
                cache_folder().mkdir(parents=True, exist_ok=True)
                with replacing(_file()) as file:
                    json.dump(known, file, indent=1)
    return known[key]


def _known_speeds() -> dict[str, float]:
    """The speeds that were measured before."""
    with suppress(OSError, ValueError, RecursionError, InputError):
        found = json.loads(_file().read_text("utf-8"))
        numbers = found.items() if isinstance(found, dict) else ()
        return {name: speed for name, speed in numbers if isinstance(speed, float) and speed > 0}
    return {}


def _file() -> Path:
    return cache_folder() / _SPEEDS


def _cpu() -> str:
    """The CPU's name and, as virtual machines hide it, a digest of what it can do."""
    import torch

    known = _cpuinfo()
    name, flags = known.get("model name", "") if known else platform.processor() or platform.machine(), known.get("flags", "")
    return f"{name} {torch.backends.cpu.get_cpu_capability()} {content_digest(name, flags)[:8]}"


def _cpuinfo() -> dict[str, str]:
    """What Linux says about the first CPU, by field; nothing elsewhere."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    return {}


def _measured_speed() -> float:
    """CPU time of a layer of a small Llama in float32, in times of its CPU time in bfloat16; the best of some rounds that take turns."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    multiply_fast()
    with torch.random.fork_rng(devices=[]):
        model = LlamaModel(LlamaConfig(vocab_size=64, num_hidden_layers=1, **shape)).eval()
    ids = torch.zeros((1, _TOKENS), dtype=torch.long)
    best = {torch.bfloat16: float("inf"), torch.float32: float("inf")}
    for _ in range(_ROUNDS):
        for dtype in best:
            model = model.to(dtype)
            started = time.process_time()
            with torch.inference_mode():
                model(input_ids=ids, use_cache=False)
            best[dtype] = min(best[dtype], time.process_time() - started)
    return best[torch.float32] / best[torch.bfloat16]
