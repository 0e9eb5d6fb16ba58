#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu image and uiommu walk, from outside: in every format, granule and a choice
of widths, what is mapped into an image is what a walk of the image lists, address
by address and as merged ranges; and one clear line for every kind of bad input.

Arguments: the command, a directory for files, how the build is sanitized.
"""
import json
import os
import pathlib
import pty
import random
import re
import resource
import subprocess
import sys
import time

COMMAND, SANITIZED = sys.argv[1], sys.argv[3] != 'none'
DIRECTORY = pathlib.Path(sys.argv[2])
SEED = 20261123
K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40
# Some at which the number of levels or the size of the top table changes.
WIDTHS = [13, 25, 28, 31, 36, 37, 39, 40, 41, 42, 43, 44, 47, 48, 49, 50, 52, 57, 59, 64]
if SANITIZED:
    WIDTHS = [37, 42, 48, 57, 64]
IMAGE_KEYS = ['format', 'root', 'base', 'size', 'level_count', 'granule', 'address_width']

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


def answer(*args, status=0):
    """The JSON of a command that succeeds."""
    done = run(*args, '--json')
    if done.returncode != status or done.stderr:
        print(f'# {args}: {done.returncode} {done.stderr}')
        return {}
    return json.loads(done.stdout)


def byte_count(text):
    number, suffix = re.fullmatch(r'(\d+)([KMG]?)', text).groups()
    return int(number) << 10 * ' KMG'.index(suffix or ' ')


class Format:
    """A format with one granule, as the command's own messages describe it."""

    def __init__(self, family, granule):
        self.family, self.granule = family, granule
        self.args = ['--iommu', family, '--granule', granule]
        self.widths = [width for width in WIDTHS if self.has_width(width)]

    def has_width(self, width):
        return not run('image', *self.args, '--address-width', width, '--base', 0, '--out',
                       '/dev/null').returncode

    def name(self, width):
        return f'{self.family} {self.granule // K}K {width} bits'

    def aperture_last(self, width):
        refusal = run('image', *self.args, '--address-width', width, '--base', 0, '--out',
                      '/dev/null', '--map',
                      f'iova=0xffffffffffff0000,size={self.granule},paddr=0').stderr
        found = re.search(r'beyond (0x[0-9a-f]+)', refusal)
        return int(found[1], 16) if found else (1 << 64) - 1


def formats():
    families = re.search(r'one of (.*) \(', run('size').stderr)[1].split(', ')
    for family in families:
        refusal = run('size', '--iommu', family, '--granule', 1).stderr
        for granule in re.search(r'has (.*)$', refusal)[1].split(', '):
            yield Format(family, byte_count(granule))


class Map:
    def __init__(self, iova, size, paddr, prot='rw', backing=0, count=1, stride=0):
        self.iova, self.size, self.paddr, self.prot = iova, size, paddr, prot
        self.backing, self.count, self.stride = backing, count, stride

    def argument(self):
        text = f'iova={self.iova:#x},size={self.size},paddr={self.paddr:#x},prot={self.prot}'
        if self.backing:
            text += f',backing={self.backing}'
        return text + (f',count={self.count},stride={self.stride}' if self.count > 1 else '')

    def ranges(self):
        return [(self.iova + i * self.stride, self.size, self.paddr + i * self.size, self.prot)
                for i in range(self.count)]


def merged(maps, prots):
    """(iova, size, paddr, prot) of what adjoins in both addresses and allows the same."""
    out = []
    for iova, size, paddr, prot in sorted(r for m in maps for r in m.ranges()):
        prot = prots[prot]
        if out and (out[-1][0] + out[-1][1], out[-1][2] + out[-1][1], out[-1][3]) == \
                (iova, paddr, prot):
            out[-1] = (out[-1][0], out[-1][1] + size, *out[-1][2:])
        else:
            out.append((iova, size, paddr, prot))
    return out


def random_maps(rng, granule, last):
    """Apart from or next to each other; some continue each other's memory."""
    maps, at, paddr = [], 0, granule
    while len(maps) < 12:
        if rng.randrange(3):
            at += granule << rng.randrange(20)
        align = granule << rng.randrange(20)
        at = (at + align - 1) & -align
        size = granule * rng.randrange(1, 40) << rng.choice([0, 0, 3, 7, 9, 10, 13])
        size = min(size, 1 << 35)
        count = rng.choice([1, 1, 1, 7])
        stride = size + granule * rng.choice([0, 1, 64, 512])
        if rng.randrange(3):
            paddr = (rng.randrange(1, 1 << 12) << 26) + rng.choice([0, at % (1 << 26), granule])
        backing = rng.choice([0, 0, granule, granule << 2])
        # Not too many tables: pages of a fifth of a million at most.
        if (size // min(backing or granule << 9, size)) * count > 20000:
            backing = 0
        if at + stride * count - 1 > last:
            break
        maps.append(Map(at, size, paddr, rng.choice(['rw', 'r', 'rw', 'w']), backing, count,
                        stride))
        at += stride * (count - 1) + size
        paddr += size * count
    top = last + 1 - granule
    if maps and top > at:
        maps.append(Map(top, granule, 5 * granule, 'rw'))
    return maps or [Map(0, granule, granule, 'rw')]


def make(form, width, maps, base):
    path = DIRECTORY / 'tables.img'
    path.unlink(missing_ok=True)
    made = answer('image', *form.args, '--address-width', width, '--base', hex(base), '--out',
                  path, *[word for m in maps for word in ('--map', m.argument())])
    return made, path


def walk_args(made, path):
    return ['walk', '--iommu', made['format'], '--granule', made['granule'], '--address-width',
            made['address_width'], '--levels', made['level_count'], '--root', made['root'], '--base',
            made['base'], '--image', path]


def effective_prots(form, width):
    """What of rw, r and w a format can tell apart."""
    prots = {}
    for prot in 'rw', 'r', 'w':
        made, path = make(form, width, [Map(0, form.granule, 0, prot)], 1 << 20)
        listed = answer(*walk_args(made, path))
        prots[prot] = listed['ranges'][0]['prot'][:2]
    return prots


def check_addresses(name, rng, made, path, maps, prots):
    ranges = [r for m in maps for r in m.ranges()]
    for iova, size, paddr, prot in rng.sample(ranges, min(2, len(ranges))):
        offset = rng.randrange(size)
        found = answer(*walk_args(made, path), '--iova', hex(iova + offset))
        same(f'{name}: {iova + offset:#x}',
             (found.get('fault'), found.get('paddr'), found.get('prot', '')[:2]),
             ('none', paddr + offset, prots[prot]))
    hole = max(iova + size for iova, size, *_ in ranges if (iova + size) >> 25 == iova >> 25
               ) if any((iova + size) >> 25 == iova >> 25 for iova, size, *_ in ranges) else None
    if hole is not None and not any(iova <= hole < iova + size for iova, size, *_ in ranges):
        found = answer(*walk_args(made, path), '--iova', hex(hole), status=1)
        same(f'{name}: {hole:#x} is a hole', found.get('fault'), 'not present')


def round_trip(form, width, prots, rng):
    name = form.name(width)
    last = form.aperture_last(width)
    maps = random_maps(rng, form.granule, last)
    made, path = make(form, width, maps, rng.randrange(1, 1 << 10) << 20)
    same(f'{name}: keys', list(made), IMAGE_KEYS)
    if not made:
        return
    same(f'{name}: values', (made['format'], made['granule'], made['address_width'],
                             made['size']),
         (form.family, form.granule, width, path.stat().st_size))
    listed = answer(*walk_args(made, path))
    found = [(r['iova'], r['size'], r['paddr'], r['prot'][:2]) for r in listed.get('ranges', [])]
    expected = merged(maps, prots)
    passed = found == expected
    ok(f'{name}: what was mapped is what is found', passed,
       '\n'.join([f'--map {m.argument()}' for m in maps] +
                 [str(pair) for pair in zip(found, expected) if pair[0] != pair[1]]))
    same(f'{name}: pages add up', [sum(p['size'] * p['count'] for p in r['pages'])
                                   for r in listed.get('ranges', [])], [r[1] for r in found])
    check_compact(name, form, made, listed, maps)
    check_addresses(name, rng, made, path, maps, prots)


def check_compact(name, form, made, listed, maps):
    """The tables and nothing else; objects of a slab may leave a little between them."""
    # A top table of a few items takes a page all the same.
    least = 1 if form.family == 's390' else form.granule
    tables = sum(max(level['bytes'], level['tables'] * least) for level in listed['levels'])
    holes = 1 - tables / made['size']
    if holes:
        print(f'# {name}: {holes:.1%} of {made["size"]} bytes are not tables')
    ok(f'{name}: compact', tables == made['size'] or
       (form.family == 's390' and (holes < 0.1 or made['size'] < 256 * K)),
       f'{made["size"]} bytes for {tables} of tables')
    if form.family != 'amdv1':
        same(f'{name}: the top table is first', made['root'], made['base'])
    if all(m.backing and not (m.iova | m.paddr | m.size) % m.backing for m in maps):
        sized = run('size', *form.args, '--address-width', made['address_width'], '--json',
                    *[word for m in maps for word in
                      ('--map', re.sub(',(paddr|prot)=[^,]*', '', m.argument()))])
        sized = json.loads(sized.stdout)
        same(f'{name}: as size says', tables,
             sized['table_bytes'] + max(sized['top_bytes'], least))


def sizes(form):
    """Pieces of one size each: the tables are those that `size` counts."""
    width = form.widths[-1]
    for backing in form.granule, form.granule << 4, 2 * M, 512 * M:
        if backing < form.granule or (SANITIZED and backing != 2 * M):
            continue
        maps = [Map(backing * 3, backing * 5, 8 * backing, 'rw', backing),
                Map(backing * 40, backing, backing, 'r', backing, 3, backing * 9)]
        made, path = make(form, width, maps, 64 * M)
        listed = answer(*walk_args(made, path)) if made else {}
        name = f'{form.name(width)}, pieces of {backing // K}K'
        if listed:
            check_compact(name, form, made, listed, maps)
        ok(f'{name}: no page is larger', listed and
           all(page['size'] <= backing for page in listed['pages']), listed.get('pages'))


def all_formats():
    print(f'# seed {SEED}')
    seen = []
    for form in formats():
        seen.append(form.family)
        rng = random.Random(f'{SEED} {form.family} {form.granule}')
        widths = {form.widths[0], form.widths[-1], 48, 39} & set(form.widths)
        widths |= set(rng.sample(form.widths, min(len(form.widths), 3)))
        if SANITIZED:
            widths = set(rng.sample(form.widths, 1))
        prots = effective_prots(form, form.widths[-1])
        for width in sorted(widths):
            round_trip(form, width, prots, rng)
        sizes(form)
    ok('formats', {'vtd', 'x86_64', 'amdv1'} <= set(seen), seen)


def defaults():
    """What is not given: identity, rw, the largest pages, the default width."""
    path = DIRECTORY / 'default.img'
    made = answer('image', '--iommu', 'vtd', '--map', 'iova=1G,size=2G', '--map',
                  'iova=4G,size=4K,count=2,stride=2M', '--base', '3M', '--out', path)
    same('defaults', [made[key] for key in IMAGE_KEYS],
         ['vtd', 3 * M, 3 * M, 5 * 4096, 4, 4096, 48])
    listed = answer('walk', '--iommu', 'vtd', '--root', '3M', '--base', '3M', '--image', path)
    same('defaults: ranges', [(r['iova'], r['size'], r['paddr'], r['prot'], r['pages'])
                              for r in listed['ranges']],
         [(G, 2 * G, G, 'rw-', [{'size': G, 'count': 2}])] +
         [(at, 4096, at, 'rw-', [{'size': 4096, 'count': 1}]) for at in (4 * G, 4 * G + 2 * M)])
    made = answer('image', '--iommu', 'vtd', '--base', 0, '--out', path)
    same('nothing mapped: one table', made['size'], 4096)
    done = run('image', '--iommu', 'vtd', '--map', 'iova=0,size=2G', '--base', '1G', '--out', path)
    for pattern in r'root +0x40000000', r'size +8192 bytes', r'(?m)^ *2 +1 +4096 +2$':
        ok(f'text: {pattern}', re.search(pattern, done.stdout), done.stdout + done.stderr)


VTD = ('image', '--iommu', 'vtd', '--base', '1M', '--out', '/dev/null')
MAP = 'iova=0,size=4K'

# Arguments, and what the one line must say.
BAD = [
    (('image',), 'iommu'),
    (('image', '--iommu', 'nvme'), 'nvme', 'vtd'),
    (('image', '--iommu', 'mock', '--base', '0', '--out', '/dev/null'), 'mock'),
    (('image', '--iommu', 'vtd', '--out', '/dev/null'), 'base', 'missing'),
    (('image', '--iommu', 'vtd', '--base', '0'), 'out', 'missing'),
    ((*VTD, '--granule', '64K'), '64K', '4K'),
    ((*VTD, '--address-width', '40'), '40', '39'),
    ((*VTD, '--map', MAP + ',prot=x'), "'x'", 'rw'),
    ((*VTD, '--map', MAP + ',paddr=5K'), 'paddr', '0x1400', '4K'),
    ((*VTD, '--map', MAP + ',paddr=1,paddr=2'), 'twice'),
    ((*VTD, '--map', MAP + ',paddr=0xfffffffffffff000,count=2,stride=4K'), 'paddr', '64-bit'),
    ((*VTD, '--map', MAP + ',paddr=0x10000000000000'), '0x10000000000000', 'vtd'),
    ((*VTD, '--map', MAP, '--map', MAP), 'overlaps'),
    ((*VTD, '--map', 'iova=256T,size=4K'), '0xffffffffffff'),
    ((*VTD, '--map', 'iova=0,size=5K'), '5K', '4K'),
    ((*VTD[:3], '--base', '0xfffffff000000', '--out', '/dev/null', '--map',
      'iova=0,size=128T,backing=4K'), 'more than 16.00 MiB', 'backing'),
    ((*VTD[:3], '--base', '100', '--out', '/dev/null'), '0x64', '4K'),
    ((*VTD[:3], '--base', '4P', '--out', '/dev/null'), '0x10000000000000', '52'),
    ((*VTD[:3], '--base', '0xfffffffffff000', '--out', '/dev/null'), '0xfffffffffff000'),
    ((*VTD, 'extra'), 'extra'),
    (('size', '--iommu', 'vtd', '--map', MAP + ',prot=r'), 'prot'),
]


def total_of(*args, granule=1):
    """What `uiommu size` says of the same mappings: it makes no tables. In an image the
    top table has pages of its own."""
    size = json.loads(run('size', *args, '--json').stdout)
    return size['table_bytes'] + -(-size['top_bytes'] // granule) * granule


def parts():
    """A large mapping is made in parts, which must not show: as counted in closed form."""
    path = DIRECTORY / 'parts.img'
    for form in formats():
        if form.family == 's390': # whose images have gaps
            continue
        for distance in 64 * K, 2 * M, 32 * M, 512 * M, G, 2 * G:
            width = 48 if 48 in form.widths else form.widths[-1]
            place = [*form.args, '--address-width', width]
            mapping = f'iova=0,size={5 * G + 512 * M}'
            made = answer('image', *place, '--base', '1M', '--out', path, '--map',
                          f'{mapping},paddr={distance}')
            same(f'{form.name(width)}: memory that is {distance // K} KiB away', made.get('size'),
                 total_of(*place, '--map', f'{mapping},backing={distance}', granule=form.granule))


    made = answer('image', '--iommu', 'amdv1', '--base', '1M', '--out', path, '--map',
                  f'iova=0,size={5 * G + 512 * M},paddr=2G')
    listed = answer('walk', '--iommu', 'amdv1', '--root', made['root'], '--base', '1M', '--image', path)
    same('pages that are larger than a part', listed['pages'],
         [{'size': size, 'count': count} for size, count in ((2 * G, 2), (G, 1), (512 * M, 1))])


def up_to_the_end(rng):
    """Tables that just fit below the end of physical addresses, and that do not by a page."""
    path = DIRECTORY / 'end.img'
    for family, end in ('vtd', 1 << 52), ('x86_64', 1 << 52), ('amdv1', 1 << 52), ('riscv64', 1 << 56):
        for _ in range(4 if SANITIZED else 12):
            size, backing = rng.choice([(4 * K, 0), (96 * K, 4 * K), (6 * M, 2 * M), (3 * M, 0)])
            iova = rng.randrange(1 << 20) * 4 * K
            mapping = f'iova={iova},size={size}'
            if backing:
                mapping += f',backing={backing}'
            if rng.randrange(2):
                mapping += f',paddr={rng.randrange(1 << 20) * rng.choice([4 * K, 2 * M])}'
            count = rng.choice([1, 3, 40, 5000])
            if count > 1:
                mapping += f',count={count},stride={size + 4 * K * rng.choice([0, 1, 512, 1000])}'
            args = ['image', '--iommu', family, '--map', mapping, '--out', path, '--base']
            total = answer(*args, 0).get('size', 0)
            fits, beyond = run(*args, end - total), run(*args, end - total + 4096)
            ok(f'{family}: {mapping}: up to the end', total and fits.returncode == 0 and
               beyond.returncode == 2 and beyond.stderr.count('\n') == 1 and
               f'--base {end - total + 4096:#x}: ' in beyond.stderr and 'more than' in beyond.stderr,
               f'{total} {fits} {beyond}')


def too_large():
    """Refused before anything is made, and for what it is."""
    path = DIRECTORY / 'large.img'
    path.write_text('old')
    machine = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    five = ['--iommu', 'x86_64', '--address-width', 57]
    for args, mapping, counted in (
            (['--iommu', 'vtd'], 'iova=0,size=100T,backing=4K', None),
            (five, 'iova=0,size=32P,paddr=4K', 'iova=0,size=32P'),
            (five, 'iova=0,size=32P,paddr=2M', 'iova=0,size=32P,backing=2M'),
            (five, 'iova=0,size=4K,count=1000000000,stride=2M', None),
            (five, 'iova=0,size=4K,paddr=4G,count=1000000000,stride=2M',
             'iova=0,size=4K,count=1000000000,stride=2M'),
            (five, 'iova=0,size=2M,count=10000000,stride=1G', 'iova=0,size=2M,backing=2M,count=10000000,stride=1G')):
        total = total_of(*args, '--map', counted or mapping)
        command = ['image', *args, '--base', '1M', '--out', path, '--map', mapping]
        if total <= machine:
            ok(f'too large: {mapping} # SKIP this machine is larger', True)
            continue
        with subprocess.Popen([COMMAND, *map(str, command)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as child:
            said = child.stderr.read()
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        ok(f'too large: {mapping}', child.returncode == 1 and said.count('\n') == 1 and
           'out of memory: ' in said and '--base' not in said and
           f'take {total / G:.2f} GiB' in said.replace(f'{total / T:.2f} TiB', f'{total / G:.2f} GiB'),
           f'{child.returncode} {total} {said}')
        ok(f'too large: {mapping}: nothing was made', SANITIZED or used.ru_maxrss < 100 * K,
           used.ru_maxrss)
    same('the old file is there', path.read_text(), 'old')
    if SANITIZED:
        return
    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (300 * M, 300 * M))
    for size, good in ('2G', True), ('256G', False):
        done = subprocess.run([COMMAND, 'image', '--iommu', 'vtd', '--base', '1M', '--out', path, '--map',
                               f'iova=0,size={size},backing=4K'], preexec_fn=limited,
                              capture_output=True, text=True)
        ok(f'little address space: {size}', good == (not done.returncode) and
           (good or (done.returncode == 1 and done.stderr == 'uiommu image: out of memory\n')), done)


def progress():
    """On a terminal, when it takes longer than half a second."""
    path = DIRECTORY / 'progress.img'
    ours, theirs = pty.openpty()
    args = [COMMAND, 'image', '--iommu', 'vtd', '--base', '1M', '--out', str(path), '--map',
            f'iova=0,size={"4G" if SANITIZED else "64G"},backing=4K']
    start = time.monotonic()
    with subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=theirs) as child:
        os.close(theirs)
        shown = b''
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break
    took = time.monotonic() - start
    os.close(ours)
    path.unlink()
    bars = re.findall(rb'\r\x1b\[K\[(=*) *\] +(\d+) %  [\d,]+ (MiB mapped|tables checked|tables written)', shown)
    filled = [len(bar) for bar, _, what in bars if what == b'MiB mapped']
    ok('progress is shown', child.returncode == 0 and (bars or took < 1) and filled == sorted(filled) and
       (not bars or shown.endswith(b'\r\x1b[K')), shown[-300:])


def bad_input():
    for args, *words in BAD:
        done = run(*args)
        lines = done.stderr.splitlines()
        passed = (done.returncode == 2 and not done.stdout and len(lines) == 1 and
                  lines[0].startswith(f'uiommu {args[0]}: ') and
                  all(word in lines[0] for word in words))
        ok(f"refused: {' '.join(args)}", passed,
           f'status {done.returncode}\n{done.stdout}{done.stderr}\nexpected {words}')
    for path in '/nonexistent/file', '/dev/full':
        done = run('image', '--iommu', 'vtd', '--base', '1M', '--out', path, '--map', MAP)
        ok(f'cannot write {path}', done.returncode == 1 and path in done.stderr and
           not done.stdout, f'{done.returncode} {done.stderr}{done.stdout}')
    done = run('image', '--help')
    for word in '--iommu', '--map', '--base', 'Examples:', 'paddr=':
        ok(f'help: {word}', done.returncode == 0 and word in done.stdout, done.stdout)


DIRECTORY.mkdir(parents=True, exist_ok=True)
for part in all_formats, defaults, parts, too_large, progress, bad_input:
    part()
up_to_the_end(random.Random(SEED))
print(f'1..{len(results)}')
sys.exit(not all(results))
