"""What the CPU multiplies fast: float32 stays float32, and a speed is measured once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from asap.cli.options import warn_of_dtype
from asap.lm import cpu
from asap.lm.cpu import _is_exact, bfloat16_speed, multiply_by_onednn, multiply_fast, slow_dtype_note

SETTINGS = getattr(torch.backends.mkldnn, "matmul", None)
needs_setting = pytest.mark.skipif(SETTINGS is None, reason="this torch is older than 2.9: float32 goes to MKL")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = SETTINGS and SETTINGS.fp32_precision
    yield
    if SETTINGS:
        SETTINGS.fp32_precision = before


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of measured speeds, in a cache that is not there yet."""
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bfloat16-speed.json"


def remember(speeds: Path, speed: float) -> None:
    """As if this CPU had been measured so."""
    (key,) = json.loads(speeds.read_text("utf-8"))
    speeds.write_text(json.dumps({key: speed}), "utf-8")


def test_float32_stays_float32() -> None:
    multiply_by_onednn()
    left, right = torch.full((300, 700), 1 + 2**-20), torch.eye(700)
    assert torch.equal(left @ right, left)
    assert _is_exact()


@needs_setting
def test_where_products_are_rounded_the_setting_is_left_alone() -> None:
    SETTINGS.fp32_precision = "ieee"
    with torch.autocast("cpu", torch.bfloat16):  # rounds as a CPU with AMX does
        assert not _is_exact()
        multiply_by_onednn()
    assert SETTINGS.fp32_precision == "ieee"


@needs_setting
@pytest.mark.parametrize(("vendor", "is_left"), [("GenuineIntel", True), ("AuthenticAMD", False), (None, False)])
def test_intels_cpus_keep_the_library_of_intel(vendor: str | None, is_left: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_cpuinfo", lambda: {"vendor_id": vendor} if vendor else {})
    SETTINGS.fp32_precision = "ieee"
    exact = _by_onednn_is_exact()
    multiply_fast()
    assert (SETTINGS.fp32_precision == "ieee") == (is_left or not exact)


def _by_onednn_is_exact() -> bool:
    """Whether this CPU's oneDNN keeps float32 where it may round, as CPUs with AMX do not."""
    SETTINGS.fp32_precision = "bf16"
    exact = _is_exact()
    SETTINGS.fp32_precision = "ieee"
    return exact


def test_a_speed_is_measured_once_and_remembered(speeds: Path) -> None:
    measured = bfloat16_speed()
    assert 0 < measured < 1000
    assert list(json.loads(speeds.read_text("utf-8")).values()) == [measured]
    remember(speeds, 0.25)
    assert bfloat16_speed() == 0.25
    speeds.write_text("{", "utf-8")
    assert bfloat16_speed(remember=False) != 0.25
    assert speeds.read_text("utf-8") == "{"


def test_a_slow_dtype_is_said_and_only_where_it_was_asked_for(speeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_dtype("auto", "cpu")
    warn_of_dtype("float32", "auto")
    assert not speeds.exists()
    bfloat16_speed()
    remember(speeds, 0.25)
    warn_of_dtype("bfloat16", "cpu")
    said = capsys.readouterr().err
    assert said == "asap: on this CPU bfloat16 takes 4.0 times as long as float32 (measured); leave --dtype out, which means float32\n"
    remember(speeds, 0.9)
    assert slow_dtype_note() is None


@pytest.mark.parametrize("content", ["[]", "{", "[" * 9_000, "KEY: null", "KEY: true", "KEY: -1.0", "KEY: NaN", 'KEY: "fast"'])
def test_a_damaged_record_of_speeds_is_none(speeds: Path, content: str) -> None:
    bfloat16_speed()
    (key,) = json.loads(speeds.read_text("utf-8"))
    speeds.write_text(content if "KEY" not in content else "{" + content.replace("KEY", json.dumps(key)) + "}", "utf-8")
    assert bfloat16_speed() > 0
