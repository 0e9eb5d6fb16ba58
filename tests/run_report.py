#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The report of `uiommu run` tells what was: of a program that was killed, of the limit
that was reached, and of ioctls whose numbers mean one thing on /dev/iommu and another
on a device's file.

Arguments: the command, the program.
"""
import json
import re
import subprocess
import sys

from replay_tap import Tap

COMMAND, PROGRAM = sys.argv[1:3]
K, M = 1 << 10, 1 << 20
tap = Tap()


def run(end, *options, process=0):
    """A process in the JSON report, and the text of another run."""
    runs = [subprocess.run([COMMAND, 'run', '--devices', '1', '--phys', 'identity', *options, *more,
                            '--', PROGRAM, end], capture_output=True, text=True)
            for more in (['--json'], [])]
    expected = 128 + 9 if end.startswith('killed') or end.endswith('and-killed') else 0
    tap.ok([one.returncode for one in runs] == [expected] * 2, f'{end}: status {expected}',
           runs[0].stderr)
    return json.loads(runs[0].stderr)['processes'][process], runs[1].stderr


def killed():
    process, text = run('killed-when-open', '--memlock', 'unlimited')
    memory = process['memory']
    tap.equal((memory['max'], memory['high'], process['memlock']), (None, None, None),
              'killed at once: no limit that it did not have')
    tap.ok(not re.search(r'memory\.(max|high)|memlock', text), 'killed at once: nor in text', text)
    tap.ok(0 < memory['current'] <= memory['peak'] < 64 * K,
           'killed at once: charged for the context', memory)
    process, text = run('killed-when-open', '--memory-max', '1M', '--memory-high', '512K')
    tap.equal((process['memory']['max'], process['memory']['high']), (M, 512 * K),
              'killed at once: the limits that it had')
    tap.ok(re.search(r'memory\.max +1\.00 MiB\n', text), 'killed at once: and in text', text)

    process, text = run('a-child-killed', '--memory-max', '1M', process=1)
    tap.equal((process['memory']['max'], process['memory']['high'],
               [op['name'] for op in process['ioctls']]), (M, None, ['VFIO_DEVICE_GET_INFO']),
              'a child that was killed: the limits of the run')

    process, text = run('killed-when-attached', '--memlock', 'unlimited')
    tap.equal([(d['peak']['table_bytes'], d['now']['table_bytes'], d['alive'])
               for d in process['domains']], [(4096, 4096, True)],
              'killed after the attach: its domain')
    process, text = run('killed-when-mapped', '--memlock', 'unlimited')
    # A table of the lowest level for each page, and one of each of the three above.
    tables = (64 + 3) * 4096
    domain = process['domains'][0]
    tap.equal((domain['now']['table_bytes'], domain['now']['mapped_bytes'], domain['now']['areas']),
              (tables, 64 * 4096, 64), 'killed after 64 maps: their tables')
    memory = process['memory']
    tap.ok(tables < memory['current'] <= memory['peak'] < tables + 64 * K,
           'killed after 64 maps: charged for them', memory)
    tap.equal(process['ioctls_since_look'], 0, 'killed after 64 maps: nothing came later')


def memlock():
    process, text = run('over-memlock', '--memlock', '8M')
    tap.equal(process['memlock'], {'limit': 8 * M, 'reached': 1}, 'memlock: the limit and how often')
    tap.ok(re.search(r'\n  memlock +8\.00 MiB   reached 1 time\n', text), 'memlock: in text', text)
    tap.equal(process['memory']['events']['max'], 0, 'memlock: memory.max was not reached')
    process, text = run('over-memlock-and-killed', '--memlock', '8M')
    tap.equal(process['memlock'], {'limit': 8 * M, 'reached': 2}, 'memlock: of one that was killed')
    tap.ok(re.search(r'memlock +8\.00 MiB   reached 2 times\n', text), 'memlock: twice', text)
    process, text = run('attach-over-memlock', '--memlock', '8M')
    tap.equal(process['memlock'], {'limit': 8 * M, 'reached': 1}, 'memlock: at an attach')
    for end, options in (('unlimited', ['--memlock', '8M']),
                         ('over-memlock', ['--memlock', 'unlimited'])):
        process, text = run(end, *options)
        tap.ok(process['memlock'] is None and 'memlock' not in text,
               f'memlock: not a word where it was not reached ({options[1]})', text)
    process, text = run('over-memlock', '--memlock', 'unlimited', '--memory-max', '20K')
    tap.ok(process['memlock'] is None and 'memlock' not in text and
           process['memory']['events']['max'] > 0, 'memlock: nor where memory.max was', process)


def ioctls():
    process, text = run('numbers')
    counted = {(op['file_type'], op['name']): (op['calls'], op['errors']) for op in process['ioctls']}
    device = ['VFIO_DEVICE_GET_PCI_HOT_RESET_INFO', 'VFIO_DEVICE_PCI_HOT_RESET',
              'VFIO_DEVICE_QUERY_GFX_PLANE', 'VFIO_DEVICE_GET_GFX_DMABUF', 'VFIO_DEVICE_IOEVENTFD',
              'VFIO_DEVICE_FEATURE']
    container = ['VFIO_IOMMU_GET_INFO', 'VFIO_IOMMU_MAP_DMA', 'VFIO_IOMMU_UNMAP_DMA', '0x3b73',
                 '0x3b74', 'VFIO_IOMMU_DIRTY_PAGES']
    for name in device:
        tap.equal(counted.get(('device', name), (0, 0))[0], 1, f'{name}, of the device')
    for name in container:
        tap.equal(counted.get(('iommu', name), (0, 0))[0], 2, f'{name}, of /dev/iommu')
    tap.equal([name for file, name in counted if name in container and file == 'device'], [],
              'none of a container on the device')
    tap.equal(counted.get(('iommu', '0x3b76')), (1, {'ENOTTY': 1}), 'BIND_IOMMUFD is none of iommufd')
    tap.equal(counted.get(('device', 'VFIO_DEVICE_BIND_IOMMUFD'), (0, 0))[0], 1, 'but of the device')
    tap.equal([counted.get(('device', name)) for name in ('0x3b81', '0x5401')],
              [(1, {'ENOTTY': 1})] * 2, 'what the device does not know')
    tap.equal(counted.get(('iommu', 'others')), (2, {'ENOTTY': 2}), 'what iommufd does not know')
    tap.ok(all(sum(errors.values()) <= calls for calls, errors in counted.values()),
           'each failure is counted once', counted)
    tap.ok(re.search(r'\n  VFIO_DEVICE_PCI_HOT_RESET +1 ', text) and
           re.search(r'\n  VFIO_IOMMU_MAP_DMA +2 ', text), 'in text', text)


killed()
memlock()
ioctls()
tap.done()
