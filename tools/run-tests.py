#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the tree in several ways, run every test in each, and count.

The last line is "N passed, N failed", of what ran; above it stand the distinct cases
(one that runs in three builds is one), the builds, and each skip with its reason. A case
is one TAP line, or a whole program that prints none. A crash, a timeout or a build that
fails counts as a failed case of its own. While the tests of one build run, the next is
built.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
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
STEPS = ['style', *BUILDS, 'fresh']
TAP_LINE = re.compile(r'^(not )?ok\b(?: (\d+))?(?: -)? ?(.*)$', re.M)
TAP_PLAN = re.compile(r'^1\.\.(\d+)(?: *# *skip\w*:?)?(.*)$', re.M | re.I)


class Case(typing.NamedTuple):
    program: str
    name: str
    result: str  # passed, failed or skipped
    reason: str = ''  # of a skip


def tally(cases):
    count = collections.Counter(case.result for case in cases)
    return f'{count["passed"]} passed, {count["failed"]} failed'


def tap_cases(program, output):
    """The cases of a program that prints TAP, or None if it prints none."""
    plan = TAP_PLAN.search(output)
    found = TAP_LINE.findall(output)
    if not plan and not found:
        return None
    cases = []
    for negative, number, text in found:
        name, _, reason = re.split(r'# *(skip)(?:ped)?:? *', text, maxsplit=1, flags=re.I) \
            if re.search('# *skip', text, re.I) else (text, None, None)
        result = 'skipped' if reason is not None else 'failed' if negative else 'passed'
        cases.append(Case(program, name.strip(' -') or number, result,
                          (reason or '').strip() or 'no reason given'))
    if plan and plan[1] == '0':
        cases.append(Case(program, 'all', 'skipped', plan[2].strip() or 'no reason given'))
    missing = int(plan[1]) - len(found) if plan else 0
    if missing > 0:
        cases.append(Case(program, f'{missing} cases of the plan did not report', 'failed'))
    return cases


def test_cases(entry):
    """The cases of one line of Meson's testlog.json."""
    program, result = entry['name'].split(' / ')[-1], entry['result']
    cases = tap_cases(program, entry.get('stdout') or '')
    if result == 'SKIP':
        return cases or [Case(program, 'all', 'skipped', 'it ended with status 77')]
    bad = result not in ('OK', 'EXPECTEDFAIL')
    if not cases:
        return [Case(program, result if bad else 'all', 'failed' if bad else 'passed')]
    if bad and not any(case.result == 'failed' for case in cases):
        cases.append(Case(program, f'{result}, exit status {entry.get("returncode")}', 'failed'))
    return cases


def run(command, **kwargs):
    return subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', **kwargs)


def configure(name, directory):
    """The output if that failed, else None."""
    build = BUILDS[name]
    options = ['-Dtests=true', '-Dwerror=true', *build.options]
    stamp = directory / 'run-tests.json'  # how it was configured
    if stamp.exists() and json.loads(stamp.read_text()) == options:
        return None
    shutil.rmtree(directory, ignore_errors=True)
    cross = []
    if build.cross:
        libraries = directory / 'cross'
        done = run([build.cross, str(libraries)])
        if done.returncode:
            return done.stdout
        cross = ['--cross-file', str(libraries / 'cross.ini')]
    cxx = {'gcc': 'g++', 'clang': 'clang++'}[build.compiler]
    done = run(['meson', 'setup', str(directory), *options, *cross],
               env={**os.environ, 'CC': build.compiler, 'CXX': cxx})
    if done.returncode:
        return done.stdout
    stamp.write_text(json.dumps(options))
    return None


def targets(name, directory):
    """What Ninja is to build for the tests that are run."""
    build = BUILDS[name]
    if name == 'fuzz':
        return ['fuzz']
    if not build.suites:
        return ['all', 'meson-test-prereq']
    programs = set()
    for test in json.loads(run(['meson', 'introspect', '--tests', str(directory)]).stdout):
        suites = {suite.split(':')[-1] for suite in test['suite']}
        program = pathlib.Path(test['cmd'][0])
        if (program.is_relative_to(directory) and not suites & set(build.without) and
                suites & set(build.suites)):
            programs.add(str(program.relative_to(directory)))
    return sorted(programs)


def compile_build(name, directory, wanted=()):
    """Configure and build; the output if that failed, else None."""
    problem = configure(name, directory)
    if problem:
        return problem
    done = run(['nice', 'ninja', '-C', str(directory), '--quiet',
                *(wanted or targets(name, directory))])
    return done.stdout if done.returncode else None


def test_build(name, directory):
    """Run the tests of a build; the cases."""
    log = directory / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    build = BUILDS[name]
    suites = [f'--suite={suite}' for suite in build.suites]
    suites += [f'--no-suite={suite}' for suite in build.without]
    done = run(['meson', 'test', '-C', str(directory), '--quiet',
                '--timeout-multiplier', str(build.slow), *suites])
    found = []
    for line in log.read_text().splitlines() if log.exists() else []:
        entry = json.loads(line)
        cases = test_cases(entry)
        failed = [case for case in cases if case.result == 'failed']
        found += cases
        for case in failed:
            print(f'not ok: {name}: {case.program}: {case.name}')
        if failed:
            print('\n'.join(((entry.get('stdout') or '') + (entry.get('stderr') or ''))
                            .strip().split('\n')[-60:]))
    if done.returncode and not any(case.result == 'failed' for case in found):
        print(done.stdout, f'not ok: {name}: meson test', sep='\n')
        found.append(Case('meson test', name, 'failed'))
    return found


def test_script(program, *options, always_show=False):
    """The cases of a script that prints TAP."""
    done = subprocess.run([program, *options], cwd=TOP, stdout=subprocess.PIPE, text=True,
                          errors='replace')
    cases = tap_cases(program, done.stdout) or [Case(program, 'no TAP', 'failed')]
    failed = any(case.result == 'failed' for case in cases)
    if done.returncode and not failed:
        cases.append(Case(program, f'exit status {done.returncode}', 'failed'))
    if done.returncode or failed or always_show:
        print(done.stdout)
    return cases


def summary(cases):
    """What ran, by its step: distinct cases, builds, each skip with its reason."""
    if not any(cases.values()):
        cases = {'none': [Case('run-tests.py', 'nothing ran', 'failed')]}
    skips = collections.defaultdict(list)
    for step, found in cases.items():
        for case in found:
            if case.result == 'skipped':
                skips[case.program, case.name, case.reason].append(step)
    for (program, name, reason), steps in skips.items():
        print(f'skipped in {", ".join(steps)}: {program}: {name}: {reason}')
    ran = [case for found in cases.values() for case in found if case.result != 'skipped']
    distinct = {(case.program, case.name) for case in ran}
    builds = [step for step in cases if step in BUILDS]
    print(f'{len(distinct)} distinct cases, {len(builds)} build{"s"[:len(builds) != 1]}'
          f'{": " if builds else ""}{", ".join(builds)}; '
          f'{sum(map(len, skips.values()))} skipped')
    print(tally(ran))
    return not any(case.result == 'failed' for case in ran)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', type=pathlib.Path, default=TOP / 'build',
                        help='each step builds in a directory beside it, such as build-gcc')
    parser.add_argument('steps', nargs='*', metavar='STEP', default=[],
                        help=f'any of: {" ".join(STEPS)}; all, or none, is all but fresh')
    parser.add_argument('--fuzz', metavar='SECONDS', help='of each fuzz target; keep the corpus')
    parser.add_argument('--target', action='append',
                        help='only build this for the steps, by its name in Ninja')
    args = parser.parse_args()
    unknown = set(args.steps) - {'all', *STEPS}
    if unknown:
        parser.error(f'no step named {", ".join(sorted(unknown))}')
    everything = not args.steps or 'all' in args.steps
    steps = [step for step in STEPS
             if step in args.steps or everything and step != 'fresh']
    base = args.build.absolute()
    where = {name: base.with_name(f'{base.name}-{name}') for name in steps}
    fuzz = ['--build', str(where.get('fuzz'))]
    if args.fuzz:
        fuzz += ['--seconds', args.fuzz, '--corpus', str(base / 'fuzz-corpus')]
    scripts = {'style': lambda: test_script('tools/style.py'),
               'fuzz': lambda: test_script('tools/fuzz.py', *fuzz, always_show=args.fuzz),
               'fresh': lambda: test_script('tools/fresh.py', '--jobs', '2', always_show=True)}
    cases = {}
    with concurrent.futures.ThreadPoolExecutor(1) as builder:
        built = {name: builder.submit(compile_build, name, where[name], args.target)
                 for name in steps if name in BUILDS}
        for name in steps:
            start = time.monotonic()
            problem = built[name].result() if name in built else None
            if problem:
                print(problem, f'not ok: {name}: the build', sep='\n')
                cases[name] = [Case('build', name, 'failed')]
            elif args.target:
                continue
            else:
                cases[name] = scripts[name]() if name in scripts else \
                    test_build(name, where[name])
            print(f'{name}: {tally(cases[name])} in {time.monotonic() - start:.0f} s', flush=True)
    if args.target and not cases:
        return 0
    return 0 if summary(cases) else 1


if __name__ == '__main__':
    sys.exit(main())
