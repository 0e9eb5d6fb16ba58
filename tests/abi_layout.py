#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare our ABI headers with those that Debian ships for Linux 7.3.

Each struct's size, each member's offset and size, each constant's value, as a C
compiler sees them. Skipped where the package cannot be fetched.

usage: abi_layout.py INCLUDE-DIRECTORY CACHE-DIRECTORY COMPILER...
"""
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Ours for each of the kernel's: the first one includes the others.
HEADERS = {
    'iommufd.h': ('iommufd.h', 'iommufd_hw.h', 'iommufd_viommu.h'),
    'vfio.h': ('vfio.h',),
}
# Structs of VFIO that have grown since, and what is not there any more.
GROWN = {'vfio_device_bind_iommufd', 'vfio_device_attach_iommufd_pt',
         'vfio_device_detach_iommufd_pt'}
GONE = {'VFIO_TYPE1_NESTING_IOMMU'}
# apt with the backports of trixie, where the newest kernels of Debian's are.
BACKPORTS = '. tools/linux-source.sh; linux_source_backports "$1" && echo $apt_options'


def skip(why):
    print(f'1..0 # SKIP {why}')
    sys.exit(0)


def run(*args, **kwargs):
    return subprocess.run(args, check=True, capture_output=True, text=True, **kwargs).stdout


def version(package):
    return [int(n) for n in re.findall(r'\d+', package)]


def fetch(cache):
    """The directory of the kernel's user headers, unpacked once."""
    root = os.path.join(cache, 'linux-headers')
    if not os.path.isdir(root):
        os.makedirs(cache, exist_ok=True)
        try:
            lists = os.path.join(os.path.abspath(cache), 'apt')
            options = run('sh', '-c', BACKPORTS, 'sh', lists, cwd=TOP, timeout=120).split()
            found = run('apt-cache', *options, 'search', '--names-only',
                        r'^linux-headers-7\.3\..*-common$')
            packages = [line.split()[0] for line in found.splitlines()]
            if not packages:
                skip('apt knows no linux-headers-7.3.*-common')
            package = max(packages, key=version)
            run('apt-get', *options, 'download', package, cwd=cache, timeout=120)
            deb = next(f for f in os.listdir(cache) if f.startswith(package) and f.endswith('.deb'))
            run('dpkg-deb', '--extract', deb, 'linux-headers.tmp', cwd=cache)
            os.rename(os.path.join(cache, 'linux-headers.tmp'), root)
            os.unlink(os.path.join(cache, deb))
        except (OSError, subprocess.SubprocessError) as error:
            skip(f'cannot fetch the headers of Linux 7.3: {error}')
    for directory, _, files in os.walk(root):
        if directory.endswith('/uapi/linux') and 'iommufd.h' in files:
            return directory
    sys.exit(f'no uapi/linux/iommufd.h below {root}')


def members(body):
    """Names of a struct's members; those of an anonymous union are its own."""
    body = re.sub(r'^\s*#.*$', '', body, flags=re.M)
    body = re.sub(r'(__extension__\s*)?\bunion\s*\{|\}', '', body)
    for declaration in body.split(';'):
        name = re.search(r'(\w+)\s*(\[[^]]*\])?\s*$', declaration)
        if name:
            yield name[1], name[2] == '[]'


def facts(path):
    """What there is to compare: name -> C expressions."""
    with open(path, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S).replace('\\\n', ' ')
    for name, body in re.findall(r'^struct (\w+) \{\n(.*?)^\};', text, flags=re.S | re.M):
        yield name, [f'sizeof(struct {name})']
        for member, flexible in members(body):
            expressions = [f'offsetof(struct {name}, {member})']
            if not flexible:
                expressions.append(f'sizeof(((struct {name} *)0)->{member})')
            yield f'{name}.{member}', expressions
    for body in re.findall(r'^enum (?:\w+ )?\{(.*?)\};', text, flags=re.S | re.M):
        for name in re.findall(r'(?:^|,)\s*(\w+)', body):
            yield name, [name]
    for name in re.findall(r'^#define[ \t]+(\w+)[ \t]+\S', text, flags=re.M):
        yield name, [name]


def evaluate(compiler, cache, label, includes, wanted):
    """name -> values, by a program that is made for it."""
    source = os.path.join(cache, f'{label}.c')
    program = os.path.join(cache, label)
    with open(source, 'w', encoding='utf-8') as file:
        file.write('#define __user\n#define __counted_by(member)\n' + ''.join(f'#include {i}\n' for i in includes))
        file.write('#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n')
        for name, expressions in wanted.items():
            for expression in expressions:
                file.write(f'\tprintf("{name} %lld\\n", (long long)({expression}));\n')
        file.write('\treturn 0;\n}\n')
    run(*compiler, source, '-o', program)
    values = {}
    for line in run(program).splitlines():
        name, value = line.split()
        values.setdefault(name, []).append(value)
    return values


def check_header(number, header, ours_dir, theirs_dir, cache, compiler):
    ours = f'"{ours_dir}/uiommu/abi/{header}"'
    theirs = f'"{theirs_dir}/{header}"'
    ours_facts = {}
    for part in HEADERS[header]:
        ours_facts.update(facts(f'{ours_dir}/uiommu/abi/{part}'))
    theirs_facts = dict(facts(theirs.strip('"')))
    common = {name: e for name, e in ours_facts.items() if name in theirs_facts}
    problems = [f'{name}: the kernel has no such thing' for name in ours_facts
                if name not in theirs_facts and name not in GONE
                and not name.startswith('UIOMMU_ABI_')]
    if header == 'iommufd.h':
        problems += [f'{name}: missing' for name in theirs_facts if name not in ours_facts]
    compiler = [*compiler, '-I', ours_dir]
    mine = evaluate(compiler, cache, f'ours-{header[:-2]}', [ours, theirs], common)
    real = evaluate(compiler, cache, f'theirs-{header[:-2]}', [theirs, ours], common)
    problems += [f'{name}: {mine[name]}, the kernel has {real[name]}'
                 for name in common if (mine[name] != real[name]) != (name in GROWN)]
    for problem in problems:
        print(f'# {problem}')
    print(f'{"not " if problems else ""}ok {number} - {header}: {len(common)} names')
    # A parser that finds nothing would find nothing wrong.
    return not problems and len(common) > 100


def check_example(number, ours_dir, theirs_dir, cache, compiler):
    """examples/map-guest.c needs nothing of ours where the system's headers are new enough."""
    linux = os.path.join(cache, 'include', 'linux')
    os.makedirs(linux, exist_ok=True)
    for header in ('iommufd.h', 'vfio.h'):
        shutil.copy(os.path.join(theirs_dir, header), linux)
    with open(os.path.join(linux, 'version.h'), 'w', encoding='utf-8') as file:
        file.write('#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))\n'
                   '#define LINUX_VERSION_CODE KERNEL_VERSION(7, 3, 0)\n')
    example = os.path.join(ours_dir, '..', 'examples', 'map-guest.c')
    done = subprocess.run([*compiler, '-D_GNU_SOURCE', '-D__user=', '-D__counted_by(m)=', '-Wall', '-Wextra', '-Werror',
                           '-I', os.path.dirname(linux), example, '-o',
                           os.path.join(cache, 'map-guest')], capture_output=True, text=True)
    for line in done.stderr.splitlines()[:20]:
        print(f'# {line}')
    print(f'{"not " if done.returncode else ""}ok {number} - map-guest.c by the kernel\'s headers')
    return not done.returncode


def main():
    ours_dir, cache, *compiler = sys.argv[1:]
    theirs_dir = fetch(cache)
    results = [check_header(n, header, ours_dir, theirs_dir, cache, compiler)
               for n, header in enumerate(HEADERS, 1)]
    results.append(check_example(3, ours_dir, theirs_dir, cache, compiler))
    print('1..3')
    return not all(results)


if __name__ == '__main__':
    sys.exit(main())
