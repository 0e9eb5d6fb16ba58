#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu size, from outside: charges that a real kernel made, the JSON it prints,
a guest's memory, and one clear line for every kind of bad input.

Arguments: the command, the kernel's charges as CSV.
"""
import csv
import fractions
import json
import random
import re
import subprocess
import sys

COMMAND, CHARGES = sys.argv[1:3]
PAGE = 4096
KEYS = ['format', 'address_width', 'granule', 'domains', 'top_bytes', 'table_bytes', 'total_bytes',
        'tables', 'levels']
LEVEL_KEYS = ['level', 'tables', 'bytes', 'entries']
K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40

results = []


def ok(name, passed, why=''):
    results.append(passed)
    print(f"{'ok' if passed else 'not ok'} {len(results)} - {name}")
    if not passed:
        for line in str(why).splitlines():
            print('#', line)


def same(name, found, expected):
    ok(name, found == expected, f'found    {found}\nexpected {expected}')


def run(*args):
    return subprocess.run([COMMAND, 'size', *args], capture_output=True, text=True)


def size(*args):
    """The JSON answer, as a dict that keeps the order of keys."""
    done = run(*args, '--json')
    if done.returncode or done.stderr:
        print(f'# {args}: {done.returncode} {done.stderr}')
        return {'levels': []}
    return json.loads(done.stdout)


def charges():
    """Every row: what the kernel charged is what we say."""
    with open(CHARGES) as lines:
        rows = list(csv.DictReader(line for line in lines if line[0] != '#'))
    ok('the kernel\'s charges have rows', len(rows) >= 6)
    for row in rows:
        spec = 'iova={iova},size={length},backing={backing},count={count},stride={stride}'
        answer = size('--iommu', row['iommu'], '--address-width', row['address_width'],
                      '--map', spec.format(**row))
        name = f"{row['iommu']} {row['case']} {row['length']}"
        same(f'{name}: charged by mapping', answer.get('table_bytes'),
             int(row['map_sec_pages']) * PAGE)
        same(f'{name}: allocated with the domain', answer.get('top_bytes'),
             int(row['attach_nr']) * PAGE)


def schema():
    answer = size('--iommu', 'vtd', '--map', 'iova=0,size=3G')
    same('keys', list(answer), KEYS)
    same('keys of a level', [list(level) for level in answer['levels']], [LEVEL_KEYS] * 4)
    same('values', [answer[key] for key in KEYS[:-1]],
         ['vtd', 48, PAGE, 1, PAGE, 1540 * PAGE, 1541 * PAGE, 1541])
    same('levels', [[level[key] for key in LEVEL_KEYS] for level in answer['levels']],
         [[0, 1536, 1536 * PAGE, 786432], [1, 3, 3 * PAGE, 0], [2, 1, PAGE, 0], [3, 1, PAGE, 0]])
    many = size('--iommu', 'vtd', '--map', 'iova=0,size=3G', '--domains', '1000')
    for key in KEYS[3:-1]:
        same(f'1000 domains: {key}', many[key], 1000 * answer[key])
    same('1000 domains: levels', [level['bytes'] for level in many['levels']],
         [1000 * level['bytes'] for level in answer['levels']])
    same('no maps', size('--iommu', 'amdv1')['total_bytes'], PAGE)


UNITS = {'': 1, 'B': 1, **{letter + end: base ** (power + 1)
                           for power, letter in enumerate('KMGTPE')
                           for end, base in (('', 1024), ('i', 1024), ('iB', 1024), ('B', 1000))}}


def units():
    """Sizes of random spelling, as exact fractions say they are."""
    random.seed(64.5)
    for unit, factor in UNITS.items():
        for digits in 0, 1, 3, 12, 25:
            number = str(random.randrange(3)) if factor >= 1 << 50 else str(random.randrange(900))
            if digits:
                number += '.' + ''.join(random.choices('0123456789', k=random.randrange(1, 4)))
                number = number.ljust(digits + number.index('.') + 1, '0')
            text = number + random.choice((unit, unit.lower(), unit.upper()))
            exact = fractions.Fraction(number) * factor
            done = run(*VTD, '--map', f'iova={text},size=4K', '--address-width', '57', '--json')
            if exact.denominator != 1:
                passed = done.returncode == 2 and f"'{text}' is not a whole number of bytes" in \
                    done.stderr
            elif exact % PAGE:
                passed = done.returncode == 2 and f'iova {int(exact):#x} is not' in done.stderr
            elif exact >= 1 << 57:
                passed = done.returncode == 2 and 'last address of vtd' in done.stderr
            else:
                passed = done.returncode == 0
            ok(f'a size: {text}', passed, f'{exact}\n{done.stdout}{done.stderr}')
    same('64.5G are 64.5 GiB', leaves(*VTD, '--map', 'iova=0,size=64.5G,backing=1G'),
         [0, 256, 64, 0])
    same('64.512MB are whole pages', leaves(*VTD, '--map', 'iova=0,size=64.512MB'),
         [15750, 0, 0, 0])


def defaults():
    for iommu, width, levels in ('vtd', 48, 4), ('x86_64', 48, 4), ('amdv1', 64, 3):
        answer = size('--iommu', iommu)
        same(f'{iommu}: default width', answer.get('address_width'), width)
        same(f'{iommu}: levels', len(answer['levels']), levels)
    for width, levels in (39, 3), (48, 4), (57, 5):
        same(f'vtd: levels of {width} bits',
             len(size('--iommu', 'vtd', '--address-width', str(width))['levels']), levels)


def tables(*args):
    return [level['tables'] for level in size(*args)['levels']]


def leaves(*args):
    return [level['entries'] for level in size(*args)['levels']]


def layouts():
    """By hand: formats, leaf sizes, numbers and their notations."""
    same('leaves of 1G, 2M and 4K',
         leaves('--iommu', 'vtd', '--map', 'iova=4G,size=0xc0601000,backing=1G'), [1, 3, 3, 0])
    same('alignment limits leaves',
         leaves('--iommu', 'vtd', '--map', 'iova=4098M,size=2G,backing=1G'), [0, 1024, 0, 0])
    # Every other repetition begins at a multiple of 2M.
    same('a stride limits leaves too',
         leaves('--iommu', 'vtd', '--map', 'iova=0,size=4M,backing=2M,count=512,stride=5M'),
         [256 * 1024, 256 * 2, 0, 0])
    same('and in another way each',
         leaves('--iommu', 'amdv1', '--map', 'iova=0,size=16K,backing=16K,count=4,stride=20K'),
         [1 + 4 + 2 + 4, 0, 0])
    same('64K pages are one entry in amdv1',
         leaves('--iommu', 'amdv1', '--map', 'iova=0,size=1M,backing=64k'), [16, 0, 0])
    same('and sixteen in vtd',
         leaves('--iommu', 'vtd', '--map', 'iova=0,size=1M,backing=64k'), [256, 0, 0, 0])
    same('amdv1 grows', tables('--iommu', 'amdv1', '--map', 'iova=0x8000000000,size=4K'),
         [1, 1, 1, 1])
    same('amdv1 grows to the last byte',
         tables('--iommu', 'amdv1', '--map', 'iova=0xfffffffffffff000,size=4K'), [1] * 6)
    same('what was there before it grew stays',
         tables('--iommu', 'amdv1', '--map', 'iova=0,size=4K', '--map',
                'iova=0x8000000000,size=4K'), [2, 2, 2, 1])
    same('tables are shared',
         tables('--iommu', 'vtd', '--map', 'iova=0,size=4K,count=256,stride=4K', '--map',
                'iova=1M,size=4K,count=3,stride=512K'), [2, 1, 1, 1])
    same('10^12 pages', tables('--iommu', 'amdv1', '--map',
                               'iova=0,size=4K,count=1000000000000,stride=8M')[0], 10**12)
    same('strides that interleave', tables('--iommu', 'amdv1', '--map',
         'iova=0,size=4K,count=100000000000,stride=4M', '--map',
         'iova=4096,size=4K,count=100000000000,stride=6M')[0], 2 * 10**11 - 66666666667 // 2 - 1)


def formats():
    """Those whose tables are not of 512 items, by hand."""
    gib = ('--map', 'iova=0,size=1G')
    for args, top, counts in (
            (('arm64-s1',), 4096, [512, 1, 1, 1]),
            (('arm64-s1', '--granule', '16K'), 4096, [32, 1, 1, 1]),
            (('arm64-s1', '--granule', '64K'), 4096, [2, 1, 1]),
            (('arm64-s1', '--granule', '64K', '--address-width', '52'), 8192, [2, 1, 1]),
            (('arm64-s1', '--granule', '64K', '--address-width', '36'), 4096, [2, 1]),
            (('arm64-s2', '--address-width', '39'), 4096, [512, 1, 1]),
            (('arm64-s2', '--address-width', '40'), 8192, [512, 1, 1]),
            (('arm64-s2', '--address-width', '43'), 65536, [512, 1, 1]),
            (('arm64-s2', '--address-width', '44'), 4096, [512, 1, 1, 1]),
            (('arm64-s2', '--granule', '16K', '--address-width', '48'), 32768, [32, 1, 1]),
            (('riscv64',), 4096, [512, 1, 1, 1]),
            (('riscv64', '--address-width', '41'), 16384, [512, 1, 1]),
            (('s390',), 16384, [1024, 1, 1])):
        answer = size('--iommu', *args, *gib)
        same(f'{" ".join(args)}: tables', [level.get('tables') for level in answer['levels']],
             counts)
        same(f'{" ".join(args)}: top', answer.get('top_bytes'), top)
    same('s390: page tables of 2K, segment tables of 16K',
         [level['bytes'] for level in size('--iommu', 's390', *gib)['levels']],
         [1024 * 2048, 16384, 16384])
    same('64K granule: tables of 64K', size('--iommu', 'arm64-s1', '--granule', '64K',
                                            *gib)['table_bytes'], 3 * 65536)
    same('a name of its own', size('--iommu', 'arm64-s1-64k', *gib),
         size('--iommu', 'arm64-s1', '--granule', '64K', *gib))
    same('granule', [size('--iommu', 'arm64-s2', '--granule', granule).get('granule')
                     for granule in ('4K', '16k', '65536')], [4096, 16384, 65536])
    same('contiguous runs are one entry', leaves(
        '--iommu', 'arm64-s1', '--map', 'iova=0,size=34M,backing=64M'), [0, 2, 0, 0])
    same('and so is Svnapot', leaves('--iommu', 'riscv64', '--map',
                                     'iova=64K,size=68K,backing=64K'), [2, 0, 0, 0])
    guest = size('--iommu', 'arm64-s2', '--granule', '64K', '--guest', '4G')['guest']
    same('a guest lies in pages of the granule', guest['backing'], 65536)


def text():
    done = run('--iommu', 'vtd', '--map', 'iova=0,size=1G', '--domains', '2')
    for pattern in (r'allocated with the domains +8192 bytes', r'allocated by mapping +4210688 ',
                    r'total +4218880 ', r'(?m)^ *0 +1024 +4194304 +524288$'):
        ok(f'text: {pattern}', re.search(pattern, done.stdout), done.stdout + done.stderr)
    for args, heads in (([], ['one domain:']),
                        (['--devices', '2'], ['one domain that the devices share:',
                                              'one domain per device (2):']),
                        (['--domains', '3'], ['one domain:'])):
        done = run('--iommu', 'vtd', '--guest', '4G', *args)
        same(f'text: a guest {args}', re.findall('(?m)^one domain.*', done.stdout), heads)
        ok(f'text: whether the table is for other domains {args}',
           ('for 3 domains (--domains)' in done.stdout) == ('--domains' in args), done.stdout)
    done = run('--help')
    for word in '--iommu', '--map', '--guest', 'Examples:', 'memory.max':
        ok(f'help: {word}', done.returncode == 0 and word in done.stdout, done.stdout)


def guests():
    answer = size('--iommu', 'vtd', '--guest', '64G', '--devices', '3')
    same('guest: keys', list(answer), KEYS + ['guest'])
    # 2G low and 62G high: a table for every 2M and 1G, three of level 2 and 3.
    same('guest: tables', answer['tables'], 32768 + 64 + 1 + 1)
    guest = answer['guest']
    same('guest: shared', [guest['shared'][key] for key in ('domains', 'memory_max_add', 'memlock')],
         [1, answer['total_bytes'], 65 * G])
    same('guest: per device',
         [guest['per_device'][key] for key in ('domains', 'memory_max_add', 'memlock')],
         [3, 3 * answer['total_bytes'], (3 * 64 + 1) * G])
    # The first 2M are mapped around the VGA hole, by pages.
    same('guest of 2M pages: leaves',
         leaves('--iommu', 'vtd', '--guest', '64G,backing=2M'), [512 - 32, 32767, 0, 0])
    same('guest of 1G pages: leaves',
         leaves('--iommu', 'vtd', '--guest', '64G,backing=1G'), [512 - 32, 511, 63, 0])
    small = 0xb0000000 - 4096
    same('guest below the split: leaves', leaves('--iommu', 'vtd', '--guest', hex(small)),
         [small // PAGE - 32, 0, 0, 0])
    same('guest below the split: one range', tables('--iommu', 'vtd', '--guest', hex(small)),
         [1408, 3, 1, 1])
    same('guest at the split: two ranges', tables('--iommu', 'vtd', '--guest', '0xb0000000'),
         [1408, 3, 1, 1])
    same('guest at the split, amdv1', tables('--iommu', 'amdv1', '--guest', '0xb0000000'),
         [1408, 3, 1])
    done = run('--iommu', 'vtd', '--guest', '64G', '--devices', '2')
    ok('guest: text', 'memory.max' in done.stdout and '129.00 GiB' in done.stdout, done.stdout)


VTD = ('--iommu', 'vtd')


def one_map(spec):
    return (*VTD, '--map', spec)


# Arguments, and what the one line must say.
BAD = [
    ((), 'iommu'),
    (('--iommu', 'nvme'), 'nvme', 'vtd', 'x86_64', 'amdv1'),
    (('--iommu', 'mock'), 'mock', 'vtd'),
    ((*VTD, '--granule', '16K'), '16K', 'vtd has 4K'),
    ((*VTD, '--granule', 'large'), 'large'),
    ((*VTD, '--address-width', '40'), '40', '39', '48', '57'),
    (('--iommu', 'arm64-s1', '--granule', '8K'), '8K', '4K, 16K, 64K'),
    (('--iommu', 'arm64-s1-16k', '--granule', '64K'), '64K', '16K'),
    (('--iommu', 'arm64-s2', '--address-width', '49'), '49', '25 to 48'),
    (('--iommu', 'riscv64', '--address-width', '40'), '40', '39, 41, 48, 50, 57, 59'),
    (('--iommu', 's390', '--address-width', '48'), '48', '42, 53, 64'),
    (('--iommu', 'arm64-s1-64k', '--map', 'iova=0,size=4K'), '4K', '64K'),
    (('--iommu', 'arm64-s1-64k', '--guest', '4G,backing=4K'), 'backing', '64K'),
    (('--iommu', 'arm64-s1-64k', '--guest', '4100K'), '4100K', '64K'),
    (('--iommu', 'x86_64', '--address-width', '39'), '39', '48'),
    (('--iommu', 'amdv1', '--address-width', '65'), '65', '64'),
    ((*VTD, '--address-width', '0'), 'address-width', '0'),
    ((*VTD, '--address-width', 'wide'), 'wide'),
    ((*VTD, '--domains', '0'), 'domains', '0'),
    ((*VTD, '--domains', '-1'), '-1'),
    ((*VTD, '--domains', '18446744073709551615'), 'domains', '64 bits'),
    ((*VTD, '--devices', '2'), 'devices', 'guest'),
    ((*VTD, '--guest', '4G', '--devices', '0'), 'devices', '0'),
    ((*VTD, '--guest', '4G', '--devices', '9999999999999'), '9999999999999', '64 bits'),
    ((*VTD, '--guest', '0'), 'guest 0', '1M'),
    ((*VTD, '--guest', '4097K,backing=4K,backing=2M'), 'backing', 'twice'),
    ((*VTD, '--guest', '1025M1'), '1025M1'),
    ((*VTD, '--guest', '4G,iova=0'), 'iova'),
    ((*VTD, '--guest', '4G,backing=3M'), '3M', 'power of two'),
    ((*VTD, '--guest', '4G,backing=1K'), 'backing', '4K'),
    ((*VTD, '--guest', '4G', '--guest', '8G'), '8G', '4G'),
    ((*VTD, '--guest', '1P'), '1P', '48'),
    ((*VTD, '--guest', '4G', '--map', 'iova=1G,size=4K'), 'overlaps', '4G', 'iova=1G'),
    ((*VTD, '--frobnicate'), '--frobnicate'),
    ((*VTD, '-zq'), '-zq'),
    ((*VTD, '--map'), '--map'),
    ((*VTD, '--json=1'), '--json=1'),
    ((*VTD, 'extra'), 'extra'),
    ((*VTD, '--', 'extra'), 'extra'),
    (one_map(''), 'unknown key'),
    (one_map('iova=0'), 'size', 'missing'),
    (one_map('size=4K'), 'iova', 'missing'),
    (one_map('iova=0,size=0'), 'size 0', '4K'),
    (one_map('iova=0,size=5000'), '5000', '4K'),
    (one_map('iova=100,size=4K'), '0x64', '4K'),
    (one_map('iova=0,size=4K,'), 'unknown key'),
    (one_map('iova=0,size=4K,colour=red'), 'colour'),
    (one_map('iova=0,size=4K,s=1'), "'s'"),
    (one_map('iova=0,size'), "'size'"),
    (one_map('iova=0,size='), 'size'),
    (one_map('iova=0,iova=0,size=4K'), 'iova', 'twice'),
    (one_map('iova=0,size=4Q'), '4Q'),
    (one_map('iova=0,size=4KK'), '4KK'),
    (one_map('iova=0x,size=4K'), '0x'),
    (one_map('iova=0,size=0x10zz'), '0x10zz'),
    (one_map('iova=-4096,size=4K'), '-4096'),
    (one_map('iova= 0,size=4K'), "' 0'"),
    (one_map('iova=0,size=18446744073709551616'), '18446744073709551616', '64 bits'),
    (one_map('iova=0,size=16384P'), '16384P', '64 bits'),
    (one_map('iova=0,size=16E'), '16E', '64 bits'),
    (one_map('iova=0,size=18446744073709552KB'), '18446744073709552KB', '64 bits'),
    (one_map('iova=0,size=4.0001K'), '4.0001K', 'whole number of bytes'),
    (one_map('iova=0,size=4.K'), '4.K', 'not a size'),
    (one_map('iova=0,size=.5G'), '.5G', 'not a number'),
    (one_map('iova=0,size=0x1.8G'), '0x1.8G', 'not a size'),
    (one_map('iova=0,size=4GiBB'), '4GiBB', 'not a size'),
    (one_map('iova=0,size=1e3'), '1e3', 'not a size'),
    (one_map('iova=0,size=4K,backing=0'), 'backing', 'power of two'),
    (one_map('iova=0,size=4K,backing=6K'), '6K', 'power of two'),
    (one_map('iova=0,size=4K,backing=2K'), '2K', '4K'),
    (one_map('iova=0,size=4K,count=0,stride=4K'), 'count', '0'),
    (one_map('iova=0,size=4K,count=1K,stride=4K'), '1K'),
    (one_map('iova=0,size=4K,count=2'), 'stride'),
    (one_map('iova=0,size=4K,stride=4K'), 'count'),
    (one_map('iova=0,size=4K,count=2,stride=5000'), '5000', '4K'),
    (one_map('iova=0,size=8K,count=2,stride=4K'), 'overlaps itself'),
    (one_map('iova=0,size=4K,count=2,stride=0'), 'overlaps itself'),
    (one_map('iova=0xfffffffffffff000,size=8K'), '64-bit'),
    (one_map('iova=0,size=4K,count=18446744073709551615,stride=1P'), '64-bit'),
    (one_map('iova=0x1000000000000,size=4K'), '0xffffffffffff', '48'),
    (one_map('iova=0xfffffffff000,size=8K'), '0xffffffffffff', '48'),
    (('--iommu', 'x86_64', '--map', 'iova=0x800000000000,size=4K'), '0x7fffffffffff'),
    ((*one_map('iova=0,size=8K'), '--map', 'iova=4K,size=4K'), 'iova=0,size=8K',
     'iova=4K,size=4K', 'overlaps'),
    ((*one_map('iova=0,size=4K,count=1000000,stride=12288'), '--map',
      'iova=1G,size=4K,count=1000000,stride=20480'), 'stride=12288', 'stride=20480', 'overlaps'),
]


def bad_input():
    for args, *words in BAD:
        done = run(*args)
        lines = done.stderr.splitlines()
        passed = (done.returncode == 2 and not done.stdout and len(lines) == 1 and
                  lines[0].startswith('uiommu size: ') and all(word in lines[0] for word in words))
        ok(f"refused: {' '.join(args)}", passed,
           f'status {done.returncode}\n{done.stdout}{done.stderr}\nexpected {words}')
    for args in ['frobnicate'], ['--frobnicate'], []:
        done = subprocess.run([COMMAND, *args], capture_output=True, text=True)
        ok(f"refused: uiommu {' '.join(args)}",
           done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr)


def large():
    """In closed form: by a loop over pages, this would take days."""
    answer = size('--iommu', 'vtd', '--map', f'iova=0,size=100T')
    same('100 TiB: entries', answer['levels'][0]['entries'], 100 * T // PAGE)
    same('100 TiB: tables', answer['tables'], 100 * T // (2 * M) + 100 * T // G + 200 + 1)
    answer = size('--iommu', 'x86_64', '--address-width', '57', '--map', f'iova=0,size=64P')
    same('64 PiB: entries', answer['levels'][0]['entries'], 1 << 44)
    same('64 PiB: tables', answer['tables'], (1 << 35) + (1 << 26) + (1 << 17) + (1 << 8) + 1)
    ranges = [arg for i, stride in enumerate((0x3f8000, 0x408000, 0x418000, 0x428000))
             for arg in ('--map', f'iova={i * 4096},size=4K,count=10000000000,stride={stride}')]
    wide = ('--iommu', 'vtd', '--address-width', '57')
    same('three coprime strides, 10^10 each',
         size(*wide, *ranges[:6])['levels'][0]['entries'], 3 * 10**10)
    done = run(*wide, *ranges)
    ok('four coprime strides are refused', done.returncode == 2 and
       len(done.stderr.splitlines()) == 1 and 'interleave' in done.stderr and
       'stride=0x' not in done.stdout, done.stdout + done.stderr)


for part in charges, schema, units, defaults, layouts, formats, text, guests, bad_input, large:
    part()
print(f'1..{len(results)}')
sys.exit(not all(results))
