"""`asap merge`: puts the finished shards of one run together, so that the folder is that of a run without shards.

Only content moves: rows under their digests, and the input in the order of the source, whose ids are numbered anew. A merge that was
killed is made again by the same command.

What this does not do: prune, or read the source.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.shard import Shard
from asap.errors import InputError, UsageError
from asap.lm.reply_cache import REPLIES_FILE, ReplyCache
from asap.output import Files, claim_files, write_output
from asap.ownership import same_file
from asap.prune.settings import OF_METHODS
from asap.prune.settle import settled_by
from asap.recut import tokens_of
from asap.run import no_usable_row
from asap.store.claim import check_settings
from asap.store.unfinished import gone_if_failed, unfinished
from asap.store.work import FILE, Store
from asap.totals import Totals


class _Part(NamedTuple):
    """A finished shard: its folder, its place, its settings without that, and the stored facts."""

    folder: Path
    shard: Shard
    settings: Mapping[str, Any]
    rows: int
    source: Mapping[str, Any]
    llm: Mapping[str, Any] | None
    seconds: Mapping[str, float]

    @classmethod
    def of(cls, folder: Path) -> "_Part":
        """The shard in a folder. Raises InputError if it holds none, or an unfinished one."""
        with Store.reading(folder) as store:
            settings, source = dict(store.fact("settings") or {}), store.fact("source")
            if "shard" not in settings and settings:
                raise InputError(f"{folder} is no shard: it was pruned without --shard, so there is nothing to merge it with")
            if not settings or source is None or store.missing().rows_missing:
                raise unfinished(store)
            check_settings(folder / FILE, settings)
            shard = Shard.parse(settings.pop("shard"))
            seconds = {name: store.fact(name) or 0.0 for name in ("ask_s", "score_s")}
            return cls(folder, shard, settings, store.count_rows(), source, store.fact("llm"), seconds)


def merge(folders: Sequence[Path], out: Path, *, files: Files | None = None) -> Totals:
    """Write the run whose shards are in `folders` to `out`.

    Raises InputError if they are not all the shards of one run, each once, or if no row is usable.
    """
    if any(same_file(out, folder) for folder in folders):
        raise UsageError(f"the shards cannot be merged into {out}, which is one of them; choose another --out")
    parts = sorted((_Part.of(folder) for folder in folders), key=lambda part: part.shard)
    _check_complete(parts)
    for part in parts[1:]:
        _check_same(parts[0], part)
    if sum(part.rows for part in parts) != parts[0].source["rows"]:
        raise InputError(f"the shards hold {sum(part.rows for part in parts):,} of {parts[0].source['rows']:,} rows; prune them again")
    settings = dict(parts[0].settings)
    with Store.open(out) as store, gone_if_failed(store):
        store.claim(settings, OF_METHODS)
        claim_files(store, files)
        store.own()
        store.retry_failed()  # of a merge before
        with store.new_input() as incoming:
            for part in parts:
                with Store.reading(part.folder) as shard:
                    store.take(shard, incoming)
            incoming.source = parts[0].source
        _add_facts(store, parts)
        seconds = {"ask": store.fact("ask_s")} if settings["llm"] else {}
        seconds["score"] = store.fact("score_s")
        totals = write_output(store, settings, seconds=seconds, settle=settled_by(settings, partial(tokens_of, settings)), files=files)
    if totals.rejected + totals.passed == totals.rows:
        raise InputError(f"{no_usable_row(settings['sources'], {**totals.rejected_by, **totals.passed_by})}; see {out}/rejected.jsonl")
    return totals


def _check_complete(parts: Sequence[_Part]) -> None:
    """Raise InputError unless the parts are all the shards of one division, each once."""
    if not parts:
        raise UsageError("name the folders of all shards, for example: asap merge shard-* --out pruned")
    first = parts[0]
    for part in parts:
        if part.shard.of != first.shard.of:
            raise InputError(f"{first.folder} is shard {first.shard} and {part.folder} is shard {part.shard}, of another division")
    for one, other in pairwise(parts):
        if one.shard == other.shard:
            raise InputError(f"{one.folder} and {other.folder} are both shard {one.shard}; name each shard once")
    there = {part.shard.index for part in parts}
    missing = [f"{index}/{first.shard.of}" for index in range(first.shard.of) if index not in there]
    if missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise InputError(f"shard {shown} is missing; prune it with --shard {missing[0]}, or name its folder too")


def _check_same(one: _Part, other: _Part) -> None:
    """Raise InputError unless two shards have the same settings and read the same rows."""
    names = sorted(name for name in {*one.settings, *other.settings} if one.settings.get(name) != other.settings.get(name))
    if names:
        shown = "; ".join(
            f"{name} is {one.settings.get(name)!r} in {one.folder} and {other.settings.get(name)!r} in {other.folder}" for name in names
        )
        raise InputError(f"the shards were pruned with different settings: {shown}; prune one of them again into another folder")
    if (one.source["rows"], one.source["content"]) != (other.source["rows"], other.source["content"]):
        raise InputError(
            f"{one.folder} read {one.source['rows']:,} rows and {other.folder} {other.source['rows']:,}, which are not the same rows; "
            "run asap prune again on the shard whose source has changed since"
        )


def _add_facts(store: Store, parts: Sequence[_Part]) -> None:
    """Add up what the shards took, and bring their LLM's replies over."""
    with store.transaction():
        for name in ("ask_s", "score_s"):
            store.set_fact(name, sum(part.seconds[name] for part in parts))
        if reports := [part.llm for part in parts if part.llm]:
            store.set_fact("llm", _llm_of(reports))
    if folders := [part.folder for part in parts if (part.folder / REPLIES_FILE).is_file()]:
        with ReplyCache.open(store.folder) as replies:
            for folder in folders:
                replies.take(folder)


def _llm_of(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the shards' manifests say of the LLM, with the requests and dollars added up."""
    usage: dict[str, dict[str, int]] = {}
    for report in reports:
        for kind, used in report["usage"].items():
            before = usage.get(kind, {})
            usage[kind] = {name: before.get(name, 0) + count for name, count in used.items()}
    costs = [report["cost_usd"] for report in reports]
    return {**reports[0], "usage": dict(sorted(usage.items())), "cost_usd": None if None in costs else round(sum(costs), 6)}
