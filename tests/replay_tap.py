# SPDX-License-Identifier: MIT
"""What the tests of `uiommu replay` share: TAP, running the command, trace lines."""
import json
import os
import subprocess
import sys


class Tap:
    """Each check is one line of TAP."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, detail=''):
        self.count += 1
        self.failed += not good
        print('%s %d - %s' % ('ok' if good else 'not ok', self.count, name), flush=True)
        if not good and detail:
            for line in str(detail).splitlines()[:20]:
                print('#   ' + line)

    def equal(self, got, expected, name):
        self.ok(got == expected, name, 'got %r\nexpected %r' % (got, expected))

    def skip(self, name, why):
        self.count += 1
        print('ok %d - %s # SKIP %s' % (self.count, name, why))

    def done(self):
        print('1..%d' % self.count)
        sys.exit(1 if self.failed else 0)


class Result:
    def __init__(self, status, out, err, rusage):
        self.status = status
        self.out = out
        self.err = err
        self.cpu = rusage.ru_utime + rusage.ru_stime
        self.rss = rusage.ru_maxrss * 1024

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return 'status %d\n%s\n%s' % (self.status, self.err, self.out)


class Uiommu:
    def __init__(self, path, scratch):
        self.path = os.path.abspath(path)
        self.scratch = scratch

    def file(self, name):
        return os.path.join(self.scratch, name)

    def write(self, name, data):
        with open(self.file(name), 'wb') as f:
            f.write(data if isinstance(data, bytes) else data.encode('latin-1'))
        return self.file(name)

    def run(self, *args, chunks=None):
        """Run `uiommu replay`; chunks of bytes go to its standard input."""
        # Files, not pipes: nothing to drain while the input is written.
        with open(self.file('out'), 'w+b') as out, open(self.file('err'), 'w+b') as err:
            child = subprocess.Popen(
                [self.path, 'replay', *args], stdout=out, stderr=err,
                stdin=subprocess.DEVNULL if chunks is None else subprocess.PIPE)
            if chunks is not None:
                try:
                    for chunk in chunks:
                        child.stdin.write(chunk)
                    child.stdin.close()
                except BrokenPipeError:
                    pass
            _, status, rusage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            return Result(child.returncode, out.read().decode('utf-8', 'replace'),
                          err.read().decode('utf-8', 'replace'), rusage)

    def text(self, text, *args):
        """Replay a text from standard input."""
        data = text if isinstance(text, bytes) else text.encode('latin-1')
        return self.run('-', *args, chunks=[data])


def head(time=1.0, task='dd', pid=100, cpu=0):
    return '%16s-%-7d [%03d] ..... %12.6f: ' % (task, pid, cpu, time)


def map_line(iova, paddr, size, **where):
    return head(**where) + 'map: IOMMU: iova=0x%016x - 0x%016x paddr=0x%016x size=%d\n' % (
        iova, (iova + size) & (1 << 64) - 1, paddr, size)


def unmap_line(iova, size, unmapped=None, **where):
    return head(**where) + 'unmap: IOMMU: iova=0x%016x - 0x%016x size=%d unmapped_size=%d\n' % (
        iova, (iova + size) & (1 << 64) - 1, size, size if unmapped is None else unmapped)
