#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu run under programs that die at any moment or do what they should not: nothing
hangs, and what is charged is right to the byte afterwards.

Arguments: the command, the program, the compiler.
"""
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from replay_tap import Tap

COMMAND, PROGRAM = sys.argv[1:3]
CC = sys.argv[3:]
DEATHS = int(os.environ.get('UIOMMU_DEATHS', '2000'))
tap = Tap()


def run(program, *arguments, options=('--devices', '1', '--memlock', 'unlimited'), timeout=300):
    """(the process, its report)"""
    path = os.path.join(SCRATCH, 'report.json')
    try:
        done = subprocess.run([COMMAND, 'run', *options, '--json', '--report', path, '--', program,
                               *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        tap.ok(False, f'{arguments[0]}: ends')
        tap.done()
    with open(path) as report:
        return done, json.load(report)


def expect(name, *arguments, status=0, program=None, **more):
    done, report = run(program or PROGRAM, *arguments, **more)
    tap.equal((done.returncode, done.stdout, done.stderr), (status, '', ''), name)
    return report


def check_charges(report, name):
    """At the end of the last process nothing is charged."""
    tap.equal(report['memory_current'], 0, f'{name}: nothing is charged at the end')
    left = [p['pid'] for p in report['processes'] if p['memory']['current'] and not p['files_open']]
    tap.equal(left, [], f'{name}: what a process was charged for at its end, it had open')


def ends():
    report = expect('processes die inside calls', 'deaths', DEATHS)
    check_charges(report, 'deaths')
    tap.ok(len(report['processes']) > DEATHS / 10 or len(report['processes']) == 512,
           'deaths: those that used it are reported', len(report['processes']))
    states = {p['state'] for p in report['processes']}
    tap.ok(states <= {'exited', 'killed'}, 'deaths: all have ended', states)
    check_charges(expect('calls in signal handlers', 'handlers', 2000), 'handlers')
    check_charges(expect('arguments that change', 'races', 2000), 'races')
    check_charges(expect('descriptors that the program has not been told of', 'untold', 300),
                  'untold')
    done, report = run(PROGRAM, 'scribble')
    process = report['processes'][0]
    # Which signal ends it depends on what of the C library it has left.
    tap.ok(done.returncode in (128 + signal.SIGKILL, 128 + signal.SIGSEGV), 'scribble: it dies', done)
    tap.equal((process['state'], process['domains'][0]['now']['mapped_bytes'],
               [level['tables'] for level in process['domains'][0]['now']['levels']][:4]),
              ('killed', 1 << 20,
               [level['tables'] for level in process['domains'][0]['peak']['levels']][:4]),
              'a program that writes over all of its memory is charged as before')
    check_charges(report, 'scribble')


def faults():
    fortified = os.path.join(SCRATCH, 'fortified')
    source = os.path.splitext(os.path.abspath(__file__))[0] + '.c'
    top = os.path.dirname(os.path.dirname(source))
    subprocess.run([*CC, '-O2', '-D_FORTIFY_SOURCE=2', '-D_GNU_SOURCE', '-w', f'-I{top}/include',
                    f'-I{top}', '-o', fortified, source, '-lpthread'], check=True)
    for program, name in (PROGRAM, 'plain'), (fortified, '_FORTIFY_SOURCE'):
        for turn in 1, 2:
            expect(f'{name}: faults in several processes', 'faults', turn, program=program,
                   options=('--test-abi',))
        expect(f'{name}: a device file is read as one', 'reads', program=program)
    expect('mlockall()', 'lock-all')


def supervisor_ends():
    """By a signal at any time, and without one."""
    for sig in signal.SIGTERM, signal.SIGINT:
        running = subprocess.Popen([COMMAND, 'run', '--devices', '1', '--report', 'none', '--',
                                    'sh', '-c', f'trap "" TERM INT; {PROGRAM} deaths 1000000'],
                                   stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        for _ in range(2):
            running.send_signal(sig)
            time.sleep(0.2)
        running.send_signal(sig)
        tap.ok(running.wait(30) != 0, f'{sig.name} ends it, whatever the program thinks of it')
    code = ('import fcntl, os, sys\nfd = os.open("/dev/iommu", 2)\nprint("open", flush=True)\n'
            'sys.stdin.read()\n'
            'try: fcntl.ioctl(fd, 0x3b81, b"\\x0c" + bytes(11))\n'
            'except OSError as error: print(error.errno)\n'
            'print(os.path.exists("/dev/iommu"), os.path.exists("/dev/null"))\nsys.exit(3)\n')
    running = subprocess.Popen([COMMAND, 'run', '--report', 'none', '--', 'sh', '-c',
                                f"{sys.executable} -c '{code}'; echo $?"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True,
                               env={**os.environ, 'TMPDIR': SCRATCH})
    tap.equal(running.stdout.readline(), 'open\n', 'a program that is to lose its IOMMU')
    running.kill()
    running.wait(30)
    # The pipe ends with the last process that has it.
    out, _ = running.communicate(timeout=30)
    tap.equal(out, f"{errno.ENODEV}\n{os.path.exists('/dev/iommu')} True\n3\n",
              'if the supervisor is killed, the device is gone and all else works')


with tempfile.TemporaryDirectory() as SCRATCH:
    for part in ends, faults, supervisor_ends:
        part()
tap.done()
