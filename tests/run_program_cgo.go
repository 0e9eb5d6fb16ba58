// SPDX-License-Identifier: MIT
// A cgo program for tests/run_kinds.py: some calls are made by C, some by Go.
package main

/*
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct alloc { uint32_t size, flags, id; };

static int open_iommu(void) { return open("/dev/iommu", O_RDWR | O_CLOEXEC); }

static int alloc_ioas(int fd, uint32_t *id)
{
	struct alloc alloc = {.size = sizeof(alloc)};
	int ret = ioctl(fd, 0x3b81, &alloc);

	*id = alloc.id;
	return ret;
}
*/
import "C"

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

func check(ok bool, what string) {
	if !ok {
		fmt.Println(what)
		os.Exit(1)
	}
}

func destroy(fd int, id uint32) syscall.Errno {
	request := struct{ size, id uint32 }{8, id}
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), 0x3b80,
		uintptr(unsafe.Pointer(&request)))
	return errno
}

func main() {
	var group sync.WaitGroup
	for i := 0; i < 16; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			fd := C.open_iommu()
			var id C.uint32_t
			check(fd >= 0, "open by C")
			check(C.alloc_ioas(fd, &id) == 0 && id == 1, "IOAS_ALLOC by C")
			check(destroy(int(fd), uint32(id)) == 0, "DESTROY by Go")
			check(destroy(int(fd), uint32(id)) == syscall.ENOENT, "DESTROY twice")
			check(C.close(fd) == 0, "close by C")
			check(destroy(int(fd), uint32(id)) == syscall.EBADF, "DESTROY after the close")
		}()
	}
	group.Wait()
}
