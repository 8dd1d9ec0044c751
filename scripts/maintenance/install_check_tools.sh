#!/usr/bin/env bash
# Installs what `make check-all` needs beyond the locked packages, where it is missing: Chromium with its driver, a LaTeX
# with booktabs and siunitx, the poppler tools (Debian packages), PyTorch and scikit-learn (which carries the digits) into .venv. Run from
# the project's root after `make .venv/.ready`.
set -euo pipefail

TORCH="torch==2.13.0"
DIGITS="scikit-learn==1.9.1"

if [ ! -x .venv/bin/python ]; then
  echo "there is no .venv here: run \`make .venv/.ready\` first, from the project's root" >&2
  exit 1
fi

debian=()
command -v chromium >/dev/null && command -v chromedriver >/dev/null || debian+=(chromium chromium-driver fonts-dejavu-core)
command -v pdflatex >/dev/null && kpsewhich booktabs.sty siunitx.sty >/dev/null ||
  debian+=(texlive-latex-base texlive-latex-recommended texlive-science)
command -v pdftoppm >/dev/null && command -v pdftotext >/dev/null || debian+=(poppler-utils)

if [ ${#debian[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "install by hand, then run again: ${debian[*]}" >&2
    exit 1
  fi
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${debian[@]}"
fi

if ! .venv/bin/python -c "import torch" 2>/dev/null; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$TORCH"
fi
if ! .venv/bin/python -c "import sklearn" 2>/dev/null; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$DIGITS"
fi
