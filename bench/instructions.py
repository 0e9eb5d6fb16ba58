#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Count the instructions of the hot paths: instructions.py PROGRAM RESULTS.json

callgrind counts them, so the machine's noise does not matter: what grew here has
become slower. It has no AVX-512, so these are the loops of processors without it.
PROGRAM is bench/instructions.c; the counts are printed, and added to the results of
the benchmark as "instructions".
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

def run(program):
    """(format, operation, calls, instructions) for each call of counted()."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / 'out'
        done = subprocess.run(
            ['valgrind', '-q', '--tool=callgrind', f'--callgrind-out-file={out}',
             '--zero-before=counted', '--dump-after=counted', program],
            capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f'instructions.py: {program}: {done.stderr.strip()}')
        for number, line in enumerate(done.stdout.splitlines(), 1):
            dump = pathlib.Path(f'{out}.{number}').read_text()
            format_name, operation, calls = line.split()
            yield format_name, operation, int(calls), int(re.search(r'^totals: (\d+)', dump, re.M)[1])


def per_call(counted):
    """{operation: {format: instructions of one call}}, of the calls that only the second had."""
    found, few = {}, {}
    for format_name, operation, calls, instructions in counted:
        first = few.setdefault((format_name, operation), (calls, instructions))
        if first != (calls, instructions):
            found.setdefault(operation, {})[format_name] = (
                (instructions - first[1]) / (calls - first[0]))
    return found


def print_table(found):
    formats = list(next(iter(found.values())))
    print(f'\n{"instructions per call":<24}' + ''.join(f'{name:>10}' for name in formats))
    for operation, counts in found.items():
        print(f'  {operation:<22}' + ''.join(f'{counts[name]:10.1f}' for name in formats))


def main():
    program, results = sys.argv[1], pathlib.Path(sys.argv[2])
    found = per_call(run(program))
    print_table(found)
    everything = json.loads(results.read_text())
    everything['instructions'] = [
        {'format': name, 'operation': operation, 'instructions': round(count, 2)}
        for operation, counts in found.items() for name, count in counts.items()]
    results.write_text(json.dumps(everything, indent=2) + '\n')


if __name__ == '__main__':
    main()
