"""The command line: a thin layer over the library, one file per command. Options have the names of the settings that they set."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, Parameter

from asap.cli.config import config_of, without_config
from asap.cli.lists import lists_in
from asap.cli.manner import manner, speaking, without_manner
from asap.cli.result import one_document
from asap.cli.terminal import console_for, screens
from asap.errors import AsapError, one_line
from asap.revealed import revealed
from asap.versions import __version__

app = App(
    name="asap",
    help="Shorten the reasoning traces you train on: whole steps go, every kept word stays verbatim, every cut is explained.",
    version=f"asap {__version__}",
    help_format="plaintext",
    default_parameter=Parameter(consume_multiple=(1, None), negative_iterable=()),  # lists: see asap.cli.lists
    suppress_keyboard_interrupt=False,  # we say so, with an exit code
    help_epilogue="Everywhere: --json (the result as one JSON document), --quiet (no progress), -v (the first row whole), "
    "--config FILE.yaml (option: value), --debug (tracebacks); see docs/command-line.md.",
)
COMMANDS = {
    "doctor": "Examine this machine, and data if named: what is there, what is wrong, what to do.",
    "prune": "Prune the reasoning traces of a data set.",
    "merge": "Put the shards of a run together: the same files as a run without --shard.",
    "cut": "Cut a finished run again at another budget, by another method, or as you ruled: no model, the same files as a fresh run.",
    "review": "Write a page that shows every trace of a run, what was cut from it and why, and what another budget would cut.",
    "push": "Publish an output folder on the Hugging Face Hub: rows, decisions and a complete card, in one commit; private by default.",
    "compare": "Compare pruning methods at equal tokens by how likely they leave the answer's code or result.",
    "train": "Fine-tune a model on traces, with the loss on `<think>…</think>answer` only; no row is ever cut.",
    "evaluate": "Have a model answer benchmarks, run its programs or compare its results, and report Pass@1, tokens and seconds.",
    "score": "Judge attempts that are there already, ours or another tool's: programs in the sandbox, results of maths by comparison.",
    "compare-runs": "Compare evaluations with a first one: McNemar and Tango's interval for Pass@1, Wilcoxon and Student's t for the rest.",
    "diff-runs": "Say why two runs differ: models, samplers, templates, settings, versions, rows, prompts, and what came of it.",
    "certify": "Certify that training on pruned data is less than a margin worse, or say why that is not shown (exit code 1).",
    "report": "Report on evaluations and trainings: Pass@1, tokens, paired statistics against a reference arm, and training cost.",
    "reproduce": "Run a table of the paper, or an experiment of your own, as a chain of commands; --plan tells what it costs.",
    "completion": "Complete commands, options and their values in a shell, or the keys of a file of --config in an editor.",
}
"""The commands in the order of use, which is their order in the help."""
for place, (name, summary) in enumerate(COMMANDS.items()):  # imported only when called, so that each command starts quickly
    module = name.replace("-", "_")
    app.command(f"asap.cli.{module}:{module}", name=name, help=summary, sort_key=place)


PRINTING = ("certify", "compare-runs", "completion", "diff-runs", "doctor", "report", "reproduce")
"""The commands whose result is what they print, unless they have an --out."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0 done, 1 too many rejected rows, no score or a difference, 2 bad usage or input, 70 a bug of ours, 130 interrupted or stopped by a
    limit. A stdout or stderr that takes no text changes none of them, except that a result which is only printed and cannot be is no 0.
    """
    words, asked = without_manner(arguments)
    command = next((word for word in words if word in COMMANDS), "")
    with speaking(asked), screens() as made:
        with one_document(command) as document:
            document["exit_code"] = code = _run(words, document)
        lost = next((screen.failure for screen in made if screen.is_stdout), None)
        if lost is not None and not isinstance(lost, BrokenPipeError):  # a pipe that nobody reads any more, as of `head`, is no failure
            print(f"asap: what was printed could not be written ({lost.strerror or lost}); the files are", file=sys.stderr)
            return code or 2 * (asked.json or (command in PRINTING and "--out" not in words))
    return code


def read_lists(words: Sequence[str], config: Path | None = None) -> None:
    """Have the parser read lists in these words, and the options of a file that they do not name."""
    app.config = (*([config_of(config, words)] if config is not None else []), lists_in(words))


def _run(arguments: Sequence[str], document: dict[str, Any]) -> int:
    from cyclopts import CycloptsError

    from asap.cli.parse_errors import in_our_words

    debug = manner().debug
    try:
        words, config = without_config(arguments)
        read_lists(words, config)
        if words and words[0] in COMMANDS:
            app[words[0]].help = None  # the command's docstring says more
        code = app(words, console=console_for(), exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except (AsapError, CycloptsError) as error:
        _trace(debug)
        told = in_our_words(error) if isinstance(error, CycloptsError) else one_line(error)
        document["error"] = told = revealed(told, keep="")
        print(f"asap: {told}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        document["error"] = "interrupted"
        print("asap: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # a bug of ours: a traceback only with --debug
        _trace(debug)
        advice = "report what is above" if debug else "run again with --debug and report what it prints"
        document["error"] = told = f"internal error: {type(error).__name__}: {revealed(one_line(error), keep='')}"
        print(f"asap: {told}; {advice}", file=sys.stderr)
        return 70


def _trace(debug: bool) -> None:
    if debug:
        print(traceback.format_exc(), end="", file=sys.stderr)
