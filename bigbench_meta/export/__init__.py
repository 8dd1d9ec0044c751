"""Tables and pages leave the package here: the run folder, written whole or not at all, and exports for papers."""

from bigbench_meta.export.every_eval_ever import every_eval_ever
from bigbench_meta.export.guards import keep_apart
from bigbench_meta.export.one_table import (
    TABLE_FORMATS,
    Printing,
    export_records,
    export_table,
    pick_columns,
    table_bytes,
    write_exports,
)
from bigbench_meta.export.paper_tables import latex_text, markdown_text
from bigbench_meta.export.query import select, sql
from bigbench_meta.export.run_folder import (
    as_read_back,
    check_run_folder,
    read_run_folder,
    require_tables,
    write_run_folder,
)
from bigbench_meta.export.table_bytes import csv_bytes, parquet_bytes, sorted_by_key

__all__ = [
    "TABLE_FORMATS",
    "Printing",
    "as_read_back",
    "check_run_folder",
    "csv_bytes",
    "every_eval_ever",
    "export_records",
    "export_table",
    "keep_apart",
    "latex_text",
    "markdown_text",
    "parquet_bytes",
    "pick_columns",
    "read_run_folder",
    "require_tables",
    "select",
    "sorted_by_key",
    "sql",
    "table_bytes",
    "write_exports",
    "write_run_folder",
]
