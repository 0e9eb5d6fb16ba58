#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What the command writes: files and standard output, on full disks, in places that cannot
be written, when they are taken away meanwhile, and what is left when something ends it.

Arguments: the command, a program for `uiommu run`, examples/dma-client,
a trace.
"""
import glob
import lzma
import os
import pathlib
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from replay_tap import Tap

COMMAND, PROGRAM, CLIENT, TRACE = sys.argv[1:5]
COMMAND, PROGRAM, CLIENT, TRACE = map(os.path.abspath, (COMMAND, PROGRAM, CLIENT, TRACE))
OLD = 'what was there before\n'
# nohup and shells' background jobs leave some ignored, and programs inherit that.
for ignored in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT:
    signal.signal(ignored, signal.SIG_DFL)
tap = Tap()


class Writer:
    """A command that writes a file: its arguments before and after the file's name."""

    def __init__(self, name, before, after=(), suffix='', prints=True):
        self.name, self.before, self.after, self.suffix = name, before, after, suffix
        self.prints = prints # its answer on standard output

    def arguments(self, path):
        return [COMMAND, *self.before, str(path), *self.after]

    def run(self, path, **kwargs):
        return subprocess.run(self.arguments(path), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, **kwargs)


def writers():
    walk = ['walk', '--iommu', 'vtd', '--root', '1M', '--base', '1M', '--image', IMAGE]
    many = 'iova=0,size=4K,count=64,stride=1G'
    yield Writer('replay --csv', ['replay', TRACE, '--csv'])
    yield Writer('replay --csv-all', ['replay', TRACE, '--csv-all', '--csv'])
    yield Writer('image --out', ['image', '--iommu', 'vtd', '--base', '1M', '--map', many, '--out'])
    if shutil.which('gnuplot'):
        yield Writer('replay --plot', ['replay', TRACE, '--plot'], suffix='.svg')
        yield Writer('walk --plot', [*walk, '--plot'], suffix='.png')
    leak = ['--', PROGRAM, 'leak']
    run = ['run', '--devices', '1', '--phys', 'scattered']
    yield Writer('run --trace', [*run, '--report', 'none', '--trace'], leak, prints=False)
    yield Writer('run --report', [*run, '--report'], leak, prints=False)
    yield Writer('run --json --report', [*run, '--json', '--report'], leak, prints=False)


class Place:
    """A directory with a file in it, which must be as it was."""

    def __init__(self, writer, where=None, text=OLD):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=where or SCRATCH))
        self.file, self.text = self.directory / ('file' + writer.suffix), text
        self.file.write_text(text)
        self.file.chmod(0o640)

    def is_as_before(self):
        return (os.listdir(self.directory) == [self.file.name] and self.file.read_text() == self.text and
                stat.S_IMODE(self.file.stat().st_mode) == 0o640)


def refused(done, *words):
    """One line, and status 1."""
    return (done.returncode == 1 and done.stderr.count('\n') == 1 and done.stderr[-1] == '\n' and
            done.stderr.startswith('uiommu ') and all(word in done.stderr for word in words))


def good(writer):
    place = Place(writer)
    done = writer.run(place.file)
    tap.ok(done.returncode == 0 and not done.stderr and bool(done.stdout) == writer.prints,
           writer.name + ': status 0', done)
    tap.ok(place.file.stat().st_size > 100 and
           stat.S_IMODE(place.file.stat().st_mode) == 0o640 and
           os.listdir(place.directory) == [place.file.name],
           writer.name + ': a new file with the old mode', os.listdir(place.directory))
    new, link = place.directory / ('new' + writer.suffix), place.directory / ('link' + writer.suffix)
    link.symlink_to('new' + writer.suffix)
    for name in 'a link to nothing makes the file', 'a link to a file stays':
        done = writer.run(link, umask=0o027)
        tap.ok(done.returncode == 0 and link.is_symlink() and not new.is_symlink() and
               new.stat().st_size > 100 and stat.S_IMODE(new.stat().st_mode) == 0o640,
               f'{writer.name}: {name}', done)
    place = Place(writer, text='')
    with open(place.file, 'rb') as before:
        done = writer.run(place.file)
        tap.ok(done.returncode == 0 and len(before.read()) > 100 and
               os.listdir(place.directory) == [place.file.name],
               f'{writer.name}: an empty file is written itself', done)


def no_space(writer):
    """A limit on the size of files, which every user can set, and a disk that is full."""
    place = Place(writer)
    if 'plot' not in writer.name and 'run' not in writer.name: # whose programs would feel it too
        done = writer.run(place.file,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)))
        tap.ok(refused(done, str(place.file)) and place.is_as_before(),
               writer.name + ': files are limited', done)
    for text in (OLD, '') if TMPFS else ():
        place = Place(writer, TMPFS, text)
        with open(TMPFS / 'ballast', 'wb', buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1024))
            except OSError:
                pass
        done = writer.run(place.file)
        tap.ok(refused(done, str(place.file)) and place.is_as_before(),
               f'{writer.name}: a full disk, {len(text)} bytes before',
               f'{done}\n{os.listdir(place.directory)}')
        shutil.rmtree(place.directory)
        os.unlink(TMPFS / 'ballast')
    link = Place(writer).directory / ('full' + writer.suffix)
    link.symlink_to('/dev/full')
    done = writer.run(link)
    tap.ok(refused(done, str(link)) and bool(done.stdout) == (writer.prints and
                                                             'image' not in writer.name),
           writer.name + ': /dev/full', done)


def unwritable(writer):
    place = Place(writer)
    directory = place.directory / ('directory' + writer.suffix)
    directory.mkdir()
    loop = place.directory / ('loop' + writer.suffix)
    loop.symlink_to(loop.name)
    for path in (directory, loop, '/nonexistent/file' + writer.suffix, '/proc/file' + writer.suffix,
                 str(place.file) + '/below' + writer.suffix, place.directory / ('x' * 300 + writer.suffix)):
        done = writer.run(path)
        tap.ok(refused(done, str(path)) and not done.stdout,
               f'{writer.name}: {os.path.basename(path)[:20]} cannot be written', done)
    if os.getuid() == 0:
        place.file.chmod(0o644)
        for mode, whose in (0o755, 'directory'), (0o777, 'file'):
            place.directory.chmod(mode)
            try:
                done = writer.run(place.file, user=65534, group=65534, extra_groups=[])
            except OSError: # a build that others cannot look into, or no others here
                return
            tap.ok(refused(done, str(place.file), 'denied') and place.file.read_text() == OLD,
                   f'{writer.name}: a {whose} of another user', done)


def taken_away(writer):
    """The file beside, or the directory, goes while the command is at work."""
    for what in 'the file', 'the directory', 'the empty file':
        place = Place(writer, text='' if 'empty' in what else OLD)
        with tempfile.TemporaryDirectory(dir=SCRATCH) as elsewhere:
            fifo = os.path.join(elsewhere, 'fifo')
            os.mkfifo(fifo)
            if writer.name.startswith('run'):
                # Until the pipe is opened for writing, the program waits.
                arguments = writer.arguments(place.file)
                at = arguments.index('--')
                arguments = arguments[:at] + ['--', '/bin/sh', '-c', f'read x <{fifo}; exec {PROGRAM} leak']
                feed = b'go\n'
            elif writer.name.startswith('replay'):
                arguments = [fifo if word == TRACE else word for word in writer.arguments(place.file)]
                feed = pathlib.Path(TRACE).read_bytes()
            else:
                return
            with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  text=True, stdin=subprocess.DEVNULL) as child:
                with open(fifo, 'wb') as pipe:
                    if writer.name.startswith('replay'):
                        # It reads the beginning first, to tell what it is.
                        pipe.write(feed[:100000])
                        pipe.flush()
                    wait_for(lambda: is_begun(place, child.pid) or child.poll() is not None)
                    if what == 'the file':
                        for name in os.listdir(place.directory):
                            if name != place.file.name:
                                os.unlink(place.directory / name)
                    elif what == 'the empty file':
                        place.file.unlink()
                    else:
                        shutil.rmtree(place.directory)
                    pipe.write(feed[100000:] if writer.name.startswith('replay') else feed)
                done = subprocess.CompletedProcess(arguments, child.wait(), '', child.stderr.read())
            tap.ok(refused(done, str(place.file)) and
                   (what != 'the file' or place.is_as_before()),
                   f'{writer.name}: {what} is taken away', done)


def is_begun(place, pid):
    """Does it have a file of the place open?"""
    for link in glob.glob(f'/proc/{pid}/fd/*'):
        try:
            if os.readlink(link).startswith(str(place.directory) + '/'):
                return True
        except OSError:
            pass
    return False


def wait_for(condition):
    """What comes for certain; the test's own limit of time is for what does not."""
    while not condition():
        time.sleep(0.01)


def ended(writer):
    """A signal leaves nothing behind."""
    if not writer.name.startswith('replay'):
        return
    for number, text in ((signal.SIGINT, OLD), (signal.SIGTERM, OLD), (signal.SIGHUP, OLD),
                         (signal.SIGTERM, '')):
        place = Place(writer, text=text)
        arguments = ['-' if word == TRACE else word for word in writer.arguments(place.file)]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as child:
            child.stdin.write(b'# tracer: nop\n')
            child.stdin.flush()
            wait_for(lambda: is_begun(place, child.pid))
            child.send_signal(number)
            tap.ok(child.wait() == -number and place.is_as_before(),
                   f'{writer.name}: {number.name} leaves the old file, and nothing else, {len(text)} bytes',
                   f'{child.returncode} {os.listdir(place.directory)}')
    place = Place(writer)
    done = subprocess.run(['-' if word == TRACE else word for word in writer.arguments(place.file)],
                          input='no event\n', capture_output=True, text=True)
    tap.ok(done.returncode == 2 and place.is_as_before(), writer.name + ': so does bad input', done)


def sleeps(pid):
    return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'S'


def waits_for_reader(writer):
    """Of a FIFO that nobody reads: it can be ended."""
    if writer.suffix:
        return
    fifo = Place(writer).directory / 'fifo'
    os.mkfifo(fifo)
    for number in signal.SIGINT, signal.SIGTERM:
        with subprocess.Popen(writer.arguments(fifo), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            wait_for(lambda: sleeps(child.pid))
            child.send_signal(number)
            tap.ok(child.wait() == -number and fifo.is_fifo(),
                   f'{writer.name}: {number.name} while it waits for the reader of a FIFO',
                   child.returncode)


def direct(writer):
    """Pipes, and standard output as a file."""
    if writer.suffix:
        return
    place = Place(writer)
    plain = writer.run(place.file)
    expected = place.file.read_bytes()
    comparable = not writer.name.startswith('run') # whose pids and times differ
    reader, pipe = os.pipe()
    with subprocess.Popen(writer.arguments(f'/dev/fd/{pipe}'), stdin=subprocess.DEVNULL,
                          pass_fds=[pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        os.close(pipe)
        with open(reader, 'rb') as stream:
            found = stream.read()
        out, err = child.communicate()
    tap.ok(child.returncode == 0 and (found == expected or not comparable) and len(found) > 100 and
           out.decode() == plain.stdout, writer.name + ': into a pipe', err)
    target = place.directory / 'stdout'
    target.write_text(OLD)
    for mode, before in ('ab', OLD.encode()), ('wb', b''):
        with open(target, mode) as stdout:
            done = subprocess.run(writer.arguments('/dev/stdout'), stdin=subprocess.DEVNULL,
                                  stdout=stdout, stderr=subprocess.PIPE)
        found = target.read_bytes()
        if comparable:
            tap.ok(done.returncode == 0 and found == before + expected + plain.stdout.encode(),
                   f'{writer.name}: /dev/stdout as a file, {mode}',
                   f'{done}\n{len(found)} {len(expected)} {len(plain.stdout)}')
        else:
            tap.ok(done.returncode == 0 and found.startswith(before) and len(found) > 100,
                   f'{writer.name}: /dev/stdout as a file, {mode}', done)


def twice():
    path = os.path.join(SCRATCH, 'twice.svg')
    cases = [['replay', TRACE, '--csv', path, '--plot', path]] if shutil.which('gnuplot') else []
    cases.append(['run', '--trace', path, '--report', path, '--', PROGRAM, 'leak'])
    for arguments in cases:
        done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
        tap.ok(refused(done, path) and not os.path.exists(path),
               f'{arguments[0]}: one file for two things', done)
    text = os.path.join(SCRATCH, 'input.txt')
    shutil.copy(TRACE, text)
    before = pathlib.Path(text).read_bytes()
    with open(text) as stdin:
        done = subprocess.run([COMMAND, 'replay', '-', '--csv', text], stdin=stdin,
                              capture_output=True, text=True)
    tap.ok(refused(done, text) and pathlib.Path(text).read_bytes() == before,
           'replay: the trace itself is not written over', done)


def plain_trace(begin=''):
    """The trace without a program that has to read it first."""
    path = os.path.join(SCRATCH, 'plain.txt')
    with open(path, 'wb') as file, lzma.open(TRACE) as compressed:
        file.write(begin.encode() + compressed.read())
    return path


def gnuplots():
    """A gnuplot that is not there, fails, ends at once, or draws nothing."""
    trace = plain_trace()
    bin_directory = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
    for name, script, words in (('none', None, 'not installed'), ('fails', 'cat >/dev/null; exit 3', 'failed'),
                                ('ends', 'exit 1', 'failed'), ('draws nothing', 'cat >/dev/null', 'file.svg'),
                                ('is killed', 'kill -9 $$', 'failed')):
        if script:
            (bin_directory / 'gnuplot').write_text(f'#!/bin/sh\n{script}\n')
            (bin_directory / 'gnuplot').chmod(0o755)
        place = Place(Writer('', [], suffix='.svg'))
        # Nothing else is found but what the script needs.
        done = subprocess.run([COMMAND, 'replay', trace, '--plot', place.file], capture_output=True, text=True,
                              env={**os.environ, 'PATH': f'{bin_directory}' + (':/bin' if script else '')})
        tap.ok(refused(done, words) and place.is_as_before(), 'gnuplot: ' + name, done)


def image_is_too_large():
    """Known before a table is made, so that nothing is written of it."""
    if not TMPFS:
        return
    path = TMPFS / 'image'
    path.write_text(OLD)
    for size, status in ('16M', 0), ('64M', 1), ('512G', 1):
        done = subprocess.run([COMMAND, 'image', '--iommu', 'vtd', '--base', '1M', '--out', str(path),
                               '--map', f'iova=0,size={size},backing=4K'], capture_output=True, text=True)
        tap.ok(done.returncode == status and os.listdir(TMPFS) == ['image'] and
               (not status or refused(done, str(path), 'file system')),
               f'image --out: {size} of pages on a disk of 64 KiB', done)
    tap.equal(path.stat().st_size, 11 * 4096, 'image --out: what was there is left')
    path.unlink()


def trace_is_lost():
    """The trace cannot be written, by the supervisor or by a program that adds to it."""
    place = Place(Writer('', []))
    # The program's parent is the supervisor.
    limited = f'prlimit --pid $PPID --fsize=512:512; exec {PROGRAM} leak'
    client = f'ulimit -f 1; exec {CLIENT}'
    for who, script, reports in (('supervisor', limited, ('none', '/dev/null')),
                                 ('program', client, ('none', place.directory / 'report'))):
        for report in reports:
            done = subprocess.run([COMMAND, 'run', '--devices', '1', '--phys', 'scattered', '--trace',
                                   str(place.file), '--report', str(report), '--', '/bin/sh', '-c',
                                   script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
            tap.ok(refused(done, str(place.file), 'too large') and place.file.read_text() == OLD,
                   f'run --trace: the {who} cannot write it, report {os.path.basename(report)}', done)
    done = subprocess.run([COMMAND, 'run', '--devices', '1', '--phys', 'scattered', '--trace', str(place.file),
                           '--report', 'none', '--', PROGRAM, 'killed'], capture_output=True, text=True)
    tap.ok(done.returncode == 128 + signal.SIGKILL and not done.stderr and
           place.file.read_text().count(' map: ') >= 1024, 'run --trace: all of a killed process', done)
    # What a program writes itself: here one that ends at its first line of output.
    reader, pipe = os.pipe()
    os.close(reader)
    done = subprocess.run([COMMAND, 'run', '--trace', str(place.file), '--report', 'none', '--', 'stdbuf',
                           '-oL', CLIENT], stdout=pipe, stderr=subprocess.PIPE, text=True)
    os.close(pipe)
    tap.ok(done.returncode == 128 + signal.SIGPIPE and done.stderr.count('\n') == 1 and
           'last lines' in done.stderr, 'run --trace: what a killed program leaves out is told', done)


def standard_output():
    """Every command's answer, its help and its version."""
    walk = ['walk', '--iommu', 'vtd', '--root', '1M', '--base', '1M', '--image', IMAGE]
    image = ['image', '--iommu', 'vtd', '--base', '1M', '--out', '/dev/null']
    size = ['size', '--iommu', 'vtd', '--map', 'iova=0,size=2G']
    cases = [['--version'], ['--help'], ['help'], ['help', 'run'], size, [*size, '--json'], image,
             [*image, '--json'], walk, [*walk, '--json'], [*walk, '--iova', '0'],
             ['replay', TRACE], ['replay', TRACE, '--json'], ['replay', '--iommu', 'all', TRACE]]
    cases += [[command, '--help'] for command in ('run', 'top', 'size', 'replay', 'image', 'walk')]
    cases += [['size', '--usage']]
    other = None
    os.environ['UIOMMU_NAME'] = f'output-{os.getpid()}'
    other = subprocess.Popen([COMMAND, 'run', '--report', '/dev/null', '--', 'cat'],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_for(lambda: not subprocess.run([COMMAND, 'top', '--once'], capture_output=True).returncode)
    cases += [['top', '--once'], ['top', '--json'],
              ['top', '--json', '--count', '100000', '--interval', '0.1']]
    for case in cases:
        name = ' '.join(os.path.basename(word) for word in case)
        done = {}
        with open('/dev/full', 'w') as full:
            done['/dev/full'] = subprocess.run([COMMAND, *case], stdout=full, stderr=subprocess.PIPE,
                                               stdin=subprocess.DEVNULL, text=True)
        done['closed'] = subprocess.run([COMMAND, *case], stderr=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(1))
        reader, pipe = os.pipe()
        os.close(reader)
        done['a pipe that nobody reads'] = subprocess.run(
            [COMMAND, *case], stdout=pipe, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        os.close(pipe)
        tap.ok(all(run.returncode == 1 and run.stderr.count('\n') == 1 and
                   run.stderr.startswith('uiommu') and 'cannot write the output: ' in run.stderr
                   for run in done.values()), f'standard output cannot be written: {name}', done)
    if other:
        other.stdin.close()
        other.wait()
    # What is printed must not get into the file whose descriptor is the free one.
    path = os.path.join(SCRATCH, 'closed.csv')
    trace = plain_trace('no event\n')
    subprocess.run([COMMAND, 'replay', trace, '--csv', path], capture_output=True)
    expected = pathlib.Path(path).read_bytes()
    for closed in (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2):
        os.unlink(path)
        done = subprocess.run([COMMAND, 'replay', trace, '--csv', path], stderr=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, preexec_fn=lambda: [os.close(fd) for fd in closed])
        tap.ok(done.returncode == (1 in closed) and pathlib.Path(path).read_bytes() == expected,
               f'descriptors {closed} are closed: the file is right', done)
    done = subprocess.run([COMMAND, 'run', '--report', 'none', '--', '/bin/sh', '-c',
                           'test ! -e /proc/self/fd/0 -a -e /proc/self/fd/2'],
                          capture_output=True, preexec_fn=lambda: os.close(0))
    tap.equal(done.returncode, 0, 'run: what is closed for it is closed for the program')
    done = subprocess.run([COMMAND, 'run', '--report', 'none', '--', sys.executable, '-c',
                           'import signal, sys; sys.exit(any(signal.getsignal(s) != signal.SIG_DFL '
                           'for s in (signal.SIGXCPU, signal.SIGTERM, signal.SIGHUP)))'])
    tap.equal(done.returncode, 0, 'run: the program begins with the default for signals')
    with open('/dev/full', 'w') as full:
        done = subprocess.run([COMMAND, 'run', '--devices', '1', '--', PROGRAM, 'leak'],
                              stdout=subprocess.PIPE, stderr=full)
    tap.equal((done.returncode, done.stdout), (1, b''), 'run: a report that standard error does not take')


def enter_namespace():
    """Go on where file systems can be mounted, and are gone at the end; or as we are."""
    unshare = ['unshare', '--mount'] if os.getuid() == 0 else ['unshare', '--mount', '--map-root-user']
    if 'OUTPUT_CLI_INSIDE' in os.environ or not shutil.which('unshare'):
        return
    os.environ['OUTPUT_CLI_INSIDE'] = ''
    if not subprocess.run([*unshare, 'true'], capture_output=True).returncode:
        os.execvp('unshare', [*unshare, sys.executable, *sys.argv])


def names():
    """A file's name cannot begin a line, nor speak to the terminal."""
    odd = "x\n\x1b[31m'\x9b\\\tÿ"
    shown = r"x\n\033[31m\'\302\233\\\t"
    place = os.path.join(SCRATCH, odd)
    vtd = ['--iommu', 'vtd']
    cases = [['replay', place], ['replay', TRACE, '--csv', place + '/x'], ['replay', TRACE, '--plot', place],
             ['replay', TRACE, odd], ['image', *vtd, '--base', '0', '--out', place + '/x'],
             ['walk', *vtd, '--root', '0', '--base', '0', '--image', place], ['run', '--', place],
             ['run', '--', odd], ['run', '--trace', place + '/x', '--', 'true'],
             ['run', '--report', place + '/x', '--', 'true'], ['run', odd], ['size', '--iommu', odd],
             ['size', *vtd, '--map', f'iova={odd},size=1'], ['--' + odd], [odd], ['help', odd],
             ['size', '--' + odd], ['top', odd], ['walk', '--granule', odd], ['run', '--phys', odd, '--', 'true']]
    for locale in 'C.UTF-8', 'C':
        for case in cases:
            done = subprocess.run([COMMAND, *case], capture_output=True, stdin=subprocess.DEVNULL,
                                  env={**os.environ, 'LC_ALL': locale})
            text = done.stderr.decode()
            path = any(word.startswith(place) for word in case) or case == ['run', '--', odd]
            tap.ok(done.returncode in (1, 2, 126, 127) and text.count('\n') == 1 and text[-1] == '\n' and
                   text[:-1].isprintable() and r'x\n\033[31m' in text and
                   (not path or (shown + ('ÿ' if locale != 'C' else r'\303\277') in text and "$'" in text)),
                   f'names: {" ".join(case)!r} in {locale}', done)
    os.mkdir(place)
    trace = os.path.join(place, odd)
    shutil.copy(TRACE, trace)
    done = subprocess.run([COMMAND, 'replay', trace], capture_output=True, text=True)
    tap.ok(done.returncode == 0 and '\x1b' not in done.stdout and shown in done.stdout.splitlines()[0],
           'names: in an answer', done)
    program = os.path.join(place, 'y\x1b[31m')
    shutil.copy(PROGRAM, program)
    for part in 'leak', 'nothing':
        done = subprocess.run([COMMAND, 'run', '--devices', '1', '--', program, part],
                              capture_output=True, text=True)
        tap.ok(done.returncode == 0 and '\x1b' not in done.stderr and r'y\033[31m' in done.stderr,
               f'names: in a report, {part}', done)


def small_disk():
    """A file system of 64 KiB, or None where this user may not have one."""
    directory = pathlib.Path(SCRATCH) / 'tmpfs'
    directory.mkdir()
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory],
                          capture_output=True)
    return directory if done.returncode == 0 else None


enter_namespace()
SCRATCH = tempfile.mkdtemp()
os.chmod(SCRATCH, 0o755)
TMPFS = small_disk()
IMAGE = os.path.join(SCRATCH, 'image')
try:
    subprocess.run([COMMAND, 'image', '--iommu', 'vtd', '--base', '1M', '--map', 'iova=0,size=2G', '--out', IMAGE],
                   check=True, stdout=subprocess.DEVNULL)
    if not TMPFS:
        tap.skip('a full disk', 'no file system can be mounted')
    for one in writers():
        for part in good, no_space, unwritable, taken_away, ended, waits_for_reader,\
                direct:
            part(one)
    for part in names, twice, gnuplots, image_is_too_large, trace_is_lost, standard_output:
        part()
finally:
    if TMPFS:
        subprocess.run(['umount', TMPFS])
    shutil.rmtree(SCRATCH)
tap.done()
