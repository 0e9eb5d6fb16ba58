#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
PCI devices of uiommu run, as a program finds them that knows of nothing.

Arguments: the command, the program, the sanitizers of the build.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, PROGRAM, SANITIZE = sys.argv[1:4]
tap = Tap()
DEVICE = ('--device', 'ioat,addr=0000:3f:00.0')


def run(*args, **kwargs):
    return subprocess.run([COMMAND, 'run', *args], capture_output=True, text=True, **kwargs)


def program(part, *options):
    """The report goes to a file, so that what is told of faults stands alone."""
    path = os.path.join(SCRATCH, 'report.json')
    done = run(*DEVICE, '--memlock', 'unlimited', *options, '--json', '--report', path, '--',
               PROGRAM, part)
    with open(path) as report:
        done.report = json.load(report)
    return done


def said(done):
    return f'status {done.returncode}\n{done.stdout}\n{done.stderr}'


def current(done):
    return [process['memory']['current'] for process in done.report['processes']]


def parts():
    for part in ('paths', 'bind', 'config', 'regions', 'cdev', 'group', 'compat', 'msix', 'intx',
                 'dirty', 'canary'):
        done = program(part)
        tap.ok(done.returncode == 0, f'{part}: as on Linux', said(done))
        tap.equal(sum(current(done)), 0, f'{part}: nothing is charged at the end')
    for more in (('--iommu', 'amdv1', '--phys', 'scattered'), ('--iommu', 'arm64-s2'),
                 ('--iommu', 'riscv64', '--phys', 'identity')):
        done = program('canary', *more)
        tap.ok(done.returncode == 0, f'canary {more}: a device reaches what is mapped', said(done))


def faults():
    done = program('faults')
    lines = [re.sub(r'^uiommu: 0000:3f:00.0 ', '', line) for line in done.stderr.splitlines()]
    tap.equal(done.returncode, 0, 'faults: the device says so')
    tap.equal(lines[:2], ['wrote 0x1000 bytes at IOVA 0x900000: not mapped',
                          'read 0x1000 bytes at IOVA 0x900000: not mapped'], 'faults: never mapped')
    tap.equal(lines[2], 'wrote 0x2000 bytes at IOVA 0x103000: not mapped from 0x104000 on',
              'faults: behind the end')
    tap.ok(re.fullmatch(r'wrote 0x40 bytes at IOVA 0x101000: not mapped; was mapped until '
                        r'\d+(\.\d)? m?s ago by IOAS_MAP, mapping #2 '
                        r'\(IOVA 0x100000, size 0x4000\)', lines[3]),
           'faults: unmapped before', lines)
    tap.ok('bus mastering is off' in lines[4], 'faults: no bus master', lines)
    done = program('faults', '--dma-fault', 'abort')
    tap.equal(done.returncode, 128 + signal.SIGABRT, 'faults: the program is aborted')
    done = run('--dma-fault', 'later', '--', 'true')
    tap.ok(done.returncode == 2 and 'expected log, abort or stop' in done.stderr,
           'faults: another word', said(done))


def allocations():
    """Each allocation fails in its turn, until there are no more."""
    for part in 'fail', 'fail-group':
        n = 0
        while n < 400:
            n += 1
            done = program(part, '--fail-nth', str(n))
            if done.returncode or sum(current(done)):
                break
            # Where the first open fails there is nobody to report.
            if [process['fail_nth_hit'] for process in done.report['processes']] == [False]:
                break
        tap.ok(done.returncode == 0 and sum(current(done)) == 0 and 5 < n < 400,
               f'{part}: with any of {n - 1} allocations failing nothing is left', said(done))


def killed():
    for _ in range(5):
        done = program('killed')
        tap.ok(done.returncode == 128 + signal.SIGKILL and not done.stderr,
               'killed while its device copies', said(done))


def options():
    for device, words in (('nothing', "'nothing' is not a model: expected"),
                          ('pci,addr=x', 'addr=x: not an address of PCI'),
                          ('pci,what=1', "'what'"),
                          ('pci,bar0=3', 'bar0'),
                          ('pci,bar0=2G,', None)):
        done = run('--device', device, '--report', 'none', '--', 'true')
        if words is None:
            continue
        tap.ok(done.returncode == 2 and words in done.stderr and done.stderr.count('\n') == 1,
               f'--device {device}: one line', said(done))
    twice = [*DEVICE, *DEVICE]
    done = run(*twice, '--', 'true')
    tap.ok(done.returncode == 2 and 'the machine has a device there' in done.stderr,
           'two devices at one address', said(done))


def tools():
    if not shutil.which('lspci'):
        tap.skip('lspci', 'no pciutils')
        return
    done = run('--device', 'pci,addr=0000:3f:01.0,vendor=0x10de,device=0x20b0,class=0x030200,'
               'bar0=16M,bar2=1G:64:prefetch,msix=32', '--report', 'none', '--', 'lspci', '-nnvv',
               '-s', '3f:01.0')
    for words in ('[10de:20b0]', '[size=16M]', '(64-bit, prefetchable) [disabled] [size=1G]',
                  'MSI-X: Enable- Count=32', 'Kernel driver in use: vfio-pci'):
        tap.ok(words in done.stdout, f'lspci: {words}', said(done))


def disk():
    """QEMU's own driver of NVMe devices, which is a VFIO program."""
    if not shutil.which('qemu-img'):
        tap.skip('qemu-img', 'no qemu-utils')
        return
    image, copy = os.path.join(SCRATCH, 'image'), os.path.join(SCRATCH, 'copy')
    with open(image, 'wb') as file:
        file.write(os.urandom(2 << 20) + bytes(6 << 20) + os.urandom(1 << 20))
    done = run('--device', f'nvme,file={image},addr=0000:3f:00.0', '--memlock', 'unlimited',
               '--report', 'none', '--', 'qemu-img', 'convert', '-O', 'raw',
               'nvme://0000:3f:00.0/1', copy)
    if 'Unknown protocol' in done.stderr:
        tap.skip('qemu-img', 'its driver of NVMe is missing')
        return
    with open(image, 'rb') as one, open(copy, 'rb') as other:
        tap.ok(done.returncode == 0 and one.read() == other.read(),
               'qemu-img: reads the image by DMA', said(done))


with tempfile.TemporaryDirectory() as SCRATCH:
    options()
    parts()
    faults()
    killed()
    tools()
    disk()
    allocations()
tap.done()
