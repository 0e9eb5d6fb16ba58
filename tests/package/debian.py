#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""debian/ says of the library and of what is installed what is true: `make deb` takes
minutes, this does not.

usage: debian.py SOURCE BUILD LIBRARY COMMAND
"""
import fnmatch
import json
import pathlib
import re
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from replay_tap import Tap  # pylint: disable=wrong-import-position


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def installed(build):
    """What Meson installs, as paths below / of a build with Debian's options."""
    options = {option['name']: option['value']
               for option in json.loads(run('meson', 'introspect', '--buildoptions', build))}
    prefix, libdir = options['prefix'], options['libdir']
    for path in json.loads(run('meson', 'introspect', '--installed', build)).values():
        path = path.removeprefix(prefix).lstrip('/')
        if path.startswith(libdir + '/'):
            path = 'lib/TRIPLET' + path.removeprefix(libdir)
        yield 'usr/' + path


def owners(debian, paths):
    """(which packages take each path, patterns that take none)"""
    taken, idle = {path: [] for path in paths}, []
    for file in sorted(debian.glob('*.install')):
        for line in file.read_text().splitlines():
            pattern = line.split()[0]
            found = [path for path in paths if fnmatch.fnmatchcase(path, pattern)
                     or fnmatch.fnmatchcase(path, pattern + '/*')]
            for path in found:
                taken[path].append(file.stem)
            if not found:
                idle.append(f'{file.name}: {pattern}')
    return taken, idle


def main():
    source, build, library, command = sys.argv[1:]
    source, tap = pathlib.Path(source), Tap()
    debian = source / 'debian'

    first, *lines = (debian / 'libuiommu0.symbols').read_text().splitlines()
    soname = re.search(r'SONAME.*\[(.*)\]', run('readelf', '-d', library))[1]
    tap.equal(first.split()[:2], [soname, 'libuiommu' + soname.split('.')[-1]], 'SONAME and package')
    listed = {line.split('@')[0].strip() for line in lines if line.startswith(' ')}
    exported = {line.split()[2] for line in run('nm', '-D', '--defined-only', library).splitlines()}
    tap.ok(exported and listed == exported, 'the symbols file has what is exported',
           f'only exported: {exported - listed}, only listed: {listed - exported}')

    version = run(command, '--version').split()[1]
    tap.equal(re.match(r'uiommu \((.*?)\)', (debian / 'changelog').read_text())[1], version,
              'version of debian/changelog')
    tap.equal(re.search(r'^## (\S+)', (source / 'CHANGELOG.md').read_text(), re.M)[1], version,
              'version at the head of CHANGELOG.md')

    taken, idle = owners(debian, sorted(installed(build)))
    wrong = {path: packages for path, packages in taken.items() if len(packages) != 1}
    tap.ok(taken and not wrong, 'each file is in one package', wrong)
    tap.equal(idle, [], 'no pattern without a file')
    tap.done()


if __name__ == '__main__':
    sys.exit(main())
