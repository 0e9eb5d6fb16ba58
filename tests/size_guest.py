#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu size for guests that --qemu and --libvirt describe, and --guest with max:
spellings of one command line, amounts and pages against what they are by hand,
domains of the same guest by both descriptions, tables counted here once more from
the ranges, and one line for every kind of bad input.

Arguments: the command, a directory for scratch files, the directory of the data.
"""
import json
import os
import random
import re
import subprocess
import sys

from replay_tap import Tap

COMMAND, SCRATCH, DATA = sys.argv[1:4]
K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40
Q35 = 'qemu-system-x86_64 -M q35 -nodefaults '

tap = Tap()


def run(*args, text=''):
    return subprocess.run([COMMAND, 'size', *args], capture_output=True, text=True, input=text)


def answer(*args, iommu='vtd', text=''):
    done = run('--iommu', iommu, '--json', *args, text=text)
    if done.returncode or done.stderr:
        print(f'# {args}: {done.returncode} {done.stderr}')
        return {}
    return json.loads(done.stdout)


def guest(line, *args, **more):
    return answer('--qemu', line, *args, **more).get('guest', {})


def path_of(name, text):
    path = os.path.join(SCRATCH, name)
    with open(path, 'w', newline='') as file:
        file.write(text)
    return path


def ranges(found, what=None, when='started'):
    return [(r['iova'], r['size'], r['backing']) for r in found.get('ranges', [])
            if r['when'] == when and (what is None or r['what'] == what)]


# ---- spellings ----

WANTED = Q35 + '-m 4G -device vfio-pci,host=0000:01:00.0 -name guest'

SPELLINGS = {
    'options alone': '-M q35 -nodefaults -m 4G -device vfio-pci,host=0000:01:00.0',
    'two dashes': 'qemu-system-x86_64 --machine type=q35 --nodefaults --m size=4096 '
                  '--device driver=vfio-pci,host=0000:01:00.0',
    'lines with a backslash': WANTED.replace(' -', ' \\\n    -'),
    'lines with a backslash, of Windows': WANTED.replace(' -', ' \\\r\n    -'),
    'lines without': WANTED.replace(' -', '\n  -'),
    'quotes': Q35 + "'-m' \"4G\" -dev'ice' vfio\"-pci\",host='0000:01:00.0' -name 'a \"b'",
    'escapes': Q35 + r'-m 4\G -device vfio-pci\,host=0000:01:00.0 -name a\ b\'',
    'escapes in quotes': Q35 + '-m 4G -name "a \\" -m 8G \\\\" -device vfio-pci,host=0000:01:00.0',
    'JSON': Q35 + '-m 4G -device \'{"driver":"vfio-pci","host":"0000:01:00.0","id":"a"}\'',
    'JSON as ps shows it': Q35 + '-m 4G -device {"driver":"vfio-pci","host":"0000:01:00.0",'
                                 '"x":{"y":[1,"}"]}} -name x',
    'an environment and a wrapper': 'LC_ALL=C A="b c" sudo -u qemu taskset -c 0-3 /usr/bin/'
                                    + WANTED,
    'an emulator with more in its name': WANTED.replace('x86_64', 'x86_64-8.2'),
    'in the background': WANTED + ' >log 2>&1 &',
    'and more commands': 'ls; ' + WANTED + ' | tee log && echo -m 8G',
    'a script': '#!/bin/sh\n# -m 8G\necho start\nexec ' + WANTED + '\necho -m 9G\n',
    'a log with an older start': 'qemu-system-x86_64 \\\n-M pc \\\n-m 1G\n2026: shutting down\n'
                                 + WANTED.replace(' -', ' \\\n-') + '\nchar device redirected\n',
    'kvm, with an environment': WANTED.replace('qemu-system-x86_64', 'LC_ALL=C A=1 kvm'),
    'an emulator as the value of an option': WANTED.replace('-name guest', '-name qemu-system-aarch64'),
    'and of one without an emulator': WANTED.removeprefix('qemu-system-x86_64') +
                                      ' -pidfile /run/qemu-kvm',
    'and behind a command of another name': WANTED.replace('qemu-system-x86_64', 'my-qemu -name '
                                            'qemu-kvm ; qemu-system-x86_64'),
    'a comment behind it': WANTED + ' # -m 8G',
    'a disk by its name': Q35 + 'disk.img -m 4G -device vfio-pci,host=0000:01:00.0',
    'an option whose value looks like one': Q35 + '-append "-m 8G" -m 4G -device '
                                                  'vfio-pci,host=0000:01:00.0',
    'the last -m counts': Q35 + '-m 1G -device vfio-pci,host=0000:01:00.0 -m 4G',
    'a doubled comma': Q35 + '-m 4G -device vfio-pci,host=0000:01:00.0,x-a=1,,host=2',
}


def spellings():
    wanted = answer('--qemu', WANTED)
    tap.equal([wanted.get('guest', {}).get(key) for key in ('machine', 'ram', 'devices')],
              ['q35', 4 * G, 1], 'the command line that the others spell')
    for name, line in SPELLINGS.items():
        tap.equal(answer('--qemu', line), wanted, f'spelling: {name}')
        tap.equal(answer('--qemu', '@' + path_of('line', line)), wanted, f'from a file: {name}')
    words = WANTED.split()
    cmdline = path_of('cmdline', '\0'.join(words) + '\0')
    tap.equal(answer('--qemu', '@' + cmdline), wanted, 'as /proc/PID/cmdline has it')
    for name in '@-', '-':
        tap.equal(answer('--qemu', name, text=WANTED), wanted, f'from standard input: {name}')


# ---- amounts and pages ----

AMOUNTS = [
    ('', 128 * M, 128 * M),
    ('-m 4096', 4 * G, 4 * G),
    ('-m 64G,slots=4,maxmem=1T', 64 * G, T),
    ('-m size=64G,maxmem=1T,slots=4', 64 * G, T),
    ('-m maxmem=1T,slots=4,size=65536', 64 * G, T),
    ('-m 67108864k', 64 * G, 64 * G),
    ('-m 64.5G', 129 * G // 2, 129 * G // 2),
    ('-m 1.5t', 3 * T // 2, 3 * T // 2),
    ('-m 0x1000', 4 * G, 4 * G),
    ('-m 4294967296B', 4 * G, 4 * G),
    ('-m 1G,maxmem=4294967296,slots=2', G, 4 * G),
    ('-m 2G -object memory-backend-ram,id=a,size=2G -machine memory-backend=a', 2 * G, 2 * G),
    ('-object memory-backend-ram,id=a,size=2147483648 -M memory-backend=a', 2 * G, 2 * G),
    ('-object {"qom-type":"memory-backend-ram","id":"a","size":2147483648} '
     '-machine memory-backend=a', 2 * G, 2 * G),
]

HUGE = '-m 4G -machine memory-backend=r -object memory-backend-'
PAGES = [
    ('-m 4G', 4 * K, 'a'),
    (HUGE + 'memfd,id=r,size=4G', 4 * K, 'a memfd'),
    (HUGE + 'memfd,id=r,size=4G,hugetlb=on', 2 * M, 'huge pages of the usual size'),
    (HUGE + 'memfd,id=r,size=4G,hugetlb,hugetlbsize=2M', 2 * M, 'a key alone'),
    (HUGE + 'memfd,id=r,size=4G,hugetlb=on,hugetlbsize=1G', G, 'pages of 1G'),
    (HUGE + 'memfd,id=r,size=4G,hugetlb=off,hugetlbsize=1G', 4 * K, 'off'),
    (HUGE + 'file,id=r,size=4G,mem-path=/dev/hugepages-none/x', 2 * M, 'a path of huge pages'),
    (HUGE + 'file,id=r,size=4G,mem-path=/nowhere/hugepages1G/x', G, 'a path with the size'),
    (HUGE + 'file,id=r,size=4G,mem-path=/nowhere/huge-1048576kB/x', G, 'in kB'),
    (HUGE + 'file,id=r,size=4G,mem-path=/nowhere/huge_2mb', 2 * M, 'in mb'),
    (HUGE + 'file,id=r,size=4G,mem-path=/dev/shm/vm', 4 * K, 'ordinary files'),
    ('-m 4G -mem-path /nowhere/hugepages', 2 * M, '-mem-path'),
    ('-m 4G -mem-prealloc -mem-path /nowhere/hugepages-1G', G, '-mem-path with the size'),
]


def amounts():
    for line, ram, most in AMOUNTS:
        found = guest(Q35 + line)
        tap.equal([found.get('ram'), found.get('max_ram')], [ram, most], f'amounts: {line}')
    for line, page, name in PAGES:
        found = guest(Q35 + line)
        high = [r for r in ranges(found, 'RAM') if r[0] == 4 * G]
        tap.equal(high, [(4 * G, 2 * G, min(page, 2 * G))], f'pages: {name}')
    found = guest(Q35 + '-m 4G', '--backing', '2M')
    tap.equal([r[2] for r in ranges(found)], [2 * M, 256 * K, 2 * M],
              '--backing: the alignment of ROM to its memory limits it')
    tap.equal(guest(Q35 + PAGES[4][0], '--backing', '64K')['backing'], G,
              '--backing: not for what has huge pages')
    split = guest('qemu-system-x86_64 -M pc,max-ram-below-4g=3.5G -nodefaults -m 8G ' + PAGES[4][0][5:]
                  .replace('size=4G', 'size=8G').replace('-M ', '-machine '))
    tap.equal([r[2] for r in ranges(split, 'RAM')], [G, G], 'huge pages of a PC split at 3 GiB')
    split = guest('qemu-system-x86_64 -M pc-i440fx-1.7 -nodefaults -m 8G ' + PAGES[4][0][5:]
                  .replace('size=4G', 'size=8G'))
    tap.equal([r[2] for r in ranges(split, 'RAM')], [G, 512 * M],
              'huge pages of a PC split at 3.5 GiB: leaves of 512M at most')
    nodes = guest(Q35 + '-m 6G -object memory-backend-memfd,id=a,size=1G,hugetlb=on '
                  '-object memory-backend-memfd,id=b,size=5G,hugetlb=on,hugetlbsize=1G '
                  '-numa node,nodeid=1,memdev=b -numa node,nodeid=0,memdev=a,cpus=0-3 '
                  '-numa dist,src=0,dst=1,val=20')
    tap.equal(ranges(nodes, 'RAM'), [(0, G, 2 * M), (G, G, G), (4 * G, 4 * G, G)],
              'nodes in the order of their numbers')


# ---- domains ----

VFIO = '-device vfio-pci,host=01:00.0 -device vfio-pci,host=02:00.0 '
FD = '-object iommufd,id=i0 -object iommufd,id=i1 '
DOMAINS = [
    ('', 1, None),
    ('-device vfio-pci,host=01:00.0', 1, None),
    (VFIO, 1, None),
    (VFIO + '-device intel-iommu,caching-mode=on', 2, 'intel-iommu'),
    ('-device intel-iommu,caching-mode=on ' + VFIO, 2, 'intel-iommu'),
    (VFIO + '-device {"driver":"intel-iommu","caching-mode":true}', 2, 'intel-iommu'),
    (VFIO + '-device amd-iommu,dma-remap=on', 2, 'amd-iommu'),
    (VFIO + '-device virtio-iommu-pci', 2, 'virtio-iommu'),
    (VFIO + '-machine iommu=on', 2, 'intel-iommu'),
    (VFIO + '-device virtio-iommu-pci -machine default_bus_bypass_iommu=on', 1, 'virtio-iommu'),
    (FD + VFIO, 1, None),
    (FD + VFIO.replace('.0 ', '.0,iommufd=i0 '), 1, None),
    (FD + '-device vfio-pci,host=01:00.0,iommufd=i0 -device vfio-pci,host=02:00.0,iommufd=i1',
     2, None),
    (FD + '-device vfio-pci,host=01:00.0,iommufd=i0 -device vfio-pci,host=02:00.0', 2, None),
    (FD + VFIO.replace('.0 ', '.0,iommufd=i0 ') + VFIO, 2, None),
    (FD + VFIO.replace('.0 ', '.0,iommufd=i0 ') + '-device intel-iommu,x-flts=on', 2,
     'intel-iommu'),
    ('-device vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:01:00.0', 1, None),
    ('-device vfio-pci,sysfsdev=/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 '
     + VFIO, 1, None),
]


def domains():
    one = answer('--qemu', Q35 + '-m 4G')
    for devices, count, viommu in DOMAINS:
        found = answer('--qemu', Q35 + '-m 4G ' + devices)
        needs = found.get('guest', {}).get('needs', {})
        tap.equal([needs.get(key) for key in ('domains', 'memory_max_add', 'pinned', 'memlock')],
                  [count, count * one['total_bytes'], count * (4 * G + 256 * K), (4 * count + 1) * G],
                  f'domains: {devices or "no device"}')
        tap.equal([found.get('domains'), found.get('total_bytes')],
                  [count, count * one['total_bytes']], f'domains, of all tables: {devices}')
        tap.equal(found.get('guest', {}).get('viommu'), viommu, f'virtual IOMMU: {devices}')
    virt = 'qemu-system-aarch64 -M virt{} -nodefaults -m 4G ' + VFIO
    for machine, device, count in (('', '', 1), (',iommu=smmuv3', '', 2),
                                   ('', '-device arm-smmuv3,primary-bus=pcie.0', 2),
                                   ('', '-device arm-smmuv3,primary-bus=pcie.0,accel=on', 1)):
        found = guest(virt.format(machine) + device, iommu='arm64-s2')
        tap.equal(found.get('needs', {}).get('domains'), count, f'domains: virt{machine} {device}')
        tap.equal(ranges(found), [(G, 4 * G, 4 * K)], f'one range of RAM: virt{machine} {device}')


# ---- more memory ----

def plugs():
    backend = '-object memory-backend-ram,id=a,size=512M -object memory-backend-ram,id=b,size=8G '
    found = guest(Q35 + '-m 1G,slots=4,maxmem=16G ' + backend + '-device pc-dimm,memdev=a '
                  '-device virtio-mem-pci,memdev=b,requested-size=1G,block-size=4M')
    tap.equal(ranges(found, 'DIMM'), [(4 * G, 512 * M, 4 * K)], 'a DIMM')
    tap.equal(ranges(found, 'virtio-mem'), [(4 * G + 512 * M, G, 4 * K)], 'virtio-mem, now')
    tap.equal(ranges(found, when='plugged'),
              [(5 * G + 512 * M, 7 * G, 4 * K), (12 * G + 512 * M, 13 * G // 2, 4 * K)],
              'virtio-mem and what is left')
    tap.equal(found['needs']['memlock'], 7 * G // 2, 'the limit counts what is plugged')
    tap.equal(found['needs']['all_plugged']['memlock'], 17 * G, 'the limit for all of it')
    huge = guest(Q35 + '-m 1G,maxmem=16G -object memory-backend-memfd,id=b,size=8G,hugetlb=on,'
                 'hugetlbsize=1G -device virtio-mem-pci,memdev=b,requested-size=2G')
    tap.equal(ranges(huge, 'virtio-mem'), [(4 * G, 2 * G, G)], 'virtio-mem in huge pages')
    small = guest(Q35 + '-m 1G,maxmem=16G -object memory-backend-memfd,id=b,size=8G,hugetlb=on,'
                  'hugetlbsize=2M -device virtio-mem-pci,memdev=b,requested-size=2G,block-size=1M')
    tap.equal(ranges(small, 'virtio-mem'), [(4 * G, 2 * G, M)],
              'leaves are no larger than what is plugged at once')
    tap.equal(guest(Q35 + '-m 1G')['needs'].get('all_plugged'), None, 'no maximum, no second case')


# ---- by libvirt ----

def libvirt_files():
    """Each domain in the data against the command line that libvirt makes of it."""
    for name in sorted(os.listdir(DATA)):
        if not name.endswith('.xml'):
            continue
        path = os.path.join(DATA, name)
        with open(path) as file:
            xml = file.read()
        iommu = 'arm64-s2' if 'aarch64' in xml else 'vtd'
        by_xml = answer('--libvirt', path, iommu=iommu)
        by_line = answer('--qemu', '@' + path[:-4] + '.args', iommu=iommu)
        for found in by_xml, by_line:
            for key in 'source', 'notes':
                found.get('guest', {}).pop(key, None)
        tap.ok('guest' in by_xml, f'{name}: is read')
        tap.equal(by_xml, by_line, f'{name}: as its command line')
        tap.equal(answer('--libvirt', '-', iommu=iommu, text=xml).get('total_bytes'),
                  by_xml.get('total_bytes'), f'{name}: from standard input')


# ---- tables, counted once more ----

FORMATS = {'vtd': (12, 9, 4), 'x86_64': (12, 9, 4), 'amdv1': (12, 9, None),
           'arm64-s1-64k': (16, 13, 3)}


def spans_merged(spans):
    out = []
    for first, last in sorted(spans):
        if out and first <= out[-1][1] + 1:
            out[-1][1] = max(out[-1][1], last)
        else:
            out.append([first, last])
    return out


def count_tables(iommu, pieces):
    """Tables per level for (iova, size, backing): a leaf as large as all three allow."""
    page, bits, levels = FORMATS[iommu]
    end = max(iova + size for iova, size, _ in pieces)
    if levels is None:
        levels = max(3, -(-((end - 1).bit_length() - page) // bits))
    spans = [[] for _ in range(levels)]
    for iova, size, backing in pieces:
        at, stop = iova, iova + size
        while at < stop:
            level = max(n for n in range(min(levels, 3))
                        if n == 0 or (at % (1 << page + bits * n) == 0 and
                                      at + (1 << page + bits * n) <= stop and
                                      backing >= 1 << page + bits * n))
            leaf = 1 << page + bits * level
            above = 1 << page + bits * (level + 1)
            # Leaves of this size up to where a larger one may begin.
            to = min(stop // leaf * leaf, (at // above + 1) * above)
            for n in range(level, levels):
                shift = page + bits * (n + 1)
                spans[n].append((at >> shift, to - 1 >> shift) if n < levels - 1 else (0, 0))
            at = to
    return [sum(last - first + 1 for first, last in spans_merged(level)) for level in spans]


GUESTS = [
    '-m 1G',
    '-m 5G -vga std',
    '-m 3000M -vga virtio',
    HUGE + 'memfd,id=r,size=4G,hugetlb=on',
    HUGE + 'memfd,id=r,size=4G,hugetlb=on,hugetlbsize=1G',
    '-m 2G,slots=2,maxmem=8G -object memory-backend-ram,id=a,size=516M -device pc-dimm,memdev=a',
    '-m 4G -vga qxl -device ivshmem-plain,memdev=s -object memory-backend-memfd,id=s,size=8M,'
    'hugetlb=on',
]


def counted():
    for line in GUESTS:
        for iommu in FORMATS:
            found = answer('--qemu', Q35 + line, iommu=iommu)
            pieces = ranges(found.get('guest', {})) + ranges(found['guest'], when='firmware')
            tap.equal([level['tables'] for level in found['levels']], count_tables(iommu, pieces),
                      f'{iommu}: tables of {line}')
            quiet = found['total_bytes'] - found['guest']['firmware_bytes']
            page = found['granule']
            tap.equal(quiet, page * sum(count_tables(iommu, ranges(found['guest'])))
                      - (page - 4096 if page > 4096 else 0),
                      f'{iommu}: tables without option ROMs of {line}')
    for text, ram, most, page in (('64G,max=256G', 64, 256, 4 * K),
                                  ('4G,max=1T,backing=2M', 4, 1024, 2 * M),
                                  ('2G,backing=1G,max=8G', 2, 8, G)):
        low = min(ram, 2) * G
        now = [(0, 640 * K, page), (768 * K, low - 768 * K, page)]
        if ram > 2:
            now.append((4 * G, ram * G - low, page))
        more = [((4 + max(ram - 2, 0)) * G, (most - ram) * G, page)]
        for iommu in 'vtd', 'amdv1':
            found = answer('--guest', text, '--devices', '3', iommu=iommu)['guest']
            for key, count in ('shared', 1), ('per_device', 3):
                tap.equal([found[key][name] for name in ('memory_max_add', 'memlock', 'pinned')],
                          [count * 4096 * sum(count_tables(iommu, now)), (count * ram + 1) * G,
                           count * (ram * G - 128 * K)], f'{iommu}: --guest {text}, {key}')
                tap.equal([found[key]['all_plugged'][name]
                           for name in ('memory_max_add', 'memlock', 'pinned')],
                          [count * 4096 * sum(count_tables(iommu, now + more)),
                           (count * most + 1) * G, count * (most * G - 128 * K)],
                          f'{iommu}: --guest {text}, {key}, all plugged')


# ---- BARs, and all formats ----

def bars():
    plain = answer('--qemu', Q35 + '-m 4G -device vfio-pci,host=01:00.0')
    more = answer('--qemu', Q35 + '-m 4G -device vfio-pci,host=01:00.0',
                  '--map', 'iova=0x380000000000,size=16G,backing=1G',
                  '--map', 'iova=0xfe000000,size=4M')
    tap.equal(more['total_bytes'] - plain['total_bytes'], 4096 * (1 + 2),
              'BARs: a table for 16G in 1G leaves, two for 4M in pages')
    for key in 'pinned', 'memlock':
        tap.equal(more['guest']['needs'][key], plain['guest']['needs'][key],
                  f'BARs are not in {key}')
    done = run('--iommu', 'vtd', '--guest', '4G', '--map', 'iova=0x380000000000,size=16G')
    tap.ok(re.search(r'type1.*iommufd\s.*6\.19', done.stdout, re.S),
           'a line says what type1 and iommufd do with them', done.stdout)


def all_formats():
    for args in (['--map', 'iova=1M,size=4K,count=3,stride=1G'], ['--guest', '64G,max=1T'],
                 ['--qemu', Q35 + '-m 4G ' + VFIO], ['--guest', '4G,backing=2M'],
                 ['--map', 'iova=0,size=64K'], ['--map', 'iova=0x7fffffff0000,size=128K']):
        every = answer(*args, iommu='all').get('formats', [])
        tap.ok(len(every) >= 11, f'all formats: {args}', every)
        for one in every:
            done = run('--iommu', one['format'], '--json', *args)
            if 'why' in one:
                tap.equal(done.stderr, f'uiommu size: {one["why"]}\n',
                          f'{one["format"]}: refused as alone: {args}')
            else:
                tap.equal(json.loads(done.stdout or '{}'), one,
                          f'{one["format"]}: as alone: {args}')
        text = run('--iommu', 'all', *args)
        rows = re.findall(r'^  ([a-z][\w-]+) +\d+ +\d+K', text.stdout, re.M)
        tap.equal(rows, [one['format'] for one in every], f'a row for each: {args}')
        tap.equal(len(re.findall(r' -(?: |$)', text.stdout)) > 0,
                  any('why' in one for one in every), f'no answer is -: {args}')


# ---- bad input ----

def q(line):
    return ('--qemu', Q35 + line)


BAD = [
    (('--qemu', ''), 'no QEMU command line'),
    (('--qemu', 'ls /'), 'no QEMU command line', 'ls'),
    (('--qemu', 'sh -c "qemu-system-x86_64 -m 4G"'), 'no QEMU command line', 'sh'),
    (('--qemu', 'qemu-system-x86_64 -m'), '-m', 'missing'),
    (('--qemu', 'qemu-system-x86_64 -m 1G -nonsense'), '-nonsense', 'unknown option'),
    (('--qemu', 'my-qemu -m 4G -pidfile /run/qemu-kvm'), 'no QEMU command line', 'my-qemu'),
    (('--qemu', '@/nowhere/at/all'), '/nowhere/at/all', 'No such file'),
    (('--qemu', '@/'), 'directory'),
    (q('-name "open'), 'quote', 'not closed', 'open'),
    (q("-name 'open"), 'quote', 'not closed'),
    (q('-device {"driver":"vfio-pci"'), 'brace', 'not closed'),
    (q("-device '{\"driver\":}'"), '-device', 'not a JSON object'),
    (q("-device '{\"driver\":\"VGA\"'"), '-device', 'not a JSON object'),
    (q("-device '{\"id\":\"x\"}'"), '-device', 'driver is missing'),
    (q('-m 64Q'), '-m', '64Q', 'not a size'),
    (q('-m $MEM'), '-m', '$MEM', 'not a number'),
    (q('-m -1'), '-1'),
    (q('-m 0'), '0 of RAM', '1M'),
    (q('-m 64P,slots=2,maxmem=128P'), '128P', '64P'),
    (q('-m 1G,slots=x,maxmem=2G'), 'slots', "'x'"),
    (q('-m 1G,slots=999,maxmem=2G'), 'slots', '999', '256'),
    (q('-m 2G,slots=1,maxmem=1G'), 'maxmem=1G', 'less'),
    (q('-m 2G,slots=1,maxmem=4096'), 'maxmem=4096', 'bytes'),
    (('--qemu', '-M q36 -m 1G'), "'q36'", 'q35', 'virt'),
    (('--qemu', 'qemu-system-s390x -M s390-ccw-virtio -m 1G'), 's390-ccw-virtio', 'expected'),
    (('--qemu', 'qemu-system-aarch64 -m 1G'), '-machine', 'missing', 'aarch64'),
    (('--qemu', 'qemu-system-aarch64 -M q35'), "'q35'", 'aarch64'),
    (q('-object memory-backend-ram,size=1G'), 'id=', 'missing'),
    (q('-object memory-backend-ram,id=a'), 'id=a', 'size=', 'missing'),
    (q('-object id=a'), '-object', 'type'),
    (q('-object memory-backend-memfd,id=a,size=1G,hugetlb=maybe'), 'hugetlb=maybe', 'on or off'),
    (q('-object memory-backend-memfd,id=a,size=1G,hugetlb=on,hugetlbsize=3M'), '3M',
     'power of two'),
    (q('-machine memory-backend=a'), 'memory-backend=a', 'no memory backend'),
    (q('-m 1G -object memory-backend-ram,id=a,size=2G -machine memory-backend=a'), '1G', 'a'),
    (q('-m 1G -numa node,memdev=a'), 'memdev=a', 'no memory backend'),
    (q('-m 1G -object memory-backend-ram,id=a,size=2G -numa node,memdev=a'), '2G', '1G', 'NUMA'),
    (q('-m 1G -numa node,nodeid=x,mem=1G'), 'nodeid', "'x'"),
    (q('-device pc-dimm'), 'pc-dimm', 'memdev='),
    (q('-device pc-dimm,memdev=a'), 'memdev=a', 'no memory backend'),
    (q('-m 1G,slots=1,maxmem=2G -object memory-backend-ram,id=a,size=2G -device '
       'pc-dimm,memdev=a'), '2G', '1G', 'maxmem'),
    (q('-m 1G -object memory-backend-ram,id=a,size=1G -device pc-dimm,memdev=a'), '1G', 'maxmem'),
    (q('-m 1G,maxmem=4G -object memory-backend-ram,id=a,size=1G -device virtio-mem-pci,memdev=a,'
       'requested-size=2G'), 'requested-size=2G'),
    (q('-m 1G,maxmem=4G -object memory-backend-ram,id=a,size=1G -device virtio-mem-pci,memdev=a,'
       'block-size=3M'), 'block-size=3M', 'power of two'),
    (('--qemu', 'qemu-system-x86_64 -M microvm -m 1G,slots=1,maxmem=2G -object '
      'memory-backend-ram,id=a,size=1G -device pc-dimm,memdev=a'), 'microvm', 'memory devices'),
    (q('-device vfio-pci,host=01:00.0,iommufd=i'), 'iommufd=i', '-object iommufd'),
    (q('-device ivshmem-plain'), 'ivshmem-plain', 'memdev='),
    (q('-device VGA,vgamem_mb=lots'), 'VGA', 'vgamem_mb', "'lots'"),
    (q('-machine default_bus_bypass_iommu=what'), 'default_bus_bypass_iommu=what'),
    (q('-machine max-ram-below-4g=512K -vga std'), 'max-ram-below-4g', '512K', '1M to 4G'),
    (q('-machine max-ram-below-4g=8G'), 'max-ram-below-4g', '8G'),
    (q('-m 400T'), 'RAM', '48 bits'),
    (q('-m 4G') + ('--map', 'iova=1G,size=4K'), 'overlaps', 'iova=1G'),
    (q('-m 4G') + ('--devices', '2'), '--devices', '--qemu'),
    (q('-m 4G') + ('--domains', '2'), '--domains', '--qemu'),
    (q('-m 4G') + ('--guest', '4G'), '--guest', '--qemu'),
    (q('-m 4G') + ('--qemu', '-m 5G'), '-m 5G'),
    (q('-m 4G') + ('--libvirt', 'x.xml'), 'x.xml', '--qemu'),
    (q('-m 4G') + ('--backing', '3M'), '--backing', '3M', 'power of two'),
    (('--backing', '2M'), '--backing', '--qemu'),
    (('--guest', '4G', '--backing', '2M'), '--backing', '--qemu'),
    (('--guest', '4G,max=2G'), 'max', 'less'),
    (('--guest', '4G,max=5000000001'), '4K'),
    (('--guest', '4G,max=lots'), "'lots'"),
    (('--guest', '128P'), '128P'),
    (('--guest', '4G,max=4G,max=5G'), 'max', 'twice'),
    (('--map', 'iova=0,size=4K,max=3'), 'max'),
    (('--libvirt', '/nowhere.xml'), '/nowhere.xml', 'No such file'),
    (('--libvirt', '/'), 'directory'),
]

DOMAIN = """<domain type='kvm'>
  <memory unit='KiB'>1048576</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <hostdev mode='subsystem' type='pci'>
      <source><address domain='0' bus='0x17' slot='0' function='0'/></source>
    </hostdev>
  </devices>
</domain>
"""

QEMU_SPACE = 'http://libvirt.org/schemas/domain/qemu/1.0'


def with_arguments(xml, prefix, args, space=QEMU_SPACE):
    """The domain with a <commandline> below a prefix that stands for that namespace."""
    colon = prefix and prefix + ':'
    where = f"xmlns{prefix and ':' + prefix}='{space}'"
    return xml.replace('</domain>', f'<{colon}commandline {where}>{args}</{colon}commandline></domain>')


def namespaces():
    """QEMU's namespace is known by its name, whatever stands for it."""
    def machine(xml):
        return answer('--libvirt', '-', text=xml).get('guest', {}).get('machine')
    for prefix in 'qemu', 'q', '':
        colon = prefix and prefix + ':'
        args = f"<{colon}arg value='-machine'/><{colon}arg value='type=pc'/>"
        tap.equal((machine(with_arguments(DOMAIN, prefix, args)),
                   machine(with_arguments(DOMAIN, prefix, args, 'http://example.org/'))), ('pc', 'q35'),
                  f"options of QEMU's namespace by '{prefix}', none of another")
    tap.equal(machine(DOMAIN.replace('<domain ', "<domain xmlns='http://example.org/' ")), 'q35',
              'a namespace without a prefix')


BAD_XML = [
    (lambda x: '', 'not XML'),
    (lambda x: 'hello', 'not XML', ':1'),
    (lambda x: x[:200], 'not XML'),
    (lambda x: '<network/>', 'no <domain>', 'virsh dumpxml'),
    (lambda x: x.replace("'kvm'", "'xen'"), "'xen'", 'kvm or qemu', ':1'),
    (lambda x: x.replace(" type='kvm'", ''), 'kvm or qemu'),
    (lambda x: x.replace('1048576', 'lots'), "'lots'", ':2', 'memory'),
    (lambda x: x.replace('1048576', '1.5'), "'1.5'", ':2', 'whole number'),
    (lambda x: x.replace('1048576', '-1'), "'-1'", ':2'),
    (lambda x: x.replace("'KiB'", "'furlongs'"), 'furlongs', ':2'),
    (lambda x: x.replace('1048576', '99999999999999999999'), '64 bits', ':2'),
    (lambda x: x.replace('1048576', '18014398509481984'), '64 bits', ':2'),
    (lambda x: x.replace('1048576', '0'), '1M'),
    (lambda x: re.sub('<memory.*', '', x), '<memory>'),
    (lambda x: re.sub('<os>.*', '', x), '<os>'),
    (lambda x: x.replace("'q35'", "'fancy'"), "'fancy'", 'q35'),
    (lambda x: x.replace("'0x17'", "'seventeen'"), "'seventeen'", 'bus', ':6'),
    (lambda x: x.replace("'0x17'", "'0xffffffffffffffffff'"), "'0xffffffffffffffffff'", 'bus', ':6'),
    (lambda x: x.replace("'0x17'", "'-1'"), "'-1'", 'bus', ':6'),
    (lambda x: re.sub('<source>.*</source>', '', x), '<hostdev>', '<source>', ':5'),
    (lambda x: x.replace('<devices>', "<devices><iommu model='odd'/>"), "'odd'", 'intel', ':4'),
    (lambda x: x.replace('<devices>', '<devices><iommu/>'), 'model=', ':4'),
    (lambda x: x.replace('<devices>', "<devices><memory model='odd'><target><size>1</size>"
                         '</target></memory>'), "'odd'", 'dimm'),
    (lambda x: x.replace('<devices>', "<devices><memory model='dimm'/>"), '<size>'),
    (lambda x: x.replace('<devices>', "<devices><memory model='dimm'><target><size>2097152</size>"
                         '</target></memory>'), "'1048576'", 'less'),
    (lambda x: x.replace('<os>', "<maxMemory slots='4' unit='MiB'>1</maxMemory><os>"), "'1'",
     'less'),
    (lambda x: x.replace('<os>', "<maxMemory slots='a' unit='GiB'>2</maxMemory><os>"), "'a'"),
    (lambda x: x.replace('<os>', '<memoryBacking><hugepages><page/></hugepages></memoryBacking>'
                         '<os>'), 'size=', ':3'),
    (lambda x: x.replace('<os>', "<memoryBacking><hugepages><page size='3' unit='MiB'/>"
                         '</hugepages></memoryBacking><os>'), 'power of two'),
    (lambda x: x.replace('<devices>', '<devices><video/>'), '<model>', ':4'),
    (lambda x: with_arguments(x, 'qemu', '<qemu:arg/>'), 'value='),
    (lambda x: with_arguments(x, 'qemu', "<qemu:arg value='-m'/>"), '-m', 'missing'),
    (lambda x: x.replace('<os>', '<a:b/><os>'), 'not XML', ':3', 'prefix'),
    (lambda x: '<!DOCTYPE domain [<!ENTITY a "aaaa">]>' + x, 'entity', "'a'"),
    (lambda x: '<a>' * 300 + '</a>' * 300, '200 elements'),
]


def one_line(args, words, name, text=''):
    done = run('--iommu', 'vtd', *args, text=text)
    lines = done.stderr.splitlines()
    tap.ok(done.returncode == 2 and not done.stdout and len(lines) == 1 and
           lines[0].startswith('uiommu size: ') and all(word in lines[0] for word in words),
           f'refused: {name}', f'status {done.returncode}\n{done.stderr}{done.stdout}'
           f'expected {words}')


def bad_input():
    for args, *words in BAD:
        one_line(args, words, ' '.join(args)[-100:])
    for number, (change, *words) in enumerate(BAD_XML):
        xml = change(DOMAIN)
        path = path_of('bad.xml', xml)
        one_line(('--libvirt', path), [*words, path], f'domain {number}: {words}')
    tap.equal(answer('--libvirt', path_of('good.xml', DOMAIN)).get('guest', {}).get('devices'), 1,
              'the domain without what is bad')


def mutated(text, rng):
    """Pieces of the text taken out, doubled, swapped or changed."""
    for _ in range(rng.randrange(1, 4)):
        at, length = rng.randrange(len(text) + 1), rng.randrange(1, 12)
        part = text[at:at + length]
        text = rng.choice((
            text[:at] + text[at + length:], text[:at] + part * rng.randrange(2, 5) + text[at:],
            text[:at] + rng.choice('"\'\\{}=,<>&/-\n\t0K\x01é') + text[at:],
            text[:at] + str(rng.choice((0, -1, 1 << 63, 1 << 64, 10**30))) + text[at + length:],
            text[at:] + text[:at]))
    return text


def hostile():
    """What is nearly right: an answer, or one line and no more."""
    rng = random.Random(10)
    texts = [(('--qemu', '@-'), line) for line in
             (*SPELLINGS.values(), *(Q35 + line for line in GUESTS))]
    for name in sorted(os.listdir(DATA)):
        with open(os.path.join(DATA, name)) as file:
            texts.append((('--libvirt', '-') if name.endswith('.xml') else ('--qemu', '@-'),
                          file.read()))
    bad = 0
    for number in range(600):
        args, text = texts[number % len(texts)]
        text = mutated(text, rng)
        done = subprocess.run([COMMAND, 'size', '--iommu', 'vtd', *args], input=text.encode(),
                              capture_output=True)
        lines = done.stderr.splitlines()
        if done.returncode not in (0, 2) or len(lines) != (done.returncode == 2) or \
                (done.returncode == 2) == bool(done.stdout):
            bad += 1
            tap.ok(False, f'hostile input {number}', f'{args} {text!r}\n{done}')
    tap.equal(bad, 0, '600 hostile inputs: an answer or one line')


os.makedirs(SCRATCH, exist_ok=True)
for part in (spellings, amounts, domains, plugs, libvirt_files, namespaces, counted, bars, all_formats,
             bad_input, hostile):
    part()
tap.done()
