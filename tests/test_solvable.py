"""experiments/choose_rows.py solvable: the rows that a judge solves after the full trace and not without one."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "experiments" / "choose_rows.py"


def test_rows_are_chosen_by_the_fixed_points_of_the_first_measure_alone(tmp_path: Path) -> None:
    compared, rows, target = tmp_path / "compared", tmp_path / "rows.jsonl", tmp_path / "chosen.jsonl"
    compared.mkdir()
    points = {"gained": (0.0, 1.0), "known": (1.0, 1.0), "lost": (1.0, 0.0), "hard": (0.0, 0.0)}
    measured = [
        {"id": name, "measure": measure, "value": value, "value_none": none, "value_full": full}
        for measure, swapped in (("support", False), ("passing answers without copies", False), ("passing answers", True))
        for name, points_of in points.items()
        for none, full in [points_of[::-1] if swapped else points_of]
        for value in (0.0, 1.0)
    ]
    (compared / "judged.jsonl").write_text("".join(json.dumps(line) + "\n" for line in measured))
    lines = [json.dumps({"id": name, "cot": "é"}, ensure_ascii=False) + "\n" for name in [*points, "untested"]]
    rows.write_text("".join(lines), "utf-8")
    command = [sys.executable, str(SCRIPT), "solvable", str(compared), str(rows), str(target)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert target.read_text("utf-8") == lines[0]
    assert said == "1 of 4 rows with tests, of 5 in all\n"
