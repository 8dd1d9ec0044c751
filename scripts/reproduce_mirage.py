"""Redo the meta-analysis of Schaeffer, Miranda and Koyejo 2023 (arXiv 2304.15004), sec. 4: the command `bigbench-meta mirage`.

Call it as the command, with ``[SOURCE] [--items FILE] [--out DIR]``.
"""

import sys

from bigbench_meta.cli import main

if __name__ == "__main__":
    main(["mirage", *sys.argv[1:]])
