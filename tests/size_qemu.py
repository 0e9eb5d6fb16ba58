#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
uiommu size --qemu against the QEMU of this machine: each command line is given to
both, and QEMU's monitor ('info mtree -f') lists what VFIO would map, which is RAM
and ROM in whole pages. No KVM and no device is needed.

Before the guest runs, the addresses must be the same but for memory behind BARs,
which firmware places. Some command lines also run their firmware to its end: then
all addresses must be the same, and the tables that these need are counted here
again, also for each option ROM that QEMU's trace shows mapped on the way.

Arguments: the command, a directory for scratch files.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

from replay_tap import Tap

COMMAND, SCRATCH = sys.argv[1:3]
PAGE, G = 4096, 1 << 30
BARS = 'video', 'qxl', 'shared'  # what memory behind BARs is called
# What a QEMU says of what it has not, or not any more.
NOT_THERE = re.compile(r"unsupported machine type|not available|is not a valid device model name"
                       r"|'memory.size' expects size")
FIRMWARE_DONE = re.compile(r'Booting from|No bootable device|PXE')

tap = Tap()


def merged(ranges):
    """(first, last) of whole pages, ascending, adjacent ones as one."""
    out = []
    for first, last in sorted(ranges):
        first, end = (first + PAGE - 1) // PAGE * PAGE, (last + 1) // PAGE * PAGE
        if first >= end:
            continue
        if out and out[-1][1] + 1 >= first:
            out[-1] = (out[-1][0], max(out[-1][1], end - 1))
        else:
            out.append((first, end - 1))
    return out


def text_of(ranges):
    return '\n'.join(f'{first:#x} to {last:#x}' for first, last in ranges)


def in_2m(ranges):
    """With small BARs anywhere in their 2 MiB."""
    low, high, size = 0xc0000000, 0xfec00000, 2 << 20
    return merged((first // size * size, last // size * size + size - 1)
                  if low <= first and last < high else (first, last) for first, last in ranges)


def tables(ranges):
    """Tables of 512 items over these ranges in 4K pages, four levels of them."""
    count = 1
    for shift in 21, 30, 39:
        spans = merged((first >> shift << 12, (last >> shift << 12) + PAGE - 1)
                       for first, last in ranges)
        count += sum((last - first) // PAGE + 1 for first, last in spans)
    return count


# ---- QEMU ----

def qemu_words(arch, args):
    return [f'qemu-system-{arch}', *args, '-display', 'none', '-monitor', 'stdio',
            '-serial', 'none', '-parallel', 'none']


def memory_view(text):
    """What is RAM or ROM in the flat view of the address space "memory"."""
    view = re.search(r'^ AS "memory".*?(?=^FlatView|\Z)', text.replace('\r', ''), re.S | re.M)
    if not view:
        return None
    kinds = re.findall(r'^  ([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ([a-z/-]+)\)', view[0],
                       re.M)
    return [(int(first, 16), int(last, 16)) for first, last, kind in kinds
            if kind in ('ram', 'rom', 'nv-ram')]


def stopped(arch, args):
    """The view before the first instruction, or None and what QEMU says."""
    done = subprocess.run([*qemu_words(arch, args), '-S'], input='info mtree -f\nquit\n',
                          capture_output=True, text=True, timeout=300)
    return memory_view(done.stdout), done.stderr


def booted(args):
    """The view once the firmware is done, and the option ROMs that it has read."""
    log, trace = os.path.join(SCRATCH, 'firmware.log'), os.path.join(SCRATCH, 'trace.log')
    for path in log, trace:
        open(path, 'w').close()
    words = [*qemu_words('x86_64', args), '-chardev', f'file,id=log,path={log}',
             '-device', 'isa-debugcon,iobase=0x402,chardev=log',
             '-trace', 'pci_update_mappings_add', '-D', trace]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    for _ in range(3000):
        with open(log, errors='replace') as file:
            if FIRMWARE_DONE.search(file.read()) or child.poll() is not None:
                break
        time.sleep(0.1)
    out, _ = child.communicate('info mtree -f\nquit\n', timeout=300)
    with open(trace) as file:
        roms = re.findall(r'pci_update_mappings_add .* 6,(0x[0-9a-f]+)\+(0x[0-9a-f]+)', file.read())
    with open(log, errors='replace') as file:
        version = re.search(r'SeaBIOS \(version \D*(\d+)\.(\d+)\.(\d+)', file.read())
    return (memory_view(out), [(int(at, 16), int(at, 16) + int(size, 16) - 1) for at, size in roms],
            out, tuple(map(int, version.groups())) if version else ())


# ---- uiommu ----

def size_json(arch, args, *more):
    done = subprocess.run([COMMAND, 'size', '--iommu', 'vtd', '--address-width', '48', '--json',
                           '--qemu', '@-', *more], capture_output=True,
                          input='\0'.join(qemu_words(arch, args)) + '\0', text=True, timeout=60)
    if done.returncode or done.stderr:
        return None, done.stderr
    return json.loads(done.stdout), ''


def ranges_of(answer, with_bars):
    return merged((r['iova'], r['iova'] + r['size'] - 1) for r in answer['guest']['ranges']
                  if r['when'] == 'started' and (with_bars or not r['what'].startswith(BARS)))


def check_stopped(arch, line):
    args = line.split()
    name = f'{arch}: {line}'
    view, says = stopped(arch, args)
    if view is None and NOT_THERE.search(says):
        tap.skip(name, 'this QEMU has no such thing: ' + says.strip().splitlines()[0])
        return
    if view is None:
        tap.ok(False, name, 'QEMU does not start: ' + says)
        return
    if 'microvm' in line and any(first == 0xfffe0000 for first, _ in view):
        tap.skip(name, "the firmware of microvm is SeaBIOS here, of 128 KiB, and qboot's 64 are computed")
        return
    answer, error = size_json(arch, args)
    if answer is None:
        tap.ok(False, name, error)
        return
    ours, theirs = ranges_of(answer, False), merged(view)
    tap.ok(ours == theirs, name, f'ours\n{text_of(ours)}\nQEMU\n{text_of(theirs)}')


def check_booted(line):
    args = line.split()
    view, roms, out, version = booted(args)
    if view is None and NOT_THERE.search(out):
        tap.skip(f'booted: {line}', 'this QEMU has no such device')
        return
    if 'ivshmem' in line and version > (1, 16, 2):
        tap.skip(f'booted: {line}', 'SeaBIOS from 1.16.3 on has large BARs at the top of the addresses')
        return
    answer, error = size_json('x86_64', args)
    if view is None or answer is None:
        tap.ok(False, f'booted: {line}', error or 'QEMU does not start')
        return
    ours, theirs = ranges_of(answer, True), merged(view)
    tap.ok(in_2m(ours) == in_2m(theirs), f'booted: {line}: addresses',
           f'ours\n{text_of(ours)}\nQEMU\n{text_of(theirs)}')
    end = tables(theirs)
    peak = max([tables(merged(view + [rom])) for rom in roms], default=end)
    tap.equal((answer['total_bytes'] - answer['guest']['firmware_bytes']) // PAGE, end,
              f'booted: {line}: tables in the end')
    tap.equal(answer['total_bytes'] // PAGE, peak, f'booted: {line}: tables at the most')
    tap.equal(answer['guest']['needs']['pinned'],
              sum(last + 1 - first for first, last in theirs), f'booted: {line}: pinned')


# ---- command lines ----

BACKEND = '-object memory-backend-ram,id={0},size={1},reserve=off'
HUGE_RAM = '-m {0} ' + BACKEND.format('ram', '{0}') + ' -machine memory-backend=ram'

X86 = [
    '',
    '-m 4G',
    '-m 100',
    '-m 1',
    '-m 1.1G',
    '-m 0x200',
    '-machine q35 -m size=1G',
    '-M q35 -m 2G -nodefaults',
    '-M q35 -m 2G -vga none',
    '-M q35 -m 2G -nographic',
    '-M q35 -m 2815M',
    '-M q35 -m 2816M',
    '-M q35 -m 2700M -vga none',
    '-M q35 -m 6G',
    '-M pc -m 3G',
    '-M pc -m 3.25G',
    '-M pc -m 3583M',
    '-M pc -m 3584M -nodefaults',
    '-M pc -m 5G',
    '-M pc-i440fx-1.7 -m 4G',
    '-M pc-i440fx-1.7,max-ram-below-4g=3G -m 4G',
    '-M pc-i440fx-2.0 -m 4G',
    '-M pc-q35-2.4 -m 3G',
    '-M q35,max-ram-below-4g=3G -m 4G',
    '-M q35,max-ram-below-4g=1G -m 4G',
    '-M q35,max-ram-below-4g=2G -m 2500M',
    '-M pc,max-ram-below-4g=2G -m 2G',
    '-M pc,max-ram-below-4g=3.5G -m 3.5G',
    '-M pc,max-ram-below-4g=3.75G -m 3.6G',
    '-M microvm -m 1G',
    '-M microvm -m 3072M',
    '-M microvm,pcie=on -m 5G',
    '-M microvm -m 2G,maxmem=4G,slots=1',
    # devices with memory
    '-M q35 -device VGA',
    '-M q35 -device secondary-vga',
    '-M q35 -nodefaults -device bochs-display',
    '-M q35 -vga virtio',
    '-M pc -vga qxl',
    '-M pc -vga none -device cirrus-vga',
    # memory devices
    '-M q35 -m 1G,slots=4,maxmem=16G',
    '-M q35 -m 1G,slots=4,maxmem=16G -object memory-backend-ram,id=a,size=512M '
    '-device pc-dimm,memdev=a -object memory-backend-ram,id=b,size=600M '
    '-device pc-dimm,memdev=b',
    '-M pc -m 5G,slots=4,maxmem=16G -object memory-backend-ram,id=a,size=512M '
    '-device pc-dimm,memdev=a,addr=0x200000000 -object memory-backend-memfd,id=b,size=333M '
    '-device pc-dimm,memdev=b -object memory-backend-memfd,id=c,size=4100K '
    '-device pc-dimm,memdev=c',
    '-M q35,nvdimm=on -m 1G,slots=4,maxmem=16G -object memory-backend-ram,id=a,size=512M '
    '-device nvdimm,memdev=a,label-size=128K -object memory-backend-ram,id=b,size=300M '
    '-device pc-dimm,memdev=b',
    '-M q35 -m 1G,maxmem=2G -object memory-backend-ram,id=a,size=512M '
    '-device virtio-pmem-pci,memdev=a',
    # NUMA
    '-M q35 -m 3G -object memory-backend-ram,id=a,size=1G -object memory-backend-memfd,id=b,'
    'size=2G -numa node,memdev=a -numa node,memdev=b',
    '-M pc-i440fx-4.2 -m 4G -smp 2 -numa node,mem=1G,cpus=0 -numa node,mem=3G,cpus=1',
    # firmware
    '-M q35 -bios {flash}',
    '-M q35 -drive if=pflash,format=raw,file={flash},readonly=on',
    '-M pc -pflash {flash}',
    '-M q35,pflash0=f -blockdev driver=raw,node-name=f,file.driver=file,file.filename={flash},'
    'read-only=on',
    # the hole below 1 TiB
    '-M q35 -cpu EPYC,phys-bits=48 ' + HUGE_RAM.format('977G'),
    '-M q35 -cpu EPYC,phys-bits=48 ' + HUGE_RAM.format('979G'),
    '-M q35 -cpu Skylake-Server,phys-bits=48 ' + HUGE_RAM.format('1030G'),
    '-M q35 -cpu max,phys-bits=48 ' + HUGE_RAM.format('1030G'),
    '-M pc -cpu EPYC,phys-bits=48 ' + HUGE_RAM.format('1009G'),
    '-M pc -cpu EPYC,phys-bits=48 ' + HUGE_RAM.format('1010G'),
    '-M pc -cpu EPYC,phys-bits=48 -m 8G,slots=2,maxmem=1010G',
    '-M pc -cpu EPYC,phys-bits=48 -m 8G,slots=2,maxmem=900G',
    '-M pc-q35-7.0 -cpu EPYC,phys-bits=48 ' + HUGE_RAM.format('1030G'),
    '-M q35 -cpu qemu64,phys-bits=40 -global q35-pcihost.pci-hole64-size=1G '
    + HUGE_RAM.format('981G'),
]

OTHER = {
    'aarch64': ['-M virt', '-M virt -m 2G', '-M virt -m 5.5G,slots=4,maxmem=16G',
                '-M virt,secure=on -m 1G', '-M virt-6.2 -m 3G -nodefaults'],
    'riscv64': ['-M virt', '-M virt -m 2G', '-M virt -m 4G -nodefaults'],
}

BOOTED = [
    '-M q35 -m 512',
    '-M pc -m 256 -nodefaults',
    '-M pc -m 256 -nodefaults -device virtio-net-pci',
    '-M q35 -m 256 -nodefaults -device virtio-net-pci,romfile=',
    '-M q35 -m 256 -nodefaults -device e1000e,rombar=0',
    '-M q35 -m 256 -nodefaults -device virtio-blk-pci,drive=d -blockdev '
    'driver=null-co,node-name=d',
    '-M pc -m 4G -vga qxl -net none',
    '-M q35 -m 256 -vga none -device qxl,ram_size=67108864,vram_size=33554432,'
    'vram64_size_mb=128,vgamem_mb=16 -net none',
    '-M q35 -m 3G -vga virtio -net none',
    '-M pc -m 256 -vga cirrus -net none',
    '-M pc -m 256 -vga vmware -net none',
    '-M q35 -m 256 -vga none -device bochs-display,vgamem=32M -net none',
    '-M pc -m 256 -device secondary-vga,vgamem_mb=64 -net none',
    '-M q35 -m 256 -global VGA.vgamem_mb=32 -net none',
    '-M q35 -m 256 -global VGA.vgamem_mb=32 -vga std -net none',
    '-M q35 -m 256 -global driver=VGA,property=vgamem_mb,value=8 -device VGA -net none',
    '-M q35 -m 4G -device ivshmem-plain,memdev=i -object memory-backend-ram,size=4M,share=on,'
    'id=i -net none',
    '-M q35 -m 4G -device ivshmem-plain,memdev=i -object memory-backend-ram,size=512M,share=on,'
    'id=i -net none',
    '-M q35 -m 4G,maxmem=16G,slots=2 -device ivshmem-plain,memdev=i -object '
    'memory-backend-ram,size=4G,share=on,id=i -net none',
    '-M pc -m 4G -device ivshmem-plain,memdev=i -object memory-backend-ram,size=1G,share=on,'
    'id=i -net none',
]


def main():
    os.makedirs(SCRATCH, exist_ok=True)
    flash = os.path.join(SCRATCH, 'flash.fd')
    with open(flash, 'wb') as file:
        file.truncate(4 << 20)
    for arch, lines in ('x86_64', X86), *OTHER.items():
        if not shutil.which(f'qemu-system-{arch}'):
            tap.skip(f'{arch}: {len(lines)} command lines', f'there is no qemu-system-{arch}')
            continue
        for line in lines:
            check_stopped(arch, line.format(flash=flash))
    if shutil.which('qemu-system-x86_64'):
        for line in BOOTED:
            check_booted(line)
    tap.done()


main()
