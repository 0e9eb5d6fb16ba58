#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Calls go down the layers of docs/architecture.md: the objects of a build, by nm.

No object of a layer needs a symbol that only a layer above it has. That the check sees
such a symbol is shown with one that is added to copies of the objects' lists.

Arguments: the source, the build.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

from replay_tap import Tap

SOURCE, BUILD = map(pathlib.Path, sys.argv[1:3])
tap = Tap()


def layers():
    """From the highest to the lowest: the rows of one directory."""
    rows = re.findall(r'^\| `([a-z/]+)/` \|', (SOURCE / 'docs/architecture.md').read_text(), re.M)
    return [row for row in rows if not row.startswith(('include', 'tests'))]


def objects(order):
    """(layer, object) of what has been built for the product."""
    for entry in json.loads((BUILD / 'compile_commands.json').read_text()):
        path = BUILD / entry['output']
        source = os.path.relpath(os.path.normpath(BUILD / entry['file']), SOURCE)
        found = [layer for layer in order if source.startswith(layer + '/')]
        # The tests compile some again, with symbols of their own.
        if found and path.exists() and not entry['output'].startswith('tests/'):
            yield found[0], path


def symbols(path):
    """(needed, defined)"""
    listed = subprocess.run(['nm', '-P', str(path)], capture_output=True, text=True, check=True).stdout
    needed, defined = set(), set()
    for line in listed.splitlines():
        name, kind = line.split()[:2]
        if kind in 'Uvw':
            needed.add(name)
        elif kind.isupper():
            defined.add(name)
    return needed, defined


def upward(order, found):
    """Each need of a symbol that is above, and nowhere else."""
    where = {}
    for layer, _, _, defined in found:
        for name in defined:
            where.setdefault(name, set()).add(layer)
    return [f'{layer}/ ({path.name}) needs {name} of {min(where[name], key=order.index)}/'
            for layer, path, needed, _ in found for name in sorted(needed & set(where))
            if all(order.index(other) < order.index(layer) for other in where[name])]


def main():
    order = layers()
    tap.ok(order[0] == 'cmd' and order[-1] == 'plat' and len(order) > 9,
           'docs/architecture.md has the layers', order)
    found = [(layer, path, *symbols(path)) for layer, path in objects(order)]
    built = {layer for layer, *_ in found}
    missing = [layer for layer in order if layer not in built and not layer.endswith('clients')]
    tap.equal(missing, [], 'objects of every layer are looked at')
    calls = upward(order, found)
    tap.ok(not calls, 'no layer calls one above it', '\n'.join(calls))
    for low, high in zip(order[1:], order):
        names = [name for layer, _, _, defined in found if layer == high for name in sorted(defined)]
        if low in built and names:
            wrong = upward(order, [*found, (low, pathlib.Path('wrong.o'), {names[0]}, set())])
            tap.equal(len(wrong) - len(calls), 1, f'a call from {low}/ to {high}/ is seen')
    tap.done()


main()
