"""`asap prune --dry-run`, which is free, and `--pilot N`, which tries the first N rows: a run before the run."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from asap.cli.dry_run_summary import Pace, show_dry_run
from asap.cli.llm_options import Llm
from asap.cli.manner import manner
from asap.cli.terminal import console_for
from asap.cli.where_options import Where
from asap.errors import AsapError, UsageError, one_line
from asap.scratch import scratch_folder

if TYPE_CHECKING:
    from asap.dataset.source import Source
    from asap.prune.asap import Asap
    from asap.workers.blueprint import Blueprint


def try_run(source: "Source", plan: "Blueprint", where: Where, llm: Llm, out: Path | None, *, free: bool) -> None:
    """Print what a run would read, remove, take and cost. `out` keeps the replies that a pilot pays for; a `free` one is no pilot."""
    from asap.calibration import reads_anew
    from asap.dry_run import Trial, dry_run
    from asap.lm.specs import is_server
    from asap.progress import watcher

    if free and llm.pilot:
        raise UsageError(f"--dry-run tries nothing and pays for nothing, --pilot {llm.pilot} does both for its rows; leave one of them out")
    if llm.pilot and llm.llm and out is None:
        raise UsageError("--pilot asks the LLM and pays for it: name the folder that keeps the replies with --out")
    device = where.first_device(needs_model=plan.needs_model or llm.llm is not None)
    spending = llm.spending()
    generator = llm.generator(spending, out, dtype=plan.dtype, device=device)
    asks = (generator, llm.run_options(spending, source.rules.table), out) if generator else None
    console = console_for(stderr=True)
    with console.status("loading the scorer") if console.is_terminal else nullcontext():
        pruner, why_not = _pruner(plan, device, must_be=bool(llm.pilot) and not llm.llm)
    with scratch_folder("asap-dry-run") as scratch, watcher(console, whole_row=manner().verbose) as listener:
        anew = reads_anew(pruner) if pruner else is_server(plan.scorer)
        tries = Trial(pruner, llm.pilot if not llm.llm else None, anew)
        found = dry_run(scratch, source, plan.settings, plan.load_tokens(), listener, asks, tries)
    pace = Pace(plan.scorer, device, where.gpus, why_not)
    show_dry_run(found, source, plan.settings, spending.price, pace, piloted=bool(llm.pilot and llm.llm))


def _pruner(plan: "Blueprint", device: str, *, must_be: bool) -> "tuple[Asap | None, str]":
    """The pruner, if its model is in this process, or else why there is none; a dry run does without. `must_be`: raise the error."""
    if not plan.needs_model and not must_be:
        from asap.lm.specs import is_server

        served = plan.settings.needs_scorer and is_server(plan.scorer)
        return None, "not known, since a server scores, and a dry run sends it nothing: --pilot N does" if served else ""
    try:
        return plan.pruner(device), ""
    except AsapError as error:
        if must_be:
            raise
        return None, f"not known, since the model cannot be loaded ({one_line(error)})"
