# SPDX-License-Identifier: MIT
"""
`uiommu replay` on a real trace, against a model that knows the answer otherwise:
here the driver of an event is told from its context, which the replay does not
look at, and every table is counted page by page after every event.

Usage: replay_real.py UIOMMU TRACE.xz [SANITIZERS]
"""
import bz2
import csv
import gzip
import lzma
import re
import shutil
import subprocess
import sys
import tempfile

from replay_tap import Tap, Uiommu

EVENT = re.compile(r'\s*(?P<task>.+)-(?P<pid>\d+)\s+\[(?P<cpu>\d+)\] (?P<flags>\S+)\s+'
                   r'(?P<time>[\d.]+): (?P<kind>map|unmap): IOMMU: iova=0x(?P<iova>\w+) - '
                   r'0x(?P<end>\w+) .*?size=(?P<size>\d+)')
NETWORK_UP = 8.6  # seconds: before it the disk is alone
NETWORK_UP_PID = '150'  # the process that fills the receive ring
PAGE = 4096


class Layout:
    """The tables of a format: (log2 of what one spans, its bytes) of each level."""

    def __init__(self, iommu, width, *tables, granule=PAGE):
        self.iommu, self.width, self.granule = iommu, width, granule
        self.spans = [span for span, _ in tables]
        self.bytes = [size for _, size in tables]
        self.args = ['--iommu', iommu, '--address-width', str(width)]
        if granule != PAGE:
            self.args += ['--granule', str(granule)]


LAYOUTS = [
    Layout('vtd', 39, (21, 4096), (30, 4096), (39, 4096)),
    Layout('vtd', 48, (21, 4096), (30, 4096), (39, 4096), (48, 4096)),
    Layout('vtd', 57, (21, 4096), (30, 4096), (39, 4096), (48, 4096), (57, 4096)),
    Layout('x86_64', 48, (21, 4096), (30, 4096), (39, 4096), (48, 4096)),
    Layout('amdv1', 39, (21, 4096), (30, 4096), (39, 4096)),
    Layout('arm64-s1', 48, (21, 4096), (30, 4096), (39, 4096), (48, 4096)),
    Layout('arm64-s1', 48, (25, 16384), (36, 16384), (47, 16384), (48, 4096), granule=16384),
    Layout('arm64-s1', 48, (29, 65536), (42, 65536), (48, 4096), granule=65536),
    Layout('arm64-s2', 42, (21, 4096), (30, 4096), (42, 32768)),
    Layout('riscv64', 41, (21, 4096), (30, 4096), (41, 16384)),
    Layout('s390', 42, (20, 2048), (31, 16384), (42, 16384)),
]


class Domain:
    """Pages and tables of one domain."""

    def __init__(self, layout):
        self.spans = layout.spans
        self.levels = len(layout.spans)
        self.pages = {}  # iova -> how it was mapped: (event, position)
        self.below = [{} for _ in self.spans]  # level -> index -> pages below
        self.ever = [set() for _ in self.spans]

    def indices(self, iova):
        return [iova >> span for span in self.spans[:-1]] + [0]

    def map(self, iova):
        assert iova not in self.pages
        self.pages[iova] = True
        for level, index in enumerate(self.indices(iova)):
            self.below[level][index] = self.below[level].get(index, 0) + 1
            self.ever[level].add(index)

    def unmap(self, iova):
        del self.pages[iova]
        for level, index in enumerate(self.indices(iova)):
            self.below[level][index] -= 1
            if not self.below[level][index]:
                del self.below[level][index]

    def tables(self):
        """Per level; the top table is there from the first map to the end."""
        live = [len(tables) for tables in self.below]
        live[-1] = len(self.ever[-1])
        return live


def is_network(event):
    """The e1000e maps from its open, from softirqs, and from its send with BHs off."""
    if float(event['time']) < NETWORK_UP:
        return False
    flags = event['flags']
    return event['pid'] == NETWORK_UP_PID or flags[0] == 'b' or flags[2] == 's'


def unmap_domain(event, domains, pages):
    """An unmap in a softirq is the network's; else only one domain may have it."""
    have = [d for d in domains if all(p in d.pages for p in pages)]
    if len(have) == 1:
        return have[0]
    return domains[1] if is_network(event) else domains[0]


def model(events, layout):
    """After each event: mapped bytes, tables per level, tables ever per level."""
    domains = [Domain(layout), Domain(layout)]
    page_bytes = layout.granule
    states = []
    for event in events:
        iova, size = int(event['iova'], 16), int(event['size'])
        pages = range(iova, iova + size, page_bytes)
        if event['kind'] == 'map':
            domain = domains[is_network(event)]
            for page in pages:
                domain.map(page)
        else:
            domain = unmap_domain(event, domains, pages)
            for page in pages:
                domain.unmap(page)
        live = [sum(t) for t in zip(*(d.tables() for d in domains))]
        ever = [sum(t) for t in zip(*([len(e) for e in d.ever] for d in domains))]
        states.append((sum(len(d.pages) for d in domains) * page_bytes, live, ever))
    return states


def first_peak(values):
    return values.index(max(values)) + 1


def scaled(text, factor):
    """The trace with each page that many times as large."""
    text = re.sub(r'0x(\w+)', lambda m: '0x%x' % (int(m[1], 16) * factor), text)
    return re.sub(r'size=(\d+)', lambda m: 'size=%d' % (int(m[1]) * factor), text)


def check_format(tap, uiommu, text, layout):
    name = '%s, %d bits, pages of %d: ' % (layout.iommu, layout.width, layout.granule)
    rows_file = uiommu.file('all.csv')
    text = scaled(text, layout.granule // PAGE)
    events = parse(text)
    result = uiommu.run(uiommu.write('scaled', text), *layout.args, '--json',
                        '--csv', rows_file, '--csv-all')
    tap.equal((result.status, result.err), (0, ''), name + 'replays')
    report = result.json
    states = model(events, layout)
    levels = len(layout.spans)

    def total(counts):
        return sum(count * size for count, size in zip(counts, layout.bytes))
    mapped = [s[0] for s in states]
    tables = [total(s[1]) for s in states]
    ever = [total(s[2]) for s in states]
    stranded = [e - t for e, t in zip(ever, tables)]

    for key, series in (('mapped_bytes', mapped), ('table_bytes', tables),
                        ('stranded_bytes', stranded)):
        tap.equal(report[key]['now'], series[-1], name + key + ' at the end')
        tap.equal(report[key]['peak'], max(series), name + key + ' at the peak')
        tap.equal(report[key]['peak_at']['event'], first_peak(series), name + key + ' peak event')
    tap.equal(report['never_freed_bytes'], ever[-1], name + 'bytes if never freed')

    peak = states[first_peak(tables) - 1]
    expected = [{'level': level, 'now': states[-1][1][level], 'peak': peak[1][level],
                 'never_freed': states[-1][2][level]} for level in range(levels)]
    tap.equal(report['levels'], expected, name + 'tables by level')

    with open(rows_file, newline='') as f:
        rows = [tuple(int(row[key]) for key in
                      ('event', 'mapped_bytes', 'table_bytes', 'stranded_bytes'))
                for row in csv.DictReader(f)]
    tap.equal(len(rows), len(events), name + 'one row per event')
    wrong = [(row, s) for row, s in zip(rows, zip(mapped, tables, stranded)) if row[1:] != s]
    tap.equal(wrong[:3], [], name + 'every row is the model\'s')


def check_all(tap, uiommu, trace):
    """Each format beside the others as by itself, and what is compared of it."""
    result = uiommu.run(trace, '--iommu', 'all', '--json')
    tap.equal((result.status, result.err), (0, ''), 'all: replays')
    every = result.json
    formats = every.pop('formats')
    names = [form['format'] for form in formats]
    tap.ok(len(set(names)) == len(names) >= 11 and
           {layout.iommu for layout in LAYOUTS} <= set(names), 'all: every format', names)
    for form in formats:
        alone = uiommu.run(trace, '--iommu', form['format'], '--json').json
        tap.equal({**every, **form}, alone, 'all: %s as alone' % form['format'])
    text = uiommu.run(trace, '--iommu', 'all').out
    for form in formats:
        row = re.search(r'(?m)^ +%s +%d +%dK +(.*)$' % (
            form['format'], form['address_width'], form['granule'] // 1024), text)
        figures = [form['table_bytes']['now'], form['table_bytes']['peak'],
                   form['never_freed_bytes'], form['stranded_bytes']['peak']]
        expected = ['%.2f KiB' % (figure / 1024) for figure in figures]
        if form['granule'] > PAGE:
            tap.ok(form['failed']['page']['events'] > 16000, 'all: %s has no such pages' %
                   form['format'], form['failed'])
            expected = ['-'] * 4
        tap.equal(row and re.split(' {2,}', row[1]), expected, 'all: row of %s' % form['format'])
    short = uiommu.run(trace, '--iommu', 'all', '--memory-max', '60K', '--json').json['formats']
    tap.equal([form['format'] for form in short if form['failed']['budget']['events'] and
               form['granule'] == PAGE], ['s390'], 'all: a budget for each')


def parse(text):
    return [m.groupdict() for m in map(EVENT.match, text.splitlines()) if m]


def check_facts(tap, uiommu, trace, events):
    report = uiommu.run(trace, '--json').json
    tap.equal(report['events'], {'total': 18955, 'map': 16439, 'unmap': 2516}, 'events')
    tap.equal(report['other_lines'], 12, 'other lines')
    tap.equal(report['bad_lines'], 0, 'bad lines')
    tap.equal(report['domains'], 2, 'two domains')
    tap.equal(report['unmatched'], 0, 'every unmap is matched')
    tap.equal(report['cut'], 0, 'no unmap cuts a mapping')
    tap.equal(report['failed']['total'], 0, 'no event fails')
    tap.ok(report['ambiguous']['total'] < len(events) // 100, 'under 1 % ambiguous',
           report['ambiguous'])
    tap.equal((report['time_first'], report['time_last']),
              (float(events[0]['time']), float(events[-1]['time'])), 'time span')
    memcg = report['memory']
    tap.equal(memcg['sec_pagetables'], report['table_bytes']['now'],
              'the memory cgroup counts the same tables')
    tap.ok(report['table_bytes']['peak'] <= memcg['peak'] <=
           report['table_bytes']['peak'] + 2 * PAGE, 'and the same peak', memcg)


def check_budget(tap, uiommu, trace):
    free = uiommu.run(trace, '--json').json
    peak = free['memory']['peak']
    enough = uiommu.run(trace, '--json', '--memory-max', str(-(-peak // PAGE) * PAGE)).json
    tap.equal(enough['failed']['total'], 0, 'a budget of the peak is enough')
    short = uiommu.run(trace, '--json', '--memory-max', str(peak // PAGE * PAGE)).json
    tap.ok(short['failed']['budget']['events'] > 0, 'one page less is not')
    tap.equal(short['failed']['budget']['first'], free['table_bytes']['peak_at'],
              'and breaks where the peak was')
    tap.ok(short['memory']['peak'] <= peak // PAGE * PAGE, 'the budget holds')
    tap.equal(short['domains'], 2, 'domains do not depend on the budget')
    tap.equal(short['unmatched'], 0, 'nor do unmaps')
    tiny = uiommu.run(trace, '--json', '--memory-max', '0').json
    tap.equal(tiny['failed']['budget']['events'], tiny['events']['map'], 'with none, no map')
    tap.equal(tiny['mapped_bytes']['peak'], 0, 'and nothing mapped')


def facts(report):
    """What a report says of the trace, not of the file's name and form."""
    report = dict(report)
    for key in ('trace', 'lines', 'other_lines'):
        del report[key]
    for key in ('mapped_bytes', 'table_bytes', 'stranded_bytes'):
        report[key]['peak_at']['line'] = None
    return report


def check_forms(tap, uiommu, text):
    """The same trace, compressed, from a pipe, and as other tools print it."""
    plain = uiommu.write('plain.txt', text)
    expected = facts(uiommu.run(plain, '--json').json)
    data = text.encode()
    forms = {'gzip': gzip.compress(data), 'bzip2': bz2.compress(data),
             'xz': lzma.compress(data, preset=1)}
    if shutil.which('zstd'):
        forms['zstd'] = subprocess.run(['zstd', '-c'], input=data, capture_output=True,
                                       check=True).stdout
    for name, form in forms.items():
        tap.equal(facts(uiommu.run(uiommu.write('form', form), '--json').json), expected, name)
        tap.equal(facts(uiommu.run('-', '--json', chunks=[form]).json), expected,
                  name + ' from a pipe')
    split = [data[i:i + 4099] for i in range(0, len(data), 4099)]
    tap.equal(facts(uiommu.run('-', '--json', chunks=split).json), expected, 'small reads')

    body = ''.join(line + '\n' for line in text.splitlines() if not line.startswith('#'))
    report = re.sub(r'(?m)\] \S{5} +([\d.]+): (map|unmap): ',
                    lambda m: ']%14s: %-22sIOMMU: ' % (m[1], m[2] + ':'), body)
    report = 'cpus=2\n' + report.replace('IOMMU: IOMMU:', 'IOMMU:')
    tap.equal(facts(uiommu.text(report, '--json').json), expected, 'trace-cmd report')
    tap.equal(facts(uiommu.text(re.sub(r': (map|unmap):', r': iommu:\1:', body), '--json').json),
              expected, 'events with their system\'s name')
    tap.equal(facts(uiommu.text(re.sub(r'(?m)^ +\S.*?-(\d+ +\[)', r' We[b] 1: map: x-\1', body),
                                '--json').json), expected, 'tasks with strange names')
    tap.equal(facts(uiommu.text(body.replace('\n', '\r\n'), '--json').json), expected,
              'lines that end in CR LF')
    old = re.sub(r'(iova=0x\w+) - 0x\w+', r'\1', body)
    tap.equal(facts(uiommu.text(old, '--json').json), expected, 'events of old kernels')


def check_truncated(tap, uiommu, path):
    with open(path, 'rb') as f:
        data = f.read()
    result = uiommu.run(uiommu.write('cut.xz', data[:len(data) // 2]), '--json')
    tap.equal(result.status, 2, 'a file that is cut off: status')
    tap.ok('ends here' in result.err and result.err.count('\n') == 1,
           'a file that is cut off: one line', result)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as scratch:
        uiommu = Uiommu(sys.argv[1], scratch)
        trace = sys.argv[2]
        with lzma.open(trace, 'rt') as f:
            text = f.read()
        check_facts(tap, uiommu, trace, parse(text))
        for layout in LAYOUTS:
            check_format(tap, uiommu, text, layout)
        check_all(tap, uiommu, trace)
        check_budget(tap, uiommu, trace)
        check_forms(tap, uiommu, text)
        check_truncated(tap, uiommu, trace)
    tap.done()


main()
