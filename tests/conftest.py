"""One thread and no clock for all tests: in models this small threads only wait for each other, and a machine may be busy."""

import os
import signal
from collections.abc import Iterator

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}  # of subprocesses too

import pytest
import torch
from hypothesis import HealthCheck, settings

from own_ray import UNHURRIED, folder_of_ray
from scripted_hub import Hub, scripted_hub

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's doing, for what it starts in the background; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this test starts of Ray stays on the loopback, waits as long as the machine takes, and ends with it."""
    pytest.importorskip("ray", reason="RAY IS NOT INSTALLED: what runs on it was not tested; the extra ray")
    with folder_of_ray() as folder:
        for name, value in {**UNHURRIED, "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"}.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A scripted Hub in the place of the real one, with the right token."""
    from huggingface_hub import constants

    with scripted_hub() as started:
        monkeypatch.setattr(constants, "ENDPOINT", started.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", started.token)
        yield started
