#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw our times over those of the best peer: plot.py RESULTS.json PICTURE.svg"""
import json
import subprocess
import sys

COLOURS = ['#4477aa', '#66ccee', '#228833', '#ccbb44', '#ee6677']


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


def script(found, picture):
    formats = list(next(iter(found.values())))
    yield (f"set terminal svg size 1100,560 dynamic font 'sans-serif,15' background '#ffffff'\n"
           f"set output '{picture}'\n"
           "set title 'Time of uiommu, accounting on, over the best kernel table code' "
           "textcolor '#333333'\n"
           "set style data histograms\nset style histogram clustered gap 1.5\n"
           "set style fill solid 0.9 noborder\nset boxwidth 0.95\n"
           "set logscale y 2\nset yrange [1./16:4]\nset format y '%gx'\n"
           "set border 3 linecolor '#888888'\nset tics nomirror out textcolor '#333333'\n"
           "set grid ytics linecolor '#e4e4e4' linetype 1\nset xtics rotate by -25\n"
           "set key outside top center horizontal textcolor '#333333'\n"
           "set arrow from graph 0,first 1 to graph 1,first 1 nohead front linecolor '#333333'\n"
           "$data << end\n")
    for op, of_format in found.items():
        yield f'"{op.replace("_", " ")}" ' + ' '.join(f'{of_format[f]:.6f}' for f in formats) + '\n'
    yield 'end\nplot ' + ', '.join(
        f"$data using {n + 2}:xtic(1) title '{f}' noenhanced linecolor '{COLOURS[n % 5]}'"
        for n, f in enumerate(formats)) + '\n'


def main():
    with open(sys.argv[1]) as file:
        found = ratios(json.load(file))
    if not found:
        return 0  # a --filter left nothing to compare
    return subprocess.run(['gnuplot'], input=''.join(script(found, sys.argv[2])), text=True).returncode


if __name__ == '__main__':
    sys.exit(main())
