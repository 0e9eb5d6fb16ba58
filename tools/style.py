#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check the form of the tree: clang-format, SPDX lines, sizes of files and
functions, includes of higher layers. With --fix, format the C files.

Prints one TAP line per rule.
"""
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
LAYERS = ['cmd', 'trace', 'supervisor', 'vfio', 'hw', 'iommufd', 'dma', 'core', 'pgtable', 'mm',
          'plat']
INDEPENDENT = ['hw']  # layers that share no code with the others: they are a second opinion
NO_SPDX = ('.xz', '.svg', '.png', '.csv', '.json', 'LICENSE', '.gitignore', '.install', '.symbols',
           'debian/changelog', 'debian/control', 'debian/copyright', 'debian/source/format')
NO_SPDX_IN = 'tests/data/'  # read by tests as they are
FILE_LINES, FUNCTION_LINES = 600, 60
FORMATTER = '14'  # major version of clang-format, since each formats differently


class Skip(Exception):
    """Why a rule cannot be checked here."""


def tree():
    """The files that git would commit if all were added; without git, all but built files."""
    if shutil.which('git') and (TOP / '.git').exists():
        git = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=TOP,
                             capture_output=True, text=True)
        if git.returncode == 0:
            return sorted({path for path in git.stdout.split('\n') if (TOP / path).is_file()})
    found = [path.relative_to(TOP) for path in TOP.rglob('*') if path.is_file()]
    return sorted(str(path) for path in found if not path.parts[0].startswith('build')
                  and not {'build', '__pycache__', '.git'} & set(path.parts))


def is_c(path):
    return path.endswith(('.c', '.h'))


def lines(path):
    return (TOP / path).read_text(errors='replace').splitlines()


def formatter():
    command = shutil.which(f'clang-format-{FORMATTER}') or shutil.which('clang-format')
    if not command:
        raise Skip('no clang-format')
    said = subprocess.run([command, '--version'], capture_output=True, text=True, check=True).stdout
    version = re.search(r'version (\d+)', said)[1]
    if version != FORMATTER:
        raise Skip(f'clang-format {version} formats differently from {FORMATTER}')
    return command


def unformatted(files):
    files = [path for path in files if is_c(path)]
    run = subprocess.run([formatter(), '--dry-run', '-Werror', *files], cwd=TOP,
                         capture_output=True, text=True)
    return sorted(set(re.findall(r'^(\S+?:\d+)', run.stderr, re.M)))


def without_spdx(files):
    return [path for path in files if not path.endswith(NO_SPDX) and not path.startswith(NO_SPDX_IN)
            and 'SPDX-License-Identifier: MIT' not in '\n'.join(lines(path)[:3])]


def too_long_files(files):
    return [path for path in files if is_c(path) and len(lines(path)) > FILE_LINES]


def too_long_functions(files):
    found = []
    for path in filter(is_c, files):
        start = None
        for number, line in enumerate(lines(path), 1):
            if line == '{':
                start = number
            elif line == '}' and start:
                if number - start - 1 > FUNCTION_LINES:
                    found.append(f'{path}:{start}')
                start = None
    return found


def includes_upward(files):
    """A file includes headers of its own layer and of lower ones only; a file of an
    independent layer includes headers of its own layer only."""
    found = []
    for path in filter(is_c, files):
        layer = path.split('/')[0]
        if layer not in LAYERS:
            continue
        for number, line in enumerate(lines(path), 1):
            include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            to = include and include[1].split('/')[0]
            if to in LAYERS and (LAYERS.index(to) < LAYERS.index(layer)
                                 or layer in INDEPENDENT and to != layer):
                found.append(f'{path}:{number} includes {include[1]}')
    return found


RULES = {
    'formatted by .clang-format': unformatted,
    'SPDX line first in every file': without_spdx,
    f'files of at most {FILE_LINES} lines': too_long_files,
    f'functions of at most {FUNCTION_LINES} lines': too_long_functions,
    'includes go down the layers': includes_upward,
}


def main():
    files = tree()
    if sys.argv[1:] == ['--fix']:
        try:
            subprocess.run([formatter(), '-i', *filter(is_c, files)], cwd=TOP, check=True)
        except Skip as why:
            sys.exit(f'style.py: {why}')
        return 0
    failed = 0
    for number, (rule, check) in enumerate(RULES.items(), 1):
        try:
            found, skip = check(files), ''
        except Skip as why:
            found, skip = [], f' # SKIP {why}'
        for where in found:
            print(f'# {where}')
        print(f'{"not ok" if found else "ok"} {number} - {rule}{skip}')
        failed += bool(found)
    print(f'1..{len(RULES)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
