#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the tree in several ways, run every test in each, and count.

The last line is "N passed, N failed[, N skipped]". A case is one TAP line, or a
whole program that prints none. A crash, a timeout or a build that fails counts
as a failed case of its own.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing

TOP = pathlib.Path(__file__).resolve().parent.parent
ASAN = ['-Db_sanitize=address,undefined', '-Db_lundef=false',
        '-Dc_args=-fno-sanitize-recover=all', '-Doptimization=1']


class Build(typing.NamedTuple):
    compiler: str = 'gcc'
    options: list = []  # of Meson
    slow: int = 1  # factor on the timeouts of the tests
    tests: list = ['--no-suite', 'once']  # which ones: options of meson test
    cross: str = ''  # script that makes a cross file and libraries in a directory


BUILDS = {
    'gcc': Build(tests=[]),
    'clang': Build('clang'),
    'asan-ubsan': Build('clang', ASAN, slow=2),
    'tsan': Build('clang', ['-Db_sanitize=thread', '-Db_lundef=false', '-Doptimization=1'], slow=3),
    'fuzz': Build('clang', [*ASAN, '-Dfuzz=true']),
    # The other byte order, under QEMU; not what is about a kernel.
    'big-endian': Build(options=['-Doptimization=1'], slow=2, tests=['--suite', 'library'],
                        cross='tools/s390x-cross.sh'),
}
TAP_LINE = re.compile(r'^(not )?ok\b(?: (\d+))?(?: -)? ?(.*)$', re.M)
TAP_PLAN = re.compile(r'^1\.\.(\d+)', re.M)


class Tally(collections.Counter):
    """Cases by result: passed, failed, skipped."""

    def line(self):
        text = f'{self["passed"]} passed, {self["failed"]} failed'
        return text + (f', {self["skipped"]} skipped' if self['skipped'] else '')


def count_tap(output):
    """(tally, names of the failed) of a program's TAP, or None if there is none."""
    plan = TAP_PLAN.search(output)
    cases = TAP_LINE.findall(output)
    if not plan and not cases:
        return None
    tally, failed = Tally(), []
    for negative, _, name in cases:
        skipped = re.search(r'# skip', name, re.I)
        tally['skipped' if skipped else 'failed' if negative else 'passed'] += 1
        if negative and not skipped:
            failed.append(name)
    missing = int(plan[1]) - len(cases) if plan else 0
    if missing > 0:
        tally['failed'] += missing
        failed.append(f'{missing} cases of the plan did not report')
    return tally, failed


def count_test(entry):
    """(tally, names of the failed) of one line of Meson's testlog.json."""
    result = entry['result']
    if result == 'SKIP':
        return Tally(skipped=1), []
    counted = count_tap(entry.get('stdout') or '')
    bad = result not in ('OK', 'EXPECTEDFAIL')
    if not counted:
        return (Tally(failed=1), [result]) if bad else (Tally(passed=1), [])
    tally, failed = counted
    if bad and not failed:
        tally['failed'] += 1
        failed.append(f'{result}, exit status {entry.get("returncode")}')
    return tally, failed


def run(command, **kwargs):
    return subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', **kwargs)


def compile_build(name, directory, *targets):
    """Configure and build; the output if that failed, else None."""
    build = BUILDS[name]
    if not (directory / 'build.ninja').exists():
        options = build.options
        if build.cross:
            libraries = directory / 'cross'
            done = run([build.cross, str(libraries)])
            if done.returncode:
                return done.stdout
            options = [*options, '--cross-file', str(libraries / 'cross.ini')]
        cxx = {'gcc': 'g++', 'clang': 'clang++'}[build.compiler]
        done = run(['meson', 'setup', str(directory), *options],
                   env={**os.environ, 'CC': build.compiler, 'CXX': cxx})
        if done.returncode:
            return done.stdout
    if build.cross:  # meson test builds the little that it runs
        return None
    done = run(['ninja', '-C', str(directory), '--quiet', *targets])
    return done.stdout if done.returncode else None


def test_build(name, directory):
    """Build and test; the tally."""
    problem = compile_build(name, directory)
    if problem:
        print(problem, f'not ok: {name}: the build', sep='\n')
        return Tally(failed=1)
    log = directory / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    done = run(['meson', 'test', '-C', str(directory), '--quiet',
                '--timeout-multiplier', str(BUILDS[name].slow), *BUILDS[name].tests])
    tally = Tally()
    for line in log.read_text().splitlines() if log.exists() else []:
        entry = json.loads(line)
        counted, failed = count_test(entry)
        tally += counted
        for case in failed:
            print(f'not ok: {name}: {entry["name"]}: {case}')
        if failed:
            print('\n'.join(((entry.get('stdout') or '') + (entry.get('stderr') or ''))
                            .strip().split('\n')[-60:]))
    if done.returncode and not tally['failed']:
        print(done.stdout, f'not ok: {name}: meson test', sep='\n')
        tally['failed'] += 1
    return tally


def test_fuzz(name, directory, options=()):
    """A short run of each fuzz target, or what the options of tools/fuzz.py say."""
    problem = compile_build(name, directory, 'fuzz')
    if problem:
        print(problem, f'not ok: {name}: the build', sep='\n')
        return Tally(failed=1)
    done = subprocess.run(['tools/fuzz.py', '--build', str(directory), *options], cwd=TOP,
                          stdout=subprocess.PIPE, text=True, errors='replace')
    tally, failed = count_tap(done.stdout) or (Tally(failed=1), ['tools/fuzz.py'])
    if failed or options:
        print(done.stdout)
    return tally


def test_style(*_):
    done = run(['tools/style.py'])
    tally, failed = count_tap(done.stdout) or (Tally(failed=1), ['tools/style.py'])
    if failed:
        print(done.stdout)
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, default=TOP / 'build',
                        help='build directory of gcc; the others stand beside it')
    parser.add_argument('steps', nargs='*', metavar='STEP', default=[],
                        help=f'any of: style {" ".join(BUILDS)}')
    parser.add_argument('--fuzz', metavar='SECONDS', help='of each fuzz target; keep the corpus')
    args = parser.parse_args()
    unknown = set(args.steps) - {'style', *BUILDS}
    if unknown:
        parser.error(f'no step named {", ".join(sorted(unknown))}')
    total, base = Tally(), args.build.absolute()
    fuzz = args.fuzz and ['--seconds', args.fuzz, '--corpus', str(base / 'fuzz-corpus')]
    steps = {'style': test_style, 'fuzz': lambda *where: test_fuzz(*where, fuzz or ())}
    for name in args.steps or ['style', *BUILDS]:
        start = time.monotonic()
        step = steps.get(name, test_build)
        tally = step(name, base if name == 'gcc' else base.with_name(f'{base.name}-{name}'))
        total.update(tally)
        print(f'{name}: {tally.line()} in {time.monotonic() - start:.0f} s', flush=True)
    if not total:
        total['failed'] += 1
    print(total.line())
    return 1 if total['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
