#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/run-tests.py counts what ran: crashes, short plans and builds that fail are
failures, skips are named with their reason and not counted, and a case that runs in two
builds is one distinct case."""
import contextlib
import importlib.util
import io
import pathlib
import sys

from replay_tap import Tap

TOP = pathlib.Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location('run_tests', TOP / 'tools' / 'run-tests.py')
run_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_tests)


def entry(stdout='', result='OK', name='uiommu:library / program', status=0):
    """What Meson writes to testlog.json of one program."""
    return {'name': name, 'stdout': stdout, 'result': result, 'returncode': status}


def results(*args, **kwargs):
    return [(case.name, case.result) for case in run_tests.test_cases(entry(*args, **kwargs))]


def summarized(cases):
    """(whether it is a success, the lines)"""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        good = run_tests.summary(cases)
    return good, out.getvalue().splitlines()


def main():
    tap = Tap()
    tap.equal(results('1..2\nok 1 - a\nnot ok 2 - b\n', 'FAIL', status=1),
              [('a', 'passed'), ('b', 'failed')], 'a line of TAP is a case')
    tap.equal(results('1..3\nok 1 - a\nok 2 - b\n'),
              [('a', 'passed'), ('b', 'passed'), ('1 cases of the plan did not report', 'failed')],
              'what the plan has and does not come is a failure')
    tap.equal(results('1..1\nok 1 - a\n', 'FAIL', status=-11),
              [('a', 'passed'), ('FAIL, exit status -11', 'failed')], 'so is a crash at the end')
    tap.equal(results(), [('all', 'passed')], 'a program that prints no TAP is one case')
    tap.equal(results(result='TIMEOUT'), [('TIMEOUT', 'failed')], 'and fails as one')
    tap.equal(results('ok 1 - a # SKIP no tmux\n1..1\n'), [('a', 'skipped')], 'a case is skipped')
    whole = run_tests.test_cases(entry('1..0 # SKIP no network\n', 'SKIP'))
    tap.equal([(case.name, case.result, case.reason) for case in whole],
              [('all', 'skipped', 'no network')], 'so are all, with the reason')

    two = {step: run_tests.test_cases(entry('1..2\nok 1 - a\nok 2 - b # SKIP no tmux\n'))
           for step in ('gcc', 'clang')}
    two['style'] = run_tests.test_cases(entry('1..1\nok 1 - short\n', name='style'))
    good, lines = summarized(two)
    tap.equal(lines, ['skipped in gcc, clang: program: b: no tmux',
                      '2 distinct cases, 2 builds: gcc, clang; 2 skipped', '3 passed, 0 failed'],
              'the summary: skips, distinct cases, builds, what ran')
    tap.ok(good, 'nothing failed: a success')
    two['tsan'] = run_tests.test_cases(entry('1..1\nnot ok 1 - a\n', 'FAIL', status=1))
    good, lines = summarized(two)
    tap.equal((good, lines[-1]), (False, '3 passed, 1 failed'), 'one case of one build fails all')
    good, lines = summarized({'gcc': []})
    tap.equal((good, lines[-1]), (False, '0 passed, 1 failed'), 'nothing ran: a failure')
    tap.done()


if __name__ == '__main__':
    sys.exit(main())
