"""Many files of outputs at once: scored in parallel, their items written as one Parquet part a file.

The same code runs in one process, in several, or on a cluster (`bigbench_meta.parallel`). A part is written under another name and renamed when
complete, and its name depends on its file alone: a file that is scored twice, since its worker died, leaves one part. The
rows of every part are counted against the items of its file before anything is combined.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bigbench_meta.errors import IntegrityError
from bigbench_meta.experiments.rescoring.scoring import FileScores, ItemRow, Settings, rescore_file
from bigbench_meta.parallel import run_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from bigbench_meta.progress import Progress

_TEXT = ("file", "task", "subtask", "family", "model")
_WHOLE = ("query", "index", "shots", "target_tokens", "output_tokens", "targets", "options")
_SIZES = ("scale", "total_params", "non_embedding_params")


def rescore_parts(
    files: Sequence[Path], settings: Settings, *, folder: Path, workers: int = 1, progress: Progress | None = None
) -> list[FileScores]:
    """Score files in parallel and write the table of items to ``folder/part-NNNNN.parquet``, one part a file.

    Parameters
    ----------
    files
        In the order of their parts; see ``unique_files``.
    folder
        Made if missing; on a cluster, one that all workers share.
    workers
        Processes on this machine, or -1 for one a core, or as many as a cluster has.

    Raises
    ------
    IntegrityError
        If a part does not hold exactly the items of its file.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    parts = [folder / f"part-{number:05d}.parquet" for number in range(len(files))]
    jobs = [(file, settings, part) for file, part in zip(files, parts, strict=True)]
    done = run_jobs(_score_job, jobs, workers=workers, progress=progress, what="files")
    for found, part in zip(done, parts, strict=True):
        rows = pq.read_metadata(part).num_rows
        if rows != found.read:
            raise IntegrityError(
                f"{part}: holds {rows} items, but {found.read} were scored of {found.file}; is another run writing there? "
                "Choose another --out and run again"
            )
    return done


def _score_job(job: tuple[Path, Settings, Path]) -> FileScores:
    return score_to_part(*job)


def score_to_part(file: Path, settings: Settings, part: Path) -> FileScores:
    """Score one file and write its items to one part, which appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = items_schema(settings)
    # two workers may be at the same file for a while, when one of them is given up
    partial = part.with_name(f".{part.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:

            def write(rows: list[ItemRow]) -> None:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))

            found = rescore_file(file, settings, on_items=write)
        partial.replace(part)
    finally:
        partial.unlink(missing_ok=True)
    return found


def items_schema(settings: Settings) -> pa.Schema:
    """Columns of the table of items; a metric that is undefined for an item is NaN."""
    import pyarrow as pa

    text, whole, number = (pa.string(), pa.int64(), pa.float64())
    columns = [*(("file", text), ("query", whole), ("index", whole)), *((name, text) for name in _TEXT[1:])]
    columns += [("shots", whole), *((name, number) for name in _SIZES), *((name, whole) for name in _WHOLE[3:])]
    return pa.schema([*columns, *((metric, number) for metric in settings.metrics)])
