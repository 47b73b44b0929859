"""Other runtimes for the scorer's body on a CPU: tokens read per CPU second, and how many decisions they change.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/cpu_runtimes.py traces.jsonl --limit 10 --longest 1800
    OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/cpu_runtimes.py --families --lengths 300 1000 3000     torch's own, the body alone

Each runtime computes the last hidden states of the bundled model; tokens, vocabulary head and everything behind it are asap's own. The
runtimes take turns trace by trace in one process, with stage 2 only, at half of the tokens. What is not installed is left out:
`pip install openvino nncf onnxruntime onnx onnxscript`. The exported models take 2 GB in --folder and are made once; all runtimes together
take 10 GB of memory.
"""

import argparse
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from figures import Figure
from transformers.modeling_outputs import BaseModelOutputWithPast

import asap
from asap.lm.cpu import multiply_by_onednn
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import model_folder

Read = Callable[[torch.Tensor], torch.Tensor]
"""Input ids of one text [1, T] -> last hidden states [1, T, H]."""
LEAST = float(np.finfo(np.float32).min)


class Body(torch.nn.Module):
    """Stands in for the body of a transformers model, and counts what it reads."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self.read, self.tokens = read, 0

    def forward(self, input_ids: torch.Tensor, **_: Any) -> BaseModelOutputWithPast:
        """The last hidden states of each text."""
        self.tokens += input_ids.numel()
        return BaseModelOutputWithPast(last_hidden_state=torch.cat([self.read(row[None]) for row in input_ids]))


@dataclass
class Runtime:
    """A runtime, and what was found with it."""

    name: str
    pruner: asap.Asap
    body: Body
    onednn: bool = True
    seconds: float = 0.0
    decisions: list[asap.Decision] = field(default_factory=list)

    def decide(self, sample: asap.Sample) -> None:
        """Decide about one sample, and time it."""
        self.choose_library()
        started = time.process_time()
        self.decisions.append(self.pruner.prune(sample).decision)
        self.seconds += time.process_time() - started

    def choose_library(self) -> None:
        """Have torch multiply float32 by oneDNN, or by MKL."""
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"
        if self.onednn:
            multiply_by_onednn()

    @torch.inference_mode()
    def body_speed(self, ids: torch.Tensor) -> float:
        """Tokens per CPU second of the body alone; the better of two runs."""
        self.choose_library()
        seconds = list[float]()
        for _ in range(2):
            started = time.process_time()
            self.body.read(ids)
            seconds.append(time.process_time() - started)
        return ids.numel() / min(seconds)

    @property
    def speed(self) -> float:
        """Tokens read per CPU second of all threads."""
        return self.body.tokens / self.seconds


class Difference(NamedTuple):
    """How a runtime's decisions differ from the reference's: surprisals in nats, shares of traces and of steps."""

    largest: float
    mean: float
    orders: float
    steps: float

    @classmethod
    def between(cls, one: Runtime, reference: Runtime) -> "Difference":
        """The difference over all traces."""
        pairs = list(zip(one.decisions, reference.decisions, strict=True))
        steps = [both for mine, theirs in pairs for both in zip(mine.steps, theirs.steps, strict=True)]
        nats = np.abs([mine.surprisal - theirs.surprisal for mine, theirs in steps])
        orders = np.mean([[step.rank for step in mine.steps] == [step.rank for step in theirs.steps] for mine, theirs in pairs])
        return cls(nats.max(), nats.mean(), orders, np.mean([mine.kept == theirs.kept for mine, theirs in steps]))


def runtime(name: str, read: Read | None = None, *, dtype: str = "float32", onednn: bool = True) -> Runtime:
    """The bundled scorer with another body, or with its own."""
    scorer = HFScorer(model_folder("bundled"), spec="bundled", dtype=dtype, device="cpu")
    model = scorer.causal_lm.model
    body = Body(read or torch_read(model.model))
    model.model = body
    return Runtime(name, asap.Asap(scorer, asap.AsapSettings(ratio=0.5, coarse=None, scores="own")), body, onednn)


def torch_read(body: Any) -> Read:
    """Reading by a body of transformers."""
    return lambda ids: body(input_ids=ids, use_cache=False).last_hidden_state


def torch_runtimes() -> Iterator[Runtime]:
    """What torch offers by itself. The first is the reference."""
    yield runtime("torch float32, oneDNN")
    yield runtime("torch float32, MKL", onednn=False)
    yield runtime("torch bfloat16", dtype="bfloat16")
    if hasattr(torch.ao, "quantization"):
        whole = HFScorer(model_folder("bundled"), dtype="float32", device="cpu").causal_lm.model
        yield runtime("torch int8", torch_read(torch.ao.quantization.quantize_dynamic(whole.model, {torch.nn.Linear}, dtype=torch.qint8)))


class WithMask(torch.nn.Module):
    """The body with its mask as an input, as the exporters need it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = HFScorer(model_folder("bundled"), dtype="float32", device="cpu").causal_lm.model.model

    def forward(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The last hidden states."""
        return self.body(input_ids=input_ids, attention_mask=mask, use_cache=False).last_hidden_state


def causal_mask(tokens: int) -> np.ndarray:
    """[1, 1, tokens, tokens]: nothing sees what is later."""
    return np.triu(np.full((tokens, tokens), LEAST, np.float32), 1)[None, None]


EXAMPLE = torch.arange(16)[None], torch.from_numpy(causal_mask(16))


def openvino_runtimes(folder: Path) -> Iterator[Runtime]:
    """OpenVINO in float32 and bfloat16, and with int8 weights (activations become int8 as well, in groups of 32, or stay float32)."""
    import nncf
    import openvino

    core, plain, narrow = openvino.Core(), folder / "body.xml", folder / "body_INT8_SYM.xml"
    if not plain.exists():
        with torch.no_grad():
            model = openvino.convert_model(WithMask(), example_input=EXAMPLE)
        model.reshape({0: [1, -1], 1: [1, 1, -1, -1]})
        openvino.save_model(model, plain, compress_to_fp16=False)
    if not narrow.exists():
        model = nncf.compress_weights(core.read_model(plain), mode=nncf.CompressWeightsMode.INT8_SYM)
        openvino.save_model(model, narrow, compress_to_fp16=False)

    def read(file: Path, precision: str, group: int = 0) -> Read:
        options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": precision}
        request = core.compile_model(file, "CPU", {**options, "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(group)}).create_infer_request()
        return lambda ids: torch.from_numpy(request.infer({0: ids.numpy(), 1: causal_mask(ids.shape[1])})[0].copy())

    yield runtime("OpenVINO float32", read(plain, "f32"))
    yield runtime("OpenVINO bfloat16", read(plain, "bf16"))
    yield runtime("OpenVINO int8 weights", read(narrow, "f32"))
    yield runtime("OpenVINO int8", read(narrow, "f32", 32))


def onnx_runtimes(folder: Path) -> Iterator[Runtime]:
    """ONNX Runtime in float32, and with its dynamic int8."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain, narrow = folder / "body.onnx", folder / "body_qint8.onnx"
    if not plain.exists():
        length = torch.export.Dim("T", min=2, max=8192)
        shapes = {"input_ids": {1: length}, "mask": {2: length, 3: length}}
        with torch.no_grad():
            torch.onnx.export(WithMask(), EXAMPLE, plain, dynamo=True, dynamic_shapes=shapes, input_names=list(shapes), opset_version=20)
    if not narrow.exists():
        quantize_dynamic(plain, narrow, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])

    def read(file: Path) -> Read:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        return lambda ids: torch.from_numpy(session.run(None, {"input_ids": ids.numpy(), "mask": causal_mask(ids.shape[1])})[0])

    yield runtime("ONNX Runtime float32", read(plain))
    yield runtime("ONNX Runtime int8", read(narrow))


def runtimes(families: list[str], folder: Path) -> Iterator[Runtime]:
    """Every runtime of some families that is installed here."""
    yield from torch_runtimes()
    for name, needed, made in (("openvino", "nncf", openvino_runtimes), ("onnx", "onnxscript", onnx_runtimes)):
        if name in families and importlib.util.find_spec(needed) is None:
            print(f"{name}: {needed} is not installed")
        elif name in families:
            yield from made(folder)


def table(found: list[Runtime]) -> str:
    """All runtimes beside the first."""
    reference = found[0]
    lines = ["| runtime | tokens a CPU second | times | largest | mean nats off | orders equal | decisions equal |", "|---|" + "---:|" * 6]
    for one in found:
        off = Difference.between(one, reference)
        nats = f"{off.largest:.2g} | {off.mean:.2g}"
        lines.append(f"| {one.name} | {one.speed:,.0f} | {one.speed / reference.speed:.2f} | {nats} | {off.orders:.0%} | {off.steps:.1%} |")
    return "\n".join(lines)


def body_table(found: list[Runtime], lengths: list[int]) -> str:
    """The speed of each body at each length."""
    texts = [torch.randint(0, 49_000, (1, length), generator=torch.Generator().manual_seed(length)) for length in lengths]
    lines = [f"| tokens a CPU second | {' | '.join(f'{length:,} tokens' for length in lengths)} |", "|---|" + "---:|" * len(lengths)]
    lines += [f"| {one.name} | {' | '.join(f'{one.body_speed(ids):,.0f}' for ids in texts)} |" for one in found]
    return "\n".join(lines)


def decided(found: list[Runtime], rows: str, limit: int, longest: int) -> str:
    """Have all runtimes decide about the same traces in turn; the table."""
    tokens = found[0].pruner.tokens
    samples = list(islice((sample for sample in asap.read_samples(rows) if tokens.count(sample.cot) <= longest), limit))
    for number, sample in enumerate(samples):
        for place in range(len(found)):
            found[(number + place) % len(found)].decide(sample)
        print(f"{number + 1}/{len(samples)}", flush=True)
    steps, lengths = sum(len(decision.steps) for decision in found[0].decisions), [tokens.count(sample.cot) for sample in samples]
    return f"{len(samples)} traces of {min(lengths):,} to {max(lengths):,} tokens, {steps} steps\n{table(found)}"


def figures(quick: bool) -> Iterator[Figure]:
    """What torch's ways are worth on this CPU, for the table of all figures; no goal was set for them."""
    ids, reference, *others = torch.arange(500 if quick else 1000)[None], *torch_runtimes()
    speed = reference.body_speed(ids)
    for one in others:
        yield Figure(f"{reference.name}, {ids.numel():,} tokens of the bundled model", f"{speed / one.body_speed(ids):.2f}x of {one.name}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", help="a data set that asap reads")
    parser.add_argument("--limit", type=int, default=10, help="traces")
    parser.add_argument("--longest", type=int, default=3000, help="longer traces, in tokens, are left out")
    parser.add_argument("--lengths", type=int, nargs="+", default=[], help="time the bodies alone on random texts of so many tokens")
    parser.add_argument("--families", nargs="*", choices=["openvino", "onnx"], default=["openvino", "onnx"], help="what to add to torch")
    parser.add_argument("--folder", type=Path, help="where exported models are kept")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="asap-runtimes-") as scratch:
        found = list(runtimes(args.families, args.folder or Path(scratch)))
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
        if args.lengths:
            print(body_table(found, args.lengths))
        if args.rows:
            print(decided(found, args.rows, args.limit, args.longest))


if __name__ == "__main__":
    main()
