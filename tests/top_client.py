# SPDX-License-Identifier: MIT
"""
A client of /dev/iommu that does what it is told: each line on standard input is a
number of times and what to do, and is answered when it is done. 'steady' maps and
unmaps at RATE per second until there is another line.
"""
import ctypes
import fcntl
import mmap
import os
import select
import struct
import sys
import time

SIZE = 1 << 20
RATE = 200
IOAS_ALLOC, IOAS_MAP, IOAS_UNMAP, BIND, ATTACH = 0x3b81, 0x3b85, 0x3b86, 0x3b76, 0x3b77


def call(fd, cmd, form, *values):
    buffer = bytearray(struct.pack(form, struct.calcsize(form), *values))
    fcntl.ioctl(fd, cmd, buffer)
    return struct.unpack(form, buffer)


class Client:
    def __init__(self):
        self.fd = os.open('/dev/iommu', os.O_RDWR | os.O_CLOEXEC)
        self.ioas = call(self.fd, IOAS_ALLOC, 'III', 0, 0)[2]
        self.device = os.open('/dev/vfio/devices/vfio0', os.O_RDWR | os.O_CLOEXEC)
        call(self.device, BIND, 'IIiI', 0, self.fd, 0)
        call(self.device, ATTACH, 'III', 0, self.ioas)
        self.memory = mmap.mmap(-1, SIZE)
        self.memory.write(b'x' * SIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.mapped = 0

    def map(self):
        call(self.fd, IOAS_MAP, 'IIIIQQQ', 7, self.ioas, 0, self.address, SIZE, self.mapped << 30)
        self.mapped += 1

    def unmap(self):
        self.mapped -= 1
        call(self.fd, IOAS_UNMAP, 'IIQQ', self.ioas, self.mapped << 30, SIZE)

    def fail(self):
        try:
            call(self.fd, IOAS_MAP, 'IIIIQQQ', 7, 99, 0, self.address, SIZE, 0)
        except OSError:
            return
        sys.exit('an IOAS that does not exist was mapped into')

    def starve(self):
        """Map until the budget is used up, and take that back."""
        before = self.mapped
        try:
            while True:
                self.map()
        except OSError as error:
            print(error.errno, flush=True)
        while self.mapped > before:
            self.unmap()

    def steady(self):
        due = time.monotonic()
        while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
            self.map()
            self.unmap()
            due += 1 / RATE


client = Client()
print('ready', flush=True)
for line in sys.stdin:
    times, _, what = line.strip().partition(' ')
    for _ in range(int(times)):
        getattr(client, what)()
    print('done', flush=True)
