#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu replay --check: exit status 3 exactly when the budget breaks, which is when it
has fewer pages than the report without a budget says were charged.

Arguments: the command, a trace.
"""
import json
import os
import subprocess
import sys
import tempfile

from replay_tap import Tap, map_line, unmap_line

COMMAND, TRACE = sys.argv[1:3]
PAGE = 4096
tap = Tap()


def replay(*args):
    return subprocess.run([COMMAND, 'replay', *args], capture_output=True, text=True)


def peak(trace, iommu):
    """What is charged at the most, in whole pages, as a cgroup counts its limit."""
    memory = json.loads(replay(trace, '--iommu', iommu, '--json').stdout)['memory']
    return -(-memory['peak'] // PAGE) * PAGE


def check(trace):
    peaks = {}
    for iommu in 'vtd', 'amdv1':
        name = f'{os.path.basename(trace)} on {iommu}'
        peaks[iommu] = most = peak(trace, iommu)
        for budget, wanted in (most, 0), (most - PAGE, 3), (1 << 30, 0):
            args = trace, '--iommu', iommu, '--memory-max', str(budget)
            tap.equal(replay(*args, '--check').returncode, wanted, f'{name}: budget {budget}')
            tap.equal(replay(*args).returncode, 0, f'{name}: no --check, budget {budget}')
    least = str(min(peaks.values()))
    tap.equal(replay(trace, '--iommu', 'all', '--memory-max', least, '--check').returncode, 3,
              'all formats: one of them breaks it')
    tap.equal(replay(trace, '--iommu', 'all', '--memory-max', '1G', '--check').returncode, 0,
              'all formats: none does')


def main():
    with tempfile.TemporaryDirectory() as scratch:
        small = os.path.join(scratch, 'trace.txt')
        with open(small, 'w') as file:
            for number in range(20):
                file.write(map_line(number << 30, number << 30, PAGE))
            for number in range(20):
                file.write(unmap_line(number << 30, PAGE))
        for trace in small, TRACE:
            check(trace)
        done = replay(small, '--check')
        tap.ok(done.returncode == 2 and '--memory-max' in done.stderr and
               done.stderr.count('\n') == 1, '--check without a budget', done)
    tap.done()


main()
