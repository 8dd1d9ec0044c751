"""Draw bigbench_meta/data/figures anew: the figures of the packaged experiments, which the default run shows."""

from __future__ import annotations

from pathlib import Path

from bigbench_meta.export.figure_files import figure_files
from bigbench_meta.report.section_experiments import ladder, vision

TARGET = Path(__file__).resolve().parents[2] / "bigbench_meta" / "data" / "figures"


def main() -> None:
    """Replace the whole folder."""
    figures = [figure for section in (ladder(), vision()) for figure in section.figures]
    TARGET.mkdir(exist_ok=True)
    for old in TARGET.iterdir():
        old.unlink()
    for figure, made in zip(figures, figure_files([each.drawing for each in figures]), strict=True):
        for kind, content in made.items():
            (TARGET / f"{figure.name}.{kind}").write_bytes(content)
    print(TARGET)


if __name__ == "__main__":
    main()
