#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the fuzz targets of a build with -Dfuzz=true, as many at a time as there are
processors, and print a TAP line for each.

With --corpus what is found is kept there and gone on from, and progress goes to
stderr. An input that fails is kept in the build directory as fuzz-NAME-crash-...:
give it to tests/fuzz/fuzz-NAME to see it again.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

# The second is for what never ends, in seconds: see tests/fuzz/slowest.h.
LONGEST_INPUT, ENDLESS_INPUT = 600, 1800
PROGRESS = re.compile(r'^#\d+\s+(pulse|RELOAD|INITED|DONE)')


def watch(name, process, verbose):
    """Read what it says to the end; the last lines."""
    kept = []
    for line in process.stdout:
        if verbose and PROGRESS.match(line):
            print(f'{name}: {line.rstrip()}', file=sys.stderr, flush=True)
        kept = [*kept[-99:], line.rstrip()]
    return kept


def fuzz(target, args):
    """(name, exit status, last lines of output)"""
    name = target.name.removeprefix('fuzz-')
    command = [str(target), f'-max_total_time={args.seconds}', f'-seed={args.seed}',
               f'-max_len={LONGEST_INPUT}', '-len_control=0', f'-timeout={ENDLESS_INPUT}',
               f'-artifact_prefix={args.build}/fuzz-{name}-', '-print_final_stats=1']
    if args.corpus:
        corpus = args.corpus / name
        corpus.mkdir(parents=True, exist_ok=True)
        command.append(str(corpus))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, text=True, errors='replace')
    kept = watch(name, process, args.corpus)
    return name, process.wait(), kept


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, required=True, help='build directory')
    parser.add_argument('--seconds', type=int, default=9, help='for each target')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--corpus', type=pathlib.Path, help='where inputs are kept')
    parser.add_argument('names', nargs='*', metavar='NAME', help='targets, without "fuzz-"')
    args = parser.parse_args()
    args.build = args.build.absolute()
    targets = sorted(path for path in (args.build / 'tests' / 'fuzz').glob('fuzz-*')
                     if path.is_file() and (not args.names or path.name[5:] in args.names))
    if not targets:
        parser.error(f'no targets in {args.build}')
    print(f'1..{len(targets)}')
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda target: fuzz(target, args), targets)
        for number, (name, status, kept) in enumerate(results, 1):
            runs = [line.split()[1] for line in kept if 'number_of_executed_units' in line]
            print(f'{"not ok" if status else "ok"} {number} - fuzz: {name}', flush=True)
            print(f'# {name}: {runs[0] if runs else "?"} inputs in {args.seconds} s, '
                  f'seed {args.seed}')
            if status:
                print('\n'.join('# ' + line for line in kept))
            failed += bool(status)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
