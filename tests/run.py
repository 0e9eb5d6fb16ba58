#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu run, from outside: what a program finds, how it ends, and the report.

Arguments: the command, the program.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from replay_tap import Tap

COMMAND, PROGRAM = sys.argv[1:3]
tap = Tap()


class Done:
    def __init__(self, run, report=None):
        self.status, self.out, self.err, self.report = run.returncode, run.stdout, run.stderr, report

    def __str__(self):
        return f'status {self.status}\n{self.out}\n{self.err}'

    @property
    def process(self):
        """That of the program itself, or else the first."""
        processes = self.report['processes']
        own = [one for one in processes if one['pid'] == self.report['pid']]
        return (own + processes + [{}])[0]

    def ioctl(self, name):
        found = [op for op in self.process.get('ioctls', []) if op['name'] == name]
        return found[0] if found else {'calls': 0, 'failed': 0, 'errors': {}}


def run(*args, **kwargs):
    return Done(subprocess.run([COMMAND, 'run', *args], capture_output=True, text=True, **kwargs))


def program(part, *options):
    """Run a part of the program; the report is read as JSON."""
    path = os.path.join(SCRATCH, 'report.json')
    done = run('--devices', '1', *options, '--json', '--report', path, '--',
               PROGRAM, *part.split())
    with open(path) as report:
        done.report = json.load(report)
    return done


def parts():
    """What the program itself checks; afterwards nothing may be charged."""
    for part in ('basic', 'descriptors', 'errors', 'device', 'threads', 'races', 'fork', 'daemon', 'vfork',
                 'paths', 'poll', 'passing', 'signals', 'relatives', 'munmap'):
        # Long calls, so that signals come inside them.
        done = program(part, '--phys', 'scattered' if part == 'relatives' else 'auto')
        tap.ok(done.status == 0, f'{part}: as on Linux', done)
        tap.equal(done.process['memory']['current'], 0, f'{part}: nothing is charged at the end')
        tap.equal((done.process['alive_count'], done.process['files_open']), (0, 0),
                  f'{part}: nothing is alive at the end')


def formats():
    for options in (('--iommu', 'amdv1'), ('--iommu', 'x86_64', '--address-width', '57'),
                    ('--iommu', 's390'), ('--iommu', 'arm64-s1'), ('--iommu', 'arm64-s2'),
                    ('--iommu', 'riscv64', '--address-width', '57'),
                    ('--phys', 'identity'), ('--phys', 'scattered')):
        done = program('basic', *options)
        domain = done.process['domains'][0]
        tap.ok(done.status == 0, f'{options}: works', done)
        if options[0] == '--iommu':
            tap.equal(domain['format'], options[1], f'{options}: the domain has this format')
        if len(options) == 4:
            tap.equal(domain['address_width'], 57, f'{options}: and this width')
        if options[0] == '--phys':
            tap.equal(done.process['phys'], options[1], f'{options}: the report says so')
        tap.ok(domain['peak']['mapped_bytes'] == 4 << 20 and domain['peak']['areas'] == 1,
               f'{options}: the peak is that before the unmap', domain)
    # 4 MiB of scattered pages need 2 tables of the lowest level.
    tap.equal(tables(domain['peak'])[0], 2, 'scattered pages need tables of 4K entries')
    tap.equal(domain['peak']['table_bytes'], 4096 * sum(tables(domain['peak'])),
              'bytes of tables are those of the levels')


def tables(usage):
    """Of each level, the lowest first."""
    return [level['tables'] for level in usage['levels']]


def report():
    done = program('leak')
    tap.equal(done.status, 0, 'leak: status')
    process = done.process
    tap.equal(sorted(done.report), ['exit_status', 'memory_current', 'pid', 'processes', 'processes_not_listed',
                                    'program', 'signal'], 'report: keys')
    tap.equal(sorted(process), sorted(
        ['pid', 'name', 'state', 'phys', 'files_opened', 'files_open',
         'fail_nth', 'fail_nth_hit', 'exit_status', 'memory', 'memlock', 'counters', 'domains',
         'domains_complete', 'ioctls', 'ioctls_since_look', 'alive',
         'alive_count', 'munmaps', 'munmap_count']), 'report: keys of a process')
    tap.equal([(a['type'], a['created_by']) for a in process['alive']],
              [('IOAS', 'IOMMU_IOAS_ALLOC'), ('device', 'VFIO_DEVICE_BIND_IOMMUFD'),
               ('HWPT', 'VFIO_DEVICE_ATTACH_IOMMUFD_PT')], 'leak: what is alive and who made it')
    memory = process['memory']
    tap.ok(memory['current'] > process['domains'][0]['now']['table_bytes'] > 0,
           'leak: tables and more are charged', memory)
    tap.ok(process['domains'][0]['alive'] and
           process['domains'][0]['now'] == process['domains'][0]['peak'],
           'leak: the domain is at its peak', process['domains'])
    tap.equal((memory['max'], memory['high']), (None, None), 'leak: no limits')
    tap.equal(process['state'], 'exited', 'leak: it came to its end')
    tap.equal(done.ioctl('IOMMU_IOAS_MAP')['calls'], 1, 'leak: calls are counted')
    tap.ok(done.ioctl('IOMMU_IOAS_MAP')['nanoseconds'] > 0, 'leak: and timed')
    domains = program('detach').process['domains']
    tap.ok(len(domains) == 1 and not domains[0]['alive'] and
           domains[0]['peak']['mapped_bytes'] == 4 << 20 and domains[0]['now']['mapped_bytes'] == 0,
           'detach: a domain that is gone is reported with its peak', domains)
    errors = program('errors').ioctl('IOMMU_IOAS_ALLOC')
    tap.equal(errors['errors'], {'EFAULT': 3}, 'errors: failures by errno')


def ends():
    for status in 0, 1, 77, 255:
        tap.equal(program(f'exit {status}').status, status, f'exit status {status}')
    done = program('killed')
    tap.equal(done.status, 128 + signal.SIGKILL, 'killed: status')
    tap.equal((done.report['signal'], done.report['exit_status']), (9, None), 'killed: reported')
    tap.equal((done.process['state'], done.process['exit_status']), ('killed', None),
              'killed: it did not come to its end')
    tap.ok(done.ioctl('IOMMU_IOAS_MAP')['calls'] == 1 and
           done.process['domains'][0]['now']['mapped_bytes'] == 4 << 20,
           'killed: the numbers are those at its end', done.report)
    tap.equal([a['type'] for a in done.process['alive']], ['IOAS', 'device', 'HWPT'],
              'killed: so are the objects')
    tap.ok(all(program('handler').status == 9 for _ in range(10)),
           'a signal handler may end the process at any time')
    done = program('crash')
    tap.equal(done.status, 128 + signal.SIGSEGV, 'crash: status')
    with subprocess.Popen([COMMAND, 'run', '--report', 'none', '--', 'sh', '-c', 'echo; exec cat'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        tap.equal(running.wait(), 128 + signal.SIGTERM, 'SIGTERM is passed on')
    done = run('--', 'sh', '-c', f'{PROGRAM} leak; {PROGRAM} exit 5')
    tap.ok(done.status == 5 and 'Still alive' in done.err, 'a shell starts it', done)


def budgets():
    done = program('budget', '--memory-max', '256K')
    tap.equal(done.status, 0, 'budget: ENOMEM, and what was mapped stays', )
    memory = done.process['memory']
    tap.ok(memory['max'] == 256 << 10 and memory['peak'] <= memory['max'] and
           memory['events']['max'] >= 2, 'budget: kept and counted', memory)
    tap.ok(memory['peak'] > 200 << 10, 'budget: and used', memory)
    tap.ok(done.ioctl('IOMMU_IOAS_MAP')['errors'].get('ENOMEM') == 2, 'budget: ENOMEM counted',
           done.report)
    more = program('budget', '--memory-max', '512K')
    tap.ok(int(more.out) > int(done.out) * 1.8, 'budget: twice as much goes twice as far',
           done.out + more.out)
    done = program('basic', '--memory-max', '1G', '--memory-high', '8K')
    tap.ok(done.status == 0 and done.process['memory']['events']['high'] > 0 and
           done.process['memory']['high'] == 8192, 'memory.high', done.report)
    tap.ok(program('fail', '--fail-nth', '1').status == 0, 'fail-nth: the first allocation fails')
    done = program('basic', '--fail-nth', '1000000')
    tap.equal((done.process['fail_nth'], done.process['fail_nth_hit']), (1000000, False),
              'fail-nth: the report says that it was not reached')
    auto = program('basic', '--memory-max', 'auto')
    tap.ok(auto.status == 0 and 'cgroup' in auto.report['memory_max_auto'],
           'memory-max auto says where it is from', auto.report)
    limit = auto.process['memory']['max']
    real = pathlib.Path(auto.report['memory_max_auto'])
    if real.exists():
        tap.equal(limit, int(real.read_text()) // 4096 * 4096, 'memory-max auto is the real limit')


def events():
    done = program('munmap')
    lines = done.err.splitlines()
    tap.ok(len(lines) == 1 and 'still mapped for DMA: 2097152 bytes at IOVA 0x40100000' in
           lines[0], 'munmap: one line, when it happens', done)
    tap.equal([(m['length'], m['iova'], m['mapped_bytes']) for m in done.process['munmaps']],
              [(2 << 20, 0x40100000, 2 << 20)], 'munmap: in the report')
    done = program('exec')
    tap.ok(done.status == 0 and not done.err, 'exec: an open file goes on', done)
    tap.equal((done.process['state'], done.process['files_open'], done.process['alive_count']),
              ('exited', 0, 0), 'exec: the report is of the whole process')
    tap.equal(done.ioctl('IOMMU_IOAS_MAP')['calls'], 3, 'exec: with all its calls')
    done = program('exec-cloexec')
    tap.ok(done.status == 0 and not done.err, 'exec: one that is closed')
    tap.equal(done.process['files_open'], 0, 'exec: is closed')


def traces():
    path = os.path.join(SCRATCH, 'trace.txt')
    done = program('leak', '--trace', path, '--phys', 'scattered')
    tap.equal(done.status, 0, 'trace: status')
    replay = subprocess.run([COMMAND, 'replay', '--json', path], capture_output=True, text=True)
    tap.equal(replay.returncode, 0, 'trace: replayed')
    replayed = json.loads(replay.stdout)
    tap.ok(replayed['events']['map'] >= 1024 and replayed['events']['bad_lines'] == 0
           if 'bad_lines' in replayed['events'] else '"map"' in replay.stdout,
           'trace: every scattered page is a map', replay.stdout[:2000])
    tap.ok(f"{done.process['domains'][0]['peak']['table_bytes']}" in replay.stdout,
           'trace: the replay needs the same tables', replay.stdout[:3000])


def alive(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def no_wait():
    """The command ends with the program; what that leaves is served, and reported."""
    path, fifo = (os.path.join(SCRATCH, name) for name in ('no-wait.json', 'fifo'))
    os.mkfifo(fifo)
    # The process that is left uses the IOMMU only after the command has ended.
    script = f'(read go <{fifo}; exec {PROGRAM} leak) & echo $PPID; exit 7'
    # To a file: at a pipe one would wait for all that have it.
    with open(os.path.join(SCRATCH, 'out'), 'w+') as out:
        done = subprocess.run([COMMAND, 'run', '--no-wait', '--devices', '1', '--json', '--report', path, '--',
                               'sh', '-c', script], stdout=out, stderr=out, timeout=600)
        out.seek(0)
        text = out.read()
    tap.equal(done.returncode, 7, 'no-wait: the status of the program')
    tap.ok(text.strip().isdigit() and alive(text.strip()),
           'no-wait: it ends before what the program leaves, which the supervisor goes on to serve', text)
    tap.ok(not os.path.exists(path), 'no-wait: the report is not written yet')
    with open(fifo, 'w') as file:
        file.write('go\n')
    while alive(text.strip()):
        time.sleep(0.01)
    with open(path) as file:
        report = json.load(file)
    left = [one for one in report['processes'] if one['files_open'] or one['domains']]
    tap.ok(len(left) == 1 and left[0]['domains'][0]['peak']['mapped_bytes'] == 4 << 20 and
           left[0]['state'] == 'exited' and report['exit_status'] == 7,
           'no-wait: the report has what was done afterwards', report)
    for part, status in ('killed', 128 + signal.SIGKILL), ('exit 0', 0):
        done = run('--no-wait', '--devices', '1', '--report', 'none', '--', PROGRAM, *part.split())
        tap.ok(done.status == status and not done.err, f'no-wait: {part}: status {status}', done)
    done = run('--no-wait', '--', '/nonexistent/program')
    tap.ok(done.status == 127 and done.err.count('\n') == 1, 'no-wait: a program that is not there', done)
    with subprocess.Popen([COMMAND, 'run', '--no-wait', '--report', 'none', '--', 'sh', '-c', 'echo; exec cat'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        tap.equal(running.wait(), 128 + signal.SIGTERM, 'no-wait: SIGTERM is passed on')


def texts():
    done = run('--devices', '1', '--', PROGRAM, 'leak')
    for pattern in (r'run-program\[\d+\]: exit status 0', r'peak +\d.* memory\.peak',
                    r'vtd/48 +1 +4\.00 MiB', r'IOMMU_IOAS_MAP +1 ',
                    r'IOAS 1, made by IOMMU_IOAS_ALLOC', r'physical addresses: auto'):
        tap.ok(re.search(pattern, done.err), f'text: {pattern}', done.err)
    tap.ok('\033' not in done.err, 'text: no colour in a file')
    tap.ok(len(done.err.splitlines()) < 40, 'text: short', done.err)
    done = run('--', PROGRAM, 'nothing')
    tap.ok(done.status == 0 and len(done.err.splitlines()) == 1 and
           'did not open /dev/iommu' in done.err, 'text: nothing was used', done)
    odd = os.path.join(os.fsencode(SCRATCH), b"\xff\xfe x'")
    shutil.copy(shutil.which('sh'), odd)
    done = run('--json', '--', odd, '-c', ': </dev/iommu')
    tap.ok(done.err.isascii() and json.loads(done.err)['processes'][0]['name'] == r"$'\377\376 x\''",
           'JSON: a name that is no UTF-8', done)
    done = run('--report', 'none', '--', PROGRAM, 'exit 0')
    tap.equal(done.err, '', 'no report')


def check_refused(status, args, words):
    done = run(*args)
    lines = done.err.splitlines()
    tap.ok(done.status == status and len(lines) == 1 and lines[0].startswith('uiommu run: ') and
           all(word in lines[0] for word in words),
           f"refused: {' '.join(os.path.basename(a) for a in args)}", f'{done}\nexpected {words}')


def not_started():
    """A program that cannot be started ends as under env(1)."""
    place = tempfile.mkdtemp(dir=SCRATCH)
    for name, text, mode in (('plain', 'text\n', 0o644), ('lost', '#!/nonexistent/shell\n', 0o755),
                             ('odd\nname', 'text\n', 0o644), ('twice', 'text\n', 0o644)):
        path = os.path.join(place, name)
        with open(path, 'w') as file:
            file.write(text)
        os.chmod(path, mode)
    os.mkdir(os.path.join(place, 'directory'))
    os.symlink('loop', os.path.join(place, 'loop'))
    path = f'{place}:/nonexistent:/bin:/usr/bin'
    for name in ('', '/nonexistent/y', 'no-such-program-here', f'{place}/plain', 'plain', f'{place}/lost',
                 'lost', place, 'directory', f'{place}/plain/below', f'{place}/loop', 'x' * 5000,
                 f'{place}/odd\nname', '/dev/null'):
        expected = subprocess.run(['env', name or f'{place}/'], capture_output=True,
                                  env={**os.environ, 'PATH': path}).returncode if name else 127
        done = run('--', name, env={**os.environ, 'PATH': path})
        tap.ok(done.status == expected in (126, 127) and done.err.count('\n') == 1 and
               done.err.startswith('uiommu run: ') and not done.out,
               f'not started: {os.path.basename(name)[:20]!r}: status {expected}', done)
    tap.ok(run('--', f'{place}/odd\nname').err.startswith(f"uiommu run: $'{place}/odd\\nname': "),
           'not started: the name is quoted')
    files = {option: os.path.join(place, option) for option in ('trace', 'report')}
    for path in files.values():
        with open(path, 'w') as file:
            file.write('before')
    done = run(*(word for option, path in files.items() for word in ('--' + option, path)), '--',
               f'{place}/lost')
    tap.ok(done.status == 127 and done.err.count('\n') == 1 and
           all(open(path).read() == 'before' for path in files.values()),
           'not started: the files are as they were', done)


def refused():
    source = os.path.join(SCRATCH, 'source.c')
    with open(source, 'w') as file:
        file.write('int main(void) { return 0; }\n')
    cases = [((), 'no program'), (('--',), 'no program'), ((PROGRAM,), "'--'"),
             (('--iommu', 'nvme', '--', PROGRAM), 'nvme', 'vtd'),
             (('--iommu', 'vtd', '--granule', '16K', '--', PROGRAM), '16K', 'vtd has 4K'),
             (('--iommu', 'arm64-s2', '--granule', '2M', '--', PROGRAM), '2M', '64K'),
             (('--address-width', '40', '--', PROGRAM), '40'),
             (('--devices', '1000', '--', PROGRAM), '1000'),
             (('--memory-max', '12Q', '--', PROGRAM), '12Q'),
             (('--memory-max', '4095', '--', PROGRAM), '4095', '4K or more', 'whole pages'),
             (('--memory-max', '1', '--', PROGRAM), '4K or more'),
             (('--phys', 'odd', '--', PROGRAM), 'odd', 'scattered'),
             (('--fail-nth', '0', '--', PROGRAM), '--fail-nth'),
             (('--name', 'a b', '--', PROGRAM), "'a b'"),
             (('--mem', '1M', '--', PROGRAM), '--mem:', 'ambiguous', '--memory-max', '--memory-high',
              '--memlock'),
             (('--memory-m', '--', PROGRAM), '--memory-max=BYTES', 'missing'),
             (('--json=yes', '--', PROGRAM), '--json=yes', 'no value')]
    for args, *words in cases:
        check_refused(2, args, words)
    cases = [(('--', source), source, 'executable'), (('--', SCRATCH), SCRATCH, 'executable')]
    for args, *words in cases:
        check_refused(126, args, words)
    shell = os.path.join(SCRATCH, 'shell')
    with open(shell, 'w') as file:
        file.write(f'#!/bin/sh\nexec {PROGRAM} basic\n')
    os.chmod(shell, 0o755)
    tap.equal(run('--devices', '1', '--report', 'none', '--', shell).status, 0, 'a script is run')


def surroundings():
    """Little address space, and few descriptors."""
    for limit in '-v 200000', '-n 40':
        script = os.path.join(SCRATCH, 'limited')
        with open(script, 'w') as file:
            file.write(f'#!/bin/sh\nulimit {limit}\nexec {PROGRAM} basic\n')
        os.chmod(script, 0o755)
        done = run('--devices', '1', '--report', 'none', '--', script)
        tap.ok(done.status == 0 and not done.err, f'ulimit {limit}', done)
    code = ("import fcntl, os, struct\nos.environ.clear()\nfd = os.open('/dev/iommu', 2)\n"
            "for n in range(100000): fcntl.ioctl(fd, 0x3b81, struct.pack('III', 12, 0, 0))\n")
    done = run('--memory-max', '64K', '--', sys.executable, '-c', code)
    tap.ok(done.status == 1 and 'Cannot allocate memory' in done.err and 'reached 1 time' in
           done.err, 'options hold when the program clears its environment', done)


with tempfile.TemporaryDirectory() as SCRATCH:
    for part in (parts, formats, report, ends, budgets, events, traces, no_wait, texts, refused, not_started,
                 surroundings):
        part()
tap.done()
