# SPDX-License-Identifier: MIT
"""Take single definitions out of the kernel's C files, as they stand there: some of
its files cannot be compiled in user space, but the functions that walk tables can."""
import re

# At the left margin, in the kernel's style: what opens a definition, and its name.
NAMED = [re.compile(pattern) for pattern in (
    r'#define\s+(\w+)',
    r'(?:struct|enum|union)\s+(\w+)\s*\{',
    r'typedef\s.*\(\*(\w+)\)\(',
    r'(?!typedef|extern)(?=\w)(?:[\w\s*]*[\s*])?(\w+)\(',
)]


def name_of(line):
    for pattern in NAMED:
        if match := pattern.match(line):
            return match[1]
    return None


def end_of(lines, start):
    """The line after the definition that starts there, or None for a mere declaration."""
    at = start
    if lines[at].startswith('#'):
        while lines[at].endswith('\\'):
            at += 1
        return at + 1
    if lines[at].startswith('typedef'):
        while ';' not in lines[at]:
            at += 1
        return at + 1
    while '{' not in lines[at]:
        if ';' in lines[at]:
            return None
        at += 1
    while not lines[at].startswith('}'):
        at += 1
    return at + 1


def extract(paths, patterns):
    """Text of all definitions whose name is one of the patterns, each once: the first.
    The order is that of the files. Fails when a pattern finds nothing."""
    wanted = [re.compile(pattern) for pattern in patterns]
    unused = set(patterns)
    seen, text = set(), []
    for path in paths:
        lines = path.read_text().splitlines()
        for start, line in enumerate(lines):
            name = name_of(line)
            found = [p.pattern for p in wanted if name and p.fullmatch(name)]
            end = end_of(lines, start) if found and name not in seen else None
            if not end:
                continue
            seen.add(name)
            unused.difference_update(found)
            # A function's type may stand on a line of its own.
            above = lines[start - 1]
            if not line.startswith('#') and re.fullmatch(r'(static |inline )*[\w ]+\*?', above):
                start -= 1
            text += lines[start:end] + ['']
    if unused:
        raise SystemExit(f'{paths[0]}: no definition of {", ".join(sorted(unused))}')
    return '\n'.join(text)
