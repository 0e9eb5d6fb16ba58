#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu top: what it shows of a program against what the program did; on a terminal
by tmux.

Arguments: the command, the client (top_client.py).
"""
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from replay_tap import Tap

COMMAND, CLIENT = sys.argv[1:3]
COMMAND, CLIENT = os.path.abspath(COMMAND), os.path.abspath(CLIENT)
MIB, PAGES = 1 << 20, 256
SEED = 20261129
HANG = 1800 # seconds: what has not come by then never will
# Other runs on this machine are none of ours.
NAME = f'test-{os.getpid()}'
NOTHING = f"uiommu top: no 'uiommu run' with --name {NAME} is running\n"
tap = Tap()


class Client:
    """A program under `uiommu run` that takes orders. Its memory is scattered, so that
    each page is a call of iommu_map()."""

    def __init__(self, *options):
        self.run = subprocess.Popen(
            [COMMAND, 'run', '--devices', '1', '--phys', 'scattered', '--report', '/dev/null',
             *options, '--', sys.executable, CLIENT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.run.stdout.readline() == 'ready\n'
        self.pid = self.run.pid

    def tell(self, order, wait=True):
        self.run.stdin.write(order + '\n')
        self.run.stdin.flush()
        while wait and self.run.stdout.readline().strip() not in ('done', ''):
            pass

    @property
    def program(self):
        with open('/proc/%d/task/%d/children' % (self.pid, self.pid)) as children:
            found = [int(pid) for pid in children.read().split()]
        # The other one stands by for the supervisor.
        return next(pid for pid in found if not os.path.samefile(f'/proc/{pid}/exe', COMMAND))

    def report(self, flags=os.O_RDWR):
        """The report's memory, as a hostile program finds it."""
        for link in glob.glob('/proc/%d/fd/*' % self.pid):
            if 'uiommu-report' in os.readlink(link):
                return os.open(link, flags)

    def end(self):
        self.run.stdin.close()
        return self.run.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.run.poll() is None:
            self.run.kill()
        # The client reads the end of its input.
        self.run.stdin.close()
        self.run.stdout.close()
        self.run.wait()


def top(*args, **kwargs):
    return subprocess.run([COMMAND, 'top', *map(str, args)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **kwargs)


def sample(*args):
    return json.loads(top('--json', *args).stdout)


class Screen:
    """uiommu top in a terminal of its own."""
    servers = 0

    def __init__(self, *args, columns=140, lines=40, term='tmux-256color'):
        # A server of its own: one that ends takes its time.
        Screen.servers += 1
        self.server = 'top-%d' % Screen.servers
        self.tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(columns), '-y', str(lines),
                  # What ncurses keeps for ever is no leak of ours.
                  ' '.join(['TERM=' + term, 'LSAN_OPTIONS=print_suppressions=0:suppressions=' + KEPT, COMMAND,
                            'top', *map(str, args)]) + '; echo status $?; sleep 60')

    def tmux(self, *args):
        return subprocess.run(['tmux', '-L', self.server, *args], capture_output=True, text=True)

    def text(self, *options):
        return self.tmux('capture-pane', '-p', *options).stdout

    def keys(self, *keys):
        self.tmux('send-keys', *keys)

    def wait(self, pattern, options=()):
        """Until the pattern is on the screen: the screen, or None."""
        end = time.monotonic() + HANG
        while time.monotonic() < end:
            text = self.text(*options)
            if re.search(pattern, text, re.S):
                return text
            time.sleep(0.05)
        return None

    def expect(self, pattern, name, **more):
        tap.ok(self.wait(pattern, **more) is not None, 'screen: ' + name,
               pattern + '\n' + self.text())

    def close(self):
        self.tmux('kill-server')


def tables(usage):
    """Of each level, the lowest first."""
    return [level['tables'] for level in usage['levels']]


def check_nothing():
    done = top('--once')
    tap.ok(done.returncode == 1 and done.stderr == NOTHING, 'nothing is running', done)
    with subprocess.Popen([COMMAND, 'run', '--report', '/dev/null', '--', 'sh', '-c', 'echo; exec cat'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        done = top('--once')
        tap.ok(done.returncode == 0 and 'it has not opened /dev/iommu' in done.stdout and
               'exec cat' in done.stdout, 'a program that does not use it', done)
        other.stdin.close()
        other.wait()


def check_commands():
    for args, word in ((['--interval', '0'], "'0'"), (['--interval', 'x'], "'x'"),
                       (['--interval', 'nan'], "'nan'"), (['--count', '3'], '--json'),
                       (['--once', '--json'], '--once'), (['abc'], 'abc'), (['0'], '0'),
                       (['1', '2'], '2'), (['--nope'], '--nope'), ([], 'no terminal'),
                       (['--once', os.getpid()], str(os.getpid()))):
        done = top(*args)
        tap.ok(done.returncode == 2 and done.stderr.count('\n') == 1 and word in done.stderr and
               not done.stdout, 'refused: %s' % args, done)
    tap.ok('Examples:' in top('--help').stdout, '--help has examples')


def check_figures():
    """Every figure against what the program was told to do."""
    with Client() as client:
        client.tell('40 map')
        client.tell('10 unmap')
        client.tell('7 fail')
        found = sample()
        process = found['processes'][0]
        tap.equal((found['pid'], process['pid'], found['ended']),
                  (client.pid, client.program, False), 'json: whose it is')
        tap.ok(CLIENT in found['command'], 'json: the command', found['command'])
        counters = process['counters']
        tap.equal((counters['maps'], counters['map_bytes'], counters['unmaps'],
                   counters['unmap_bytes'], counters['iotlb_flushes']),
                  (40 * PAGES, 40 * MIB, 10, 10 * MIB, 10), 'json: maps, unmaps and flushes')
        tap.equal((process['failed'], process['enomem'], counters['maps_failed']), (7, 0, 0),
                  'json: failures')
        domain = process['domains'][0]
        # A table of each of 30 GiB and of its 1 MiB, one of 512 GiB, the top.
        tap.equal((domain['now']['areas'], domain['now']['mapped_bytes'],
                   tables(domain['now'])[:4]),
                  (30, 30 * MIB, [30, 30, 1, 1]), 'json: the domain')
        tap.equal(tables(domain['peak'])[:4], [40, 40, 1, 1], 'json: its peak')
        tap.ok(process['memory']['current'] >= 62 * 4096, 'json: charged', process['memory'])
        tap.equal(process['memory']['max'], None, 'json: no limit')

        for pid in client.pid, client.program:
            tap.equal(sample(pid)['pid'], client.pid, 'found by %s' % (
                'the run' if pid == client.pid else 'the program'))
        text = top('--once').stdout
        for pattern in (r'^uiommu run %d: .*running; rates since the start' % client.pid,
                        r'python\S*\[%d\]: running' % client.program,
                        r'maps +\S+ +\S+ \S+ +10,240 +40\.00 MiB',
                        r'unmaps +\S+ +\S+ \S+ +10 +10\.00 MiB', r'IOTLB flushes +\S+ +10 *$',
                        r'Faults +7 ioctls failed, 0 of them ENOMEM; 0 maps failed',
                        r'vtd/48 +30\.00 MiB +248\.00 KiB +328\.00 KiB +30   4K 4K 120K 120K$',
                        r'IOMMU_IOAS_MAP +\S+ +47 +\d+ +7$', r'IOMMU_IOAS_UNMAP +\S+ +10 +\d+ +0$'):
            tap.ok(re.search(pattern, text, re.M), 'text: ' + pattern, text)
        tap.ok('\033' not in text, 'text: no colour in a file')
        client.tell('30 unmap')
        now = sample()['processes'][0]['domains'][0]['now']
        tap.equal((now['areas'], now['mapped_bytes'], tables(now)[:4]), (0, 0, [0, 0, 0, 1]),
                  'json: all is unmapped')
        tap.equal(client.end(), 0, 'the program is not harmed')


def check_budget():
    with Client('--memory-max', '256K', '--iommu', 's390') as client:
        client.tell('2 map')
        client.tell('1 starve')
        process = sample()['processes'][0]
        memory = process['memory']
        tap.ok(memory['max'] == 256 << 10 and memory['events']['max'] >= 1 and
               process['enomem'] == 1 and process['counters']['maps_failed'] >= 1 and
               200 << 10 < memory['peak'] <= memory['max'], 'a budget that is reached', process)
        text = top('--once').stdout
        tap.ok(re.search(r'256\.00 KiB +max   max [1-9]\d*, high 0', text) and
               '1 ioctls failed, 1 of them ENOMEM' in text, 'text: and it says so', text)
        # Tables of s390 have 16K, but for the lowest, of 2K; here one and two of them each.
        found = re.search(r's390/\d+ +2\.00 MiB .*  2   (.*)', text)
        levels = [dict(K=1024, M=MIB).get(level[-1], 1) * int(level.rstrip('KM'))
                  for level in found[1].split()] if found else []
        tap.equal(sum(levels), process['domains'][0]['now']['table_bytes'],
                  'bytes by level are those of the domain')


def check_rates():
    """Rates times their seconds come to what was done, whatever time that took."""
    with Client() as client:
        client.tell('4 map')
        with subprocess.Popen([COMMAND, 'top', '--json', '--count', '1000000', '--interval', '0.1'],
                              stdout=subprocess.PIPE, text=True) as watcher:
            before = json.loads(watcher.stdout.readline())['processes'][0]
            begin = before['counters']
            keys = {'maps': 'maps', 'map_bytes': 'map_bytes', 'unmaps': 'unmaps',
                    'unmap_bytes': 'unmap_bytes', 'iotlb_flushes': 'iotlb_flushes'}
            client.tell('30 map')
            client.tell('20 unmap')
            client.tell('5 fail')
            sums, seconds, wrong = dict.fromkeys([*keys, 'failed'], 0), [], []
            while before['counters']['unmaps'] < 20 or before['failed'] < 5:
                process = json.loads(watcher.stdout.readline())['processes'][0]
                rates = process['rates']
                seconds.append(rates['seconds'])
                for key in keys:
                    change = process['counters'][key] - before['counters'][key]
                    # Both have three decimals.
                    if abs(rates[key] * rates['seconds'] - change) > 1 + rates[key] / 1000:
                        wrong.append((key, rates, change))
                    sums[key] += rates[key] * rates['seconds']
                sums['failed'] += rates['failed'] * rates['seconds']
                before = process
            watcher.terminate()
        tap.equal(wrong, [], 'rates: as the totals say')
        tap.ok(min(seconds) >= 0.1, 'rates: over no less than the interval', seconds)
        expected = {key: before['counters'][key] - begin[key] for key in keys}
        tap.equal((expected['maps'], expected['unmap_bytes']), (30 * PAGES, 20 * MIB), 'rates: totals')
        expected['failed'] = 5
        tap.ok(all(abs(sums[key] - expected[key]) <= 1 + expected[key] / 100 for key in expected),
               'rates: come to what was done', (sums, expected))
        client.tell('1 steady', wait=False)
        screen = Screen('--interval', '0.5')
        screen.expect(r'rates over \d+\.\d s.*maps +[1-9][\d,]*.*unmaps +[1-9][\d.,]*', 'rates')
        screen.close()


def check_screen():
    with Client() as client:
        screen = Screen('--interval', '0.2')
        screen.expect(r'uiommu run %d.*running' % client.pid, 'whose it is')
        client.tell('5 map')
        screen.expect(r'maps +\S+ +\S+ \S+ +1,280 +5\.00 MiB.*vtd/48 +5\.00 MiB .* 5   4K 4K 20K 20K',
                      'what it maps')
        screen.keys('p')
        screen.expect('p go on.*PAUSED', 'p pauses')
        client.tell('3 unmap')
        time.sleep(0.6)
        tap.ok(re.search(r'unmaps +\S+ +\S+ \S+ +0 ', screen.text()), 'screen: nothing moves then',
               screen.text())
        screen.keys('p')
        screen.expect(r'p pause.*|unmaps +\S+ +\S+ \S+ +3 ', 'p goes on')
        screen.expect(r'unmaps +\S+ +\S+ \S+ +3 +3\.00 MiB', 'and shows what came meanwhile')
        for name in 'mapped', 'HWPT', 'tables':
            screen.keys('s')
            screen.expect('s sort by ' + name, 's sorts by ' + name)
        client.tell('2 fail')
        screen.expect(r'Faults +2 ioctls failed', 'failures')
        tap.ok('\033[31m' in screen.text('-e') or '\033[38;5;1m' in screen.text('-e'),
               'screen: in colour', screen.text('-e'))
        for columns, lines in ((20, 3), (1, 1), (5, 2), (300, 90)):
            screen.tmux('resize-window', '-x', str(columns), '-y', str(lines))
            time.sleep(0.3)
        screen.expect('IOMMU_IOAS_UNMAP', 'is drawn anew after all sizes')
        screen.tmux('resize-window', '-x', '100', '-y', '8')
        screen.expect(r'^uiommu run.*\n(.*\n){5}', 'a few lines')
        for _ in range(12):
            screen.keys('Down')
        screen.expect(r'^uiommu run.*IOMMU_IOAS_UNMAP', 'arrows scroll, the heading stays')
        screen.keys('Home')
        screen.expect(r'Memory cgroup', 'Home goes back')
        screen.keys('q')
        screen.expect('status 0', 'q quits')
        tap.equal(client.run.poll(), None, 'screen: the program goes on')
        screen.close()
        for columns, lines, term in ((10, 2, 'tmux-256color'), (140, 40, 'vt100')):
            screen = Screen('--interval', '0.2', columns=columns, lines=lines, term=term)
            screen.expect('uiommu run', 'begins with %d columns on %s' % (columns, term))
            screen.keys('q')
            screen.tmux('resize-window', '-x', '80', '-y', '10')
            screen.expect('status 0', 'and ends')
            screen.close()
        screen = Screen(term='nonesuch')
        screen.expect("'nonesuch'.*status 2", 'an unknown terminal is refused')
        screen.close()


def check_end():
    with Client() as client:
        screen = Screen('--interval', '0.2')
        client.tell('6 map')
        screen.expect(r'1,536 +6\.00 MiB', 'before the end')
        tap.equal(client.end(), 0, 'the program ends while it is shown')
        done = top('--once')
        tap.ok(done.returncode == 1 and done.stderr == NOTHING,
               'who still shows one that has ended is no run', done)
        screen.expect(r'uiommu run \d+: .*ended.*exited.*1,536 +6\.00 MiB', 'its last figures stay')
        screen.keys('q')
        screen.expect('status 0', 'and q quits')
        screen.close()
    with Client() as client:
        watcher = subprocess.Popen([COMMAND, 'top', '--json', '--count', '1000', '--interval', '0.2'],
                                   stdout=subprocess.PIPE, text=True)
        watcher.stdout.readline()
        os.kill(client.program, signal.SIGKILL)
        tap.equal(client.run.wait(), 128 + signal.SIGKILL, 'the program is killed')
        lines = watcher.communicate()[0].splitlines()
        tap.ok(watcher.returncode == 0 and json.loads(lines[-1])['ended'], 'json: ends with it',
               lines[-1:])


def check_several():
    with Client() as one, Client() as two:
        one.tell('3 map')
        done = top('--once')
        tap.ok(done.returncode == 2 and done.stderr.count('\n') == 1 and '2 programs' in done.stderr
               and sorted(int(line.split()[0]) for line in done.stdout.splitlines()) ==
               sorted((one.pid, two.pid)), 'several are listed', done)
        tap.equal([sample(c.pid)['processes'][0]['counters']['map_bytes'] for c in (one, two)],
                  [3 * MIB, 0], 'and chosen by PID')
        watchers = [subprocess.Popen([COMMAND, 'top', '--json', '--count', '2', str(one.pid)],
                                     stdout=subprocess.DEVNULL) for _ in range(2)]
        time.sleep(0.2)
        tap.equal(sample(two.program)['pid'], two.pid, 'who looks is no run itself')
        for watcher in watchers:
            watcher.wait()


def check_names():
    """Runs of one user are told apart by the names that they were given."""
    with Client('--name', NAME + '-one') as one, Client('--name', NAME + '-two') as two, \
            Client() as nameless:
        two.tell('2 map')
        for client, args in ((one, ['--name', NAME + '-one']), (two, ['--name', NAME + '-two']),
                             (nameless, []), (one, [one.pid]), (two, [two.program])):
            tap.equal(sample(*args)['pid'], client.pid, 'by name: %s' % args)
        tap.equal(sample('--name', NAME + '-two')['name'], NAME + '-two', 'json: the name')
        with Client('--name', NAME + '-one') as three:
            done = top('--once', '--name', NAME + '-one')
            tap.ok(done.returncode == 2 and sorted(int(line.split()[0])
                   for line in done.stdout.splitlines()) == sorted((one.pid, three.pid)),
                   'by name: several of the same', done)
        for args, status, word in ((['--name', NAME + '-on'], 1, NAME + '-on is'),
                                   (['--name', NAME + '-one', two.pid], 2, str(two.pid)),
                                   (['--name', 'a b'], 2, "'a b'"), (['--name', ''], 2, "''"),
                                   (['--name', 'x' * 65], 2, 'xxx')):
            done = top('--once', *args)
            tap.ok(done.returncode == status and word in done.stderr and done.stderr.count('\n') == 1,
                   'by name: refused: %s' % args, done)


def check_hostile():
    """A program that writes into its report what it likes."""
    random.seed(SEED)
    print('# seed %d' % SEED)
    with Client() as client:
        client.tell('2 map')
        fd = client.report()
        size = os.fstat(fd).st_size
        good = os.pread(fd, size, 0)
        for turn in range(20):
            data = bytearray(good)
            if turn < 10:
                data[12:200000] = random.randbytes(200000 - 12)
                data[4:8] = random.choice([b'\x01\0\0\0', b'\x07\0\0\0', b'\xff\xff\xff\xff'])
            else:
                for _ in range(3000):
                    data[random.randrange(12, 40000)] = random.choice([0, 1, 0x1b, 0x7f, 0xff])
            os.pwrite(fd, data, 0)
            text, found = top('--once', client.pid), top('--json', client.pid)
            if text.returncode or found.returncode or '\033' in text.stdout or \
                    not json.loads(found.stdout)['processes'] or text.stderr:
                tap.ok(False, 'a hostile report, turn %d' % turn, text)
                break
        else:
            tap.ok(True, 'hostile reports are shown, whatever they say')
        screen = Screen('--interval', '0.1', client.pid)
        screen.expect('uiommu run', 'a hostile report')
        os.pwrite(fd, b'nope', 0)
        screen.expect('cannot be read any more.*status 2', 'that stops being one')
        screen.close()
        done = top('--once')
        tap.ok(done.returncode == 2 and 'not of this version' in done.stderr, 'another version', done)
        os.pwrite(fd, good, 0)
        os.pwrite(fd, b'\0\0\0\0', 8)
        os.close(fd)
        tap.equal(sample()['pid'], client.pid, 'one that names no owner')
        client.run.kill()
    with Client() as client:
        fd = client.report()
        os.ftruncate(fd, 5000)
        done = top('--once')
        tap.ok(done.returncode == 2 and done.stderr.count('\n') == 1, 'a report that is cut short', done)
        os.close(fd)


def check_races():
    """Samples while lists change all the time hang together."""
    with Client() as client:
        client.tell('1 steady', wait=False)
        wrong = []
        for _ in range(100):
            for domain in sample()['processes'][0]['domains']:
                now = domain['now']
                if now['mapped_bytes'] != now['areas'] * MIB or \
                        now['table_bytes'] != 4096 * sum(tables(now)):
                    wrong.append(domain)
        tap.equal(wrong, [], 'a sample is of one moment')


if not shutil.which('tmux'):
    tap.skip('all', 'no tmux')
    tap.done()
os.environ['UIOMMU_NAME'] = NAME
with tempfile.TemporaryDirectory() as SCRATCH, Client('--name', 'stranger') as stranger:
    os.environ['TMUX_TMPDIR'] = SCRATCH
    KEPT = os.path.join(SCRATCH, 'kept')
    with open(KEPT, 'w') as file:
        file.write('leak:libncursesw.so\nleak:libtinfo.so\n')
    stranger.tell('3 map')
    for check in (check_commands, check_nothing, check_figures, check_budget, check_rates, check_screen,
                  check_end, check_several, check_names, check_hostile, check_races):
        check()
tap.done()
