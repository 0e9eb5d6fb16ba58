#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu run, by kinds of programs: each built as people build theirs, which is neither
with this library nor with any sanitizer.

Arguments: the command, the compiler.
"""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, CC = sys.argv[1], sys.argv[2:]
HERE = pathlib.Path(__file__).resolve().parent
MACHINE = os.uname().machine
# The kernel's headers, which musl's own directories do not have.
MUSL = ['musl-gcc', '-idirafter', '/usr/include', '-idirafter', f'/usr/include/{MACHINE}-linux-gnu']
HANG = 600
tap = Tap()


class Done:
    def __init__(self, run):
        self.status, self.out, self.err = run.returncode, run.stdout, run.stderr

    def __str__(self):
        return f'status {self.status}\n{self.out}\n{self.err}'


def bare(*command, **kwargs):
    return Done(subprocess.run(command, capture_output=True, text=True, timeout=HANG, **kwargs))


def run(*program, options=('--devices', '1'), **kwargs):
    return bare(COMMAND, 'run', *options, '--report', 'none', '--', *program, **kwargs)


def build(name, source, *compiler, **kwargs):
    """The path of the program; None, with a line that says why, if it cannot be built."""
    path = os.path.join(SCRATCH, name)
    what = ' '.join(compiler)
    if not shutil.which(compiler[0]):
        tap.skip(f'{source}: {what}', f'{compiler[0]} is not installed')
        return None
    done = bare(*compiler, '-o', path, str(HERE / source), **kwargs)
    if done.status:
        tap.skip(f'{source}: {what}', (done.err.splitlines() or ['it cannot be built'])[-1])
        return None
    return path


def build_c(name, source, *options):
    return build(name, source, *options, '-D_GNU_SOURCE', '-w', f'-I{HERE.parent}/include', '-pthread')


def check(what, done):
    if done.status == 77:
        tap.skip(what, done.out.strip())
    else:
        tap.ok(done.status == 0 and not done.err, what, done)


PARTS = ('basic', 'errors', 'descriptors', 'device', 'fork', 'vfork', 'paths', 'poll', 'passing', 'exec')
KINDS = ('raw', 'spawn', 'shell', 'clone3', 'daemon', 'numbers', 'proc', 'opens', 'statx', 'listing',
         'epoll', 'uring', 'filter-kill', 'filter-errno')


def c_programs():
    for name, options in (('dynamic', [*CC, '-O2']), ('static', [*CC, '-static']),
                          ('static-pie', [*CC, '-static-pie', '-fPIE']),
                          ('fortify', [*CC, '-O2', '-D_FORTIFY_SOURCE=2']), ('musl', MUSL),
                          ('musl-static', [*MUSL, '-static'])):
        program = build_c(f'program-{name}', 'run_program.c', *options)
        for part in PARTS if program else ():
            check(f'{name}: {part}', run(program, part))
        program = build_c(f'kinds-{name}', 'run_kinds.c', *options)
        for part in KINDS if program else ():
            check(f'{name}: {part}', run(program, part))
        if program:
            pair(name, program)


def pair(name, program):
    """Two programs that have nothing in common but the run and a socket."""
    script = '"$0" receive "$1" & receiver=$!; "$0" send "$1" && wait $receiver'
    check(f'{name}: a file passed on by a program that ends',
          run('sh', '-c', script, program, os.path.join(SCRATCH, f'socket-{name}')))


def other_languages():
    go = {**os.environ, 'GO111MODULE': 'off', 'GOCACHE': SCRATCH + '/go', 'GOFLAGS': ''}
    memlock = ('--devices', '1', '--memlock', 'unlimited')
    for what, source, cgo in ('Go', 'run_program.go', '0'), ('cgo', 'run_program_cgo.go', '1'):
        program = build(what, source, 'go', 'build', env={**go, 'CGO_ENABLED': cgo, 'CC': CC[-1]})
        if program:
            check(f'a {what} program', run(program, options=memlock))
    program = build('rust', 'run_program.rs', 'rustc', '-O')
    if program:
        check('a Rust program', run(program))
    check('a Python program', run(sys.executable, '-c', '''
import fcntl, os, struct
with open('/dev/iommu', 'r+b', buffering=0) as file:
    fcntl.ioctl(file, 0x3b81, struct.pack('III', 12, 0, 0))
assert os.listdir('/dev/vfio/devices') == ['vfio0']
'''))


def real_programs():
    """QEMU, with all of its memory locked and its own filter, ends as it does without us."""
    qemu = f'qemu-system-{MACHINE}'
    if not shutil.which(qemu):
        tap.skip('QEMU', f'{qemu} is not installed')
        return
    for options in (('-overcommit', 'mem-lock=on'),
                    ('-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'),
                    ('-object', 'iommufd,id=iommufd0')):
        command = (qemu, '-M', 'none', '-display', 'none', '-nodefaults', '-monitor', 'stdio', *options)
        expected, done = bare(*command, input='quit\n'), run(*command, input='quit\n')
        tap.ok(done.status == expected.status and done.err == expected.err and
               done.out == expected.out, f"QEMU {' '.join(options)}: as without", f'{expected}{done}')


def refused():
    """What cannot work as it is gets one line."""
    program = build_c('plain', 'run_program.c', *CC)
    kinds = build_c('kinds', 'run_kinds.c', *CC)
    done = run(kinds, 'listener')
    tap.ok(done.status == 0 and done.err.count('\n') == 1 and 'EBUSY' in done.err,
           'a program with a listener of its own is told', done)
    done = run(COMMAND, 'run', '--', 'true')
    tap.ok(done.status == 2 and done.err.count('\n') == 1 and
           "by a 'uiommu run' already" in done.err, 'one inside another says so', done)
    short = os.path.join(SCRATCH, 'short')
    with open(short, 'wb') as file:
        file.write(b'\x7fELF\x01\x01\x01' + bytes(9) + b'\x02\0\x03\0' + bytes(48))
    os.chmod(short, 0o755)
    done = run('/bin/sh', '-c', short)
    if MACHINE == 'x86_64':
        tap.ok(done.status and f'uiommu: {short}: is a 32-bit program' in done.err,
               'a program of 32 bits is refused', done)
    if os.getuid() != 0:
        tap.skip('a set-user-ID program', 'only root can make one')
        return
    setuid = os.path.join(SCRATCH, 'setuid')
    shutil.copyfile(program, setuid)
    os.chown(setuid, 1, 1)
    os.chmod(setuid, 0o755 | stat.S_ISUID)
    done = run(setuid, 'basic')
    tap.ok(done.status == 0 and done.err ==
           f'uiommu: {setuid}: is set-user-ID, and runs without that here\n',
           'a set-user-ID program runs without that', done)


def sandboxes():
    """A machine, or a container, that refuses some calls: it works, or one line says why not."""
    wrapper = build_c('refuse', 'run_refused.c', *CC)
    program = os.path.join(SCRATCH, 'plain')
    expected = {'seccomp': 'seccomp', 'process_vm_readv': 'process_vm_readv',
                'process_vm_writev': 'process_vm_writev', 'pidfd_open': 'pidfd_open', 'memfd_create': 'memory',
                'inotify_init1': 'inotify'}
    for call in ('seccomp', 'seccomp-listener', 'process_vm_readv', 'process_vm_writev', 'pidfd_getfd',
                 'pidfd_open', 'memfd_create', 'inotify_init1'):
        for error in 'EPERM', 'EACCES', 'ENOSYS':
            done = bare(wrapper, call, error, COMMAND, 'run', '--devices', '1', '--report', 'none', '--',
                        program, 'basic')
            lines = done.err.splitlines()
            tap.ok((done.status == 0 and not lines) or
                   (done.status and len(lines) == 1 and lines[0].startswith('uiommu')),
                   f'{call}: {error}: it works, or one line says what is missing', done)
            if call in expected:
                tap.ok(done.status and expected[call] in done.err, f'{call}: {error}: by its name', done)


with tempfile.TemporaryDirectory() as SCRATCH:
    for part in c_programs, other_languages, real_programs, refused, sandboxes:
        part()
tap.done()
