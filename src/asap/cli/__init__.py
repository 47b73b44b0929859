"""The command line: a thin layer over the library, one file per command. Options have the names of the settings that they set."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cyclopts import App

from asap.errors import AsapError, UsageError, one_line
from asap.versions import __version__

app = App(
    name="asap",
    help="Shorten the reasoning traces you train on: whole steps go, every kept word stays verbatim, every cut is explained.",
    version=f"asap {__version__}",
    help_format="plaintext",
    help_epilogue="Everywhere: --config FILE.yaml (option: value), --debug (tracebacks).",
)
COMMANDS = {
    "prune": "Prune the reasoning traces of a data set.",
    "merge": "Put the shards of a run together: the same files as a run without --shard.",
    "cut": "Cut a finished run again at another budget or by another method: no model, the same files as a fresh run.",
    "review": "Write a page that shows every trace of a run, what was cut from it and why, and what another budget would cut.",
    "compare": "Compare pruning methods at equal tokens by how likely they leave the answer's code.",
    "evaluate": "Have a model answer code benchmarks, judge its programs in the sandbox, and report Pass@1, tokens and seconds.",
    "score": "Judge attempts that are there already, ours or another tool's, in the sandbox.",
    "compare-runs": "Compare two evaluations: exact McNemar and paired bootstrap for Pass@1, Wilcoxon for tokens and seconds.",
    "train": "Fine-tune a model on traces, with the loss on `<think>…</think>answer` only; no row is ever cut.",
    "report": "Print the training cost of runs beside each other (the paper's Table 3): tokens per sample, seconds per step, memory.",
    "doctor": "Examine this machine, and data if named: what is there, what is wrong, what to do.",
}
for name, summary in COMMANDS.items():  # imported only when called, so that each command starts quickly
    module = name.replace("-", "_")
    app.command(f"asap.cli.{module}:{module}", name=name, help=summary)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 too many rejected rows or no score, 2 bad usage or input, 130 interrupted."""
    from cyclopts import CycloptsError

    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name or character that the terminal cannot show must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        words = _with_config([word for word in arguments if word != "--debug"])
        if words and words[0] in COMMANDS:
            app[words[0]].help = None  # the command's docstring says more
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except (AsapError, CycloptsError) as error:
        if debug:
            raise
        print(f"asap: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("asap: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # a bug of ours: a traceback only with --debug
        if debug:
            raise
        print(f"asap: internal error: {type(error).__name__}: {error}; run again with --debug and report what it prints", file=sys.stderr)
        return 70


def _with_config(arguments: list[str]) -> list[str]:
    """The arguments without `--config FILE.yaml` and with the file's values for the options that were not typed."""
    words, path = list[str](), None
    remaining = iter(arguments)
    for word in remaining:
        if word == "--config" or word.startswith("--config="):
            path = word.partition("=")[2] or next(remaining, "")
            if not path:
                raise UsageError("--config needs a file, for example --config asap.yaml")
        else:
            words.append(word)
    app.config = (_config(Path(path), words),) if path is not None else ()
    return words


def _config(path: Path, words: Sequence[str]) -> Callable[..., None]:
    import yaml
    from cyclopts.config import Dict

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values = {} if values is None else values
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"--config {path} is not valid YAML: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} holds no mapping; write one option a line, for example budget: 1024")
    settings = {str(name).replace("_", "-"): value for name, value in values.items()}
    if "unsafe-no-sandbox" in settings:
        raise UsageError(f"--config {path} holds unsafe-no-sandbox; running untrusted code without a sandbox must be typed each time")
    for typed, instead in (("--ratio", "budget"), ("--budget", "ratio")):  # either one replaces the other
        if any(word.partition("=")[0] == typed for word in words):
            settings.pop(instead, None)
    return Dict(settings, use_commands_as_keys=False, source=str(path))
