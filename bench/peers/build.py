#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the benchmark of peers: build.py BUILD

BUILD/bench-peers/linux-source-VERSION are the sources that fetch.sh unpacked. Every peer
is compiled in four ways; each object keeps its symbols to itself, so that all of
them, and the library as Meson built it, are linked into BUILD/bench-peers/peers.
"""
import pathlib
import re
import shutil
import subprocess
import sys

from extract import extract

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
OURS = TOP / 'bench/peers'

KERNEL_REGS = '-mgeneral-regs-only'  # as a kernel is built
BUILDS = {
    'gcc -O2': ('gcc', '-O2'),
    'gcc -O2 general-regs-only': ('gcc', f'-O2 {KERNEL_REGS}'),
    'gcc -O3 native': ('gcc', '-O3 -march=native'),
    'clang -O2 general-regs-only': ('clang', f'-O2 {KERNEL_REGS} -Wno-everything'),
}
FLAGS = ('-g -std=gnu11 -fno-strict-aliasing -fno-strict-overflow -fno-common -fvisibility=hidden '
         '-Werror=implicit-function-declaration -Werror=int-conversion '
         '-Werror=incompatible-pointer-types')

# Our file, the options that it is compiled with, what else belongs to it.
OLD = [('arm.c', '', []), ('arm.c', '-DPEERS_NO_FENCE', []), ('amdv1.c', '', []), ('vtd.c', '', [])]
GENERIC = ['drivers/iommu/iommu-pages.c']
NEW = [('arm.c', '', GENERIC)] + [
    (f'generic_{name}.c', '', GENERIC) for name in ('amdv1', 'vtdss', 'x86_64', 'riscv64')]

# Headers of the kernel's that are used as they are; SYSTEM's are the C library's.
KEPT = ['args.h', 'bitfield.h', 'io-pgtable.h', 'kconfig.h', 'sizes.h', 'generic_pt']
SYSTEM = ['linux/const.h', 'linux/errno.h', 'linux/limits.h', 'linux/types.h']
IOMMU_H = ['IOMMU_(READ|WRITE|CACHE|NOEXEC|MMIO|PRIV)', '__IOMMU_DOMAIN_PAGING',
           'IOMMU_DIRTY_NO_CLEAR', 'iommu_fault_handler_t', 'iommu_dirty_bitmap',
           'iommu_domain(_geometry|_ops)?', 'iommu_iotlb_gather(_.*)?', 'iommu_iotlb_sync',
           'iommu_dirty_bitmap_record']
IOMMU_H_NEW = ['iommu_domain_cookie_type', 'iommu_pages_list', 'IOMMU_PAGES_LIST_INIT']

VTD = ['VTD_(PAGE|STRIDE)_.*', 'DMA_(FL_|SL_)?PTE_.*', 'LEVEL_STRIDE', 'LEVEL_MASK',
       'MAX_AGAW_(PFN_)?WIDTH', '(__)?DOMAIN_MAX_(PFN|ADDR)', 'DEFAULT_DOMAIN_ADDRESS_WIDTH',
       'dma_pte', 'dmar_domain', 'dma_pte_(addr|present|superpage)', 'dma_clear_pte',
       'first_pte_in_page', 'nr_pte_to_next_page', 'agaw_to_(level|width)', 'width_to_agaw',
       'level_(to_offset_bits|mask|size)', 'pfn_level_offset', 'align_to_level', 'lvl_to_nr_pages',
       '(mm|page)_to_dma_pfn(_start)?', 'virt_to_dma_pfn', 'aligned_nrpages', 'to_dmar_domain',
       'domain_pfn_supported', 'domain_flush_cache', 'pfn_to_dma_pte', 'dma_pfn_level_pte',
       'dma_pte_clear_(range|level)', 'dma_pte_free_(level|pagetable)', 'dma_pte_list_pagetables',
       'domain_unmap', 'hardware_largepage_caps', 'switch_to_super_page', '__domain_mapping',
       'intel_iommu_(un)?map(_pages)?', 'intel_iommu_tlb_sync', 'intel_iommu_iova_to_phys']


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def make_headers(kernel, new):
    """kernel/peers: what the kernel's files find where they look for headers."""
    to = kernel / 'peers'
    for name in KEPT:
        origin, copy = kernel / 'include/linux' / name, to / 'linux' / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, dirs_exist_ok=True, copy_function=shutil.copy2)
        elif origin.exists():
            shutil.copy2(origin, copy)
    iommu_h = extract([kernel / 'include/linux/iommu.h'], IOMMU_H + (IOMMU_H_NEW if new else []))
    write(to / 'linux/iommu.h', '#pragma once\n' + iommu_h)
    if not new:
        intel = kernel / 'drivers/iommu/intel'
        write(to / 'vtd_extract.h', extract([intel / 'iommu.h', intel / 'iommu.c'], VTD))
    sources = [*(kernel / 'drivers/iommu').rglob('*.[ch]'), *to.rglob('*.h')]
    for source in sources:
        for name in re.findall(r'#\s*include\s+<((?:linux|asm|generated)/[^>]+)>', source.read_text()):
            if name not in SYSTEM and not (to / name).exists():
                write(to / name, '')


def rules(work):
    yield f'builddir = {work}'
    yield f'flags = {FLAGS} -I{TOP} -include {OURS}/shim.h'
    yield ('rule cc\n command = $cc $flags $options -MD -MF $out.d -c -o $out $in\n'
           ' depfile = $out.d\n deps = gcc\n description = $cc $options $in')
    yield ('rule join\n command = ld -r -o $out $in && objcopy --localize-hidden $out\n'
           ' description = join $out')
    yield 'rule link\n command = gcc -o $out $in $libs\n description = link $out'


def steps(work, kernel, peers):
    """The build statements of one kernel's peers, and the object that each makes for linking."""
    version = kernel.name.replace('-source', '')
    for number, (label, (cc, options)) in enumerate(BUILDS.items()):
        for name, extra, others in peers:
            stem = f'{work}/objects/{version}-{number}-{name[:-2]}{"-no-fence" if extra else ""}'
            define = f"-DPEER_KERNEL='\"{version}\"' -DPEER_BUILD='\"{label}\"'"
            parts = []
            for source in [OURS / name, *(kernel / other for other in others)]:
                parts.append(f'{stem}-{source.stem}.part.o')
                yield (f'build {parts[-1]}: cc {source} | {kernel}/peers/linux/iommu.h\n cc = {cc}\n'
                       f' options = {options} {define} {extra} -I{kernel}/peers -I{kernel}'), None
            yield f'build {stem}.o: join {" ".join(parts)}', f'{stem}.o'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    work = build / 'bench-peers'
    kernels = sorted(path for path in work.glob('linux-source-*') if path.is_dir())
    lines, objects = list(rules(work)), []
    for kernel in kernels:
        new = (kernel / 'drivers/iommu/generic_pt').exists()
        make_headers(kernel, new)
        for line, made in steps(work, kernel, NEW if new else OLD):
            lines.append(line)
            objects += [made] if made else []
    library = [build / 'bench/libbench-peers.a', build / 'libuiommu.a']
    libs = f'-Wl,--whole-archive {library[0]} -Wl,--no-whole-archive {library[1]} -ljson-c -lpthread'
    lines.append(f'build {work}/peers: link {" ".join(objects)} | {library[0]} {library[1]}\n'
                 f' libs = {libs}\ndefault {work}/peers\n')
    write(work / 'build.ninja', '\n'.join(lines))
    return subprocess.run(['ninja', '--quiet', '-f', work / 'build.ninja']).returncode


if __name__ == '__main__':
    sys.exit(main())
