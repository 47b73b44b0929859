"""LLaMA-Factory, axolotl and verl, each in an environment of its own, and the package `renderers`, from the ordinary package index.

ASAP_TRAINERS_ENV names the folder that holds them (6 GB, made once; see `make test-trainers`); without it tests skip and say so,
and where it is named and one cannot be made they fail. What the tools' wheels ask for beyond training on a CPU (other builds of
torch, kernels, clients of clouds, web pages) is left out.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TORCH = "torch==2.13.0"


class Trainer(NamedTuple):
    """A tool with its version: wheels that are installed as they are, then what they need, with its dependencies."""

    wheels: Sequence[str]
    needs: Sequence[str]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.wheels[0].replace("==", "-")


LLAMAFACTORY = Trainer(
    ["llamafactory==0.9.5", "torchaudio==2.11.0"],
    [
        *("accelerate<=1.11.0,>=1.3.0", "av<=16.0.0", "datasets<=4.0.0", "gradio<=5.50.0,>=4.38.0", "peft<=0.18.1,>=0.18.0"),
        *(
            "torchdata<=0.11.0,>=0.10.0",
            "transformers<5,>=4.55.0,!=4.57.0",
            "trl<=0.24.0,>=0.18.0",
            "tyro<0.9.0",
            "einops",
            "fastapi",
            "fire",
        ),
        *("hf-transfer", "matplotlib", "modelscope", "omegaconf", "packaging", "pandas", "protobuf", "pydantic", "pyyaml", "safetensors"),
        *("scipy", "sentencepiece", "sse-starlette", "tiktoken", "uvicorn"),
    ],
)
AXOLOTL = Trainer(
    [
        *("axolotl==0.19.0", "axolotl-contribs-lgpl==0.0.7", "axolotl-contribs-mit==0.0.6", "optimum==1.16.2", "trl==1.9.0"),
        *("peft==0.20.0", "accelerate==1.13.0", "liger-kernel==0.8.1", "bitsandbytes==0.50.2", "triton==3.9.0"),
    ],
    [
        *("transformers==5.16.1", "tokenizers==0.23.1", "huggingface_hub==1.17.0", "datasets==4.8.4", "pydantic==2.12.5", "PyYAML==6.0.3"),
        *("packaging==26.0", "numpy>=2.1,<3", "typer==0.25.1", "python-dotenv==1.0.1", "nvidia-ml-py==12.560.30", "posthog==6.7.11"),
        *("mistral-common==1.11.5", "schedulefree==1.4.1", "evaluate==0.4.1", "kernels==0.16.0", "numba>=0.63.1,<1", "addict", "fire"),
        *("requests", "colorama", "coloredlogs", "scipy", "art", "einops", "sentencepiece", "psutil", "zstandard", "fastcore", "wandb"),
    ],
)
VERL = Trainer(
    ["verl==0.9.1", "tensordict<=0.10.0,>=0.8.0,!=0.9.0"],
    [
        *("transformers<5.11,>=5.5.3,!=5.6.0", "pandas", "pyarrow>=19", "omegaconf", "hydra-core", "numpy>=2", "packaging", "accelerate"),
        *("datasets", "dill", "codetiming", "cloudpickle", "orjson", "importlib_metadata", "pyvers", "ray", "pillow"),
    ],
)
_RENDERERS = "renderers==0.1.12"


def environment(tool: Trainer) -> Path:
    """The folder of a tool's environment, made where it is not there yet."""
    folder = _base() / tool.name
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _must([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _must([*pip, TORCH])
        _must([*pip, "--no-deps", *tool.wheels])
        only = folder / "only.txt"
        only.write_text(f"{TORCH}\n")
        _must([*pip, "--constraint", str(only), *tool.needs])
        for library in folder.glob("lib/python*/site-packages/torchaudio/lib/*.so"):
            library.unlink()  # built for CUDA; without them it is Python alone
        (folder / "done").touch()
    return folder


def renderers_package() -> None:
    """Make `renderers` importable, after all packages that are installed here."""
    folder = _base() / _RENDERERS.replace("==", "-")
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _must([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--target", str(folder), _RENDERERS])
        (folder / "done").touch()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def ran(tool: Trainer, words: Sequence[str], scratch: Path) -> str:
    """What a program of a tool printed, offline and without telemetry. Fails if it does."""
    offline = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(scratch / "cache"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "WANDB_MODE": "disabled",
    }
    quiet = {"DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
    program = environment(tool) / "bin" / words[0]
    done = subprocess.run(
        [str(program), *words[1:]], env={**os.environ, **offline, **quiet}, cwd=scratch, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


_READ = """
import datasets, json, sys
found = datasets.load_from_disk(sys.argv[1])
found = found["train"] if "train" in found else found
json.dump([[row["input_ids"], row["labels"]] for row in found], open(sys.argv[2], "w"))
"""


def rows_in(tool: Trainer, prepared: Path, scratch: Path) -> list[tuple[list[int], list[int]]]:
    """The ids and labels of each row of a data set that a tool prepared."""
    found = scratch / "found.json"
    ran(tool, ["python", "-c", _READ, str(prepared), str(found)], scratch)
    return [(ids, labels) for ids, labels in json.loads(found.read_text())]


def config_with(path: Path, **changes: Any) -> Mapping[str, Any]:
    """The config in a file, with changes, which are written there, too."""
    import yaml

    config: dict[str, Any] = {**yaml.safe_load(path.read_text("utf-8")), **changes}
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return config


def _base() -> Path:
    chosen = os.environ.get("ASAP_TRAINERS_ENV")
    if not chosen:
        pytest.skip("ASAP_TRAINERS_ENV names no folder for LLaMA-Factory, axolotl, verl and renderers (6 GB); see `make test-trainers`")
    return Path(chosen).absolute()


def _must(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.fail(f"this cannot be installed here: {ended.stderr.strip().splitlines()[-1:]}")
