#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
examples/map-guest under uiommu run: what it costs, told beforehand, and what happens
when that is too much.

Arguments: the command, the example.
"""
import json
import os
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, EXAMPLE = sys.argv[1:]
DEVICE = '/dev/vfio/devices/vfio0'
MIB, GIB = 1 << 20, 1 << 30
tap = Tap()


def run(options, *arguments, memlock='unlimited'):
    """(status, stdout, stderr, report of the process)"""
    with tempfile.NamedTemporaryFile('r', suffix='.json') as report:
        done = subprocess.run([COMMAND, 'run', '--memlock', memlock, *options, '--json', '--report', report.name,
                               '--', EXAMPLE, *arguments],
                              capture_output=True, text=True)
        processes = json.load(report)['processes']
    return done.returncode, done.stdout, done.stderr, processes[0] if processes else None


def expected_tables(low, high, rom=256 << 10):
    """Tables per level, lowest first, when every page has an entry of its own (VT-d, 4 levels)."""
    ranges = [(0, low), (4 * GIB - rom, 4 * GIB), (4 * GIB, 4 * GIB + high)]
    counts = []
    for level in range(4):
        span = 1 << (21 + 9 * level)
        counts.append(len({n for start, end in ranges if end > start
                           for n in range(start // span, (end - 1) // span + 1)}))
    return counts


def tables(usage):
    """Of each level, the lowest first."""
    return [level['tables'] for level in usage['levels']]


def check_cost(ram, low):
    options = ('--devices', '1', '--phys', 'scattered')
    arguments = ('--device', DEVICE, '--ram', str(ram), '--low', str(low))
    status, out, err, process = run(options, *arguments)
    name = f'{ram // MIB} MiB'
    tap.equal(status, 0, f'{name}: succeeds')
    domain = process['domains'][0]
    tap.equal(tables(domain['peak'])[:4], expected_tables(low, ram - low), f'{name}: tables')
    tap.equal(domain['peak']['mapped_bytes'], ram + (256 << 10), f'{name}: mapped')
    tap.equal(process['memory']['current'], 0, f'{name}: nothing is left')
    tap.equal(process['files_open'], 0, f'{name}: everything is closed')
    # The peak, in whole pages as limits are, is what it needs; a page less is too little.
    enough = -(-process['memory']['peak'] // 4096) * 4096
    status, _, _, process = run((*options, '--memory-max', str(enough)), *arguments)
    tap.equal((status, process['memory']['events']['max']), (0, 0), f'{name}: its peak is enough')
    status, _, err, process = run((*options, '--memory-max', str(enough - 4096)), *arguments)
    tap.equal(status, 1, f'{name}: less fails')
    tap.ok('Cannot allocate memory' in err, f'{name}: by ENOMEM', err)
    tap.ok(process['memory']['events']['max'] >= 1, f'{name}: which is counted')


def check_modes():
    status, out, _, process = run(())
    tap.equal((status, process['domains']), (0, []), 'without a device there is no table')
    small, large = (run(('--devices', '1', '--phys', 'identity'), '--device', DEVICE, *more)[3]
                    for more in (('--small-pages',), ()))
    tap.equal(tables(small['domains'][0]['peak'])[:4], expected_tables(128 * MIB, 128 * MIB),
              'small pages cost what scattered ones do')
    tap.ok(large['memory']['peak'] < small['memory']['peak'] / 4, 'contiguous memory costs less',
           large['memory'])


def check_memlock():
    """What is pinned counts, with a limit of its own, and is no matter of the cgroup."""
    pinned = (256 << 20) + (256 << 10)
    arguments = (('--devices', '1'), '--device', DEVICE)
    tap.equal(run(*arguments, memlock=str(pinned))[0], 0, 'may pin what it maps')
    status, _, err, process = run(*arguments, memlock=str(pinned - 4096))
    tap.equal((status, process['memory']['events']['max']), (1, 0), 'may pin a page less')
    tap.ok('cannot map RAM above 4 GiB: Cannot allocate memory' in err, 'which fails', err)
    tap.equal(run(*arguments, memlock='0')[0], 1, 'may pin nothing')
    tap.equal(run((), memlock='0')[0], 0, 'without a table nothing is pinned')


def check_errors():
    status, _, err, _ = run((), '--device', DEVICE)
    tap.equal((status, err), (1, f'map-guest: cannot open {DEVICE}: No such file or directory\n'),
              'no such device')
    for arguments in (('--ram', '0'), ('--ram', '5x'), ('--ram', '1K'), ('--ram', '-4096'),
                      ('--ram', '99999999999999999999'), ('--low', '4G', '--ram', '8G'), ('x',)):
        done = subprocess.run([EXAMPLE, *arguments], capture_output=True, text=True)
        tap.equal((done.returncode, len(done.stderr.splitlines())), (1, 2),
                  f'refused: {" ".join(arguments)}')
    if not os.path.exists('/dev/iommu'):
        done = subprocess.run([EXAMPLE, '--ram', '1M'], capture_output=True, text=True)
        tap.equal((done.returncode, done.stderr),
                  (1, 'map-guest: cannot open /dev/iommu: No such file or directory\n'),
                  'a kernel without /dev/iommu')


check_cost(256 * MIB, 128 * MIB)
check_cost(37 * MIB + 4096, 5 * MIB + 8192)
check_modes()
check_memlock()
check_errors()
print(f'1..{tap.count}')
sys.exit(1 if tap.failed else 0)
