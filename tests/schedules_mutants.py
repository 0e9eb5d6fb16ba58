#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Take one thing out of the engine at a time; the schedules must find it missing.

schedules_mutants.py SOURCE BUILD COMPILER...: changes copies of the engine's headers,
compiles schedules.c with them, and runs it on one format. Prints TAP.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# What is taken out, the format to try it on, the header, and text in it with its replacement.
MUTANTS = [
    ('a table in the place of a leaf is not taken for a dead one', 'amdv1', 'engine_map.h',
     'if (!n || has_former_top(m, slot, level)) {\n\t\t\tret = map_slot(m, slot, level);',
     'if (!n || has_former_top(m, slot, level)) {\n'
     '\t\t\tret = n ? MAP_TABLE_DEAD : map_slot(m, slot, level);'),
    ('an empty top is linked below a taller one', 'amdv1', 'engine_grow.h',
     'level, top, !before.iova);',
     'level, top, !before.iova || live_load(table_page(top_table(top))) == PT_TOP);'),
    ('a top is replaced only where it cannot get items any more', 'amdv1', 'engine_grow.h',
     'if (!atomic_compare_exchange_strong(&former->live, &empty, PT_DEAD + PT_TOP))',
     'if (live_load(former) != empty)'),
    ('what is empty is looked for again when the top has grown', 'amdv1', 'engine.h',
     '} while (now != top);', '} while (0);'),
    ('a map that was too late with its top goes back', 'amdv1', 'engine_grow.h',
     'if (ret)\n\t\tmap_go_back(m, &before);\n', ''),
    ('a table that has got an item is not killed', 'vtd', 'engine_table.h',
     'return atomic_compare_exchange_strong(&page->live, &empty, PT_DEAD);',
     'atomic_store(&page->live, PT_DEAD);\n\treturn !empty;'),
    ('a killer that comes late leaves the new table', 'vtd', 'engine.h',
     'while (!item_replace(slot, item, pt_empty(level)));',
     'while (PT_STEP(), item_store(slot, pt_empty(level)), 0);'),
    ('a slot is counted once, however often it changes', 'vtd', 'engine_map.h',
     'old == pt_empty(level) && !*counted', 'old == pt_empty(level)'),
    ('a map that fails looks for what it made empty', 'vtd', 'engine_map.h',
     'reap(m->pt, m->iova, 0, m->gather);\n\tif (u.left)', 'if (u.left)'),
    ('a new table in the place of a dead one is flushed', 'vtd', 'engine_map.h',
     'if (likely(!range_is_unflushed(pt, iova, size)))\n\t\treturn;', 'return;'),
    ('so it is before the killer has said so', 'vtd', 'engine_map.h',
     'if (old != pt_empty(level))\n\t\t\tgather_pending', 'if (0)\n\t\t\tgather_pending'),
]

FLAGS = ['-O1', '-w', '-D_GNU_SOURCE', '-fno-strict-aliasing', '-fvisibility=hidden']
WRAPPED = ['alloc_pages', 'alloc_table_object', 'plat_barrier_all', 'plat_yield']


def run(command):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors='replace')


def compile_with(compiler, source, scratch, what, to):
    """Headers in the scratch directory come first."""
    done = run([*compiler, *FLAGS, '-I', scratch, '-I', source / 'include', '-I', source,
                '-include', source / 'tests/schedule_step.h', '-c', what, '-o', to])
    if done.returncode:
        raise SystemExit(f'Bail out! {what}\n{done.stdout}')


def change(source, scratch, header, old, new):
    """False if the text is not there once."""
    shutil.copytree(source / 'pgtable', scratch / 'pgtable', dirs_exist_ok=True)
    path = scratch / 'pgtable' / header
    text = path.read_text()
    path.write_text(text.replace(old, new))
    return text.count(old) == 1


def main():
    source, build, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    print(f'1..{len(MUTANTS)}')
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        program, test, engine = scratch / 'test', scratch / 'schedules.o', scratch / 'engine.o'
        compile_with(compiler, source, scratch, source / 'tests/schedules.c', test)
        for number, (what, format_name, header, old, new) in enumerate(MUTANTS, 1):
            if not change(source, scratch, header, old, new):
                print(f'# pgtable/{header} has not once: {old!r}')
                print(f'not ok {number} - {what}')
                continue
            compile_with(compiler, source, scratch, scratch / f'pgtable/{format_name}.c', engine)
            done = run([*compiler, '-o', program, test, engine, build / 'hw/libhw.a',
                        build / 'libuiommu.a', *[f'-Wl,--wrap={f}' for f in WRAPPED],
                        '-lcmocka', '-pthread'])
            if done.returncode:
                raise SystemExit(f'Bail out!\n{done.stdout}')
            done = run([program, format_name])
            found = re.search(rf'^# {format_name}, (.*)$', done.stdout, re.M)
            print(f'# {found[1]}' if found else f'# {done.stdout}')
            print(f'{"ok" if found else "not ok"} {number} - {what}', flush=True)


if __name__ == '__main__':
    main()
