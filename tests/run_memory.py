#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu run: files that are mapped (IOMMU_IOAS_MAP_FILE), and memory that the program takes
away or replaces while it is mapped, which one line tells.

Arguments: the command, the program.
"""
import json
import os
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, PROGRAM = sys.argv[1:3]
IOVA = 1 << 30
M = 1 << 20
tap = Tap()


def run(part):
    path = os.path.join(SCRATCH, 'report.json')
    done = subprocess.run([COMMAND, 'run', '--devices', '1', '--memlock', 'unlimited', '--test-abi', '--json', '--report', path,
                           '--', PROGRAM, part], capture_output=True, text=True)
    with open(path) as report:
        return done, json.load(report)


def check(name, part, iova=None, length=0):
    done, report = run(part)
    if done.returncode == 77:
        tap.skip(name, 'no free huge pages of 2 MiB')
        return
    tap.equal((done.returncode, done.stdout), (0, ''), name)
    tap.equal(report['memory_current'], 0, f'{name}: nothing is charged at the end')
    told = [(one['iova'], one['length'], one['mapped_bytes']) for one in report['processes'][0]['munmaps']]
    tap.equal(told, [(iova, length, length)] if length else [], f'{name}: what is told in the report')
    tap.equal([line.split('mapped for DMA: ')[-1] for line in done.stderr.splitlines()],
              [f'{length} bytes at IOVA {iova:#x}'] if length else [], f'{name}: and in a line')


with tempfile.TemporaryDirectory() as SCRATCH:
    check('files: a memfd is mapped, what is none is refused', 'files')
    check('files: hugetlbfs', 'huge')
    check('a file of a process that has ended stays pinned', 'outlives')
    check('munmap', 'munmap', IOVA + M, M)
    check('mremap to another place', 'moved', IOVA, 4 * M)
    check('mremap that makes it smaller', 'shrunk', IOVA + 3 * M, M)
    check('mmap with MAP_FIXED', 'replaced', IOVA + M, M)
    check('munmap when it is not mapped for DMA', 'in-order')
tap.done()
