#!/bin/bash
# Known advisories about the lowest and the newest versions that settings.ini allows: `tools/audit.sh`.
# Needs the network: pip-audit asks the package index for advisories. Exit 1 if there is one, or if a package is not known there.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q uv pip-audit
for r in lowest-direct highest; do
    "$work/venv/bin/uv" pip compile -q --resolution "$r" setup.py -o "$work/$r.txt"
    echo "== $r: $(grep -c == "$work/$r.txt") packages"
    "$work/venv/bin/pip-audit" --strict --disable-pip --no-deps -r "$work/$r.txt"
done
