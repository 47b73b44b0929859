"""Golden plans: `asap reproduce --plan` of every table says the same on every machine. plans/README.md says how they are made."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from asap.reproduce.arms import VARIANTS
from asap.reproduce.chain import chain_of
from asap.reproduce.device import Device, Rate, load_device
from asap.reproduce.plan import plan_text, planned_stages
from asap.reproduce.stage import Work
from asap.reproduce.table import load_table, table_names
from asap.reproduce.work import trained_flops

PLANS = Path(__file__).parent / "plans"
SCALES = ("laptop", "gpu", "paper")


def planned(name: str, scale: str, variant: str) -> str:
    chain = chain_of(load_table(name), scale, variant)
    device = load_device(chain.scale.device)
    return plan_text(chain, planned_stages(chain, Path("out"), device), device)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", table_names())
def test_the_plan_of_every_table_is_as_recorded(
    name: str, scale: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no folder out
    monkeypatch.delenv("ASAP_DATA", raising=False)  # under which rows would be found
    assert planned(name, scale, variant) == (PLANS / f"{name}-{scale}-{variant}.txt").read_text("utf-8")


@pytest.mark.parametrize(("scale", "group"), [("laptop", "humaneval"), ("gpu", "functions"), ("paper", "humaneval")])
def test_tables_in_one_folder_write_the_answers_to_humaneval_once(scale: str, group: str) -> None:
    chains = [chain_of(load_table(name), scale, "paper") for name in ("table1", "table2", "figure3")]
    shared = [[stage.name for (arm, _, name), stage in chain.evaluated.items() if (arm, name) == ("asap", group)] for chain in chains]
    assert shared[0] == shared[1] == shared[2] != []


@pytest.mark.parametrize(
    ("changes", "flops"),
    [({}, 6), ({"use_peft": False}, 8), ({"gradient_checkpointing": False}, 4), ({"use_peft": False, "gradient_checkpointing": False}, 6)],
)
def test_a_training_costs_what_its_kind_computes(changes: dict[str, bool], flops: float) -> None:
    scale = load_table("table1").scales["laptop"]
    scale = replace(scale, train={**scale.train, "set": changes})
    assert trained_flops(scale) == flops
    device = Device("one", "one", [Rate("train", 1e9, 100, 6, "here")])
    assert device.hours(Work(1e9, trained=360_000, trained_flops=flops)) == pytest.approx(flops / 6)
    assert Work(1e9, read=5, trained=2, trained_flops=flops).flops == 1e9 * (10 + 2 * flops)


def test_no_plan_is_left_over() -> None:
    expected = {f"{name}-{scale}-{variant}.txt" for name in table_names() for scale in SCALES for variant in VARIANTS}
    assert {path.name for path in PLANS.glob("*.txt")} == expected


if __name__ == "__main__":
    os.environ.pop("ASAP_DATA", None)
    for path in PLANS.glob("*.txt"):
        path.unlink()
    for table in table_names():
        for wanted in SCALES:
            for kind in VARIANTS:
                (PLANS / f"{table}-{wanted}-{kind}.txt").write_text(planned(table, wanted, kind), "utf-8")
    sys.exit(0)
