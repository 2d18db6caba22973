"""The state of every analysis. It lives in the metadata of the analysis' container in Tiled and nowhere else.

    <results>/<analysis id>                     metadata: `AnalysisRecord`
    <results>/<analysis id>/attempts/<n>        the claim: the process that creates it computes attempt n
    <results>/<analysis id>/attempts/<n>-cancel created to ask attempt n to stop
    <results>/<analysis id>/final               the results, see `publish`

Tiled has no transactions, no rename and no conditional update. Two properties carry the protocol:

- Creating a node under a fixed key is atomic: all requests but the first get 409. A claim is such a node.
- Changing metadata is read, modify, write without a lock: of two writers, one may lose its change. Therefore only the
  process with the newest claim writes metadata; every other process communicates by creating nodes.
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import structlog
from tiled.client.container import Container
from tiled.client.utils import ClientError
from tiled.queries import Eq, In, KeyPresent, Like, SpecsQuery
from tiled.structures.core import Spec

from twotime.catalog.results.analysis_record import (
    CANCELLED,
    FINAL,
    MAX_ATTEMPTS,
    MAX_SERVICE_DEATHS,
    AnalysisRecord,
    Claim,
    ClaimLost,
    MarkValue,
    Priority,
    Status,
    plain,
    read_record,
)
from twotime.catalog.server.access_tags import giving_tags, tags_of
from twotime.catalog.server.nodes import child, create_once, raise_unless_conflict
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import AnalysisNotFound, NotReady
from twotime.recipe import AnyRecipe, AnyResolved, RunFacts, analysis_id

log = structlog.get_logger()

ANALYSIS_SPEC = Spec("xpcs_analysis")
_PAGE = 200


class AnalysisStore:
    """The analyses below one container of a Tiled server.

    Parameters
    ----------
    results : container that holds them

    Notes
    -----
    All methods are synchronous and safe to call from several threads. They raise `TiledUnavailable` and
    `TiledRefused` where Tiled does not answer or does not allow.
    """

    def __init__(self, results: Container) -> None:
        self.results = results
        self._one_writer = threading.Lock()
        self._over: dict[str, int] = {}

    def request(
        self,
        facts: RunFacts,
        resolved: AnyResolved,
        digest: str,
        versions: Mapping[str, str],
        *,
        asked: AnyRecipe | None = None,
        force: bool = False,
        automatic: bool = False,
        parents: Sequence[str] = (),
        priority: Priority = "asked",
        share: Sequence[str] = (),
    ) -> AnalysisRecord:
        """Queue an analysis, or find the one that the same request made before.

        Parameters
        ----------
        facts : of the run
        resolved, digest : recipe with all values, and the hash over it
        versions : of the software, the numerics, the ensemble and the networks of the estimate
        asked : the recipe as requested; None: `resolved`
        force : queue it again even if it has ended; an analysis that waits or runs stays as it is
        automatic : requested by the automatic mode
        parents : ids of analyses that this one replaces
        priority, share : decide the place in the queue

        Returns
        -------
        AnalysisRecord
            Queued if it is new or forced, else unchanged.
        """
        now = time.time()
        key = analysis_id(facts.uid, digest)
        metadata = {
            "raw_uid": facts.uid,
            "scan_id": facts.scan_id,
            "sample": facts.sample,
            "status": "queued",
            "attempt": 1,
            "first_attempt": 1,
            "asked_attempt": 1,
            "stage": "waiting",
            "progress": 0.0,
            "request": (asked or resolved.recipe).model_dump(mode="json", exclude_unset=True),
            "recipe": resolved.recipe.model_dump(mode="json"),
            "sources": dict(resolved.sources),
            "digest": digest,
            "versions": dict(versions),
            "parents": [facts.uid, *parents],
            "automatic": automatic,
            "priority": priority,
            "share": [*share],
            "created_time": now,
            "updated_time": now,
        }
        with tiled_errors(), giving_tags(facts.uid, facts.access_tags):
            try:
                node = self.results.create_container(
                    key, metadata=plain(metadata), specs=[ANALYSIS_SPEC], access_tags=list(facts.access_tags) or None
                )
            except ClientError as error:
                raise_unless_conflict(error)
                changes = {"priority": priority, "share": [*share]}
                return self._requeue_if_forced(self.get(key), force, list(facts.access_tags), changes)
        return _record(node)

    def get(self, key: str) -> AnalysisRecord:
        """One analysis.

        Raises
        ------
        AnalysisNotFound
            If no node has this id, or the node is not an analysis.
        """
        return _record(self.node(key))

    def node(self, key: str) -> Container:
        """The container of an analysis; raises `AnalysisNotFound`."""
        with tiled_errors():
            node = child(self.results, key) if re.fullmatch(r"[A-Za-z0-9_-]+", key) else None
        if node is None or ANALYSIS_SPEC.name not in {spec.name for spec in node.specs}:
            raise AnalysisNotFound(f"No analysis has the id {key!r}; GET /api/v1/analyses lists those there are.")
        return node

    def search(
        self,
        *,
        status: str | None = None,
        raw_uid: str | Sequence[str] | None = None,
        scan_id: int | None = None,
        sample: str | None = None,
        mark: str | None = None,
        kind: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[AnalysisRecord], int]:
        """Analyses that match all given filters, newest first.

        Parameters
        ----------
        status : one of `STATUSES`
        raw_uid : uid of the run, the beginning of one, or several whole uids
        scan_id, sample : of the run
        mark : good, bad or look again
        kind : xpcs or frames
        limit, offset : number to return, number to skip before

        Returns
        -------
        records : at most `limit`
        total : number of analyses that match
        """
        found = self.results.search(SpecsQuery([ANALYSIS_SPEC.name], []))
        for name, value in (("status", status), ("scan_id", scan_id), ("sample", sample), ("mark.value", mark)):
            if value is not None:
                found = found.search(Eq(name, value))
        if kind == "xpcs":
            found = found.search(KeyPresent("recipe.kind", exists=False))  # Recipes of this kind do not name it.
        elif kind is not None:
            found = found.search(Eq("recipe.kind", kind))
        if isinstance(raw_uid, str):
            found = found.search(Eq("raw_uid", raw_uid) if len(raw_uid) >= 36 else Like("raw_uid", _like(raw_uid)))
        elif raw_uid is not None:
            found = found.search(In("raw_uid", [*raw_uid]))
        with tiled_errors():
            total = len(found)
            values = found.sort(("created_time", -1)).values()
            end = min(offset + limit, total)
            pages = [values[start : min(start + _PAGE, end)] for start in range(offset, end, _PAGE)]
            return [_record(node) for page in pages for node in page], total

    def newest_claim(self, key: str) -> Claim:
        """The newest claim; raises `AnalysisNotFound`."""
        attempts = self._attempts(key)
        with tiled_errors():
            nodes = dict(attempts.items())
        newest = max((int(name) for name in nodes if name.isdigit()), default=0)
        owner = nodes[str(newest)].metadata.get("owner") if newest else None
        return Claim(newest, owner, f"{newest}-cancel" in nodes)

    def claim(self, key: str, owner: str, after: int, *, service_died: bool = False) -> AnalysisRecord | None:
        """Claim the attempt after attempt `after`; only one process gets it.

        Parameters
        ----------
        owner : name of the process that will compute it
        after : attempt of the `newest_claim` that was found free or dead
        service_died : that attempt ended with its whole service, which does not count against the analysis

        Returns
        -------
        AnalysisRecord or None
            The running attempt. None if another process was faster, the analysis was cancelled, `MAX_ATTEMPTS` workers
            died computing it, or `MAX_SERVICE_DEATHS` services did.
        """
        number = after + 1
        if self.get(key).ended:
            return None
        attempts = self._attempts(key)
        with tiled_errors():
            # Owner and time make the metadata unique. Tiled's client retries a request whose answer was lost and
            # adopts the existing node if its metadata are equal: it must adopt our own claim only.
            if not create_once(attempts, str(number), {"owner": owner, "time": time.time()}):
                return None
            stop = child(attempts, f"{after}-cancel") is not None
        # Read again: between the first look and the claim, the attempt before may have written its end.
        record = self.get(key)
        if record.ended:
            return None
        if stop and record.status == "running":
            # The attempt before died between the request to cancel and the next block, where it would have obeyed.
            return self._ended(key, "cancelled", number, error=CANCELLED) and None
        # Two counters, because a site that restarts its service often is not a broken analysis: three workers that die
        # under a living service end the analysis, services that die end it only after `MAX_SERVICE_DEATHS`.
        first_attempt = record.first_attempt + (1 if service_died else 0)
        if number - first_attempt >= MAX_ATTEMPTS or first_attempt - record.asked_attempt >= MAX_SERVICE_DEATHS:
            sentence = (
                f"The process that computes this analysis died {number - record.asked_attempt} times; "
                "look into the log for the reason, then submit it again with force."
            )
            return self._ended(key, "failed", number, error=sentence) and None
        return self._change(
            key,
            status="running",
            attempt=number,
            first_attempt=first_attempt,
            stage="starting",
            progress=0.0,
            owner=owner,
            started_time=time.time(),
            finished_time=None,
            error=None,
        )

    def claim_state(self, record: AnalysisRecord) -> Literal["held", "cancel", "lost"]:
        """Whether an attempt holds the newest claim ("held"), shall stop ("cancel"), or was taken over ("lost")."""
        attempts = self._attempts(record.id)
        with tiled_errors():
            names = set(attempts)
        if any(name.isdigit() and int(name) > record.attempt for name in names):
            return "lost"
        return "cancel" if f"{record.attempt}-cancel" in names else "held"

    def require_claim(self, record: AnalysisRecord) -> None:
        """Raise `ClaimLost` if another process has claimed a later attempt."""
        if self.claim_state(record) == "lost":
            raise ClaimLost(f"Attempt {record.attempt} of {record.id} was taken over by another process.")

    def progress(self, record: AnalysisRecord, stage: str, fraction: float) -> None:
        """Write stage and fraction done. This renews the lease: other processes see that the attempt is alive.

        No effect once this store has written the end of the attempt.
        """
        # The heartbeat runs in a thread of its own and could otherwise write "running" after "done".
        with self._one_writer:
            if self._over.get(record.id, 0) >= record.attempt:
                return
            self._change(
                record.id,
                drop_revision=True,
                status="running",
                attempt=record.attempt,
                stage=stage,
                progress=round(min(max(fraction, 0.0), 1.0), 4),
            )

    def done(
        self,
        record: AnalysisRecord,
        *,
        timings_s: Mapping[str, float],
        warnings: Sequence[str],
        facts: Mapping[str, Any],
        final: str = FINAL,
    ) -> AnalysisRecord:
        """Mark the attempt as done, after all results are written; raises `ClaimLost`.

        Readers look at the status first, so they see the whole analysis or none of it.
        """
        self.require_claim(record)
        changes = {"timings_s": dict(timings_s), "warnings": [*warnings], "facts": dict(facts), "final": final}
        return self._ended(record.id, "done", record.attempt, **changes)

    def failed(self, record: AnalysisRecord, sentence: str) -> AnalysisRecord:
        """Mark the attempt as failed, with the reason; raises `ClaimLost`."""
        self.require_claim(record)
        return self._ended(record.id, "failed", record.attempt, error=sentence)

    def cancelled(self, record: AnalysisRecord, sentence: str = CANCELLED) -> AnalysisRecord:
        """Mark the attempt as cancelled; raises `ClaimLost`."""
        self.require_claim(record)
        return self._ended(record.id, "cancelled", record.attempt, error=sentence)

    def mark(self, key: str, value: MarkValue | None, note: str, by: str) -> AnalysisRecord:
        """Say of a scan whether it is good, and why; neither value nor note: take back what was said.

        Only what has ended can be marked: while an attempt runs, its process alone writes the metadata.

        Raises
        ------
        NotReady
            If the analysis waits or runs.
        """
        record = self.get(key)
        if not record.ended:
            raise NotReady(f"Analysis {key} is {record.status}; mark it when it has ended.")
        said = {"value": value, "note": note, "by": by, "time": time.time()} if value or note else None
        with self._one_writer:
            return self._change(key, mark=said)

    def release(self, record: AnalysisRecord) -> AnalysisRecord:
        """Queue a running attempt again because its service stops. It does not count as a death."""
        return self._change(
            record.id,
            status="queued",
            attempt=record.attempt + 1,
            first_attempt=record.first_attempt + 1,
            stage="waiting",
            progress=0.0,
            owner=None,
        )

    def request_cancel(self, key: str, owner: str) -> AnalysisRecord:
        """Cancel an analysis: at once if it waits, at the next block if it runs, without effect once it has ended."""
        record = self.get(key)
        if record.ended:
            return record
        claim = self.newest_claim(key)
        if record.status == "queued" and claim.attempt < record.attempt:
            # Claim the waiting attempt ourselves: then no worker can start it, and we may write the metadata.
            attempts = self._attempts(key)
            with tiled_errors():
                won = create_once(attempts, str(record.attempt), {"owner": owner, "time": time.time()})
            if won:
                return self._ended(key, "cancelled", record.attempt, error=CANCELLED)
            claim = self.newest_claim(key)
        attempts = self._attempts(key)
        with tiled_errors():
            create_once(attempts, f"{claim.attempt}-cancel", {"owner": owner, "time": time.time()})
        return self.get(key)

    def _requeue_if_forced(
        self, record: AnalysisRecord, force: bool, access_tags: list[str], changes: dict[str, Any]
    ) -> AnalysisRecord:
        if not (force and record.ended):
            return record
        self._update_access_tags(record, access_tags)
        number = self.newest_claim(record.id).attempt + 1
        return self._change(
            record.id,
            status="queued",
            attempt=number,
            first_attempt=number,
            asked_attempt=number,
            stage="waiting",
            progress=0.0,
            error=None,
            finished_time=None,
            timings_s={},
            warnings=[],
            facts={},
            **changes,
        )

    def _update_access_tags(self, record: AnalysisRecord, access_tags: list[str]) -> None:
        """Give an analysis the present access tags of its run; nodes written below inherit them."""
        node = self.node(record.id)
        if access_tags and tags_of(node) != access_tags:
            with tiled_errors(), giving_tags(record.raw_uid, access_tags):
                node.update_metadata(access_tags=access_tags)

    def _ended(self, key: str, status: Status, attempt: int, **changes: Any) -> AnalysisRecord:
        changes = {"error": None} | changes | ({"progress": 1.0} if status == "done" else {})
        with self._one_writer:
            record = self._change(
                key, status=status, attempt=attempt, stage=status, finished_time=time.time(), **changes
            )
            self._over[key] = attempt
        return record

    def _change(self, key: str, *, drop_revision: bool = False, **changes: Any) -> AnalysisRecord:
        node = self.node(key)
        changes = plain({**changes, "updated_time": time.time()})
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in changes.items()]
        with tiled_errors():
            node.patch_metadata(metadata_patch=patch, drop_revision=drop_revision)
        return _record(node)

    def _attempts(self, key: str) -> Container:
        node = self.node(key)
        with tiled_errors():
            found = child(node, "attempts")
            if found is None:
                create_once(node, "attempts", {})
                found = child(node, "attempts")
        if found is None:
            raise AnalysisNotFound(f"The analysis {key} was deleted while it was being looked at.")
        return found


def _record(node: Container) -> AnalysisRecord:
    return read_record(node.path_parts[-1], node.metadata)


def _like(beginning: str) -> str:
    return re.sub(r"[^0-9A-Za-z-]", "", beginning) + "%"
