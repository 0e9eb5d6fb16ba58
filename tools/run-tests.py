#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the tree in several ways, run every test in each, and count.

The last line is "N passed, N failed[, N skipped]". A case is one TAP line, or a
whole program that prints none. A crash, a timeout or a build that fails counts
as a failed case of its own. While the tests of one way run, the next is built.
"""
import argparse
import collections
import concurrent.futures
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
    suites: tuple = ()  # of which tests are run, and built, if not of all
    without: tuple = ('once',)  # suites left out
    cross: str = ''  # script that makes a cross file and libraries in a directory


BUILDS = {
    'gcc': Build(without=()),
    # ASan's is clang's too, and runs the command.
    'clang': Build('clang', without=('once', 'command')),
    'asan-ubsan': Build('clang', ASAN, slow=2),
    # What has one thread has no races.
    'tsan': Build('clang', ['-Db_sanitize=thread', '-Db_lundef=false', '-Doptimization=1'], slow=3,
                  suites=('threads',)),
    'fuzz': Build('clang', [*ASAN, '-Dfuzz=true']),
    # The other byte order, under QEMU; not what is about a kernel.
    'big-endian': Build(options=['-Doptimization=1'], slow=2, suites=('library',),
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


def configure(name, directory):
    """The output if that failed, else None."""
    build = BUILDS[name]
    if (directory / 'build.ninja').exists():
        return None
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
    return done.stdout if done.returncode else None


def targets(name, directory):
    """What Ninja is to build for the tests that are run."""
    build = BUILDS[name]
    if name == 'fuzz':
        return ['fuzz']
    programs = set() if build.suites else {'all'}
    for test in json.loads(run(['meson', 'introspect', '--tests', str(directory)]).stdout):
        suites = {suite.split(':')[-1] for suite in test['suite']}
        program = pathlib.Path(test['cmd'][0])
        if (program.is_relative_to(directory) and not suites & set(build.without) and
                (not build.suites or suites & set(build.suites))):
            programs.add(str(program.relative_to(directory)))
    return sorted(programs)


def compile_build(name, directory):
    """Configure and build; the output if that failed, else None."""
    problem = configure(name, directory)
    if problem:
        return problem
    done = run(['nice', 'ninja', '-C', str(directory), '--quiet', *targets(name, directory)])
    return done.stdout if done.returncode else None


def test_build(name, directory):
    """Run the tests of a build; the tally."""
    log = directory / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    build = BUILDS[name]
    suites = [f'--suite={suite}' for suite in build.suites]
    suites += [f'--no-suite={suite}' for suite in build.without]
    done = run(['meson', 'test', '-C', str(directory), '--quiet',
                '--timeout-multiplier', str(build.slow), *suites])
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


def test_fuzz(_, directory, options=()):
    """A short run of each fuzz target, or what the options of tools/fuzz.py say."""
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
    steps = args.steps or ['style', *BUILDS]
    base = args.build.absolute()
    where = {name: base if name == 'gcc' else base.with_name(f'{base.name}-{name}')
             for name in steps}
    fuzz = args.fuzz and ['--seconds', args.fuzz, '--corpus', str(base / 'fuzz-corpus')]
    special = {'style': test_style, 'fuzz': lambda *step: test_fuzz(*step, fuzz or ())}
    total = Tally()
    with concurrent.futures.ThreadPoolExecutor(1) as builder:
        built = {name: builder.submit(compile_build, name, where[name])
                 for name in steps if name in BUILDS}
        for name in steps:
            start = time.monotonic()
            problem = built[name].result() if name in built else None
            if problem:
                print(problem, f'not ok: {name}: the build', sep='\n')
                tally = Tally(failed=1)
            else:
                tally = special.get(name, test_build)(name, where[name])
            total.update(tally)
            print(f'{name}: {tally.line()} in {time.monotonic() - start:.0f} s', flush=True)
    if not total:
        total['failed'] += 1
    print(total.line())
    return 1 if total['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
