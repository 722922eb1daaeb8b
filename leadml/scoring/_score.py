"""Score new leads with a definition and a model bundle, in batches."""

from __future__ import annotations

import glob
import hashlib
import signal
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from leadml._files import compute_sha256, locked_file, replaced_file
from leadml.definitions import Definition, load_definition
from leadml.errors import InputMissingError, LeadsError, OutputError, QuarantineError
from leadml.leads import Contract, load_contract, open_leads
from leadml.models import Bundle, load_bundle
from leadml.scoring._database import DatabaseWriter
from leadml.scoring._drift import DriftWatch
from leadml.scoring._frame import SCORE_COLUMNS, score_stream
from leadml.scoring._manifest import ScoreManifest
from leadml.scoring._write import QuarantineWriter, open_writer

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from leadml.scoring._frame import ScoredPart
    from leadml.scoring._write import ScoreWriter

__all__ = ["score_leads"]

BATCH_ROWS = 50_000


def score_leads(
    contract: Contract | Path | str,
    *,
    definition: Definition | Path | str,
    bundle: Bundle | Path | str,
    output: Path | str,
    leads: Path | str | None = None,
    as_of: dt.date | None = None,
    quarantine: Path | str | None = None,
    digest: str | None = None,
    drift: Literal["refuse", "flag"] = "refuse",
    engine: Literal["local", "spark"] = "local",
    n_parts: int | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[int, int], None] | None = None,
) -> ScoreManifest:
    """Score new leads and write one file or table, whole or not at all.

    The leads need what the contract calls attributes, their id and the day they were created; what happens
    after the handoff is not read. Memory does not depend on the number of leads. The same leads, definition
    and bundle give the same bytes.

    Parameters
    ----------
    contract : Contract or path-like
        How the export is read.
    definition : Definition or path-like
        The definition version that is applied.
    bundle : Bundle or path-like
        The model bundle.
    output : path-like or str
        A ``.csv`` or ``.parquet`` file, or ``<database URL>#<table>``, a table whose rows are replaced in one
        transaction. Columns: lead_id, lead_class, probability_accepted, probability_won (six digits, empty
        where the bundle has no such model), reasons (the definition's words), definition_version, bundle
        (its SHA-256).
    leads : path-like or str, optional
        In place of the contract's first table: a file, or ``<database URL>#<table>``.
    as_of : date, optional
        The day on which ages end; needed by definitions with an age at the day of assignment.
    quarantine : path-like, optional
        Where damaged rows are listed (CSV: table, line, column, rule, shape; no value of theirs).
    digest : str, optional
        The SHA-256 that the bundle must have; default: the one beside it.
    drift : {"refuse", "flag"}
        What to do with leads that as a whole look unlike those at training (another unit, swapped or empty
        columns, new levels): refuse them, or score them and say so in the notices. In either case the
        reasons of a single lead name each value that training did not know (``check employees: …``).
    engine : {"local", "spark"}
        Where the work is done: in this process, or by Spark (extra ``spark``) on parts of the file, in the
        active session or a local one. The bytes are the same. Spark needs the leads in a CSV or Parquet file
        that all workers see, and the bundle as a file.
    n_parts : int, optional
        Number of parts on Spark; default: one per 32 MB.
    batch_rows : int
        Rows held in memory, about. No result depends on it.
    progress : callable, optional
        Called after each batch with the number of rows read so far and of all rows (0 where nobody knows).

    Returns
    -------
    ScoreManifest
        Rows that reconcile, classes, digests, notices.

    Raises
    ------
    ContractError, DefinitionError, LeadsError
        If an input is refused.
    BundleError
        If the bundle is not what its digest or its test rows say.
    QuarantineError
        If too many rows are damaged; nothing is written.
    InputMissingError
        If an input is not there.
    LockedError
        If another job writes the same output.
    OutputError
        If an output cannot be written; the old one is left whole.
    """
    address = str(output) if isinstance(output, str) and "://" in output else None
    target = Path(output)
    if address is None and target.suffix not in {".csv", ".parquet"}:
        raise OutputError(
            f"{target}: expected a score file ending in .csv or .parquet, got {target.suffix!r}."
        )
    models = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, digest=digest)
    if engine == "spark" and isinstance(bundle, Bundle):
        raise ValueError("bundle: the engine spark carries the bundle's file to its workers; give its path.")
    job = _Job(
        contract=contract if isinstance(contract, Contract) else load_contract(contract),
        definition=definition if isinstance(definition, Definition) else load_definition(definition),
        bundle=models,
        as_of=as_of,
        progress=progress,
        drift=drift,
        watch=DriftWatch(models.profile),
    )
    with ExitStack() as stack, _ending_cleanly():
        writer: ScoreWriter | DatabaseWriter
        if address is None:
            _make_folder(target)
            stack.enter_context(locked_file(target.with_name(f".{target.name}.lock")))
            _remove_leftovers(target)
            temporary = stack.enter_context(replaced_file(target))
            writer = open_writer(temporary, suffix=target.suffix, columns=SCORE_COLUMNS)
        else:
            writer = DatabaseWriter(address, columns=SCORE_COLUMNS)
        listing = None
        if quarantine is not None:
            _remove_leftovers(Path(quarantine))
            listing = stack.enter_context(replaced_file(Path(quarantine)))
        with writer, QuarantineWriter(listing) as rejected:
            if engine == "local":
                data_sha256 = _score_here(job, leads, writer, rejected, batch_rows=batch_rows)
            else:
                data_sha256 = _score_on_spark(
                    job,
                    leads,
                    writer,
                    rejected,
                    batch_rows=batch_rows,
                    n_parts=n_parts,
                    bundle_path=Path(cast("Path | str", bundle)),
                )
            job.check(rejected)
        output_sha256 = writer.digest if isinstance(writer, DatabaseWriter) else _digest(temporary, target)
    shown = writer.shown if isinstance(writer, DatabaseWriter) else str(output)
    return job.manifest(output=shown, output_sha256=output_sha256, data_sha256=data_sha256)


@dataclass(slots=True)
class _Job:
    """A scoring job and what it has counted so far."""

    contract: Contract
    definition: Definition
    bundle: Bundle
    as_of: dt.date | None
    progress: Callable[[int, int], None] | None
    drift: Literal["refuse", "flag"]
    watch: DriftWatch
    expected: int = 0
    read: int = 0
    scored: int = 0
    duplicates: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    notices: list[str] = field(default_factory=list)

    def count(self, part: ScoredPart) -> None:
        """Add a part to the counts."""
        self.read += part.read
        self.scored += len(part.scores)
        self.duplicates += part.duplicates
        self.quarantined += len(part.rejects)
        self.watch.add(part.drift)
        for name, number in part.scores["lead_class"].value_counts().items():
            self.classes[str(name)] = self.classes.get(str(name), 0) + int(number)
        if self.progress is not None and part.read:
            self.progress(self.read, self.expected)

    def check(self, rejected: QuarantineWriter) -> None:
        """Refuse to publish rows that do not reconcile or are damaged too often."""
        if self.read != self.scored + self.quarantined + self.duplicates:
            raise LeadsError(
                f"{self.contract.source}: rows do not reconcile (read {self.read:,}, scored {self.scored:,}, "
                f"quarantined {self.quarantined:,}, duplicates {self.duplicates:,}); nothing was written."
            )
        if self.quarantined > self.contract.quarantine_limit * self.read:
            error = QuarantineError(
                f"{self.quarantined:,} of {self.read:,} leads break the contract "
                f"(limit {self.contract.quarantine_limit:.1%}); nothing is published.",
                *rejected.findings(),
            )
            error.quarantine = rejected.to_frame()
            raise error
        refused, noted = self.watch.findings()
        if refused and self.drift == "refuse":
            raise LeadsError(
                f"{self.contract.source}: these leads look unlike those the bundle was trained on; nothing "
                "was written. If they are right, train again, or score them with drift='flag'.",
                *refused,
            )
        self.notices += [*refused, *noted]

    def manifest(self, *, output: str, output_sha256: str, data_sha256: str) -> ScoreManifest:
        """Return the counts as a result."""
        return ScoreManifest(
            read=self.read,
            scored=self.scored,
            quarantined=self.quarantined,
            duplicates=self.duplicates,
            classes=tuple((entry.name, self.classes.get(entry.name, 0)) for entry in self.definition.classes),
            definition=self.definition.name,
            definition_version=self.definition.version,
            definition_sha256=self.definition.sha256,
            bundle=self.bundle.digest,
            data_sha256=data_sha256,
            output=output,
            output_sha256=output_sha256,
            as_of=self.as_of,
            notices=(*self.notices, *_skew_notices(self.contract, self.definition, self.bundle)),
        )


def _write(job: _Job, parts: Iterator[ScoredPart], writer: ScoreWriter, rejected: QuarantineWriter) -> None:
    table = job.contract.tables[0].name
    for part in parts:
        writer.write(part.scores)
        rejected.write(table, part.rejects)
        job.count(part)
        del part  # before the next one is made


def _score_here(
    job: _Job, leads: Path | str | None, writer: ScoreWriter, rejected: QuarantineWriter, *, batch_rows: int
) -> str:
    with open_leads(job.contract, leads=leads, batch_rows=batch_rows) as stream:
        job.expected = stream.n_rows
        parts = score_stream(stream, definition=job.definition, bundle=job.bundle, as_of=job.as_of)
        _write(job, parts, writer, rejected)
        job.notices += stream.notices()
        return _digest_of_inputs(stream.paths)


def _score_on_spark(
    job: _Job,
    leads: Path | str | None,
    writer: ScoreWriter,
    rejected: QuarantineWriter,
    *,
    batch_rows: int,
    n_parts: int | None,
    bundle_path: Path,
) -> str:
    from leadml.scoring._spark import plan_spark, score_on_spark, spark_session

    plan = plan_spark(job.contract, leads=leads, n_parts=n_parts)
    before = _digest_of_inputs(dict(plan.paths))
    with spark_session() as spark:
        parts = score_on_spark(
            spark,
            plan,
            definition=job.definition,
            bundle=job.bundle,
            bundle_path=bundle_path,
            as_of=job.as_of,
            batch_rows=batch_rows,
        )
        _write(job, parts, writer, rejected)
    if _digest_of_inputs(dict(plan.paths)) != before:
        raise LeadsError(f"{job.contract.source}: the leads changed while they were read. Try again.")
    job.notices += plan.notices
    return before


def _digest_of_inputs(paths: Mapping[str, Path]) -> str:
    lines = [f"{name} {compute_sha256(path)}" for name, path in paths.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


def _skew_notices(contract: Contract, definition: Definition, bundle: Bundle) -> list[str]:
    notices = []
    if bundle.definition_sha256 and bundle.definition_sha256 != definition.sha256:
        notices.append(
            f"the bundle was trained beside {bundle.definition_name} {bundle.definition_version}, "
            f"the leads are classed by {definition.name} {definition.version}."
        )
    if bundle.contract_sha256 and bundle.contract_sha256 != contract.sha256:
        notices.append(f"the bundle was trained with another text of the contract {bundle.contract_name!r}.")
    if bundle.models and not bundle.profile:
        notices.append("the bundle has no profile of the leads at training; drift was not looked for.")
    notices += [f"no probability of {target}: {reason}" for target, reason in bundle.untrained.items()]
    return notices


def _digest(temporary: Path, target: Path) -> str:
    try:
        return compute_sha256(temporary)
    except InputMissingError as error:
        raise OutputError(f"{target}: what was written cannot be read back; the old file stays.") from error


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise OutputError(f"{target}: cannot write here: {reason}.") from error


def _remove_leftovers(target: Path) -> None:
    """Remove what a killed job left beside the output; the caller holds its lock."""
    with suppress(OSError):  # whatever stays is found by the next job
        for path in target.parent.glob(f"{glob.escape(f'.{target.name}.')}*.part"):
            path.unlink()


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Let SIGTERM end the job like an error does, so that its temporary files are removed."""
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    ):
        yield
        return

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
