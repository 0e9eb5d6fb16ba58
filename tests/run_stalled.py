#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu run while a call of a program takes for ever: nobody else waits for it, and
signals end the run.

Arguments: the command, the program.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, PROGRAM = sys.argv[1:3]
HANG = 600  # seconds: what has not ended then never will
tap = Tap()


def start(part, path, **kwargs):
    return subprocess.Popen([COMMAND, 'run', '--devices', '21', '--memlock', 'unlimited', '--json',
                             '--report', path, '--', PROGRAM, part], stdout=subprocess.PIPE,
                            text=True, **kwargs)


def others_go_on(path):
    for part, name in (('thread', 'another thread'), ('close', 'the file is closed meanwhile'),
                       ('many', 'twenty calls at once'), ('process', 'another process'),
                       ('kill', 'the process is killed')):
        running = start(part, path)
        try:
            out, _ = running.communicate(timeout=HANG)
        except subprocess.TimeoutExpired:
            tap.ok(False, f'{name}: ends')
            os.kill(running.pid, signal.SIGKILL)
            continue
        if running.returncode == 77:
            tap.skip(name, 'no userfaultfd for faults of the kernel')
            continue
        tap.equal((running.returncode, out), (0, ''), f'{name}: others go on')
        with open(path) as file:
            report = json.load(file)
        tap.equal(report['memory_current'], 0, f'{name}: nothing is charged at the end')


def alive(pids):
    return [pid for pid in pids if os.path.exists(f'/proc/{pid}')]


def descendants(pid):
    """Of the supervisor: all but what answers in its place."""
    found = []
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/children') as file:
            for child in map(int, file.read().split()):
                with open(f'/proc/{child}/comm') as comm:
                    if comm.read() != 'uiommu-fallback\n':
                        found += [child, *descendants(child)]
    return found


def signals_end_it(path):
    for part in 'ignore', 'stop', 'orphan':
        for sig in signal.SIGTERM, signal.SIGINT:
            name = f'{sig.name}, twice: {part}'
            running = start(part, path, stderr=subprocess.DEVNULL)
            if running.stdout.readline() != 'stalled\n':
                running.communicate()
                if running.returncode == 77:
                    tap.skip(name, 'no userfaultfd for faults of the kernel')
                else:
                    tap.ok(False, f'{name}: begins')
                continue
            processes = descendants(running.pid)
            for _ in range(2):
                running.send_signal(sig)
                # Signals of one number are one until it is taken.
                while pending(running.pid) & 1 << sig - 1:
                    pass
            try:
                running.wait(HANG)
            except subprocess.TimeoutExpired:
                tap.ok(False, f'{name}: ends')
                running.kill()
                continue
            tap.ok(running.returncode not in (0, -signal.SIGKILL) and len(processes) > 1,
                   f'{name}: ends', f'{running.returncode} {processes}')
            tap.equal(alive(processes), [], f'{name}: nothing of it is left')
            with open(path) as file:
                tap.ok(json.load(file)['processes'], f'{name}: and there is a report')


def pending(pid):
    """Signals that the process has not taken."""
    try:
        with open(f'/proc/{pid}/status') as file:
            return next(int(line.split()[1], 16) for line in file if line.startswith('ShdPnd:'))
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0


with tempfile.TemporaryDirectory() as SCRATCH:
    for check in others_go_on, signals_end_it:
        check(os.path.join(SCRATCH, 'report.json'))
tap.done()
