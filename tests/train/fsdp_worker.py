"""One process of a sharded `asap train` on CPUs: accelerate shards on GPUs only, so its state is told to shard here as well.

Run by torchrun from test_train_fsdp.py; the arguments are those of asap.
"""

import sys
from typing import Any

from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.tensor import DTensor

from asap.cli import run
from asap.train.trainer import StepLog


def report_sharding(step_end: Any) -> Any:
    """Say after each step whether every weight is sharded."""

    def reporting(self: StepLog, *args: Any, model: Any, **others: Any) -> None:
        print("sharded" if all(isinstance(weight, DTensor) for weight in model.parameters()) else "whole")
        step_end(self, *args, model=model, **others)

    return reporting


if __name__ == "__main__":
    state = Accelerator(cpu=True).state
    state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", state_dict_type="FULL_STATE_DICT", cpu_ram_efficient_loading=False
    )
    StepLog.on_step_end = report_sharding(StepLog.on_step_end)  # type: ignore[method-assign]
    sys.exit(run(sys.argv[1:]))
