"""Golden plans: `asap reproduce --plan` of every table says the same on every machine. plans/README.md says how they are made."""

import sys
from pathlib import Path

import pytest

from asap.reproduce.chain import chain_of
from asap.reproduce.device import load_device
from asap.reproduce.plan import plan_text, planned_stages
from asap.reproduce.table import VARIANTS, load_table, table_names

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
    assert planned(name, scale, variant) == (PLANS / f"{name}-{scale}-{variant}.txt").read_text("utf-8")


def test_no_plan_is_left_over() -> None:
    expected = {f"{name}-{scale}-{variant}.txt" for name in table_names() for scale in SCALES for variant in VARIANTS}
    assert {path.name for path in PLANS.glob("*.txt")} == expected


if __name__ == "__main__":
    for path in PLANS.glob("*.txt"):
        path.unlink()
    for table in table_names():
        for wanted in SCALES:
            for kind in VARIANTS:
                (PLANS / f"{table}-{wanted}-{kind}.txt").write_text(planned(table, wanted, kind), "utf-8")
    sys.exit(0)
