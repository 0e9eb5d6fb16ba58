# SPDX-License-Identifier: MIT
"""
`uiommu replay` on made-up traces: bad input of every kind, domains, leaf sizes,
and the files that it writes.

Usage: replay_input.py UIOMMU TRACE.xz [SANITIZERS]
"""
import csv
import lzma
import os
import random
import shutil
import subprocess
import sys
import tempfile

from replay_tap import Tap, Uiommu, head, map_line, unmap_line

SEED = 20240607
K, M, G = 1 << 10, 1 << 20, 1 << 30
GOOD = map_line(0xffff0000, 0x1000, 4096)

# Each: a line that is not an event of a trace, and what must be said of it.
BAD_LINES = [
    (map_line(0x1000, 0x1000, 0), 'size is 0'),
    (unmap_line(0x1000, 0), 'size is 0'),
    (map_line(0xfffffffffffff000, 0x1000, 8192), 'wraps'),
    (map_line(0x1001, 0x1000, 4096), 'not a multiple of 4096'),
    (map_line(0x1000, 0x1800, 4096), 'not a multiple of 4096'),
    (map_line(0x1000, 0x1000, 100), 'not a multiple of 4096'),
    (head() + 'map: IOMMU: iova=0x1000 - 0x3000 paddr=0x1000 size=4096\n', 'not of size 4096'),
    (head() + 'map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=\n', 'cut off'),
    (head() + 'map: IOMMU: iova=0x1000 - 0x2000 paddr=0x\n', 'cut off'),
    (head() + 'map: IOMMU: iova=0x1000 - 0x2000\n', 'cut off'),
    (head() + 'map: IOMMU: iova=\n', 'cut off'),
    (head() + 'map: IOMMU: iov\n', 'without its addresses'),
    (head() + 'map: IOMMU: iova=4096 - 0x2000 paddr=0x0 size=4096\n', 'expected a range'),
    (head() + 'map: IOMMU: iova=0x11111111111111111 - 0x0 paddr=0x0 size=4096\n',
     'expected a range'),
    (head() + 'map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=99999999999999999999\n',
     'expected size='),
    (head() + 'map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=-4096\n', 'expected size='),
    (head() + 'map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096 more\n',
     'expected the end of the line'),
    (head() + 'unmap: IOMMU: iova=0x1000 - 0x2000 size=4096\n', 'cut off'),
    (head() + 'unmap: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n', 'expected size='),
    (unmap_line(0x1000, 4096, 4097), 'not a multiple of 4096'),
    ('map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n', 'no time stamp'),
    ('dd-1 [000] ..... 1.x: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n',
     'no time stamp'),
    ('dd-1 000 ..... 1.0: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n', 'no [CPU]'),
    ('dd [000] ..... 1.0: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n',
     'no TASK-PID'),
    ('[000] 1.0: map: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n', 'no TASK-PID'),
    (map_line(0x1000, 0x1000, 4096)[:-1] + '\x00\n', 'expected the end'),
    ('x' * 65537 + '\n', 'longer than 65536'),
    ('x' * 3000000 + '\n', 'longer than 65536'),
]

OTHER_LINES = [
    '# a comment\n', '#' * 65537 + '\n', '\n', '   \t\n', 'cpus=4\n', 'CPU 1 is empty\n',
    head() + 'sched_switch: prev_comm=dd\n', head() + 'add_device_to_group: IOMMU: groupID=1\n',
    '          dd-7     [001] 12.5: kmalloc: (x+0x10) call_site=map ptr=0x1\n', ' => iommu_map\n',
    head() + 'remap: IOMMU: iova=0x1000 - 0x2000 paddr=0x1000 size=4096\n',
    head() + 'clear_dirty_log: IOMMU: iova=0x0000000000001000 size=4096\n',
    'hello, world\n', '\x00\x01\x02\xff\xfe\n',
]

BAD_COMMANDS = [
    ([], 'no trace'), (['a', 'b'], 'one trace only'), (['--nope', 'x'], '--nope'),
    (['/nonexistent'], '/nonexistent'), (['/'], 'directory'),
    (['x', '--iommu', 'smmu'], '--iommu smmu'),
    (['x', '--iommu', 'vtd', '--granule', '64K'], 'vtd has 4K'),
    (['x', '--iommu', 'all', '--granule', '64K'], '--granule'),
    (['x', '--iommu', 'all', '--address-width', '48'], '--address-width'),
    (['x', '--iommu', 'all', '--csv', 'a.csv'], '--csv'),
    (['x', '--iommu', 'all', '--plot', 'a.svg'], '--plot'),
    (['x', '--iommu', 'mock'], 'mock'), (['x', '--address-width', '40'], None),
    (['x', '--address-width', '7'], '7'), (['x', '--address-width', 'wide'], "'wide'"),
    (['x', '--memory-max', '1Q'], "'1Q'"), (['x', '--memory-max', '99999999999P'], '64 bits'),
    (['x', '--memory-max'], '--memory-max'), (['x', '--csv-all'], '--csv FILE'),
    (['x', '--plot', 'a.pdf'], 'a.pdf'),
]


def check_bad_lines(tap, uiommu):
    for line, why in BAD_LINES:
        name = 'bad line %r: ' % line[:60] + why
        result = uiommu.text('# one\n' + line + GOOD, '--json')
        messages = result.err.splitlines()
        good = result.status == 0 and len(messages) == 1 and why in messages[0] and \
            'standard input:2: ' in messages[0]
        tap.ok(good and result.json['bad_lines'] == 1 and result.json['events']['total'] == 1,
               name, result)
        alone = uiommu.text(line)
        tap.ok(alone.status == 2 and not alone.out, name + ', alone', alone)
    report = uiommu.text(''.join(OTHER_LINES) + GOOD, '--json').json
    tap.equal((report['other_lines'], report['bad_lines']), (len(OTHER_LINES), 0), 'other lines')
    many = uiommu.text((head() + 'map: IOMMU: iova=\n') * 100000 + GOOD)
    tap.ok(many.status == 0 and '100,000' in many.out and len(many.err.splitlines()) == 11,
           'many bad lines are counted, ten are told', many)
    for text in ('', '\n', '# nothing\n'):
        empty = uiommu.text(text)
        tap.ok(empty.status == 2 and empty.err.count('\n') == 1, 'no event in %r' % text, empty)
    cut = uiommu.text(GOOD + GOOD[:-10], '--json')
    tap.ok(cut.status == 0 and ':2: ' in cut.err and cut.json['bad_lines'] == 1,
           'a last line that is cut off', cut)
    whole = uiommu.text(GOOD + map_line(0xfffe0000, 0, 4096)[:-1], '--json').json
    tap.equal((whole['events']['map'], whole['bad_lines']), (2, 0), 'a last line without newline')


def check_huge_line(tap, uiommu):
    """Half a gigabyte without a newline; what it takes must not grow with it."""
    small = uiommu.text(GOOD)
    chunk = b'y' * (1 << 20)
    chunks = (chunk if i < 512 else b'\n' + GOOD.encode() for i in range(513))
    huge = uiommu.run('-', '--json', chunks=chunks)
    tap.ok(huge.status == 0 and huge.json['bad_lines'] == 1 and huge.json['events']['total'] == 1,
           'a line of 512 MiB', huge)
    tap.ok(huge.rss < small.rss + 16 * M, 'is not held in memory', (huge.rss, small.rss))


def check_lost(tap, uiommu):
    text = GOOD + 'CPU:1 [LOST 7 EVENTS]\n' + 'CPU:0 [5 EVENTS DROPPED]\n' + GOOD
    report = uiommu.text(text, '--json').json
    tap.equal((report['lost'], report['lost_events'], report['bad_lines']), (True, 12, 0),
              'lost events')
    tap.ok('dropped by the tracer' in uiommu.text(text).out, 'are told')


def check_refused(tap, uiommu):
    """Events that are well-formed but that the format cannot hold."""
    high = map_line(1 << 40, 0x1000, 4096)
    result = uiommu.text(GOOD + high, '--json', '--address-width', '39')
    tap.ok(result.status == 0 and 'standard input:2: map of iova 0x10000000000' in result.err and
           result.json['failed']['iova']['first']['line'] == 2, 'an iova beyond 39 bits', result)
    tap.equal(uiommu.text(GOOD + high, '--json').json['failed']['total'], 0, 'is within 48')
    top = map_line((1 << 64) - 4096, 0x1000, 4096)
    result = uiommu.text(GOOD + top, '--json')
    tap.ok(result.status == 0 and result.json['failed']['iova']['events'] == 1, 'the last page',
           result)
    again = uiommu.text(GOOD + top + unmap_line((1 << 64) - 4096, 4096), '--json').json
    tap.equal((again['unmatched'], again['failed']['total']), (0, 1), 'and its unmap is matched')
    wide = uiommu.text(GOOD + map_line(0x1000, 1 << 60, 4096), '--json')
    tap.ok(wide.status == 0 and wide.json['failed']['paddr']['events'] == 1 and
           wide.json['failed']['iova']['events'] == 0, 'a paddr of 61 bits', wide)
    same = uiommu.text(GOOD * 300, '--json').json
    tap.equal((same['domains'], same['failed']['domains']['events']), (256, 44),
              'one address 300 times')


def check_domains(tap, uiommu):
    pages = [map_line(0x10000 + i * 4096, i * 8192, 4096) for i in range(16)]
    text = ''.join(pages) + unmap_line(0x10000, 65536)
    report = uiommu.text(text, '--json').json
    tap.equal((report['domains'], report['unmatched'], report['mapped_bytes']['now'],
               report['mapped_bytes']['peak']), (1, 0, 0, 65536), 'a buffer of 16 maps')
    other = [map_line(0x10000 + i * 4096, i * 8192, 4096, pid=200, cpu=1, task='ip')
             for i in reversed(range(16))]
    text = ''.join(pages + other) + unmap_line(0x10000, 65536)
    report = uiommu.text(text, '--json').json
    tap.equal((report['domains'], report['ambiguous']['unmap'], report['mapped_bytes']['now']),
              (2, 0, 65536), 'a buffer and 16 single pages at the same addresses')
    mixed = ''.join(a + b for a, b in zip(pages, other[::-1]))
    text = mixed + unmap_line(0x10000, 65536) + unmap_line(0x10000, 65536)
    report = uiommu.text(text, '--json').json
    tap.equal((report['domains'], report['ambiguous']['unmap'], report['mapped_bytes']['now']),
              (2, 1, 0), 'two buffers mapped at the same time')
    report = uiommu.text(GOOD + unmap_line(0x5000, 4096) + unmap_line(0xffff0000, 8192) +
                         unmap_line(0x7000, 4096, 0), '--json').json
    tap.equal((report['unmatched'], report['mapped_bytes']['now']), (3, 4096), 'unmatched unmaps')


def check_corrections(tap, uiommu):
    """Choices that a later event disproves."""
    text = map_line(0x100000, 0x1000, 4096, pid=1) + map_line(0x100000, 0x2000, 4096, pid=2) + \
        map_line(0x52000, 0x3000, 4096, pid=2)
    # Nearer to what the second domain has, but it continues where that one is not free.
    text += map_line(0x51000, 0x5000, 4096, pid=3) + map_line(0x52000, 0x7000, 4096, pid=3) + \
        unmap_line(0x51000, 8192)
    report = uiommu.text(text, '--json').json
    tap.equal((report['domains'], report['moved'], report['unmatched'], report['failed']['total'],
               report['mapped_bytes']['now']), (2, 1, 0, 0, 12288), 'a buffer moves as a whole')
    # Below what the second domain has, where that turns out to map something else.
    text += map_line(0x30000, 0x8000, 4096, pid=1) + map_line(0x31000, 0x9000, 4096, pid=5) + \
        map_line(0x30000, 0xa000, 8192, pid=2) + unmap_line(0x31000, 4096) + \
        unmap_line(0x30000, 8192) + unmap_line(0x30000, 4096)
    report = uiommu.text(text, '--json').json
    tap.equal((report['domains'], report['moved'], report['unmatched'], report['failed']['total'],
               report['mapped_bytes']['now']), (2, 2, 0, 0, 12288), 'a buffer makes place')


def check_cut(tap, uiommu):
    """An unmap of one page in the middle of a large leaf."""
    for iommu in ('vtd', 'x86_64', 'amdv1'):
        text = map_line(G, 2 * G, 2 * M) + unmap_line(G + M, 4096)
        report = uiommu.text(text, '--json', '--iommu', iommu).json
        tap.equal((report['cut'], report['failed']['total'], report['mapped_bytes']['now']),
                  (1, 0, 2 * M - 4096), iommu + ': a cut')
        text += unmap_line(G, M) + unmap_line(G + M + 4096, M - 4096)
        report = uiommu.text(text, '--json', '--iommu', iommu).json
        tap.equal((report['cut'], report['unmatched'], report['mapped_bytes']['now'],
                   report['levels'][0]['now']), (1, 0, 0, 0), iommu + ': and the rest')


def check_leaves(tap, uiommu):
    """Tables by rule (needed.c) against tables in the engine, while nothing is unmapped."""
    random.seed(SEED)
    for iommu, bits in (('vtd', 39), ('vtd', 48), ('vtd', 57), ('x86_64', 48), ('x86_64', 57),
                        ('amdv1', 48), ('amdv1', 64)):
        lines, iova = [], 0
        for _ in range(400):
            align = 1 << random.choice([12, 13, 16, 20, 21, 22, 25, 30, 31])
            iova = -(-iova // align) * align + random.choice([0, 0, 4096, 2 * M])
            size = random.choice([1, 2, 16, 511, 512, 513, 1024, 4096, 262144, 262145]) * 4096
            paddr = iova + random.choice([0, 4096, 2 * M, 16 * M, G])
            if iova + size > 1 << min(bits, 47) - 1:
                break
            lines.append(map_line(iova, paddr, size, time=len(lines)))
            iova += size
            if random.random() < 0.1 and bits > 40:
                iova += random.choice([G, 512 * G, 1024 * G])
        result = uiommu.text(''.join(lines), '--json', '--iommu', iommu, '--address-width',
                             str(bits))
        report = result.json
        good = report['never_freed_bytes'] == report['table_bytes']['now'] and \
            all(level['now'] == level['never_freed'] for level in report['levels']) and \
            report['failed']['total'] == 0 and report['events']['total'] == len(lines)
        tap.ok(good, '%s, %d bits: tables of %d mappings' % (iommu, bits, len(lines)),
               str(result)[:2000])
        tap.equal(report['memory']['sec_pagetables'], report['table_bytes']['now'],
                  '%s, %d bits: charged' % (iommu, bits))


def check_tebibytes(tap, uiommu):
    """The same of amdv1 where leaves begin at twice what a table spans, which is 512G."""
    half = 512 * G
    for iova, paddr, size in ((2, 2, 2), (1, 1, 1), (1, 1, 3), (2, 1, 2), (3, 5, 4), (2, 4, 5),
                              (4, 4, 4), (6, 6, 3), (5, 7, 1), (5, 5, 2)):
        for less in 0, G, 4096:
            text = map_line(iova * half, paddr * half, size * half - less)
            report = uiommu.text(text, '--json', '--iommu', 'amdv1').json
            tap.equal((report['never_freed_bytes'], report['failed']['total']),
                      (report['table_bytes']['now'], 0),
                      'amdv1: %d * 512G at %d from %d, less %d' % (size, iova, paddr, less))


def mutate(line):
    data = bytearray(line)
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(6)
        if kind == 0:
            data[at:at + 1] = bytes([random.randrange(256)])
        elif kind == 1:
            del data[at:at + random.randrange(12)]
        elif kind == 2:
            data[at:at] = data[:random.randrange(len(data) + 1)]
        elif kind == 3:
            data[at:at] = random.choice([b'0x', b'-', b':', b' ', b'[', b']', b'map:', b'\0',
                                         b'18446744073709551615', b'ffffffffffffffff', b'\n'])
        elif kind == 4:
            data = data[:at]
        else:
            data[at:at + 4] = b'%d' % random.randrange(1 << 20)
    return bytes(data) + b'\n'


def check_fuzz(tap, uiommu, trace):
    random.seed(SEED)
    print('# seed %d' % SEED)
    with lzma.open(trace) as f:
        lines = f.read().splitlines()
    for turn in range(8):
        start = random.randrange(len(lines) - 3000)
        text = b''.join(mutate(line) if random.random() < 0.5 else line + b'\n'
                        for line in lines[start:start + 3000])
        result = uiommu.run('-', '--json', '--memory-max', '64M', chunks=[text])
        report = result.json if result.status == 0 else {}
        total = sum(report.get(key, 0) for key in ('bad_lines', 'other_lines')) + \
            report.get('events', {}).get('total', 0)
        tap.ok(result.status == 0 and report['lines'] >= total >= report['lines'] - 1,
               'fuzzed lines, turn %d' % turn, result.err)
    for turn in range(4):
        noise = random.randbytes(300000)
        result = uiommu.run('-', chunks=[noise])
        tap.ok(result.status == 2 and 'AddressSanitizer' not in result.err, 'noise', result.err)


def check_commands(tap, uiommu):
    trace = uiommu.write('x', GOOD)
    for args, says in BAD_COMMANDS:
        args = [trace if arg == 'x' else arg for arg in args]
        result = uiommu.run(*args)
        good = result.status == 2 and not result.out and result.err.count('\n') == 1 and \
            result.err.startswith('uiommu replay: ') and (says is None or says in result.err)
        tap.ok(good, 'refused: ' + ' '.join(args[-2:] or ['nothing']), result)
    result = uiommu.run('--help')
    tap.ok(result.status == 0 and 'Exit status' in result.out and 'Examples' in result.out,
           '--help', result)
    with open(os.path.join(os.path.dirname(trace), 'x.xz'), 'wb') as file:
        file.write(lzma.compress(GOOD.encode()))
    done = subprocess.run([sys.argv[1], 'replay', file.name], capture_output=True, text=True,
                          env={**os.environ, 'PATH': '/nonexistent'})
    tap.ok(done.returncode == 2 and done.stderr.count('\n') == 1 and
           done.stderr.endswith('xz: it is not installed\n'), 'refused: there is no xz', done)


def read_rows(path):
    with open(path, newline='') as f:
        return list(csv.DictReader(f))


def check_csv(tap, uiommu):
    """A long trace with one peak in 60,000 events."""
    lines = []
    for i in range(30000):
        size = 1024 * 4096 if i == 12345 else 4096
        lines += [map_line(1 << 30, i << 12, size, time=i), unmap_line(1 << 30, size, time=i + .5)]
    trace = uiommu.write('long', ''.join(lines))
    path = uiommu.file('rows.csv')
    uiommu.run(trace, '--csv', path)
    rows = read_rows(path)
    tap.ok(1000 < len(rows) <= 10000, 'a thinned timeline', len(rows))
    tap.equal(max(int(row['mapped_bytes']) for row in rows), 1024 * 4096, 'keeps the peak')
    tap.equal(rows[-1]['event'], '60000', 'and the end')
    order = [int(row['event']) for row in rows]
    tap.ok(order == sorted(set(order)), 'in order, each event once')
    uiommu.run(trace, '--csv', path, '--csv-all')
    rows = read_rows(path)
    tap.equal(len(rows), 60000, 'every row on demand')
    tap.equal(rows[24690], {'event': '24691', 'time': '12345.000000000',
                            'mapped_bytes': str(1024 * 4096), 'table_bytes': str(4096 * 5),
                            'stranded_bytes': '0'}, 'the row of the peak')
    tap.equal(uiommu.run(trace, '--csv', '/dev/full').status, 1, 'a full disk is reported')


def check_plot(tap, uiommu, trace):
    if not shutil.which('gnuplot'):
        tap.skip('pictures', 'no gnuplot')
        return
    for name, magic in (('p.svg', b'<?xml'), ('p.png', b'\x89PNG'), ("it's.SVG", b'<?xml')):
        path = uiommu.file(name)
        result = uiommu.run(trace, '--plot', path, '--memory-max', '60K')
        with open(path, 'rb') as f:
            data = f.read()
        tap.ok(result.status == 0 and data.startswith(magic) and len(data) > 10000 and
               not result.err, 'a picture in ' + name, result.err)
    one = uiommu.run(uiommu.write('x', GOOD), '--plot', uiommu.file('one.svg'))
    tap.ok(one.status == 0 and not one.err, 'a picture of one event', one)
    bad = uiommu.run(trace, '--plot', '/nonexistent/p.svg')
    tap.ok(bad.status == 1 and '/nonexistent/p.svg' in bad.err, 'no place for a picture', bad)


def check_many(tap, uiommu):
    """A disk and a network card for half a million events."""
    random.seed(SEED)
    lines, live = [], []
    for i in range(64):
        lines.append(map_line((1 << 32) - (i + 1) * 4096, i << 12, 4096, pid=9, task='ip'))
    lines.append(map_line((1 << 32) - 4096, 1 << 30, 4096))
    while len(lines) < 50000:
        iova = 0xe0000000 - 65536 * random.randrange(4096)
        if iova not in live:
            lines += [map_line(iova + i * 4096, random.randrange(1 << 20) << 12, 4096)
                      for i in range(16)]
            live.append(iova)
        if len(live) > 32:
            lines.append(unmap_line(live.pop(random.randrange(32)), 65536))
    lines += [unmap_line(iova, 65536) for iova in live]
    body = ''.join(lines[65:])
    short = uiommu.write('short', ''.join(lines))
    long = uiommu.write('long', ''.join(lines[:65]) + body * 10)
    few, result = (min((uiommu.run(path, '--json') for _ in range(3)), key=lambda r: r.cpu)
                   for path in (short, long))
    print('# replay: %.2f and %.2f s of a processor' % (few.cpu, result.cpu))
    # By what is live and not by what there was; `make bench` has how fast it is.
    tap.ok(result.cpu < 30 * few.cpu, 'ten times as many events take about ten times as long',
           (few.cpu, result.cpu))
    tap.equal((result.json['domains'], result.json['ambiguous']['total'],
               result.json['unmatched'], result.json['mapped_bytes']['now']),
              (2, 0, 0, 65 * 4096), 'two domains, nothing ambiguous')


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        uiommu = Uiommu(sys.argv[1], scratch)
        trace = os.path.abspath(sys.argv[2])
        check_commands(tap, uiommu)
        check_bad_lines(tap, uiommu)
        check_huge_line(tap, uiommu)
        check_lost(tap, uiommu)
        check_refused(tap, uiommu)
        check_domains(tap, uiommu)
        check_corrections(tap, uiommu)
        check_cut(tap, uiommu)
        check_leaves(tap, uiommu)
        check_tebibytes(tap, uiommu)
        check_fuzz(tap, uiommu, trace)
        check_csv(tap, uiommu)
        check_plot(tap, uiommu, trace)
        check_many(tap, uiommu)
    tap.done()


main()
