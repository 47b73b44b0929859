"""One process of an `asap train` on CPUs, which says whether it encoded rows and whether every weight is sharded.

Run by torchrun from test_train_fsdp.py; the arguments are `sharded` or `whole`, then those of asap. accelerate shards on GPUs only, so
its state is told to shard here as well.
"""

import os
import sys
from typing import Any

from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.tensor import DTensor

from asap.cli import run
from asap.train import gather
from asap.train.trainer import StepLog


def report_sharding(step_end: Any) -> Any:
    """Say after each step whether every weight is sharded."""

    def reporting(self: StepLog, *args: Any, model: Any, **others: Any) -> None:
        print("sharded" if all(isinstance(weight, DTensor) for weight in model.parameters()) else "whole")
        step_end(self, *args, model=model, **others)

    return reporting


def shard() -> None:
    """Tell accelerate to shard."""
    state = Accelerator(cpu=True).state
    state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", state_dict_type="FULL_STATE_DICT", cpu_ram_efficient_loading=False
    )


def reporting_encoder() -> Any:
    """Say which process encodes."""
    encode = gather.encode_rows

    def reporting(*args: Any) -> Any:
        print(f"process {os.environ['RANK']} encodes")
        return encode(*args)

    return reporting


if __name__ == "__main__":
    if sys.argv[1] == "sharded":
        shard()
    gather.encode_rows = reporting_encoder()
    StepLog.on_step_end = report_sharding(StepLog.on_step_end)  # type: ignore[method-assign]
    sys.exit(run(sys.argv[2:]))
