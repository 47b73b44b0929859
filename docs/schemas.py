"""Write docs/schema/COMMAND.json: the JSON schema of each command's file of options (`--config`).

Usage: python docs/schemas.py
"""

import json
from pathlib import Path

from asap.cli import COMMANDS
from asap.cli.config_schema import config_schema

FOLDER = Path(__file__).parent / "schema"


def schemas() -> dict[str, str]:
    """The text of each file; commands without options have none."""
    made = {command: config_schema(command) for command in COMMANDS if command != "completion"}
    return {
        f"{command}.json": f"{json.dumps(schema, indent=1, ensure_ascii=False)}\n"
        for command, schema in made.items()
        if schema["properties"]
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
