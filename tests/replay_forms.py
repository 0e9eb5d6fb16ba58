# SPDX-License-Identifier: MIT
"""
The forms in which map and unmap events are printed, each as its printer does it:

tracefs    print context and latency context of the kernel (trace_output.c)
graph      the columns and comments of function_graph (trace_functions_graph.c)
trace-cmd  `trace-cmd report` (trace-read.c, libtraceevent)
perf       `perf script` (builtin-script.c)

and the bodies of the events in the kernels that have had them.
"""


class Event:
    def __init__(self, kind, iova, paddr, size):
        self.kind, self.iova, self.paddr, self.size = kind, iova, paddr, size
        self.time = 0  # nanoseconds, or ticks
        self.task, self.pid, self.cpu = 'qemu', 1, 0
        self.device = None
        self.mapped = 0


# ---- bodies: the name of the event, and what follows its colon ----

def linux_6(e):
    end = (e.iova + e.size) & (1 << 64) - 1
    if e.kind == 'map':
        return 'map', 'IOMMU: iova=0x%016x - 0x%016x paddr=0x%016x size=%d' % (
            e.iova, end, e.paddr, e.size)
    return 'unmap', 'IOMMU: iova=0x%016x - 0x%016x size=%d unmapped_size=%d' % (
        e.iova, end, e.size, e.size)


def linux_5(e, prefix='IOMMU:'):
    if e.kind == 'map':
        return 'map', '%s iova=0x%016x paddr=0x%016x size=%d' % (prefix, e.iova, e.paddr, e.size)
    return 'unmap', '%s iova=0x%016x size=%d unmapped_size=%d' % (prefix, e.iova, e.size, e.size)


def linux_3(e):
    if e.kind == 'map':
        return 'map', 'IOMMU: iova=0x%016x paddr=0x%016x size=0x%x' % (e.iova, e.paddr, e.size)
    return 'unmap', 'IOMMU: iova=0x%016x size=0x%x' % (e.iova, e.size)


def fields_of(e):
    if e.kind == 'map':
        return [('iova', e.iova), ('paddr', e.paddr), ('size', e.size)]
    return [('iova', e.iova), ('size', e.size), ('unmapped_size', e.size)]


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def option_fields(e, step=1):
    """The trace option fields; kernels before 6.13 begin with the last one."""
    return e.kind, ' '.join('%s=0x%x (%d)' % (name, value, signed(value))
                            for name, value in fields_of(e)[::step])


def raw_by_format(e):
    """-R of libtraceevent 1.8: numbers as the format of the event has them."""
    return e.kind, ' ' + ' '.join('%s=%s' % (name, '%d' % value if 'size' in name else
                                             '0x%016x' % value) for name, value in fields_of(e))


def raw_decimal(e):
    """-R of older ones."""
    return e.kind, ' ' + ' '.join('%s=%d' % field for field in fields_of(e))


def android(e):
    """Kernels of phones name the domain and tell the protection."""
    if e.kind == 'map':
        return 'map', 'IOMMU:%s iova=0x%016x paddr=0x%016x size=0x%x prot=0x13' % (
            e.device, e.iova, e.paddr, e.size)
    return 'unmap', 'IOMMU:%s iova=0x%016x size=0x%x unmapped_size=0x%x' % (
        e.device, e.iova, e.size, e.size)


def dev_first(e):
    return linux_5(e, 'IOMMU: dev=' + e.device)


def dev_last(e):
    name, text = linux_6(e)
    return name, text + ' dev=' + e.device


def dma(e):
    more = ' phys_addr=%x' % e.paddr if e.kind == 'map' else ''
    return 'dma_%s_page' % e.kind, '%s dir=TO_DEVICE dma_addr=%x size=%d%s attrs=' % (
        e.device, e.iova, e.size, more)


class Body:
    def __init__(self, function, named=False):
        self.function, self.named = function, named

    def __call__(self, event):
        return self.function(event)


BODIES = {
    '6.12': Body(linux_6),
    '5.4': Body(linux_5),
    '3.18': Body(linux_3),
    'fields': Body(option_fields),
    'fields backwards': Body(lambda e: option_fields(e, -1)),
    'raw': Body(raw_by_format),
    'raw decimal': Body(raw_decimal),
    'android': Body(android, named=True),
    'dev first': Body(dev_first, named=True),
    'dev last': Body(dev_last, named=True),
    'dma': Body(dma, named=True),
}


# ---- time stamps: as they are printed, and as the timeline has them ----

def micro(ns):
    return '%d.%06d' % (ns // 10**9, ns // 1000 % 10**6)


def nano(ns):
    return '%d.%09d' % (ns // 10**9, ns % 10**9)


class Form:
    """How a line is put together: line(form, event, name, text) is the whole of it."""

    def __init__(self, name, line, clock='us', tool='tracefs', preamble=(), around=None):
        self.name, self.line, self.clock, self.tool = name, line, clock, tool
        self.preamble, self.around = list(preamble), around
        self.reset = lambda: None

    @property
    def unit(self):
        return {'ticks': 'unknown', 'none': None}.get(self.clock, 's')

    def stamp(self, event):
        """In the timeline."""
        ns = event.time
        if self.clock == 'rounded':
            ns += 500
        if self.clock in ('us', 'rounded'):
            ns = ns // 1000 * 1000
        return {'ticks': str(event.time), 'none': ''}.get(self.clock, nano(ns))

    def takes(self, body):
        """Whether the tool prints events that way."""
        if body.startswith('raw'):
            return self.tool == 'trace-cmd'
        if body.startswith('fields'):
            return self.tool in ('tracefs', 'graph')
        return not (body == '3.18' and 'trailing' in self.name)

    def render(self, event, body):
        before, behind = self.around(event) if self.around else ([], [])
        return before, self.line(event, *body), behind


# ---- tracefs ----

def context(flags, time, tgid=''):
    return lambda e, name, text: '%16s-%-7d %s[%03d] %s %s: %s: %s' % (
        e.task, e.pid, tgid, e.cpu, flags, time(e.time), name, text)


def seconds(ns):
    return '%5d.%06d' % (ns // 10**9, ns // 1000 % 10**6)


def ticks(ns):
    return '%12d' % ns


def latency(mark):
    return lambda e, name, text: '%8.8s-%-7d %3d%s %4dus%s: %s: %s' % (
        e.task, e.pid, e.cpu, 'd..1.', e.time // 1000, mark, name, text)


def latency_ticks(e, name, text):
    return '%8.8s-%-7d %3d%s %4d: %s: %s' % (e.task, e.pid, e.cpu, '.N.2.', e.time, name, text)


def verbose(e, name, text):
    us = e.time // 1000
    return '%16s %7d %3d %d %08x %08x [%08x] %d.%03dms (+%d.%03dms): %s: %s' % (
        e.task, e.pid, e.cpu, 1, 2, 0x1f, us + 77, us // 1000, us % 1000, 0, 12, name, text)


def verbose_ticks(e, name, text):
    return '%16s %7d %3d %d %08x %08x [%016x] %d (+%d): %s: %s' % (
        e.task, e.pid, e.cpu, 1, 0, 9, e.time + 5, e.time, 7, name, text)


def behind(prefix, line):
    return lambda e, name, text: prefix + line(e, name, text)


# ---- function_graph ----

class Graph:
    """Columns that are asked for, and the lines of a switch where the task has none."""

    def __init__(self, proc=False, time=None, flags=False, cpu=True, duration=True):
        self.proc, self.time, self.flags = proc, time, flags
        self.cpu, self.duration = cpu, duration
        self.running = {}

    @staticmethod
    def task(e):
        return ('%s-%d' % (e.task[:7], e.pid)).center(14)

    def line(self, e, name, text):
        columns = ''
        if self.time == 'abs':
            columns += '%5d.%06d |  ' % (e.time // 10**9, e.time // 1000 % 10**6)
        if self.time == 'rel':
            columns += '%9d us |  ' % (e.time // 1000)
        if self.cpu:
            columns += ' %*d) ' % (3, e.cpu)
        if self.proc:
            columns += self.task(e) + ' | '
        if self.flags:
            columns += ' d..1. | '
        if self.duration:
            columns += '              |  '
        return columns + '    /* %s: %s */' % (name, text)

    def around(self, e):
        """A call around the event, and a switch of tasks before it."""
        before, last = [''], self.running.get(e.cpu)
        if last and last.pid != e.pid:
            before = [' ------------------------------------------',
                      ' %*d) %s => %s' % (3, e.cpu, self.task(last), self.task(e)),
                      ' ------------------------------------------', '']
        self.running[e.cpu] = e
        return (before + [' %*d)               |  iommu_map() {' % (3, e.cpu)],
                [' %*d)   1.234 us    |  }' % (3, e.cpu)])


def graph(name, clock='none', **columns):
    columns = Graph(**columns)
    form = Form('function_graph' + name, columns.line, clock, 'graph',
                ['# tracer: function_graph', '#'], columns.around)
    form.reset = columns.running.clear
    return form


# ---- trace-cmd ----

def report(flags, time, cpu=' [%03d]', since='', task='%16s-%-5d'):
    def line(e, name, text):
        return (task + cpu + '%s%s:%s %s: %s%s') % (
            e.task, e.pid, e.cpu, flags, time(e.time), since, name, ' ' * max(20 - len(name), 0),
            text)
    return line


def rounded(ns):
    return ' ' + seconds(ns + 500)


def padded_nano(ns):
    return ' %5d.%09d' % (ns // 10**9, ns % 10**9)


def long_ticks(ns):
    """A counter that is long enough to leave no blank before it."""
    return '%12d' % ns


# ---- perf script ----

def script(task='%16s %7d ', cpu='[%03d] ', misc='', time='%12s', nanoseconds=False, period='',
           name='%*s: ', behind=''):
    def line(e, event, text):
        full = ('dma:' if event.startswith('dma') else 'iommu:') + event
        values = (e.task, e.pid, e.pid)[:task.count('%')]
        return (task % values + (cpu % e.cpu if cpu else '') + misc +
                time % (nano(e.time) if nanoseconds else micro(e.time)) + ': ' + period +
                name % (13, full) + text + behind)
    return line


STACK = ['\tffffffff8e9a4f10 iommu_map+0x90 ([kernel.kallsyms])',
         '\t    7f12345678ab ioctl+0x3b (/usr/lib/x86_64-linux-gnu/libc.so.6)',
         '\t               0 [unknown] ([unknown])', '']


HEADS = [
    Form('tracefs', context('d..1.', seconds)),
    Form('tracefs, flags of lazy preemption', context('DLZff.3', seconds)),
    Form('tracefs, flags before 5.18', context('dNh2', seconds)),
    Form('tracefs, irq-info off', lambda e, name, text: '%16s-%-7d [%03d] %s: %s: %s' % (
        e.task, e.pid, e.cpu, seconds(e.time), name, text)),
    Form('tracefs, no flags, in columns', context(' ', seconds)),
    Form('tracefs, record-tgid', context('.....', seconds, '(%7d) ' % 87296)),
    Form('tracefs, record-tgid, unknown', context('.....', seconds, '(-------) ')),
    Form('tracefs, x86-tsc', context('d..1.', ticks), 'ticks'),
    Form('tracefs, mono in an instance', behind('myinst:', context('d..1.', seconds))),
    Form('tracefs, latency-format', latency(' ')),
    Form('tracefs, latency-format, a delay', latency('!')),
    Form('tracefs, latency-format, counter', latency_ticks, 'ticks'),
    Form('tracefs, latency-format, verbose', verbose),
    Form('tracefs, latency-format, verbose, x86-tsc', verbose_ticks, 'ticks'),
    Form('dmesg, ftrace_dump_on_oops', behind('[   12.345678] ', latency(' '))),
    graph(''),
    graph(', funcgraph-proc', proc=True),
    graph(', funcgraph-abstime', 'us', time='abs'),
    graph(', the time since the trace began', 'us', time='rel', proc=True),
    graph(', latency-format', flags=True, proc=True),
    graph(', all columns', 'us', time='abs', proc=True, flags=True),
    graph(', only the task', proc=True, cpu=False, duration=False),
    Form('trace-cmd', report(' d..1.', rounded), 'rounded', 'trace-cmd', ['cpus=128']),
    Form('trace-cmd -t', report(' d..1.', padded_nano), 'ns', 'trace-cmd'),
    Form('trace-cmd -l', report('d..1.', rounded, ' %3d', task='%8.8s-%-5d'), 'rounded',
         'trace-cmd'),
    Form('trace-cmd, x86-tsc', report(' d..1.', ticks), 'ticks', 'trace-cmd'),
    Form('trace-cmd, x86-tsc, migration disabled', report(' d..1..', ticks), 'ticks', 'trace-cmd'),
    Form('trace-cmd -l, x86-tsc', report('d..1.', ticks, ' %3d', task='%8.8s-%-5d'), 'ticks',
         'trace-cmd'),
    Form('trace-cmd --ts-diff', report(' d..1.', rounded, since=' (+1234) '), 'rounded',
         'trace-cmd'),
    Form('trace-cmd --ts-diff, the first', report(' d..1.', rounded, since=' ' * 9), 'rounded',
         'trace-cmd'),
    Form('trace-cmd -R', report('-0x1', rounded), 'rounded', 'trace-cmd'),
    Form('trace-cmd -R -l', report('-0x1', rounded, ' %3d', task='%8.8s-%-5d'), 'rounded',
         'trace-cmd'),
    Form('trace-cmd, two files', behind('host.dat: ', report(' d..1.', rounded)), 'rounded',
         'trace-cmd'),
    Form('perf', script(), 'us', 'perf'),
    Form('perf --ns', script(time='%15s', nanoseconds=True), 'ns', 'perf'),
    Form('perf -F +pid', script(task='%16s %7d/%-7d '), 'us', 'perf'),
    Form('perf, one process', script(cpu=''), 'us', 'perf'),
    Form('perf, one process, -F +pid', script(task='%16s %7d/%-7d ', cpu=''), 'us', 'perf'),
    Form('perf -F -comm', lambda e, name, text: script()(e, name, text)[17:], 'us', 'perf'),
    Form('perf -L', script(task='%8.8s %7d ', cpu='%3d '), 'us', 'perf'),
    Form('perf -L -F +pid', script(task='%8.8s %7d/%-7d ', cpu='%3d '), 'us', 'perf'),
    Form('perf -F +misc', script(misc='K     '), 'us', 'perf'),
    Form('perf -F +tod', script(misc='2026-12-01 03:19:07.123456 '), 'us', 'perf'),
    Form('perf -F +period', script(period='%10d ' % 1), 'us', 'perf'),
    Form('perf -F +flags', script(name='%*s: ' + ' ' * 24), 'us', 'perf'),
    Form('perf -F +machine_pid,+vcpu', script(task='VM: 1234 VCPU:003 %16s %7d '), 'us', 'perf'),
    Form('perf -g', script(task='%s %7d '), 'us', 'perf', around=lambda e: ([], STACK)),
    Form('perf -F +ip,+sym, trailing', script(
        behind=' ffffffff8e9a4f10 iommu_map+0x90 ([kernel.kallsyms])'), 'us', 'perf'),
]

# Lines between the events, and how many events each says were lost; None: it is another line.
NOISE = [
    ('', None), ('# a comment', None), ('##### CPU 2 buffer started ####', None),
    (' => trace_event_raw_event_map', None), (' => iommu_map+0x10/0x1a0 <ffffffff8e9a4f10>', None),
    ('=> iommu_map (ffffffff8e9a4f10)', None),
    ('            qemu-1234  [003] d..1.  1234.567891: <stack trace>', None),
    ('            qemu-1234  [003] d..1.  1234.567891: <user stack trace>', None),
    (' =>  <00007f12345678ab>', None), (' => /usr/bin/qemu[+0x3b]', None),
    ('            qemu-1234  [003] d..1.  1234.567892: iommu_map <-__iommu_map', None),
    ('            qemu-1234  [003]  1234.567893: funcgraph_entry:   0.541 us   |  iommu_map();', None),
    (' 3) + 12.345 us   |  iommu_iova_to_phys();', None), (' 3)   ==========> |', None),
    ('  <idle>-0     [001] d..2. 55.000001: sched_switch: prev_comm=map ==> next_comm=unmap', None),
    ('  qemu-1234 [003] 1234.5: io_page_fault: IOMMU:dmar0 0000:01:00.0 iova=0x1000 flags=0x0', None),
    ('  qemu-1234 [003] 1234.5: attach_device_to_domain: IOMMU: device=0000:01:00.0', None),
    ('CPU 1 is empty', None), ('version = 7', None), ('\x00\x01\x7f\xff', None),
    ('  qemu  1234 [003] 1234.5: PERF_RECORD_SWITCH_CPU_WIDE OUT next pid/tid: 0/0', None),
    ('CPU:3 [LOST 12 EVENTS]', 12), ('CPU:3 [LOST EVENTS]', 0), ('CPU:0 [5 EVENTS DROPPED]', 5),
    ('CPU:0 [EVENTS DROPPED]', 0),
]
