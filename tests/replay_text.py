# SPDX-License-Identifier: MIT
"""
`uiommu replay` on the text of every tracer, clock and tool: files that were
written by hand, with what is in them; and random events, printed in each form as
the kernel, trace-cmd and perf do (the functions below say which), which must all
replay to what a model of single ranges has.

Usage: replay_text.py UIOMMU TRACES
"""
import csv
import os
import random
import re
import sys
import tempfile

from replay_forms import BODIES, HEADS, NOISE, Event
from replay_tap import Tap, Uiommu, head, map_line

SEED = 20261203
K, M, G = 1 << 10, 1 << 20, 1 << 30
MAP = 'map: IOMMU: iova=0x00000000fffff000 - 0x0000000100000000 paddr=0x000000000aa5e000 size=4096'


def one_map(unit='s', first=1234.56789, last=None, **more):
    """What most of the files are: one map of a page."""
    return dict(dict(map=1, unmap=0, other=0, lost=0, mapped=4096, unit=unit, first=first,
                     last=first if last is None else last), **more)


# What is in each file of tests/data/traces, or what is said of a file that has no event.
FILES = {
    '09-counter': one_map('unknown', 1234),
    '10-tsc': one_map('unknown', 91287364518273),
    '11-nanos': one_map(first=1234.567890123),
    '16-perf-pidtid-ns': one_map(first=2489.654687123),
    '19-latency': one_map(first=0.000012),
    '20-latency-verb': one_map(first=0.001234),
    '21-fgraph': one_map(None, None),
    '26-dashes': one_map(first=5.270287),
    '29-comm-colon': one_map(first=105922.965294),
    '38-dmesg': one_map(first=0.012345),
    '39-perf-trace': "an event as 'perf trace' prints it",
    '40-perf-trace-str': "an event as 'perf trace' prints it",
    '41-bpftrace': 'no iommu:map, iommu:unmap or dma event in 1 lines',
    'fgraph-full': one_map(None, None, unmap=1, other=6, mapped=0),
    'ftrace-stack': one_map(other=17, lost=17),
    'last': one_map(last=1234.56799, unmap=1, mapped=0, failed=1),
    'lat': one_map(first=0.000012, last=0.000015, unmap=1, other=6, mapped=0),
    'ns-boot': one_map('unknown', 105922943663123),
    'ns-small': one_map('unknown', 7104521337, 7104531337, map=2, mapped=8192),
    'perf-g': one_map(last=1234.56799, unmap=1, other=7, mapped=0),
    'tsc-full': one_map('unknown', 91287364518273, 91287364528273, unmap=1, other=3, mapped=0),
    'unmapfirst': one_map(last=1234.56799, unmap=1, mapped=0),
    'v4.14': one_map(last=1234.56799, unmap=1, mapped=0),
    # The following are ours.
    'android-5.4': one_map(first=412.660117, last=412.660480, map=2, unmap=1, other=1,
                           named=['1d84000.ufshc', 'ae00000.qcom'], domains=2),
    'dev': one_map(first=12.000001, last=12.000004, map=3, unmap=1, mapped=8192, domains=2,
                   named=['1d84000.ufshc', 'ae90000.dp']),
    'fgraph-columns': one_map(first=7104.521337, last=7104.521390, map=2, unmap=1, other=11,
                              mapped=8192),
    'fields': one_map(first=23.000100, last=23.000300, map=2, unmap=1, mapped=2 * M, other=1),
    'trace-cmd-raw': one_map(first=23.000100, last=23.000300, map=2, unmap=1, mapped=2 * M, other=1),
    'trace-cmd-tsc': one_map('unknown', 91287364518273, 91287364538273, map=2, unmap=1, other=2),
    'v3.18': one_map(first=88.100001, last=88.100003, map=2, unmap=1, mapped=1 * M),
}

# Lines that are like an event, and what each lacks. None may stand in for another.
LACKING = [
    (MAP, 'no time stamp'),  # the trace option context-info off
    ('   iommu:' + MAP, 'no time stamp'),  # perf script -F event,trace
    ('qemu 1234 [003]   iommu:' + MAP, 'no time stamp'),
    ('1234.567890:   iommu:' + MAP, 'no [CPU]'),
    ('[003] 1234.567890:   iommu:' + MAP, 'no TASK-PID'),
    ('qemu [003] 1234.567890:   iommu:' + MAP, 'no TASK-PID'),
    ('qemu-1234 [003] d..1. 12:34: ' + MAP, 'no time stamp'),
    ('qemu-1234 [003] d..1. 99999999999.000000: ' + MAP, 'no time stamp'),  # 2^64 ns is less
    ('qemu-1234 [003] d..1. 18446744073709551616: ' + MAP, 'no time stamp'),
    ('qemu-1234 [003] d..191287364518273: ' + MAP, 'no time stamp'),  # where do the flags end?
    ('               |  /* ' + MAP + ' */', 'neither a CPU nor a task'),
    ('/* ' + MAP + ' */', 'neither a CPU nor a task'),
    ('1234 3 1234567890123 type: 344', 'raw, hex and bin'),
    ('000004d2 00000003 0000011f71fb04cb type: 344', 'raw, hex and bin'),
    ('\x04\x05\x00\x01\x00\x00type: 344', 'raw, hex and bin'),
    (head() + 'map_sg: IOMMU:soc iova=0x0000000000001000 size=0x1000 prot=0x3',
     'does not tell the physical addresses'),
    (head() + 'map: iova=0x1000 size=0x1000', 'no paddr='),
    (head() + 'map: iova=0x1000 paddr=0x1000', 'no size='),
    (head() + 'unmap: iova=0x1000 size=4096', 'no unmapped_size='),
    (head() + 'map: iova=0x1000 paddr=<OVERFLOW> size=0x1000', 'number in the event\'s paddr='),
    (head() + 'map: IOMMU:soc size=0x1000', 'without its addresses'),
    (head() + 'unmap: IOMMU: iova=0x1000 size=4096', 'expected unmapped_size='),
    (head() + 'dma_map_page: device=0000:00:03.0 phys_addr=178642944 dma_addr=4294963200 '
     'size=4096 dir=1 attrs=0x0', 'hexadecimal from decimal'),
    (head() + 'dma_map_page: 0000:00:03.0 dir=TO_DEVICE dma_addr=1000 size=64 attrs=',
     'expected phys_addr='),
    ('\x17\x08\x44tracing6\x00\x00\x08', "trace-cmd's own file"),
    ('PERFILE2h\x00\x00', "perf's own file"),
]

# Other events whose text has that of an event in it, and a task that is called like one.
NOT_EVENTS = [
    head() + 'print: tracing_mark_write: ' + MAP,
    head() + 'bprint: vfio: ' + MAP,
    head() + 'bprint: vfio_pin: map: iova=0x1000 paddr=0x1000 size=4096',
    head() + 'tracing_mark_write: dma_map_page: 0000:00:03.0 dma_addr=1000',
    head() + 'sched_switch: prev_comm=map: prev_pid=1 ==> next_comm=unmap: next_pid=2',
    head(task='map: IOMMU: iov') + 'sys_enter: NR 16',
    head(task='[LOST 7 EVENTS]') + 'sys_enter: NR 16',
    head() + 'io_page_fault: IOMMU:dmar0 0000:01:00.0 iova=0x000000001000 flags=0x0000',
    head() + 'sync_dirty_log: IOMMU: iova=0x0000000000001000 size=4096',
    'print fmt: "IOMMU: iova=0x%016llx paddr=0x%016llx size=%zu", REC->iova, REC->paddr',
]


def check_files(tap, uiommu, traces):
    names = sorted(name[:-4] for name in os.listdir(traces) if name.endswith('.txt'))
    tap.equal(sorted(set(FILES) - set(names)), [], 'every file that is described is there')
    for name in names:
        expected = FILES.get(name, one_map())
        result = uiommu.run(os.path.join(traces, name + '.txt'), '--json')
        if isinstance(expected, str):
            tap.ok(result.status == 2 and not result.out and expected in result.err and
                   result.err.count('\n') == 1, name + ': refused in one line', result)
            continue
        if result.status:
            tap.ok(False, name, result)
            continue
        report = result.json
        got = dict(map=report['events']['map'], unmap=report['events']['unmap'],
                   other=report['other_lines'], lost=report['lost_events'],
                   mapped=report['mapped_bytes']['now'], unit=report['time_unit'],
                   first=report['time_first'], last=report['time_last'])
        failed = expected.pop('failed', 0)
        if 'named' in expected:
            got['named'] = [device['name'] for device in report['devices']]
        if 'domains' in expected:
            got['domains'] = report['domains']
        tap.equal(got, expected, name)
        tap.equal((report['bad_lines'], report['unmatched'], report['failed']['total'],
                   result.err.count('\n')), (0, 0, failed, failed), name + ': nothing is wrong')


def check_lacking(tap, uiommu):
    good = map_line(0x1000, 0x1000, 4096)
    for line, why in LACKING:
        result = uiommu.text(line + '\n' + line + '\n' + '# more\n')
        tap.ok(result.status == 2 and not result.out and result.err.count('\n') == 1 and
               ':1: ' in result.err and why in result.err, 'lacks: ' + why, line + '\n' + str(result))
        if line.startswith('\x17'):
            continue
        report = uiommu.text(good + line + '\n', '--json')
        tap.ok(report.status == 0 and report.json['bad_lines'] == 1 and
               report.err.count('\n') == 1 and ':2: ' in report.err and why in report.err,
               'beside an event', report)
    for line in NOT_EVENTS:
        result = uiommu.text(good + line + '\n', '--json')
        tap.ok(result.status == 0 and not result.err and result.json['other_lines'] == 1 and
               result.json['lost_events'] == 0, 'not an event: ' + line[48:80], result)


def check_lost(tap, uiommu):
    lines = ['CPU:3 [LOST 12 EVENTS]', 'CPU:3 [LOST EVENTS]', 'CPU:0 [5 EVENTS DROPPED]',
             'CPU:0 [EVENTS DROPPED]', 'host.dat: CPU:1023 [7 EVENTS DROPPED]',
             '  qemu  1234 [003] 1234.567890: PERF_RECORD_LOST lost 100',
             '  qemu  1234 [003] 1234.567890: PERF_RECORD_LOST_SAMPLES lost 1000']
    for line, dropped in zip(lines, (12, 0, 5, 0, 7, 100, 1000)):
        report = uiommu.text(map_line(0x1000, 0x1000, 4096) + line + '\n', '--json').json
        tap.equal((report['lost'], report['lost_events'], report['other_lines'],
                   report['bad_lines']), (True, dropped, 0, 0), line)


def random_events(rng, named):
    """Ranges of one domain that come and go: events with what is mapped after each."""
    live, events, mapped, last = [], [], 0, rng.randrange(1 << 20)
    for _ in range(rng.randrange(20, 60)):
        last += rng.randrange(1, 1 << 30)
        where = rng.choice([('qemu', 1234, 3), ('CPU 0/KVM', 1235, 0), ('kworker/0:1', 31, 127)])
        if live and rng.random() < 0.4:
            iova, size = live.pop(rng.randrange(len(live)))
            event = Event('unmap', iova, 0, size)
            mapped -= size
        else:
            size = 4096 * rng.choice([1, 1, 2, 16, 512, 513])
            iova = (max((i + s for i, s in live), default=M) + rng.choice([0, 4096, G])) % (1 << 40)
            event = Event('map', iova, rng.randrange(1 << 30) << 12, size)
            live.append((iova, size))
            mapped += size
        event.time = last
        event.task, event.pid, event.cpu = where
        event.device = named
        event.mapped = mapped
        events.append(event)
    return events


def rename(rng, events):
    """Tasks call themselves what they like; a thread keeps its name here."""
    names = {}
    for event in events:
        if event.pid not in names:
            names[event.pid] = rng.choice(HOSTILE)
        event.task = names[event.pid]


HOSTILE = ['qemu', 'Web [1] Content', 'kworker/u8:1-ev', 'Main()', 'a: map: b', 'x => y',
           '[003] d..1. 1.5', 'IOMMU: iova=0x1', 'map: IOMMU: iov', '', '7', '/* x */', 'a|b',
           '1.0: unmap:', 'CPU:1 [LOST 7 E', '(1)', 'dma_map_page:', 'a-1 [001] .... ', '...',
           'type: 344', '12 34', '-', '(+5)', '\xe2\x98\x83', 'a%d', "'\"", '1234/1234', ' 3)  x',
           'perf_RECORD', '2.5:', 'us+:', '#', '=> x']


def render(rng, form, body, events, noise):
    """The text, how many other lines it has, and how many events it says were lost."""
    text, others, lost = [], 0, 0
    form.reset()
    for line in form.preamble:
        text.append(line)
        others += 1
    for event in events:
        while noise and rng.random() < 0.3:
            line, dropped = rng.choice(NOISE)
            text.append(line)
            others += dropped is None
            lost += dropped or 0
        before, line, behind = form.render(event, body(event))
        text += before + [line] + behind
        others += len(before) + len(behind)
    return text, others, lost


def figures(report):
    """What a replay tells, but for the times and the lines."""
    keys = ('events', 'domains', 'ambiguous', 'moved', 'unmatched', 'cut', 'never_freed_bytes',
            'levels', 'memory', 'lost_events', 'bad_lines')
    peaks = {key: {part: report[key][part] for part in ('now', 'peak')}
             for key in ('mapped_bytes', 'table_bytes', 'stranded_bytes')}
    return dict({key: report[key] for key in keys}, failed=report['failed']['total'], **peaks)


def check_form(tap, uiommu, rng, form, name, body):
    events = random_events(rng, 'soc:dev' if body.named else None)
    rename(rng, events)
    plain = random.Random(SEED)
    reference = uiommu.text('\n'.join(render(plain, HEADS[0], BODIES['6.12'], events, False)[0]) +
                            '\n', '--json').json
    text, others, lost = render(rng, form, body, events, rng.random() < 0.7)
    newline = rng.choice(['\n', '\n', '\r\n'])
    path = uiommu.file('rows.csv')
    result = uiommu.text(newline.join(text) + (rng.choice(['', newline]) if text[-1] else newline), '--json', '--csv', path,
                         '--csv-all')
    title = '%s, %s' % (form.name, name)
    if result.status or result.err:
        tap.ok(False, title, str(result)[:1500] + '\n' + '\n'.join(text[:12]))
        return
    report = result.json
    with open(path, newline='') as f:
        rows = list(csv.DictReader(f))
    got = [(row['time'], int(row['mapped_bytes'])) for row in rows]
    expected = [(form.stamp(event), event.mapped) for event in events]
    wrong = next((pair for pair in zip(got, expected) if pair[0] != pair[1]), None)
    expect = figures(reference)
    expect['lost_events'] = lost
    # A domain of its own takes no part in what is inferred.
    if body.named:
        expect['ambiguous'] = figures(report)['ambiguous']
    good = got == expected and figures(report) == expect and report['other_lines'] == others and \
        report['time_unit'] == form.unit
    tap.ok(good, title, 'row %r\n%r\n%r\nother %d, expected %d, unit %r\n%s' % (
        wrong, figures(report), expect, report['other_lines'], others, report['time_unit'],
        '\n'.join(text[:8])))


def check_forms(tap, uiommu):
    rng = random.Random(SEED)
    print('# seed %d, %d forms of lines, %d of events' % (SEED, len(HEADS), len(BODIES)))
    for form in HEADS:
        for name, body in BODIES.items():
            if form.takes(name):
                for _ in range(2):
                    check_form(tap, uiommu, rng, form, name, body)


def two_threads():
    """
    Two threads on one CPU that map for a device each, where either domain is as
    likely: only the thread tells, and the tables tell which domain it was.
    """
    events = []
    for gigabyte in range(1, 7):
        for pid, offset in ((1234, 0), (77, 2 * M if gigabyte > 1 else 0)):
            event = Event('map', gigabyte * G + offset, (pid + gigabyte) * M, 4096)
            event.task, event.pid, event.cpu = 'qemu', pid, 3
            event.time = 1000000 + len(events) * 1000
            events.append(event)
    return events


def check_threads(tap, uiommu):
    """Each form tells the threads apart."""
    rng = random.Random(SEED)
    body = BODIES['6.12']
    plain = figures(uiommu.text('\n'.join(render(rng, HEADS[0], body, two_threads(), False)[0]) +
                                '\n', '--json').json)
    same = two_threads()
    for event in same:
        event.pid = 1234
    mixed = figures(uiommu.text('\n'.join(render(rng, HEADS[0], body, same, False)[0]) + '\n',
                                '--json').json)
    # A table of the second level for each gigabyte, in both domains.
    tap.equal((plain['domains'], plain['levels'][1]['now'], mixed['levels'][1]['now']), (2, 12, 7),
              'the thread tells the domain')
    for form in HEADS:
        for names in (['qemu', 'qemu'], ['x => y', 'a=> b']):
            events = two_threads()
            for event in events:
                event.task = names[event.pid == 77]
            text = '\n'.join(render(rng, form, body, events, False)[0]) + '\n'
            tap.equal(figures(uiommu.text(text, '--json').json), plain,
                      form.name + ': two threads, ' + names[0])
    # perf's latency format differs from one without a CPU in the columns only.
    perf = [' qemu %7d %12s:     iommu:map: ' % (pid, '1.%06d' % i) for i, pid in
            enumerate((3, 30, 300, 3000, 30000))]
    latency = [' qemu %7d %3d %12s:     iommu:map: ' % (77, cpu, '1.%06d' % cpu) for cpu in
               (0, 12, 345)]
    text = ''.join(line + 'IOMMU: iova=0x%x paddr=0x1000 size=4096\n' % (M + 4096 * i)
                   for i, line in enumerate(perf + latency))
    report = uiommu.text(text, '--json').json
    tap.equal((report['events']['map'], report['bad_lines']), (8, 0), 'numbers before the time')


def check_names(tap, uiommu):
    """What a domain is called, where that says nothing, and an unmap that found nothing."""
    line = head() + 'map: IOMMU:%s iova=0x1000 paddr=0x1000 size=0x1000\n'
    report = uiommu.text(line % '(null)' + line % '(null)', '--json').json
    tap.equal((report['domains'], 'devices' in report, report['failed']['total']), (2, False, 0),
              'a domain without a name')
    report = uiommu.text(line % 'a' + line % 'b' + line % 'a', '--json').json
    tap.equal((report['domains'], [device['name'] for device in report['devices']],
               report['failed']['mapped']['events']), (2, ['a', 'b'], 1), 'two names')
    text = line % 'a' + head() + 'unmap: IOMMU:a iova=0x1000 size=4096 unmapped_size=0\n'
    report = uiommu.text(text, '--json').json
    tap.equal((report['unmatched'], report['mapped_bytes']['now']), (1, 4096),
              'an unmap that found nothing')
    shown = uiommu.text(line % 'a' + line % 'b').out
    tap.ok(re.search(r'\n  a +1 +0 ', shown) and re.search(r'\n  b +1 +0 ', shown),
           'the names are shown', shown)


def mutate(rng, line):
    data = bytearray(line.encode('latin-1'))
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(4)
        if what == 0:
            del data[at:at + rng.randrange(1, 20)]
        elif what == 1:
            data[at:at] = rng.choice([b'[', b']', b':', b' ', b'|', b'(', b')', b'/*', b'*/', b'us',
                                      b'map:', b'IOMMU:', b'iova=', b'0x', b'dev=', b'=> ', b'.',
                                      b'type: 1', b'99999999999999999999', b'\0', b'\xff'])
        elif what == 2:
            data = data[at:]
        else:
            data[at:at] = data[:rng.randrange(len(data) + 1)]
    return bytes(data).replace(b'\n', b'')


def check_fuzz(tap, uiommu):
    """Every line is an event, bad, of lost events or another one, whatever it is."""
    rng = random.Random(SEED)
    for turn in range(6):
        lines = []
        for form in HEADS:
            for name, body in BODIES.items():
                if form.takes(name):
                    events = random_events(rng, 'soc:dev')
                    rename(rng, events)
                    lines += [mutate(rng, form.line(event, *body(event))) for event in events[:5]]
        lines.append(map_line(0x1000, 0x1000, 4096).encode().rstrip())
        result = uiommu.run('-', '--json', chunks=[b'\n'.join(lines)])
        report = result.json if result.status == 0 else {}
        total = report.get('events', {}).get('total', 0) + report.get('bad_lines', 0) + \
            report.get('other_lines', 0)
        tap.ok(result.status == 0 and report['lines'] == total == len(lines),
               'fuzzed lines, turn %d' % turn, result.err)


def gnuplot_script(uiommu, text):
    """What is told to gnuplot, by a program of that name which keeps it, as its picture too."""
    tools = uiommu.file('tools')
    os.makedirs(tools, exist_ok=True)
    with open(os.path.join(tools, 'gnuplot'), 'w') as f:
        f.write('#!/bin/sh\ntee "$0.script"\n')
    os.chmod(os.path.join(tools, 'gnuplot'), 0o755)
    path = os.environ['PATH']
    os.environ['PATH'] = tools + ':' + path
    result = uiommu.text(text, '--plot', uiommu.file('p.svg'))
    os.environ['PATH'] = path
    with open(os.path.join(tools, 'gnuplot.script')) as f:
        return result, f.read()


def check_units(tap, uiommu):
    """An integer is of no unit that is known, and is shown as one nowhere."""
    cases = [('ticks', [91287364518273, 91287364538274], 'ticks'),
             ('the largest', [(1 << 64) - 2, (1 << 64) - 1], 'ticks'),
             ('seconds', ['12.000001', '13.500002'], 'seconds'),
             ('both', ['12.000001', 91287364538274], 'events')]
    for name, stamps, axis in cases:
        text = ''.join('  qemu-1234  [003] d..1.  %s: map: IOMMU: iova=0x%x paddr=0x1000 size=4096\n'
                       % (stamp, 4096 * (i + 1)) for i, stamp in enumerate(stamps))
        report = uiommu.text(text, '--json').json
        shown, script = gnuplot_script(uiommu, text)
        seconds = re.search(r'\d s\b|second', shown.out) is not None
        label = re.search(r"set xlabel '([a-z]+) since", script)
        tap.ok(shown.status == 0 and seconds == (axis == 'seconds') and label and
               label[1] == axis and ('seconds' in script) == (axis == 'seconds'),
               name + ': neither the text nor the axis', (shown, label))
        span = re.search(r'set xrange \[0:([0-9.]+)\]', script)
        times = [report['time_first'], report['time_last'], report['time_span'],
                 report['mapped_bytes']['peak_at']['time']]
        if axis == 'ticks':
            tap.equal((report['time_unit'], times, float(span[1])),
                      ('unknown', stamps + [stamps[1] - stamps[0], stamps[1]],
                       float(stamps[1] - stamps[0])), name + ': as they are')
            tap.ok(all(isinstance(time, int) for time in times) and str(stamps[1]) in shown.out,
                   name + ': integers', shown)
        elif axis == 'seconds':
            tap.equal((report['time_unit'], times, float(span[1])),
                      ('s', [12.000001, 13.500002, 1.500001, 13.500002], 1.500001),
                      name + ': as they are')
        else:
            tap.equal((report['time_unit'], times), (None, [None] * 4), name + ': not at all')


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        uiommu = Uiommu(sys.argv[1], scratch)
        check_files(tap, uiommu, os.path.abspath(sys.argv[2]))
        check_lacking(tap, uiommu)
        check_lost(tap, uiommu)
        check_units(tap, uiommu)
        check_forms(tap, uiommu)
        check_threads(tap, uiommu)
        check_names(tap, uiommu)
        check_fuzz(tap, uiommu)
    tap.done()


main()
