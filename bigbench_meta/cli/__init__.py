"""The command line: thin commands, a module for each part of the way from a source to what a reader sees.

stdout is data or the path written, stderr is talk. Exit status: 0 done, 1 an expected failure in one line, 2 wrong usage.
"""

from bigbench_meta.cli.analyses import analyze_command, check_command, run_command, score_command
from bigbench_meta.cli.beyond import (
    mirage_command,
    predictions_command,
    rescore_command,
    theory_command,
    vision_command,
)
from bigbench_meta.cli.from_runs import export_command, report_command, show_command
from bigbench_meta.cli.group import main
from bigbench_meta.cli.inputs import fetch_command, load_command, simulate_command

for command in (
    run_command,
    check_command,
    fetch_command,
    load_command,
    score_command,
    analyze_command,
    report_command,
    export_command,
    show_command,
    simulate_command,
    mirage_command,
    rescore_command,
    theory_command,
    predictions_command,
    vision_command,
):
    main.add_command(command)

__all__ = ["main"]
