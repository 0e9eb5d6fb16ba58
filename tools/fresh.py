#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Show that a bare Debian is enough: in a root of each release that has nothing but
make and ca-certificates, run what README.md tells people to run.

The roots are made by mmdebstrap once a month, from the mirror that apt uses here, and
kept in ~/.cache/uiommu; packages that were fetched are kept beside them. Each run works
in a copy. What is copied in is what git would commit if all were added: the files as
they are now, without what is ignored. This takes root, for chroot(2) and mounts; they
are in a namespace of their own and end with it.

Prints TAP; where a root cannot be had, a skip with its reason.
"""
import argparse
import concurrent.futures
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import typing
import urllib.parse

from style import TOP, tree

RELEASES = {'bookworm': '12', 'trixie': '13'}
MONTH = 30 * 24 * 3600
USER = 1000
# What a login would set, and how to reach a mirror.
ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', **{
    name: value for name, value in os.environ.items() if name.lower().endswith('_proxy')}}
# Namespaces of its own, so that nothing stays mounted and nothing goes on running.
ENTER = '''set -e
root=$1 archives=$2 owner=$3
shift 3
mount --bind "$archives" "$root/var/cache/apt/archives"
mount -t proc proc "$root/proc"
for file in null zero full random urandom tty; do
	test -e "$root/dev/$file" || : >"$root/dev/$file"
	mount --bind "/dev/$file" "$root/dev/$file"
done
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -sf pts/ptmx "$root/dev/ptmx"
exec chroot --userspec="$owner" "$root" "$@"
'''


class Unavailable(Exception):
    """Why a root cannot be had."""


class Source(typing.NamedTuple):
    uri: str
    suite: str  # such as bookworm-updates


def run(*command, **kwargs):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace', **kwargs)


def sources(release):
    """The lines of sources.list for a release, as apt has them here for this system's."""
    codename = ''
    for line in pathlib.Path('/etc/os-release').read_text().splitlines():
        if line.startswith('VERSION_CODENAME='):
            codename = line.partition('=')[2].strip('"')
    done = run('apt-get', 'indextargets', '--format',
               '$(REPO_URI) $(RELEASE) $(ORIGIN) $(COMPONENT)', 'Created-By: Packages')
    found = {Source(uri.rstrip('/'), suite)
             for uri, suite, origin, component in re.findall(
                 r'^(\S+) (\S+) (\S+) (\S+)$', done.stdout, re.M)
             if origin == 'Debian' and component == 'main'}
    if not found:
        raise Unavailable('apt knows no mirror of Debian here (apt-get update may help)')
    wanted = {Source(s.uri, release + s.suite.removeprefix(codename)) for s in found
              if codename and re.fullmatch(f'{codename}(-updates|-security)?', s.suite)}
    if not any(s.suite == release for s in wanted):  # such as sid's: a mirror has all releases
        wanted = {Source(min(found).uri, release)}
    ordered = sorted(wanted, key=lambda s: (len(s.suite), s.suite))
    for source in ordered:
        if urllib.parse.urlsplit(source.uri).scheme not in ('http', 'https'):
            raise Unavailable(f'the mirror of apt here is no web address: {source.uri}')
    return [f'deb {source.uri} {source.suite} main' for source in ordered]


def apt_options():
    """How apt is told here to reach its mirror: proxies, snapshots."""
    wanted = r'^Acquire::(?:https?::.*|ftp::.*|Check-Valid-Until|Check-Date) "..*";$'
    return re.findall(wanted, run('apt-config', 'dump', 'Acquire').stdout, re.M)


def reason_of(output):
    if 'NO_PUBKEY' in output or 'Missing key' in output:
        return "this system's debian-archive-keyring has no key for it"
    errors = re.findall(r'^E: (.*)', output, re.M)
    return errors[0] if errors else (output.strip().split('\n') or ['?'])[-1]


def need_privileges():
    if os.geteuid():
        raise Unavailable('chroot and mount take root: sudo make fresh')
    if not shutil.which('mmdebstrap'):
        raise Unavailable('mmdebstrap is not installed: apt-get install mmdebstrap')
    done = run('unshare', '--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp')
    if done.returncode:
        raise Unavailable(f'root may not mount here: {done.stdout.strip()}')


def need_mirror(source, cache):
    """The mirror has to answer, also where the root is kept: packages come from it."""
    _, uri, suite, _ = source.split()
    done = run('/usr/lib/apt/apt-helper', 'download-file', f'{uri}/dists/{suite}/InRelease',
               str(cache / f'{suite}.InRelease'))
    if done.returncode:
        raise Unavailable(f'the mirror does not answer: {reason_of(done.stdout)}')


def bare_root(release, cache):
    """The directory of a root that has nothing but make and ca-certificates."""
    root, stamp = cache / release, cache / f'{release}.sources'
    lines = sources(release)
    need_mirror(lines[0], cache)
    text = '\n'.join([*lines, *apt_options(), ''])
    if stamp.exists() and stamp.read_text() == text and stamp.stat().st_mtime > time.time() - MONTH:
        return root
    stamp.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    done = run('mmdebstrap', '--variant=minbase', '--include=make,ca-certificates',
               *(f'--aptopt={option}' for option in apt_options()), release, str(root), *lines)
    if done.returncode:
        raise Unavailable(reason_of(done.stdout))
    stamp.write_text(text)
    return root


class Root:
    """A copy of a bare root, with the checkout for root and for a user without sudo."""

    def __init__(self, release, cache):
        self.bare = bare_root(release, cache)
        self.path = cache / f'{release}.run'
        self.archives = cache / f'{release}.packages'
        (self.archives / 'partial').mkdir(parents=True, exist_ok=True)
        self.remove()
        self.path.with_suffix('.log').unlink(missing_ok=True)
        done = run('cp', '-a', '--reflink=auto', str(self.bare), str(self.path))
        if done.returncode:
            raise Unavailable(done.stdout.strip())
        for name in ('resolv.conf', 'hosts'):
            if os.path.exists(f'/etc/{name}'):
                shutil.copy(f'/etc/{name}', self.path / 'etc' / name)
        for name, line in (('passwd', f'user:x:{USER}:{USER}::/home/user:/bin/sh\n'),
                           ('group', f'user:x:{USER}:\n')):
            with open(self.path / 'etc' / name, 'a', encoding='utf-8') as file:
                file.write(line)
        for home, owner in (('root', 0), ('home/user', USER)):
            directory = self.path / home / 'uiommu'
            directory.mkdir(parents=True)
            run('cp', '--parents', '--preserve=mode,links', '-t', str(directory), *tree(), cwd=TOP)
            run('chown', '-R', f'{owner}:{owner}', str(directory.parent))
        status, output = self.run('true')
        if status:
            raise Unavailable(f'its root cannot be entered: {output.strip()}')

    def remove(self):
        """The copy; what was said in it stays until the next."""
        shutil.rmtree(self.path, ignore_errors=True)

    def start(self, command, owner=0):
        """A shell command in the checkout of root or of the user."""
        home = '/home/user' if owner else '/root'
        return subprocess.Popen(
            ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', ENTER, 'sh',
             str(self.path), str(self.archives), f'{owner}:{owner}',
             'sh', '-c', f'cd {home}/uiommu && {command}'],
            env={**ENVIRONMENT, 'HOME': home}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')

    def run(self, command, owner=0):
        """(exit status, output)"""
        process = self.start(command, owner)
        output = process.communicate()[0]
        self.log(command, output)
        return process.returncode, output

    def log(self, command, output):
        with open(self.path.with_suffix('.log'), 'a', encoding='utf-8') as file:
            file.write(f'$ {command}\n{output}')

    def installed(self):
        """MB of all packages, as dpkg has them."""
        status = (self.path / 'var/lib/dpkg/status').read_text(errors='replace')
        return sum(map(int, re.findall(r'^Installed-Size: (\d+)', status, re.M))) * 1024 / 1e6


class Tap:
    """The lines of all releases, each as soon as it is known."""

    def __init__(self):
        self.count = self.failed = 0
        self.lock = threading.Lock()

    def say(self, good, what, output=''):
        with self.lock:
            self.count += 1
            self.failed += not good
            if not good:
                print(*(f'# {line}' for line in output.strip().split('\n')[-60:]), sep='\n')
            print(f'{"ok" if good else "not ok"} {self.count} - {what}', flush=True)

    def note(self, text):
        with self.lock:
            print(f'# {text}', flush=True)


class Release:
    """What is tried in the root of one release."""

    def __init__(self, codename, tap):
        self.name = f'Debian {RELEASES[codename]}'
        self.tap = tap
        self.root = None

    def check(self, good, what, output):
        self.tap.say(good, f'{self.name}: {what}',
                     f'{output}\nall output is in {self.root.path.with_suffix(".log")}')

    def run(self, what, command, owner, is_right):
        """is_right() is asked about the output of a command that succeeds."""
        status, output = self.root.run(command, owner)
        self.check(status == 0 and is_right(output), what, output)
        return output

    def refuses(self, command):
        """One line says what is missing and how to get it, beside what make says itself."""
        status, output = self.root.run(command, USER)
        said = [line for line in output.splitlines()
                if not re.match(r'make(\[\d+\])?: \*\*\* |\[1/', line)]
        good = status and len(said) == 1 and 'apt-get install' in said[0]
        self.check(good and {'gcc', 'meson', 'libjson-c-dev'} <= set(said[0].split()),
                   f'{command}, as a user without sudo, says what is missing', output)

    def demo(self):
        """`make demo` as root, with its figures."""
        before, start, first, output, step = self.root.installed(), time.monotonic(), None, '', 0
        process = self.root.start('make demo')
        for line in process.stdout:
            output += line
            heading = re.match(r'\[(\d)/5\] ', line)
            step = int(heading[1]) if heading and int(heading[1]) == step + 1 else step
            if step == 3 and not first and line.strip() and not re.match(r'\[|build/uiommu', line):
                first = time.monotonic() - start
        status, seconds = process.wait(), time.monotonic() - start
        self.root.log('make demo', output)
        megabytes = self.root.installed() - before
        self.check(status == 0 and first and 'memory.peak' in output
                   and (self.root.path / 'root/uiommu/build/replay.svg').exists(),
                   'make demo, as root, with no package there', output)
        self.check(step == 5, 'it says each step that it takes', output)
        said = re.search(r'(\d+) MB to be installed', output)
        self.check(said and abs(int(said[1]) - megabytes) < megabytes / 10,
                   'it says how much it installs', f'{megabytes:.0f} MB, and it said:\n{output}')
        self.tap.note(f'{self.name}: {megabytes:.0f} MB installed, {first or seconds:.0f} s to '
                      f'the first useful output, {seconds:.0f} s in all')

    def everything(self, root, tests):
        self.root = root
        self.refuses('make')
        self.refuses('make demo')
        self.demo()
        self.run('make demo, as a user without sudo, with the packages there', 'make demo', USER,
                 lambda output: 'memory.peak' in output and 'missing' not in output)
        self.run('make deps install, as root: the command runs, programs find the library',
                 'make deps install && cd / && uiommu run --report none -- true && ldconfig -p', 0,
                 lambda output: re.search(r'libuiommu\.so\.\d+ .*=> /usr/local/', output))
        if tests:
            command = f'make check STEPS="{tests}"'
            output = self.run(command, command, 0,
                              lambda output: re.search(r'^\d+ passed, 0 failed$', output, re.M))
            for line in re.findall(r'^\w.*: \d+ passed, .*|^skipped in .*', output, re.M):
                self.tap.note(f'{self.name}: {line}')


def try_release(codename, tap, args):
    release = Release(codename, tap)
    try:
        root = Root(codename, args.cache)
    except (Unavailable, OSError) as why:
        tap.say(True, f'{release.name}: all # SKIP {why}')
        return
    try:
        release.everything(root, dict(args.tests).get(codename))
    finally:
        root.remove()


def wait_for(lock):
    """One user of the roots at a time."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f'# waiting until {lock.name} is free', flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cache', type=pathlib.Path, help='where the roots are kept',
                        default=pathlib.Path(os.environ.get('XDG_CACHE_HOME') or
                                             pathlib.Path.home() / '.cache') / 'uiommu')
    parser.add_argument('--jobs', type=int, default=1, help='releases at a time')
    parser.add_argument('--tests', metavar='RELEASE=STEPS', action='append', default=[],
                        type=lambda text: text.split('='),
                        help="steps of tools/run-tests.py to run there, such as trixie=gcc")
    parser.add_argument('releases', nargs='*', metavar='RELEASE',
                        help=f'any of: {" ".join(RELEASES)}')
    args = parser.parse_args()
    if set(args.releases) - set(RELEASES):
        parser.error(f'the releases are: {" ".join(RELEASES)}')
    tap = Tap()
    try:
        need_privileges()
        args.cache.mkdir(parents=True, exist_ok=True)
        with open(args.cache / 'lock', 'w', encoding='utf-8') as lock:
            wait_for(lock)
            with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
                list(pool.map(lambda codename: try_release(codename, tap, args),
                              args.releases or RELEASES))
    except Unavailable as why:
        print(f'1..0 # SKIP {why}')
        return 0
    print(f'1..{tap.count}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
