#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the examples in README.md and the man pages and compare what they show.

An example is a line "$ command" in a ```console block, or in .EX in a man page,
and the output below it. With --fix the output is replaced by the real one.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
BLOCK = {
    '.md': re.compile(r'(?<=^```console\n)(.*?)(?=^```$)', re.S | re.M),
    'man': re.compile(r'(?<=^\.EX\n)(.*?)(?=^\.EE$)', re.S | re.M),
}


def unroff(text):
    return re.sub(r'^\\&', '', text, flags=re.M).replace('\\-', '-').replace('\\e', '\\')


def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r"^(?=[.'])", r'\\&', text, flags=re.M)


def run(command, build):
    done = subprocess.run(['bash', '-c', command], cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          env={**os.environ, 'PATH': f'{build}:{os.environ["PATH"]}'})
    return done.stdout


def real_block(block, build):
    """The block with what its commands really print."""
    out = []
    for command in re.findall(r'^\$ ((?:.*\\\n)*.*)$', block, re.M):
        out.append(f'$ {command}\n{run(command, build)}')
    return '\n'.join(out) if out else block


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--fix', action='store_true')
    parser.add_argument('--build', type=pathlib.Path, default=TOP / 'build')
    parser.add_argument('files', type=pathlib.Path, nargs='+')
    args = parser.parse_args()
    number = failed = 0
    for path in args.files:
        markdown = path.suffix == '.md'
        decode, encode = (str, str) if markdown else (unroff, roff)
        text = path.read_text()
        for match in reversed(list(BLOCK['.md' if markdown else 'man'].finditer(text))):
            shown = decode(match[0])
            real = real_block(shown, args.build.absolute())
            number += 1
            if shown != real:
                failed += 1
                print(*(f'# {line}' for line in real.split('\n')), sep='\n')
            first = shown.split('\n')[0]
            print(f'{"not ok" if shown != real else "ok"} {number} - {path.name}: {first}')
            text = text[:match.start()] + encode(real) + text[match.end():]
        if args.fix:
            path.write_text(text)
    print(f'1..{number}')
    return 1 if failed and not args.fix else 0


if __name__ == '__main__':
    sys.exit(main())
