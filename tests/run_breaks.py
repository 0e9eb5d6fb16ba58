#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu run under programs that use their descriptors, threads and processes as no other
test does.

Arguments: the command, the program.
"""
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, PROGRAM = map(os.path.abspath, sys.argv[1:3])
HANG = int(os.environ.get('UIOMMU_HANG', '300'))  # seconds: what has not ended then never will
tap = Tap()


def run(*arguments, before=(), options=('--devices', '1', '--memlock', 'unlimited'), **more):
    """(exit status, output, errors, report), or None when it does not end."""
    path = os.path.join(SCRATCH, 'report.json')
    running = subprocess.Popen([*before, COMMAND, 'run', *options, '--json', '--report', path, '--',
                                *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, **more)
    try:
        out, err = running.communicate(timeout=HANG)
    except subprocess.TimeoutExpired:
        running.kill()
        return None
    try:
        with open(path) as report:
            return running.returncode, out, err, json.load(report)
    except FileNotFoundError:
        return running.returncode, out, err, None


def expect(part, name, status=0, missing='no userfaultfd for faults of the kernel', **more):
    done = run(PROGRAM, part, **more)
    if done and done[0] == 77:
        tap.skip(name, missing)
        return None
    tap.equal(done and done[:3], (status, '', ''), name)
    if done and done[3]:
        tap.equal(done[3]['memory_current'], 0, f'{name}: nothing is charged at the end')
    return done and done[3]


def descriptors():
    expect('bind-other', 'a device bound to another file, and to none')
    expect('replaced', 'a call that begins after dup2() or close() finds what is there then')


def exits():
    for call in 'map', 'argument':
        name = f'exit while another thread waits for memory: {call}'
        report = expect(f'exit-in-{call}', name, status=5)
        if report:
            process = report['processes'][0]
            tap.equal((process['state'], process['exit_status']), ('exited', 5),
                      f'{name}: the status is reported')
    report = expect('exit-thread', 'the last thread ends by exit(2)', status=3)
    process = report['processes'][0]
    tap.equal((process['state'], process['exit_status']), ('exited', 3),
              'and that is what is reported')


def crowd():
    expect('crowd', 'calls of one process wait in great numbers: others go on', status=5)


def foreign():
    """The inode of a file is opened and closed from outside."""
    path = os.path.join(SCRATCH, 'report.json')
    running = subprocess.Popen([COMMAND, 'run', '--json', '--report', path, '--', PROGRAM, 'foreign'],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, fd = running.stdout.readline().split()
    for flags in os.O_RDONLY, os.O_RDWR:
        os.close(os.open(f'/proc/{pid}/fd/{fd}', flags))
    out, _ = running.communicate('x', timeout=HANG)
    tap.equal((running.returncode, out), (0, ''), 'a file that others open and close goes on')
    with open(path) as report:
        tap.equal(json.load(report)['memory_current'], 0, 'and its own last close is noticed')


def closes():
    expect('exec-file', 'our files are not executed, and go on')
    foreign()
    expect('many', 'more last closes than events have room', status=128 + signal.SIGKILL,
           missing='the limit on descriptors is low')


def limits():
    for part, hard in ('soft', 4096), ('hard', 64):
        expect(f'{part}-limit', f'a {part} limit on descriptors is each process\'s own',
               preexec_fn=lambda hard=hard: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))


def give_up_rights():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def not_dumpable():
    """Without rights over others' memory: a line says what is missing."""
    name = 'a program that is not dumpable'
    try:
        done = subprocess.run([COMMAND, 'run', '--report', 'none', '--', PROGRAM, 'not-dumpable'],
                              capture_output=True, text=True, cwd='/', preexec_fn=give_up_rights)
    except PermissionError:
        tap.skip(name, 'another user cannot reach the programs')
        return
    lines = done.stderr.splitlines()
    tap.ok(done.returncode == 0 and len(lines) == 1 and 'CAP_SYS_PTRACE' in lines[0],
           f'{name}: one line', done)


with tempfile.TemporaryDirectory() as SCRATCH:
    for part in descriptors, exits, crowd, closes, limits, not_dumpable:
        part()
tap.done()
