#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw our times over those of the best peer: plot.py RESULTS.json PICTURE.svg

The figures of the picture are written beside it, as CSV.
"""
import csv
import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name('peers.gp')


def ratios(rows):
    """{operation: {our format: ratio}}, of the least times over all builds."""
    least = {}
    for row in rows:
        if row['impl'] == 'fill':
            continue
        times = least.setdefault(row['op'], {})
        times[row['impl']] = min(row['min_ns'], times.get(row['impl'], float('inf')))
    found = {}
    for op, times in least.items():
        peers = [ns for impl, ns in times.items() if impl.startswith('linux-')]
        ours = {impl: ns for impl, ns in times.items() if impl.startswith('uiommu/')}
        if op != 'left_bytes' and peers and ours:
            found[op] = {impl.split('/')[1]: ns / min(peers) for impl, ns in ours.items()}
    return found


def write_csv(found, path):
    """A line for each operation, with a column for each of our formats."""
    formats = list(next(iter(found.values())))
    with open(path, 'w', newline='') as file:
        rows = csv.writer(file, lineterminator='\n')
        rows.writerow(['operation', *formats])
        for op, of_format in found.items():
            rows.writerow([op.replace('_', ' '), *(f'{of_format[name]:.6f}' for name in formats)])


def main():
    with open(sys.argv[1]) as file:
        found = ratios(json.load(file))
    if not found:
        return 0  # a --filter left nothing to compare
    picture = pathlib.Path(sys.argv[2])
    write_csv(found, picture.with_suffix('.csv'))
    columns = 1 + len(next(iter(found.values())))
    variables = f"csv='{picture.with_suffix('.csv')}'; svg='{picture}'; columns={columns}"
    return subprocess.run(['gnuplot', '-e', variables, SCRIPT]).returncode


if __name__ == '__main__':
    sys.exit(main())
