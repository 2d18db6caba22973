"""``twotime prune``: delete analyses that are old, or more than the disk has room for."""

import time
from datetime import datetime

from rich.console import Console
from rich.table import Table

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.retention import (
    Pruning,
    RetentionRules,
    all_records,
    delete_analysis,
    disk_bytes,
    prune_plan,
)
from twotime.catalog.server.tiled_client import opened_root, results_container
from twotime.cli.tiled import tiled_of
from twotime.jobs.requests.site_rules import load_site_rules
from twotime.recipe import load_recipe
from twotime.settings import Settings

_MOST_LINES = 50
_MOST_NAMED = 5


def prune(settings: Settings, rules: RetentionRules, console: Console, *, delete: bool) -> None:
    """Print what the rules would delete; delete it where that is asked for.

    Parameters
    ----------
    settings : the command uses the connection of the service, which may see and delete all analyses

    Raises
    ------
    InputError
        If the rules have no limit, or cannot be applied.
    """
    rules.check()
    recipes = [load_recipe(settings.recipe_file), *load_site_rules(settings.rules_file).recipes]
    with tiled_of(settings, console) as reached, opened_root(reached) as root:
        store = AnalysisStore(results_container(root, reached))
        records = all_records(store)
        plan = prune_plan(
            records,
            rules,
            now=time.time(),
            sizes=disk_bytes(store, records),
            named=[recipe.model_dump_json() for recipe in recipes],
        )
        _print(plan, console)
        if not delete:
            if plan.delete:
                console.print("Nothing was deleted; add --delete to do it.")
            return
        done = [record for record, _ in plan.delete if delete_analysis(store, record)]
    left = len(plan.delete) - len(done)
    changed = f"; {left} changed in between and stay" if left else ""
    console.print(f"Deleted {len(done)} {_analyses(len(done))}{changed}.", highlight=False)


def _print(plan: Pruning, console: Console) -> None:
    if plan.delete:
        table = Table("analysis", "scan", "sample", "status", "ended", "deleted for its")
        for record, reason in plan.delete[:_MOST_LINES]:
            ended = datetime.fromtimestamp(record.finished_time or record.updated_time)
            scan = "" if record.scan_id is None else str(record.scan_id)
            table.add_row(record.id, scan, record.sample or "", record.status, f"{ended:%Y-%m-%d %H:%M}", reason)
        console.print(table, highlight=False)
        if len(plan.delete) > _MOST_LINES:
            console.print(f"... and {len(plan.delete) - _MOST_LINES} more", highlight=False)
    for reason in sorted(set(plan.kept.values())):
        keys = [key for key, own in plan.kept.items() if own == reason]
        more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
        console.print(f"Stays, because {reason}: {', '.join(keys[:_MOST_NAMED])}{more}", highlight=False)
    of = ""
    if plan.n_bytes is not None and plan.freed_bytes is not None:
        of = f", {plan.freed_bytes / 2**30:.2f} of {plan.n_bytes / 2**30:.2f} GiB"
    number = len(plan.delete)
    console.print(f"{number} of {plan.n_analyses} {_analyses(plan.n_analyses)}{of}.", highlight=False)


def _analyses(number: int) -> str:
    return "analysis" if number == 1 else "analyses"
