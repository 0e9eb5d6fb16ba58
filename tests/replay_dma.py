# SPDX-License-Identifier: MIT
"""
`uiommu replay` on traces of the DMA API: each event in the kernel's text and in
trace-cmd's, rounding, lists, bad lines, both kinds in one trace, and random
traces against a model that knows of every page.

Usage: replay_dma.py UIOMMU [SANITIZERS]
"""
import csv
import random
import sys
import tempfile

from replay_tap import Tap, Uiommu, head, map_line, unmap_line

SEED = 20261129
PAGE = 4096
NIC, DISK = '0000:00:04.0', '0000:00:05.0'
ERROR = (1 << 64) - 1


def numbers(values, style):
    """An array of a trace event: as tracefs prints it, or as trace-cmd does."""
    if style == 'trace-cmd':
        return ' '.join(str(v) for v in values)
    return '{' + ','.join('0x%x' % v for v in values) + '}'


def dma(event, device=NIC, dir='TO_DEVICE', style='tracefs', attrs='', **fields):
    """A line of a dma event. Fields that are lists are arrays, size is decimal."""
    text = head().rstrip(' ') + ' ' + event + ': ' + device + (' dir=' + dir if dir else '')
    for key, value in fields.items():
        if key == 'counts':
            text += ' ' + value
        elif isinstance(value, list):
            text += ' %s=%s' % (key, numbers(value, style))
        else:
            text += ' %s=%s' % (key, value if isinstance(value, str) or key == 'size'
                                else '%x' % value)
    return text + ('' if attrs is None else ' attrs=' + attrs) + '\n'


def map_page(iova, size, paddr, event='dma_map_page', **more):
    return dma(event, dma_addr=iova, size=size, phys_addr=paddr, **more)


def unmap_page(iova, size, event='dma_unmap_page', **more):
    return dma(event, dma_addr=iova, size=size, **more)


def map_sg(iovas, sizes, paddrs, counts='default', **more):
    if counts == 'default':
        counts = 'nents=%d/%d ents=%d/%d' % (len(paddrs), len(paddrs), len(iovas), len(iovas))
    fields = {'counts': counts} if counts else {}
    return dma('dma_map_sg', **fields, dma_addrs=iovas, sizes=sizes, phys_addrs=paddrs, **more)


def unmap_sg(paddrs, **more):
    return dma('dma_unmap_sg', phys_addrs=paddrs, **more)


# What the kernel itself prints: 6.12, 6.18 and later, and trace-cmd report of it.
EXACT = '''\
# tracer: nop
#
# entries-in-buffer/entries-written: 12/12   #P:2
          <idle>-0       [001] ..s1.   100.000001: dma_map_page: 0000:00:04.0 dir=FROM_DEVICE \
dma_addr=ffffe040 size=1536 phys_addr=102b040 attrs=
  kworker/0:1H-12      [000] .....   100.000002: dma_map_phys: 0000:00:04.0 dir=TO_DEVICE \
dma_addr=ffffb800 size=4096 phys_addr=102c800 attrs=SKIP_CPU_SYNC|WEAK_ORDERING
  kworker/0:1H-12      [000] .....   100.000003: dma_map_sg: 0000:00:05.0 dir=TO_DEVICE \
nents=3/3 ents=1/1 dma_addrs={0xfffd0000} sizes={0x3000} phys_addrs={0x5000,0x9000,0x7000} attrs=
          modprobe-77      [000] .....   100.000004: dma_map_sg: 0000:00:05.0 dir=TO_DEVICE \
dma_addrs={0xfffc0200,0xfffc1000} sizes={0x200,0x1000} phys_addrs={0x15200,0x19000} attrs=
          modprobe-77      [000] .....   100.000005: dma_alloc: 0000:00:05.0 dir=BIDIRECTIONAL \
dma_addr=ffe00000 size=65536 virt_addr=00000000deadbeef flags=GFP_KERNEL|__GFP_ZERO attrs=
          modprobe-77      [000] .....   100.000006: dma_alloc: 0000:00:05.0 dma_addr=ffdff000 \
size=100 phys_addr=418001f000 flags=GFP_ATOMIC attrs=
          modprobe-77      [000] .....   100.000007: dma_alloc_sgt: 0000:00:05.0 \
dir=BIDIRECTIONAL dma_addr=ffd00000 size=8192 phys_addrs={0x100000,0x300000} flags=GFP_KERNEL attrs=
          modprobe-77      [000] .....   100.000008: dma_map_resource: 0000:00:05.0 \
dir=BIDIRECTIONAL dma_addr=ffcff000 size=4 phys_addr=fee00000 attrs=PRIVILEGED
     modprobe-77    [000]   100.000009: dma_map_sg:           0000:00:05.0 dir=TO_DEVICE \
dma_addrs=4290772992 4290777088 sizes=4096 4096 phys_addrs=65536 131072 attrs=
        modprobe    77 [000]   100.000010:   dma:dma_unmap_phys: 0000:00:04.0 dir=TO_DEVICE \
dma_addr=ffffb800 size=4096 attrs=SKIP_CPU_SYNC|WEAK_ORDERING
'''

EXACT_ENDS = '''\
          modprobe-77      [000] .....   100.000011: dma_unmap_page: 0000:00:04.0 \
dir=FROM_DEVICE dma_addr=ffffe040 size=1536 attrs=
          modprobe-77      [000] .....   100.000012: dma_unmap_sg: 0000:00:05.0 dir=TO_DEVICE \
phys_addrs={0x5000,0x9000,0x7000} attrs=
          modprobe-77      [000] .....   100.000013: dma_unmap_sg: 0000:00:05.0 dir=TO_DEVICE \
phys_addrs={0x15200,0x19000} attrs=
          modprobe-77      [000] .....   100.000014: dma_free: 0000:00:05.0 dir=BIDIRECTIONAL \
dma_addr=ffe00000 size=65536 virt_addr=00000000deadbeef attrs=
          modprobe-77      [000] .....   100.000015: dma_free: 0000:00:05.0 dma_addr=ffdff000 \
size=100 phys_addr=418001f000 attrs=
          modprobe-77      [000] .....   100.000016: dma_free_sgt: 0000:00:05.0 \
dir=BIDIRECTIONAL dma_addr=ffd00000 size=8192 phys_addrs={0x100000,0x300000}
          modprobe-77      [000] .....   100.000017: dma_unmap_resource: 0000:00:05.0 \
dir=BIDIRECTIONAL dma_addr=ffcff000 size=4 attrs=PRIVILEGED
     modprobe-77    [000]   100.000018: dma_unmap_sg:         0000:00:05.0 dir=TO_DEVICE \
phys_addrs=65536 131072 attrs=
'''

# Each: a line that is no event, and what must be said of it.
BAD_LINES = [
    (map_page(0x1000, 0, 0x5000), 'size is 0'),
    (unmap_page(0x1000, 0), 'size is 0'),
    (map_page(ERROR - 10, 100, 0x5000), 'wraps'),
    (dma('dma_map_page', dma_addr=0x1000, size=64), 'expected phys_addr='),
    (dma('dma_map_page', dma_addr=0x1000, size=64, phys_addr=0x5000, attrs=None), 'cut off'),
    (dma('dma_map_page', dma_addr='0xzz', size=64, phys_addr=0x5000), 'expected dma_addr='),
    (dma('dma_map_page', dma_addr='1' + '0' * 16, size=64, phys_addr=0), 'expected dma_addr='),
    (dma('dma_map_page', dma_addr=0x1000, size='-4', phys_addr=0x5000), 'expected size='),
    (dma('dma_map_page', dma_addr=0x1000, size='99999999999999999999', phys_addr=0),
     'expected size='),
    (head() + 'dma_map_page: ' + NIC + '\n', 'cut off'),
    (head() + 'dma_map_page:\n', 'no device'),
    (head() + 'dma_map_page: dir=TO_DEVICE dma_addr=0 size=1 phys_addr=0 attrs=\n', 'no device'),
    (map_page(0x1000, 64, 0x5000)[:-1] + ' more\n', 'expected a field'),
    (map_sg([0x1000, 0x2000], [PAGE], [0x5000, 0x7000]), '2 dma_addrs, but 1 sizes'),
    (map_sg([0x1000, 0x2000], [PAGE, PAGE], [0x5000]), '2 dma_addrs for 1 phys_addrs'),
    (map_sg([0x1000], [0], [0x5000]), 'a size is 0'),
    (map_sg([], [], []), 'expected dma_addrs='),
    (dma('dma_map_sg', dma_addrs='{0x1000', sizes=[1], phys_addrs=[1]), 'expected dma_addrs='),
    (dma('dma_map_sg', dma_addrs='{0x1000,}', sizes=[1], phys_addrs=[1]), 'expected dma_addrs='),
    (dma('dma_unmap_sg', phys_addrs='{0x1000,0x2', attrs=None), 'expected phys_addrs='),
    (dma('dma_free_sgt', dma_addr=0x1000, size=64, attrs=None), 'cut off'),
    ('dma_map_page: x dir=NONE dma_addr=0 size=1 phys_addr=0 attrs=\n', 'no time stamp'),
    ('dd-1 000 ..... 1.0: dma_map_page: x dir=NONE dma_addr=0 size=1 phys_addr=0 attrs=\n',
     'no [CPU]'),
    ('dd [000] ..... 1.0: dma_map_page: x dir=NONE dma_addr=0 size=1 phys_addr=0 attrs=\n',
     'no TASK-PID'),
]

# What says that nothing was mapped, and events that map nothing.
OTHER_LINES = [
    map_page(ERROR, 64, 0x5000),
    dma('dma_alloc', dma_addr=0, size=64, virt_addr='0000000000000000', flags='GFP_KERNEL'),
    dma('dma_alloc', dma_addr=0, size=64, virt_addr='(nil)', flags='GFP_KERNEL'),
    dma('dma_alloc_sgt_err', dma_addr=0, size=64, virt_addr='0000000000000000', flags='0'),
    dma('dma_map_sg_err', dma_addrs=[0x5000], err='-12'),
    dma('dma_sync_single_for_cpu', dma_addr=0x1000, size=64, attrs=None),
    dma('dma_sync_sg_for_device', dma_addrs=[0x1000], sizes=[64], attrs=None),
    head() + 'dma_fence_init: driver=i915 timeline=x context=1 seqno=1\n',
]


def check_exact(tap, uiommu):
    result = uiommu.text(EXACT, '--json')
    report = result.json
    tap.ok(result.status == 0 and report['bad_lines'] == 0 and report['other_lines'] == 3 and
           not result.err, 'the kernel\'s own text: no bad line', result)
    tap.equal((report['source'], report['events']['map'], report['events']['unmap']),
              ('dma', 9, 1), 'the kernel\'s own text: events')
    tap.equal((report['domains'], report['unmatched'], report['failed']['total']), (2, 0, 0),
              'a domain for each device, nothing is left over')
    # 1; 3 + 2 + 16 + 1 + 2 + 1 + 2
    tap.equal([(d['name'], d['mapped_bytes']['now'] // PAGE) for d in report['devices']],
              [(NIC, 1), (DISK, 27)], 'whole pages around what was asked for')
    report = uiommu.text(EXACT + EXACT_ENDS, '--json').json
    tap.equal((report['mapped_bytes']['now'], report['unmatched'], report['failed']['total'],
               report['cut'], report['bad_lines'], report['events']['unmap']), (0, 0, 0, 0, 0, 9),
              'and each unmap takes away what was mapped')
    text = uiommu.text(EXACT).out
    tap.ok('Domains, one per device' in text and NIC in text and 'inferred' not in text,
           'the text says whose the domains are', text)
    everywhere = uiommu.text(EXACT, '--json', '--iommu', 'all').json
    tap.ok(everywhere['domains'] == 2 and len(everywhere['formats']) > 3 and
           all(f['mapped_bytes']['now'] == 28 * PAGE for f in everywhere['formats']
               if not f['failed']['page']['events']), 'on every format', everywhere['formats'])


def check_bad_lines(tap, uiommu):
    good = map_page(0xfff0000, 100, 0x7000)
    for line, why in BAD_LINES:
        result = uiommu.text('# one\n' + line + good, '--json')
        messages = result.err.splitlines()
        tap.ok(result.status == 0 and len(messages) == 1 and why in messages[0] and
               'standard input:2: ' in messages[0] and result.json['bad_lines'] == 1 and
               result.json['events']['total'] == 1,
               'bad line %r: %s' % (line.strip()[45:100], why), result)
    result = uiommu.text(''.join(OTHER_LINES) + good, '--json')
    tap.equal((result.json['other_lines'], result.json['bad_lines'],
               result.json['events']['total']), (len(OTHER_LINES), 0, 1),
              'what failed in the kernel, and what maps nothing, is another line')
    task = good.replace('              dd-', ' dma_map_page: x-')
    tap.equal(uiommu.text(task, '--json').json['events']['total'], 1, 'a task may be called so')
    for cut in range(1, len(good) - 1):
        result = uiommu.text(good[:-1 - cut] + '\n' + good, '--json')
        if result.status or result.json['mapped_bytes']['now'] != PAGE:
            tap.ok(False, 'a line cut by %d' % cut, result)
            break
    else:
        tap.ok(True, 'a line that is cut off anywhere maps nothing else')


def check_rounding(tap, uiommu):
    for offset, size, pages in ((0, 1, 1), (0, PAGE, 1), (0, PAGE + 1, 2), (1, PAGE, 2),
                                (4095, 1, 1), (4095, 2, 2), (2048, 6 * PAGE, 7)):
        iova, paddr = 0x700000 + offset, 0x12345000 + offset
        report = uiommu.text(map_page(iova, size, paddr), '--json').json
        tap.equal(report['mapped_bytes']['now'], pages * PAGE,
                  '%d bytes from %d on are %d pages' % (size, offset, pages))
        report = uiommu.text(map_page(iova, size, paddr) + unmap_page(iova, size), '--json').json
        tap.equal((report['mapped_bytes']['now'], report['unmatched']), (0, 0), 'and go again')
    top = uiommu.text(map_page((1 << 64) - 100, 100, 0x5000), '--json')
    tap.equal(top.json['failed']['iova']['events'], 1, 'the last page of all is only too high')


def check_lists(tap, uiommu):
    for style in 'tracefs', 'trace-cmd':
        lists = map_sg([0x10000, 0x11000], [PAGE, PAGE], [0x5000, 0x9000], style=style)
        report = uiommu.text(lists + unmap_sg([0x5000, 0x9000], style=style), '--json').json
        tap.equal((report['mapped_bytes']['peak'], report['mapped_bytes']['now'],
                   report['unmatched']), (2 * PAGE, 0, 0), style + ': a list')
    mixed = lists + map_sg([0x20000, 0x21000], [PAGE, PAGE], [0x5000, 0x9000]) + \
        map_sg([0x10000], [PAGE], [0x5000], device=DISK)
    report = uiommu.text(mixed + unmap_sg([0x5000, 0x9000]), '--json').json
    tap.equal((report['mapped_bytes']['now'], report['devices'][1]['mapped_bytes']['now']),
              (3 * PAGE, PAGE), 'the same memory twice is unmapped once')
    report = uiommu.text(mixed + unmap_sg([0x9000, 0x5000]) + unmap_sg([0x5000]), '--json').json
    tap.equal((report['unmatched'], report['mapped_bytes']['now']), (2, 5 * PAGE),
              'other memory, or of another device, is not')
    # An address for one of the device, another for three: lengths 4K each, or 2M each.
    for unit in PAGE, 2 << 20:
        paddrs = [(9 - i) * 4 * unit for i in range(4)]
        for first in 1, 3:
            text = map_sg([1 << 30, (1 << 30) + first * unit], [first * unit, (4 - first) * unit],
                          paddrs)
            report = uiommu.text(text, '--json').json
            tap.equal((report['mapped_bytes']['now'], report['levels'][0]['level'],
                       report['failed']['total']), (4 * unit, 0 if unit == PAGE else 1, 0),
                      'merged pieces of %d bytes each, %d of them first' % (unit, first))
    gap = map_sg([0x10000, 0x40000], [PAGE, PAGE], [0x5000, 0x9000]) + \
        map_page(0x20000, PAGE, 0x6000) + unmap_sg([0x5000, 0x9000])
    report = uiommu.text(gap, '--json').json
    tap.equal((report['mapped_bytes']['now'], report['failed']['total']), (PAGE, 0),
              'what lies between a list\'s pieces stays')
    between = map_sg([0x10000, 0x12000], [PAGE, PAGE], [0x5000, 0x9000]) + \
        map_page(0x11000, PAGE, 0x6000) + unmap_sg([0x5000, 0x9000])
    report = uiommu.text(between, '--json').json
    tap.equal((report['mapped_bytes']['now'], report['failed']['total']), (PAGE, 0),
              'also what adjoins them')
    paddrs = [(i * 7919 % 1000) * PAGE for i in range(200)]
    long = map_sg([0x100000 + i * PAGE for i in range(128)], [PAGE] * 128, paddrs[:128],
                  counts='nents=128/200 ents=128/200 [TRUNCATED]')
    result = uiommu.text(long + unmap_sg(paddrs), '--json')
    tap.equal((result.json['truncated_lists'], result.json['mapped_bytes']['peak'],
               result.json['mapped_bytes']['now'], result.json['unmatched']),
              (1, 128 * PAGE, 0, 0), 'a list that the kernel truncated')
    tap.ok('truncated' in uiommu.text(long).out, 'is told of')


def check_refused(tap, uiommu):
    """Mappings that cannot be, and devices without an IOMMU."""
    twice = map_page(0x10000, 64, 0x5000) + map_page(0x10040, 64, 0x5040)
    result = uiommu.text(twice + unmap_page(0x10000, 64) + unmap_page(0x10040, 64), '--json')
    tap.ok(result.status == 0 and result.json['failed']['mapped']['events'] == 1 and
           'mapped for the device already' in result.err and result.json['unmatched'] == 1 and
           result.json['mapped_bytes']['now'] == 0, 'one page twice for a device', result)
    direct = map_page(0x5040, 64, 0x5040) + map_page(0x5080, 64, 0x5080) + \
        unmap_page(0x5040, 64) + map_sg([0x7000], [64], [0x7000]) + unmap_sg([0x7000])
    result = uiommu.text(direct, '--json')
    tap.ok(result.json['direct'] == 5 and result.json['unmatched'] == 0 and not result.err and
           result.json['mapped_bytes']['peak'] == 0 and result.json['devices'][0]['direct'] == 5,
           'a device that is given physical addresses has no tables', result)
    many = ''.join(map_page(0x10000, 64, 0x5000, device='dev%d' % i) for i in range(300))
    report = uiommu.text(many, '--json').json
    tap.equal((report['domains'], report['failed']['domains']['events']), (256, 44),
              '300 devices')
    budget = ''.join(map_page(i << 30, PAGE, 0x5000) for i in range(1, 64)) + \
        ''.join(unmap_page(i << 30, PAGE) for i in range(1, 64))
    report = uiommu.text(budget, '--json', '--memory-max', '64K').json
    tap.ok(report['failed']['budget']['events'] > 40 and report['mapped_bytes']['now'] == 0 and
           report['unmatched'] == 0 and report['failed']['other']['events'] == 0,
           'a budget that breaks', report['failed'])


def check_both(tap, uiommu):
    """The iommu events are what was really done."""
    iommu = map_line(0xf0000, 0x1000, PAGE) + map_line(0xe0000, 0x3000, PAGE)
    dma_lines = map_page(0x10000, 64, 0x5000) + head() + 'map: IOMMU: iova=\n' + \
        unmap_page(0x10000, 64)
    alone = uiommu.text(iommu, '--json').json
    for name, text in (('before', dma_lines + iommu), ('after', iommu + dma_lines),
                       ('between', map_line(0xf0000, 0x1000, PAGE) + dma_lines +
                        map_line(0xe0000, 0x3000, PAGE))):
        result = uiommu.text(text, '--json')
        report = result.json
        tap.equal((report['events'], report['dma_passed_over'], report['other_lines'],
                   report['bad_lines'], report['domains']),
                  (alone['events'], 2, 2, 1, alone['domains']), 'dma events %s iommu events' % name)
        tap.ok(all(report[key]['now'] == alone[key]['now'] and
                   report[key]['peak'] == alone[key]['peak']
                   for key in ('mapped_bytes', 'table_bytes', 'stranded_bytes')) and
               report['levels'] == alone['levels'] and 'devices' not in report,
               'leave no trace in the figures', report)
        tap.ok('the iommu events are what was really done' in uiommu.text(text).out, 'and it says so')
        for options in ([], ['--csv-all']):
            path = uiommu.file('both.csv')
            uiommu.text(text, '--csv', path, *options)
            with open(path) as rows:
                tap.equal([row['mapped_bytes'] for row in csv.DictReader(rows)], ['4096', '8192'],
                          'nor in the rows %s' % options)


class Device:
    """The pages of a device, and the tables that hold them on VT-d with 48 bits."""

    def __init__(self, name):
        self.name, self.pages, self.live, self.next = name, set(), [], 0xffff0000

    def alloc(self, pages):
        self.next -= pages * PAGE
        if random.random() < 0.1:
            self.next -= random.choice([1, 300, 1000]) * PAGE
        return self.next

    def tables(self):
        return sum(len({page >> shift for page in self.pages}) for shift in (21, 30, 39)) + 1


def step(device):
    """A random event, in text; the model follows."""
    if device.live and random.random() < 0.45:
        line, pages = device.live.pop(random.randrange(len(device.live)))
        device.pages -= pages
        return line
    kind = random.choice(['page', 'sg', 'alloc', 'sgt'])
    offset = random.choice([0, 64, 2048, 4032])
    size = random.choice([1, 60, 1536, PAGE, 9000, 70000])
    pages = (offset + size + PAGE - 1) // PAGE
    iova, paddr = device.alloc(pages), random.randrange(1 << 20) * 2 * PAGE
    if kind == 'page':
        line = map_page(iova + offset, size, paddr + offset, device=device.name)
        end = unmap_page(iova + offset, size, device=device.name)
    elif kind == 'alloc':
        pages = (size + PAGE - 1) // PAGE
        line = dma('dma_alloc', device=device.name, dma_addr=iova, size=size, virt_addr='0' * 15 + '7',
                   flags='GFP_KERNEL')
        end = dma('dma_free', device=device.name, dma_addr=iova, size=size, virt_addr='0' * 15 + '7')
    elif kind == 'sgt':
        pages = (size + PAGE - 1) // PAGE
        paddrs = [paddr + 3 * i * PAGE for i in range(random.randrange(pages) + 1)]
        line = dma('dma_alloc_sgt', device=device.name, dma_addr=iova, size=size, phys_addrs=paddrs,
                   flags='GFP_KERNEL')
        end = dma('dma_free_sgt', device=device.name, dma_addr=iova, size=size, phys_addrs=paddrs,
                  attrs=None)
    else:
        first = [iova + offset]
        sizes = [PAGE - offset] + [PAGE] * (pages - 1)
        paddrs = [paddr + offset] + [paddr + (7 * i + 1) * PAGE for i in range(1, pages)]
        merged = random.random() < 0.5
        line = map_sg(first if merged else first + [iova + i * PAGE for i in range(1, pages)],
                      [sum(sizes)] if merged else sizes, paddrs, device=device.name)
        end = unmap_sg(paddrs, device=device.name)
    taken = {iova + i * PAGE for i in range(pages)}
    device.pages |= taken
    device.live.append((end, taken))
    return line


def check_model(tap, uiommu):
    random.seed(SEED)
    print('# seed %d' % SEED)
    for turn in range(6):
        devices = [Device('0000:00:0%d.0' % i) for i in range(3)]
        text = ''.join(step(random.choice(devices)) for _ in range(3000))
        report = uiommu.text(text, '--json').json
        tap.equal(sorted((d['name'], d['mapped_bytes']['now'], d['table_bytes']['now'])
                         for d in report['devices']),
                  [(d.name, len(d.pages) * PAGE, d.tables() * PAGE) for d in devices],
                  'random events, turn %d: pages and tables of each device' % turn)
        tap.equal((report['unmatched'], report['failed']['total'], report['cut']), (0, 0, 0),
                  'turn %d: nothing is left over' % turn)
        text += ''.join(line for d in devices for line, _ in d.live)
        tap.equal(uiommu.text(text, '--json').json['mapped_bytes']['now'], 0,
                  'turn %d: all is unmapped at last' % turn)


def check_fuzz(tap, uiommu):
    random.seed(SEED)
    lines = (EXACT + EXACT_ENDS).encode().splitlines()
    for turn in range(6):
        text = bytearray()
        for _ in range(3000):
            line = bytearray(random.choice(lines))
            for _ in range(random.choice([0, 1, 1, 3])):
                at = random.randrange(len(line) + 1)
                line[at:at + random.randrange(8)] = random.choice(
                    [b'', b'0x', b'{', b'}', b',', b'=', b' ', b'dma_map_sg: ', b'ffffffffffffffff',
                     b'18446744073709551615', bytes([random.randrange(256)])])
            text += line + b'\n'
        result = uiommu.run('-', '--json', '--memory-max', '64M', chunks=[bytes(text)])
        report = result.json if result.status == 0 else {}
        total = sum(report.get(key, 0) for key in ('bad_lines', 'other_lines')) + \
            report.get('events', {}).get('total', 0)
        tap.ok(result.status == 0 and report['lines'] >= total >= report['lines'] - 1,
               'fuzzed lines, turn %d' % turn, result.err)


def check_many(tap, uiommu):
    """A million events."""
    lines = []
    for i in range(100000):
        lines.append(map_page(0xf0000000 - (i % 5000) * PAGE + 64, 1536, (i * 7919 % 65536) * PAGE + 64))
        lines.append(unmap_page(0xf0000000 - (i % 5000) * PAGE + 64, 1536))
    data = ''.join(lines).encode()
    few, many = (min(uiommu.run('-', chunks=[data] * n).cpu for _ in range(3)) for n in (1, 5))
    print('# replay: %.2f and %.2f s of a processor' % (few, many))
    # A quadratic search would take 25 times as long; `make bench` has how fast it is.
    tap.ok(many < 13 * few, 'five times as many events take about five times as long', (few, many))


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        uiommu = Uiommu(sys.argv[1], scratch)
        for check in (check_exact, check_bad_lines, check_rounding, check_lists, check_refused,
                      check_both, check_model, check_fuzz):
            check(tap, uiommu)
        check_many(tap, uiommu)
    tap.done()


main()
