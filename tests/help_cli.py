#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The help of every command: it fits a terminal of 80 columns, and each of its examples,
pasted into a shell, does what it says.

Arguments: the command, examples/map-guest, a trace, a domain of libvirt's as XML.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, GUEST, TRACE, DOMAIN = (os.path.abspath(path) for path in sys.argv[1:5])
COMMANDS = ['run', 'top', 'size', 'replay', 'image', 'walk']
tap = Tap()


def uiommu(*args):
    return subprocess.run([COMMAND, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def examples(text):
    """The commands below "Examples:", each with the lines that it goes on in."""
    found = re.search(r'^Examples:\n((?:  .*\n?)+)', text, re.M)
    return re.findall(r'^  (\S(?:.*\\\n)*.*)$', found[1], re.M) if found else []


def check_texts():
    texts = {command: uiommu(command, '--help') for command in COMMANDS}
    texts['help'] = uiommu('help')
    for command, done in texts.items():
        lines = done.stdout.splitlines()
        tap.ok(done.returncode == 0 and not done.stderr and len(lines) > 10 and
               max(map(len, lines)) <= 80 and '\t' not in done.stdout,
               f'{command}: 80 columns', [line for line in lines if len(line) > 80])
        tap.ok(examples(done.stdout), f'{command}: has examples', done.stdout)
        same = uiommu('--help') if command == 'help' else uiommu('help', command)
        tap.equal((same.returncode, same.stdout), (0, done.stdout), f'uiommu help {command}')
        if command != 'help':
            tap.ok(f'  {command} ' in texts['help'].stdout, f'{command}: is in the help of all')
            usage = uiommu(command, '--usage')
            tap.ok(usage.returncode == 0 and max(map(len, usage.stdout.splitlines())) <= 80,
                   f'{command}: --usage', usage)
            for flag in '-h', '-?':
                tap.equal(uiommu(command, flag).stdout, done.stdout, f'{command} {flag}')
    for args, words in ((['help', 'nope'], ['nope', "'replay'"]), (['help', 'size', 'x'], ['x']),
                        (['help', '--nope'], ['--nope'])):
        done = uiommu(*args)
        tap.ok(done.returncode == 2 and done.stderr.count('\n') == 1 and not done.stdout and
               all(word in done.stderr for word in words), f'refused: {args}', done)
    return {command: done.stdout for command, done in texts.items()}


def run_on_terminal(command, **kwargs):
    """Its exit status, after a 'q' once it shows something."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(['sh', '-c', command], stdin=theirs, stdout=theirs, **kwargs)
    os.close(theirs)
    shown, asked = b'', False
    while True:
        if not select.select([ours], [], [], 0.05)[0] and child.poll() is not None:
            break
        try:
            shown += os.read(ours, 65536)
        except OSError: # the last one has closed it
            break
        if b'uiommu run' in shown and not asked:
            os.write(ours, b'q')
            asked = True
    os.close(ours)
    return child.wait()


def check_examples(texts):
    os.symlink(GUEST, 'map-guest')
    shutil.copy(TRACE, 'trace.txt.xz')
    bin_directory = pathlib.Path('bin')
    bin_directory.mkdir()
    os.symlink(COMMAND, bin_directory / 'uiommu')
    # Stand for the tools, which want a trace and a domain of their own.
    for name, words, command in (('trace-cmd', 'report', 'xz -dc trace.txt.xz'),
                                 ('virsh', 'dumpxml NAME', f"cat '{DOMAIN}'")):
        tool = bin_directory / name
        tool.write_text(f'#!/bin/sh\ntest "$*" = "{words}" && exec {command}\n')
        tool.chmod(0o755)
    env = {**os.environ, 'PATH': f'{bin_directory.absolute()}:{os.environ["PATH"]}', 'TERM': 'xterm',
           'UIOMMU_NAME': 'vm1'}
    subprocess.run('xz -dc trace.txt.xz >trace.txt', shell=True, check=True)
    other = None
    other = subprocess.Popen([COMMAND, 'run', '--report', '/dev/null', '--', 'sh', '-c', 'echo; exec cat'],
                             env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    for command, text in texts.items():
        for example in examples(text):
            name = ' '.join(example.replace('\\\n', ' ').split())
            if example == 'uiommu top':
                tap.equal(run_on_terminal(example, env=env), 0, example)
                continue
            done = subprocess.run(['sh', '-ec', example], capture_output=True, text=True, env=env,
                                  stdin=subprocess.DEVNULL)
            missing = [word for word in re.findall(r'[\w.]+\.(?:bin|svg|csv|json|jsonl|txt)\b', example)
                    if not os.path.exists(word) or not os.path.getsize(word)]
            tap.ok(done.returncode == 0 and not missing and (command == 'run' or not done.stderr),
                   name, f'{done}\nnot made: {missing}')
    check_page(env)
    if other:
        other.stdin.close()
        other.wait()


def check_page(env):
    """The example of uiommu-run(1), which maps something."""
    text = (pathlib.Path(__file__).parent.parent / 'man/uiommu-run.1').read_text()
    example = re.search(r'^\.SH EXAMPLES\n.*?^\.nf\n(.*?)^\.fi\n', text, re.S | re.M)[1]
    os.unlink('trace.txt')
    done = subprocess.run(['sh', '-ec', example.replace('\\-', '-').replace('\\e', '\\')], env=env,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    maps = re.search(r'^  map +(\d+)', done.stdout, re.M)
    tap.ok(done.returncode == 0 and maps and int(maps[1]), 'man uiommu-run: its example', done)


for option in '--help', '-?':
    tap.equal(uiommu('help', option).stdout, uiommu('--help').stdout, f'uiommu help {option}')
with tempfile.TemporaryDirectory() as SCRATCH:
    os.chdir(SCRATCH)
    check_examples(check_texts())
    os.chdir('/')
tap.done()
