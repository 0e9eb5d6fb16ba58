#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What every command prints as JSON against uiommu-json(7): each field is in the manual
as one of that command and of that type, and what is in the manual is printed. So one
name is one thing in all commands, but for exceptions that are written down.

Arguments: the command, the program of run.py, the client of top.py, the manual, a
trace of iommu events, one of dma events, a directory for scratch files.
"""
import collections
import json
import os
import re
import subprocess
import sys

from replay_tap import Tap, map_line, unmap_line

COMMAND, PROGRAM, CLIENT, MANUAL, IOMMU_TRACE, SCRATCH = sys.argv[1:7]
COMMANDS = 'size', 'replay', 'run', 'top', 'image', 'walk'
RARE = {'memory_max_auto', 'signal'}  # need a cgroup with a limit, a program that is killed

DMA_TRACE = '''\
 a-1 [000] ..... 1.000000: dma_map_phys: 0000:00:01.0 dir=TO_DEVICE dma_addr=fffff000 size=4096 \
phys_addr=1000 attrs=
 a-1 [000] ..... 2.000000: dma_unmap_phys: 0000:00:01.0 dir=TO_DEVICE addr=fffff000 size=4096 \
attrs=
'''

tap = Tap()


def manual():
    """The types that a field may have, by its name and the command."""
    fields = collections.defaultdict(set)
    with open(MANUAL) as file:
        rows = re.findall(r'^\.BR (\w+) " \(([^;]+); ([^)]+)\)"$', file.read(), re.M)
    for name, kinds, commands in rows:
        for command in COMMANDS if commands == 'all' else commands.split(', '):
            fields[name, command] |= set(kinds.split('\\~or\\~'))
    return fields


def has_type(value, kinds):
    if isinstance(value, bool):
        return 'flag' in kinds
    if isinstance(value, int):
        return bool({'bytes', 'count', 'address'} & kinds) and value >= 0 or \
            bool({'seconds', 'rate'} & kinds)
    return {float: {'seconds', 'rate'}, str: {'text'}, list: {'list'}, dict: {'object'},
            type(None): {'null'}}[type(value)] & kinds


# Objects whose names are not fields but what is counted in them.
NAMES = {('run', 'errors'), ('top', 'errors'), ('walk', 'faults'), ('replay', 'failed')}


def check(fields, command, value, path, wrong, seen):
    if isinstance(value, list):
        for one in value:
            check(fields, command, one, path, wrong, seen)
    if not isinstance(value, dict):
        return
    for name, one in value.items():
        if (command, path[-1] if path else '') not in NAMES or name == 'total':
            seen.add((name, command))
            rate = path[-1:] == ['rates'] and isinstance(one, float)
            if not rate and not has_type(one, fields[name, command]):
                wrong.add(f'{command}: {".".join([*path, name])}: {one!r:.40}, the manual has '
                          f'{sorted(fields[name, command])}')
        check(fields, command, one, [*path, name], wrong, seen)


# ---- the answers ----

def answer(*args, text=''):
    done = subprocess.run([COMMAND, *args, '--json'], capture_output=True, text=True, input=text)
    if not done.stdout:
        tap.ok(False, ' '.join(args), done)
        return {}
    return json.loads(done.stdout)


def sizes():
    yield answer('size', '--iommu', 'vtd', '--map', 'iova=0,size=4M')
    yield answer('size', '--iommu', 'all', '--guest', '4G,max=8G', '--devices', '2')
    yield answer('size', '--iommu', 'all', '--map', 'iova=0,size=4K')
    yield answer('size', '--iommu', 'vtd', '--qemu', '-M q35 -m 4G,slots=1,maxmem=8G -object '
                 'iommufd,id=i -device vfio-pci,host=1:0.0,iommufd=i -device vfio-pci,host=2:0.0 '
                 '-device intel-iommu -readconfig x')


def replays():
    text = ''.join(map_line(n << 30, n << 30, 4096) for n in range(9)) + unmap_line(0, 4096)
    for more in ([], ['--iommu', 'all'], ['--memory-max', '48K']):
        yield answer('replay', IOMMU_TRACE, *more)
        yield answer('replay', '-', *more, text=text)
        yield answer('replay', '-', *more, text=DMA_TRACE)


def images():
    path = os.path.join(SCRATCH, 'image')
    yield answer('image', '--iommu', 'vtd', '--map', 'iova=0,size=2M', '--base', '1G', '--out',
                 path)


def walks():
    path = os.path.join(SCRATCH, 'image')
    place = '--root', '1G', '--base', '1G', '--image'
    yield answer('walk', '--iommu', 'vtd', *place, path)
    for iova in '0', '1G':
        yield answer('walk', '--iommu', 'vtd', *place, path, '--iova', iova)
    with open(path, 'r+b') as file:
        file.write(b'\xff' * 64)
    yield answer('walk', '--iommu', 'vtd', *place, path)


def runs():
    path = os.path.join(SCRATCH, 'report.json')
    for part, *options in ('leak',), ('munmap',), ('errors',), ('leak', '--memlock', '4K'):
        subprocess.run([COMMAND, 'run', '--devices', '1', '--json', '--report', path, *options, '--',
                        PROGRAM, part], capture_output=True)
        with open(path) as report:
            yield json.load(report)


def tops():
    with subprocess.Popen([COMMAND, 'run', '--devices', '1', '--report', '/dev/null', '--',
                           sys.executable, CLIENT], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
        client.stdout.readline()
        client.stdin.write('1 map\n')
        client.stdin.flush()
        client.stdout.readline()
        yield answer('top', str(client.pid))
        client.stdin.close()


def main():
    os.makedirs(SCRATCH, exist_ok=True)
    fields, seen = manual(), set()
    tap.ok(len(fields) > 150, 'the manual has fields', len(fields))
    for command, answers in zip(COMMANDS, (sizes, replays, runs, tops, images, walks)):
        wrong = set()
        for one in answers():
            check(fields, command, one, [], wrong, seen)
        tap.equal(sorted(wrong), [], f'{command}: its fields are those of the manual')
    unseen = {name for name, _ in fields} - {name for name, _ in seen} - RARE
    tap.equal(sorted(unseen), [], 'what is in the manual is printed')
    for command in COMMANDS:
        rest = {name for name, which in fields if which == command} - \
            {name for name, which in seen if which == command} - RARE
        print(f'# {command}: not printed here: {", ".join(sorted(rest)) or "nothing"}')
    tap.done()


main()
