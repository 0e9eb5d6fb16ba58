#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Paths under `uiommu run`: ours in every spelling, and those that are not ours as if
there were no supervisor. The same script runs inside and outside of it.

Arguments: the command.
"""
import ctypes
import errno
import glob
import json
import os
import random
import stat
import subprocess
import sys
import tempfile

HANG = 600
STEPS = 3000

# ---- calls on paths, as text that does not depend on the process ----


def shown(value):
    if isinstance(value, os.stat_result):
        # What grows or is read meanwhile is left out.
        return [value.st_mode, value.st_ino if not is_proc(value) else 0, value.st_uid, value.st_gid,
                value.st_rdev]
    if isinstance(value, os.statvfs_result):
        return [value.f_bsize, value.f_namemax]
    return value


def is_proc(value):
    return value.st_dev == os.stat('/proc').st_dev


def opened(path, flags, place):
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600, dir_fd=place)
    try:
        return [os.fstat(fd), os.get_inheritable(fd)]
    finally:
        os.close(fd)


def listed(path):
    """What others make and remove meanwhile is left out."""
    names = sorted(os.listdir(path))
    return names if os.path.realpath(path).startswith(os.getcwd()) else len(names) > 0


LIBC = ctypes.CDLL(None, use_errno=True)


def openat2(path, resolve, place):
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, 0, resolve)
    fd = LIBC.syscall(437, -100 if place is None else place, os.fsencode(path), how, 24)
    if fd < 0:
        raise OSError(ctypes.get_errno(), '')
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


MINE = 'file', 'directory/file', './file', 'directory/./file', 'made', 'directory/made', 'missing/made'


def changed(path):
    results = []
    for change in (lambda: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)),
                   lambda: os.chmod(path, 0o604), lambda: os.stat(path).st_mode,
                   lambda: os.unlink(path) if path.endswith('made') else None):
        try:
            results.append(change())
        except OSError as error:
            results.append(error.errno)
    return results


def calls(path, place, rng):
    """One call at random."""
    return rng.choice((
        lambda: os.stat(path, dir_fd=place),
        lambda: os.lstat(path, dir_fd=place),
        lambda: opened(path, rng.choice((os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_PATH,
                                         os.O_DIRECTORY, os.O_NOFOLLOW)), place),
        lambda: openat2(path, rng.choice((0, 0x02, 0x04, 0x08, 0x10)), place),
        lambda: os.readlink(path, dir_fd=place),
        lambda: [os.access(path, mode, dir_fd=place) for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK)],
        lambda: os.access(path, os.R_OK, dir_fd=place, effective_ids=True),
        lambda: listed(path) if place is None else None,
        lambda: os.statvfs(path) if place is None else None,
        lambda: os.getxattr(path, 'user.x') if place is None else None,
        lambda: os.listxattr(path) if place is None else None,
        lambda: os.path.realpath(path) if place is None else None,
        # Nothing is changed but in the tree of our own.
        lambda: changed(path) if place is None and path in MINE else None))


def plain(value, own):
    value = shown(value)
    if isinstance(value, (list, tuple)):
        return [plain(one, own) for one in value]
    return value.replace(own, 'PID') if isinstance(value, str) else value


NAMES = ('file', 'link', 'loop', 'dangling', 'directory', 'closed', 'up', 'fifo', 'to-null', 'to-dev', '..', '.',
         '', 'missing', 'x' * 255, 'x' * 256, 'file\n', 'dev')
ROOTS = ('', '', '', '/dev/null', '/dev/zero', '/dev/../dev/null', '//dev/./null', '/proc/self/cwd/', '/proc/self/fd/0',
         '/proc/self/exe', '/proc/self/status', '/proc/thread-self/cwd/', '/proc/self/fd/', '/proc/1/comm',
         '/sys/kernel/', '/sys/class/net/lo/mtu', '/etc/passwd', '/etc/passwd/', '/dev/fd/0', '/dev/stdin',
         '/dev/no-such', '/dev/null/', '/dev/null/x', '/nonexistent/', '/usr/../etc/hostname', '/tmp/../proc/self/cwd/')


def make_tree(top):
    os.mkdir(f'{top}/directory')
    os.mkdir(f'{top}/dev')
    os.mkdir(f'{top}/closed', 0o700)
    for path in 'file', 'directory/file', 'closed/file', 'dev/iommu', 'file\n':
        with open(f'{top}/{path}', 'w') as file:
            file.write(path)
    for name, target in (('link', 'file'), ('loop', 'loop'), ('dangling', 'missing'), ('up', 'directory/..'),
                         ('to-null', '/dev/null'), ('to-dev', '/dev'), ('directory/back', '../file')):
        os.symlink(target, f'{top}/{name}')
    os.mkfifo(f'{top}/fifo')
    os.chmod(f'{top}/closed', 0)


def property_lines(top, seed):
    """Results of random calls on random paths."""
    rng, own = random.Random(seed), str(os.getpid())
    os.chdir(top)
    sys.stdin = open('/dev/null')
    places = [None, None, os.open('.', os.O_RDONLY), os.open('directory', os.O_PATH), 999]
    for _ in range(STEPS):
        root = rng.choice(ROOTS)
        path = root + '/'.join(rng.choice(NAMES) for _ in range(rng.randrange(0 if root else 1, 5)))
        if rng.random() < 0.03:
            path = rng.choice(MINE)
        elif rng.random() < 0.02:
            path = '/'.join(['.'] * 3000)
        place = rng.choice(places)
        call = calls(path, place, rng)
        try:
            result = call()
        except OSError as error:
            result = errno.errorcode[error.errno]
        yield [path[:80], plain(result, own)]


# ---- ours ----


def spellings(path):
    top, rest = path.split('/')[1], path.split('/')[2:]
    below = '/'.join(rest)
    return [path, '/' + path, f'/{top}//{below}', f'/{top}/./{below}', f'/usr/../{top}/{below}',
            f'/proc/self/root/{top}/{below}', f'../../../../../../../../{top}/{below}',
            f'to-{top}/{below}', f'/{top}/../{top}/{below}', f'to-{top}/../{top}/{below}']


DIRECTORIES = {'/dev/vfio': ['devices'], '/dev/vfio/devices': ['vfio0', 'vfio1'],
               '/sys/class/vfio-dev': ['vfio0', 'vfio1'], '/sys/class/iommu': None}
DEVICES = {'/dev/iommu': (10, 125), '/dev/vfio/devices/vfio0': None, '/dev/vfio/devices/vfio1': None}


def problems_of(path, device):
    first = os.stat(path)
    for name in spellings(path):
        found = os.stat(name)
        if (found.st_ino, found.st_mode, found.st_rdev) != (first.st_ino, first.st_mode, first.st_rdev):
            yield f'stat of {name}'
        if os.path.realpath(name) != path:
            yield f'realpath of {name}: {os.path.realpath(name)}'
        if glob.glob(name[:-1] + '[' + name[-1] + ']') != ['/'.join(os.path.split(name))]:
            yield f'glob of {name}'
        if not os.access(name, os.R_OK):
            yield f'access of {name}'
        try:
            os.readlink(name)
            yield f'{name} is a link'
        except OSError as error:
            if error.errno != errno.EINVAL:
                yield f'readlink of {name}: {error}'
        if bool(stat.S_ISCHR(found.st_mode)) != device or bool(stat.S_ISDIR(found.st_mode)) == device:
            yield f'kind of {name}'
    place = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    if os.stat(os.path.basename(path), dir_fd=place).st_ino != first.st_ino:
        yield f'{path} from its directory'
    listed = {entry.name: entry for entry in os.scandir(place)}.get(os.path.basename(path))
    if not listed or listed.is_dir(follow_symlinks=False) == device:
        yield f'{path} in a listing'
    os.close(place)


def problems(top):
    """What is wrong with ours, a line each."""
    os.chdir(top)
    for name in 'dev', 'sys':
        os.symlink(f'/{name}', f'to-{name}')
    for path, expected in DEVICES.items():
        yield from problems_of(path, True)
        number = os.stat(path).st_rdev
        if expected and (os.major(number), os.minor(number)) != expected:
            yield f'number of {path}'
    for path, expected in DIRECTORIES.items():
        yield from problems_of(path, False)
        for name in spellings(path):
            if expected is not None and sorted(os.listdir(name)) != expected:
                yield f'listing of {name}: {os.listdir(name)}'
            if 'x' in os.listdir(name) or len(os.listdir(name)) != len(set(os.listdir(name))):
                yield f'names twice in {name}'
    walked = [os.path.join(at, name) for at, _, names in os.walk('/dev/vfio') for name in names]
    if sorted(walked) != ['/dev/vfio/devices/vfio0', '/dev/vfio/devices/vfio1']:
        yield f'walk: {walked}'
    for path in '/dev/vfio/../null', '/dev/vfio/devices/../../null', 'to-dev/vfio/../null':
        if os.stat(path).st_rdev != os.stat('/dev/null').st_rdev:
            yield f'stat of {path}'
        with open(path, 'w') as file:
            file.write('x')
    with open('/sys/class/misc/iommu/dev') as file:
        if file.read() != '10:125\n':
            yield 'the number in /sys'


def beside(top):
    """On a machine that has some of it already, in a mount namespace."""
    os.chdir(top)
    names = sorted(os.listdir('/dev/vfio'))
    if names != ['devices', 'native']:
        yield f'/dev/vfio has {names}'
    if open('/dev/vfio/native').read() != 'here':
        yield 'what the machine has is not to be read'
    place = os.open('/dev/vfio', os.O_RDONLY)
    fd = os.open('devices/vfio0', os.O_RDWR, dir_fd=place)
    if not stat.S_ISCHR(os.fstat(fd).st_mode):
        yield 'vfio0 from the directory of the machine'
    with open('/dev/vfio/new', 'w') as file:
        file.write('made')
    if sorted(os.listdir('/dev/vfio')) != ['devices', 'native', 'new']:
        yield 'a new file'
    os.unlink('/dev/vfio/new')
    if os.path.exists('/dev/vfio/new'):
        yield 'a file that is removed'


# ---- outside ----


def script(part, *args, supervised=True, prefix=()):
    command = [sys.executable, __file__, '--inside', part, *map(str, args)]
    if supervised:
        command = [COMMAND, 'run', '--devices', '2', '--report', 'none', '--', *command]
    return subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=HANG)


def compare(tap):
    for seed in range(4):
        with tempfile.TemporaryDirectory() as top:
            make_tree(top)
            bare, ours = script('property', top, seed, supervised=False), script('property', top, seed)
            differ = [f'{a}\n{b}' for a, b in zip(bare.stdout.splitlines(), ours.stdout.splitlines()) if a != b]
            tap.ok(bare.returncode == ours.returncode == 0 and bare.stdout.count('\n') == STEPS and
                   not differ and len(bare.stdout.splitlines()) == len(ours.stdout.splitlines()),
                   f'seed {seed}: {STEPS} calls on paths that are not ours are as without us',
                   '\n'.join(differ[:8]) + bare.stderr + ours.stderr)
            os.chmod(f'{top}/closed', 0o700)


def check_part(tap, part, what, prefix=()):
    with tempfile.TemporaryDirectory() as top:
        done = script(part, top, prefix=prefix)
        tap.ok(done.returncode == 0 and not done.stdout and not done.stderr, what, done.stdout + done.stderr)


def check_beside(tap):
    what = 'what the machine has stays visible beside ours'
    # A copy of /dev with a directory for VFIO in it, for this program only.
    setup = ('mkdir -p "$0/d" && mount -t tmpfs none "$0/d" && mkdir "$0/d/vfio" && '
             'printf here >"$0/d/vfio/native" && cp -a /dev/null /dev/zero /dev/urandom "$0/d" && '
             'mount --bind "$0/d" /dev && exec "$@"')
    with tempfile.TemporaryDirectory() as place:
        prefix = ['unshare', '-m', '--propagation', 'private', 'sh', '-c', setup, place]
        if subprocess.run([*prefix, 'true'], capture_output=True).returncode:
            tap.skip(what, 'mounting is not allowed here')
        else:
            check_part(tap, 'beside', what, prefix)


def main():
    from replay_tap import Tap
    tap = Tap()
    check_part(tap, 'problems', 'ours are there in every spelling')
    compare(tap)
    check_beside(tap)
    tap.done()


if sys.argv[1] == '--inside':
    for line in {'property': property_lines, 'problems': problems, 'beside': beside}[sys.argv[2]](
            *sys.argv[3:]):
        print(json.dumps(line))
else:
    COMMAND = os.path.abspath(sys.argv[1])
    main()
