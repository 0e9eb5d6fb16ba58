#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu walk on files that lie: tables that lead to themselves, point outside, are
cut off, shared, or have bits that must not be set; and on random damage. What is
wrong is said with its place, the rest is still listed, and nothing takes long.

Arguments: the command, a directory for files, how the build is sanitized.
"""
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import threading

COMMAND, SANITIZED = sys.argv[1], sys.argv[3] != 'none'
DIRECTORY = pathlib.Path(sys.argv[2])
SEED = 20261124
K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40
BASE = 16 * M

results = []


def ok(name, passed, why=''):
    results.append(bool(passed))
    print(f"{'ok' if passed else 'not ok'} {len(results)} - {name}")
    if not passed:
        for line in str(why).splitlines()[:40]:
            print('#', line)


def same(name, found, expected):
    ok(name, found == expected, f'found    {found}\nexpected {expected}')


def run(*args):
    return subprocess.run([COMMAND, *map(str, args)], capture_output=True, text=True)


def walk(path, *args, root=BASE, base=BASE, iommu='vtd', status=0):
    done = run('walk', '--iommu', iommu, '--root', root, '--base', base, '--image', path, *args,
               '--json')
    if done.returncode != status or done.stderr:
        print(f'# {args}: {done.returncode} {done.stderr}')
        return {}
    return json.loads(done.stdout)


def write(name, *tables):
    """Tables are dicts of items by index, of 512 each."""
    path = DIRECTORY / name
    path.write_bytes(b''.join(struct.pack('<512Q', *(table.get(i, 0) for i in range(512)))
                              for table in tables))
    return path


def table(nr):
    """A vtd item that leads to the nr-th table of the file, with all rights."""
    return BASE + nr * 4096 | 3


# Four levels, 2M mapped at 1G by pages.
GOOD = [{0: table(1)}, {1: table(2)}, {0: table(3)}, {i: G + i * 4096 | 3 for i in range(512)}]


def ranges(answer):
    return [(r['iova'], r['size']) for r in answer.get('ranges', [])]


def problems(answer):
    return [(p['iova'], p['size'], p['level'], p['item'], p['fault'])
            for p in answer.get('problems', [])]


def damaged():
    """One item is wrong: it is named, and the rest is there."""
    path = write('good', *GOOD)
    same('good', ranges(walk(path)), [(G, 2 * M)])
    item = BASE + 3 * 4096 + 100 * 8
    around = [(G, 100 * 4096), (G + 101 * 4096, 411 * 4096)]

    leaves = {**GOOD[3], 100: GOOD[3][100] | 1 << 62}
    answer = walk(write('reserved', *GOOD[:3], leaves), status=1)
    same('reserved bit', (ranges(answer), problems(answer), answer.get('faults')),
         (around, [(G + 100 * 4096, 4096, 0, item, 'reserved bits')], {'reserved bits': 1}))
    done = run('walk', '--iommu', 'vtd', '--root', BASE, '--base', BASE, '--image',
               DIRECTORY / 'reserved')
    ok('reserved bit: text', done.returncode == 1 and
       re.search(rf'(?m)^ *{G + 100 * 4096:#x} +4K +level 0, item at {item:#x}: reserved bits',
                 done.stdout), done.stdout)

    answer = walk(write('outside', {**GOOD[0], 1: 1 << 40 | 3}, *GOOD[1:]), status=1)
    same('a table outside', (ranges(answer), problems(answer)),
         ([(G, 2 * M)], [(512 * G, 512 * G, 2, 1 << 40, 'no memory')]))

    (DIRECTORY / 'cut').write_bytes((DIRECTORY / 'good').read_bytes()[:-2048])
    answer = walk(DIRECTORY / 'cut', status=1)
    same('cut off in a table', (ranges(answer), problems(answer)),
         ([(G, M)], [(G + M, M, 0, BASE + 3 * 4096 + 2048, 'no memory')]))

    answer = walk(write('large', {**GOOD[0], 2: 3 | 1 << 7}, *GOOD[1:]), status=1)
    same('a page where none can be', problems(answer),
         [(T, 512 * G, 3, BASE + 16, 'reserved bits')])

    answer = walk(write('rights', GOOD[0], {1: table(2) & ~2}, *GOOD[2:]))
    same('rights of the tables count', [r['prot'] for r in answer.get('ranges', [])], ['r--'])
    everything_wrong()


def everything_wrong():
    bad = {i: 1 << 62 | 3 for i in range(512)}
    answer = walk(write('bad', *GOOD[:2], {i: table(3) for i in range(512)}, bad), status=1)
    same('bad all over: counted', (answer.get('problem_count'), answer.get('faults')),
         (512 ** 2, {'reserved bits': 512 ** 2}))
    same('bad all over: told', len(answer.get('problems', [])), 32)


def endless():
    """Tables that lead to themselves or are shared: bounded by the budget."""
    path = write('self', {i: table(0) for i in range(512)})
    answer = walk(path, '--budget', 5 * M, '--limit', 7, status=1)
    same('a table that leads to itself', (answer.get('complete'), len(answer.get('ranges', [])),
                                          answer.get('shared_tables', 0) > 1000),
         (False, 7, True))
    ok('more ranges than are listed', answer.get('range_count', 0) > 4 * M)
    answer = walk(path, '--iova', '0x123456789abc')
    same('one address of it', (answer.get('fault'), answer.get('paddr'), len(answer['steps'])),
         ('none', BASE + 0xabc, 4))

    path = write('shared', GOOD[0], {i: table(2) for i in range(512)},
                 {i: table(3) for i in range(512)}, GOOD[3])
    answer = walk(path, '--budget', 300 * 512, '--limit', 1, status=1)
    same('shared tables', (answer.get('complete'), ranges(answer)), (False, [(0, 2 * M)]))
    answer = walk(write('few', GOOD[0], {i: table(2) for i in range(4)}, *GOOD[2:]))
    same('some shared tables', (answer.get('complete'), answer.get('shared_tables'),
                                ranges(answer)), (True, 6, [(i * G, 2 * M) for i in range(4)]))
    answer = walk(path, '--budget', 2 * M if SANITIZED else 5 * M, '--plot',
                  DIRECTORY / 'shared.svg', status=1)
    same('a picture of it', answer.get('complete'), False)


def files():
    """Files that are no files, and one of 1 TB that is mostly a hole."""
    far = T - 4 * 4096
    path = DIRECTORY / 'sparse'
    with open(path, 'wb') as file:
        file.seek(far)
        file.write(write('at-far', {0: far + 4096 | 3}, {1: far + 2 * 4096 | 3},
                         {0: far + 3 * 4096 | 3}, GOOD[3]).read_bytes())
    same('1 TB with tables at its end', ranges(walk(path, root=far, base=0)), [(G, 2 * M)])
    same('and nothing elsewhere', ranges(walk(path, root=G, base=0)), [])
    path.unlink()
    fifo = DIRECTORY / 'fifo'
    if not fifo.exists():
        os.mkfifo(fifo)
    (DIRECTORY / 'empty').write_bytes(b'')
    good = DIRECTORY / 'good'
    top = 0xfffffffffffff000
    same('at the end of addresses', walk(good, root=top, base=top, status=1).get('faults'),
         {'no memory': 1})
    for name, args, words in [
            ('a directory', (DIRECTORY, 0, 0), ['directory']),
            ('/dev/zero', ('/dev/zero', 0, 0), ['/dev/zero']),
            ('a named pipe', (fifo, 0, 0), ['fifo']),
            ('an empty file', (DIRECTORY / 'empty', 0, 0), ['empty']),
            ('no file', (DIRECTORY / 'none', 0, 0), ['none', 'No such file']),
            ('a root outside', (good, 0, 4096), ['--root 0', '0x1000', '0x4fff']),
            ('a root behind', (good, 4 * 4096, 0), ['--root 0x4000']),
            ('a root that is not aligned', (good, 8, 0), ['--root 0x8', 'aligned'])]:
        refused(name, ['walk', '--iommu', 'vtd', '--image', args[0], '--root', args[1], '--base',
                       args[2]], words)


def refused(name, args, words):
    done = run(*args)
    lines = done.stderr.splitlines()
    ok(f'refused: {name}', done.returncode == 2 and not done.stdout and len(lines) == 1 and
       lines[0].startswith('uiommu walk: ') and all(word in lines[0] for word in words),
       f'{done.returncode} {done.stdout}{done.stderr}\nexpected {words}')


def arguments():
    good = DIRECTORY / 'good'
    place = ['--root', BASE, '--base', BASE, '--image', good]
    for args, words in [
            (['--iommu', 'nvme', *place], ['nvme', 'vtd']),
            (['--iommu', 'vtd', *place[2:]], ['--root', 'missing']),
            (['--iommu', 'vtd', *place[:2], *place[4:]], ['--base', 'missing']),
            (['--iommu', 'vtd', *place[:4]], ['--image', 'missing']),
            (['--iommu', 'vtd', '--levels', 7, *place], ['--levels 7']),
            (['--iommu', 'vtd', '--levels', 3, '--address-width', 48, *place], ['--levels 3']),
            (['--iommu', 'x86_64', '--address-width', 39, *place], ['39']),
            (['--iommu', 'vtd', '--plot', 'x.gif', *place], ['x.gif']),
            (['--iommu', 'vtd', '--plot', 'x.svg', '--iova', 0, *place], ['--iova']),
            (['--iommu', 'vtd', '--limit', 0, *place], ['--limit']),
            (['--iommu', 'vtd', '--granule', '16K', *place], ['16K', '4K'])]:
        refused(' '.join(map(str, args)), ['walk', *args], words)
    three = walk(good, '--levels', 3, root=BASE + 4096)
    same('--levels is a width', (three.get('address_width'), ranges(three)), (39, [(G, 2 * M)]))
    answer = walk(good, '--iova', hex(1 << 48), status=1)
    same('an address that is too wide', (answer.get('fault'), answer.get('steps')),
         ('address too wide', []))
    answer = walk(good, '--iova', 0, status=1)
    same('an address that is not mapped', (answer.get('fault'), len(answer.get('steps', []))),
         ('not present', 2))
    done = run('walk', '--help')
    for word in '--iova', '--root', '--plot', 'Examples:', 'Exit status':
        ok(f'help: {word}', done.returncode == 0 and word in done.stdout, done.stdout)


def spelled_out():
    """Every bit that is set belongs to a field, or is said to be ignored."""
    path = write('bits', GOOD[0], GOOD[1], GOOD[2],
                 {5: 1 << 55 | 1 << 11 | 1 << 9 | 0x12345 << 12 | 1})
    done = run('walk', '--iommu', 'vtd', '--root', BASE, '--base', BASE, '--image', path, '--iova',
               hex(G + 5 * 4096 + 0x678))
    ok('one address', '0x40005678 is 0x12345678, r--, in a page of 4K that is dirty' in
       done.stdout, done.stdout)
    for pattern in (r'(?m)^level 3 \(', r'(?m)^level 0 \(.*item 5 of the table at 0x1003000',
                    r'(?m)^ +51:12 +\S+ +0x12345000 ', r'(?m)^ +55 +- +0x1 +is set, and ignored',
                    r'(?m)^ +11 +SNP +0x1 ', r'(?m)^ +1 +W +0x0 '):
        ok(f'one address: {pattern}', re.search(pattern, done.stdout), done.stdout)


def amd_levels():
    """The mode of AMD's tables is what the top says, unless it is given."""
    path = DIRECTORY / 'amd'
    for iova, levels in (0, 3), (1 << 39, 4), (1 << 62, 6):
        made = run('image', '--iommu', 'amdv1', '--map', f'iova={iova},size=4K,paddr=0', '--base',
                   BASE, '--out', path, '--json')
        made = json.loads(made.stdout)
        answer = walk(path, iommu='amdv1', root=made['root'])
        same(f'amdv1 with {levels} levels', (made['level_count'], answer.get('level_count'), ranges(answer)),
             (levels, levels, [(iova, 4096)]))


def shrinking():
    """The file gets shorter and longer while it is read."""
    path, stop = DIRECTORY / 'shrinking', threading.Event()
    content = (DIRECTORY / 'shared').read_bytes()
    path.write_bytes(content)

    def shrink():
        while not stop.is_set():
            os.truncate(path, 5000)
            with open(path, 'r+b') as file:
                file.write(content)

    thread = threading.Thread(target=shrink)
    thread.start()
    try:
        codes = {run('walk', '--iommu', 'vtd', '--root', BASE, '--base', BASE, '--image', path,
                     '--budget', M).returncode for _ in range(5)}
    finally:
        stop.set()
        thread.join()
    ok('a file that shrinks', codes <= {0, 1}, codes)


def damage(rng, content):
    """Bits, items and pages that are not what they were."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 3, 30, 300])):
        at = rng.randrange(len(data) // 8) * 8
        kind = rng.randrange(5)
        if kind == 0:
            data[at + rng.randrange(8)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at + 8] = rng.randbytes(8)
        elif kind == 2:
            other = rng.randrange(len(data) // 8) * 8
            data[at:at + 8] = data[other:other + 8]
        elif kind == 3:
            data[at:at + 64] = bytes([rng.choice([0, 0xff])]) * len(data[at:at + 64])
        else:
            a, b = at & -2048, rng.randrange(len(data)) & -2048
            data[a:a + 2048], data[b:b + 2048] = data[b:b + 2048], data[a:a + 2048]
    return data[:rng.randrange(8, len(data))] if not rng.randrange(6) else data


def families():
    listed = re.search(r'one of (.*) \(', run('size').stderr)[1].split(', ')
    for family in listed:
        refusal = run('size', '--iommu', family, '--granule', 1).stderr
        for granule in re.search(r'has (.*)$', refusal)[1].split(', '):
            yield family, granule


def hostile(family, granule, rng):
    path = DIRECTORY / 'hostile'
    made = run('image', '--iommu', family, '--granule', granule, '--map', 'iova=64M,size=1536M',
               '--map', 'iova=4G,size=64K,count=9,stride=512M', '--map',
               'iova=64G,size=64K,prot=r', '--base', BASE, '--out', path, '--json')
    ok(f'{family} {granule}: an image', made.returncode == 0, made.stderr)
    if made.returncode:
        return
    made, content, seen = json.loads(made.stdout), path.read_bytes(), {0: 0, 1: 0}
    args = ['walk', '--iommu', family, '--granule', granule, '--levels', made['level_count'], '--root',
            made['root'], '--base', BASE, '--image', path, '--budget', 200000, '--limit', 50,
            '--json']
    for nr in range(4 if SANITIZED else 14):
        data = damage(rng, content)
        if len(data) <= made['root'] - BASE:
            continue
        path.write_bytes(data)
        for more in [], ['--iova', rng.choice([64 * M, 4 * G, rng.randrange(1 << 42)])]:
            done = run(*args, *more)
            if done.returncode not in seen or done.stderr or not json.loads(done.stdout):
                ok(f'{family} {granule}: damage {nr}', False, f'{done.returncode} {done.stderr}')
                return
            seen[done.returncode] += 1
    ok(f'{family} {granule}: random damage', True)
    print(f'# {family} {granule}: {seen[0]} sound, {seen[1]} not')


def random_damage():
    print(f'# seed {SEED}')
    for family, granule in families():
        hostile(family, granule, random.Random(f'{SEED} {family} {granule}'))


DIRECTORY.mkdir(parents=True, exist_ok=True)
for part in (damaged, endless, files, arguments, spelled_out, amd_levels, shrinking,
             random_damage):
    part()
print(f'1..{len(results)}')
sys.exit(not all(results))
