// SPDX-License-Identifier: MIT
// A Go program for tests/run.py: Go makes its system calls itself, from many threads.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

const (
	ioasAlloc = 0x3b81
	ioasMap   = 0x3b85
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func ioctl(file *os.File, cmd uintptr, arg unsafe.Pointer) error {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), cmd, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

func use(group *sync.WaitGroup, memory []byte) {
	defer group.Done()
	file, err := os.OpenFile("/dev/iommu", os.O_RDWR, 0)
	check(err)
	alloc := struct{ size, flags, id uint32 }{size: 12}
	check(ioctl(file, ioasAlloc, unsafe.Pointer(&alloc)))
	request := struct {
		size, flags, id, reserved uint32
		va, length, iova          uint64
	}{size: 40, flags: 7, id: alloc.id}
	request.va = uint64(uintptr(unsafe.Pointer(&memory[0])))
	request.length = uint64(len(memory))
	for i := uint64(1); i <= 100; i++ {
		request.iova = i << 30
		check(ioctl(file, ioasMap, unsafe.Pointer(&request)))
	}
	if err = ioctl(file, ioasMap, unsafe.Pointer(&request)); err != syscall.EEXIST {
		check(fmt.Errorf("mapped twice: %v", err))
	}
	check(file.Close())
}

func main() {
	var group sync.WaitGroup
	memory, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check(err)
	info, err := os.Stat("/dev/iommu")
	check(err)
	if info.Mode()&fs.ModeCharDevice == 0 {
		check(fmt.Errorf("/dev/iommu is %v", info.Mode()))
	}
	devices, err := os.ReadDir("/dev/vfio/devices")
	check(err)
	if len(devices) != 1 || devices[0].Name() != "vfio0" ||
		devices[0].Type()&fs.ModeCharDevice == 0 {
		check(fmt.Errorf("the devices are %v", devices))
	}
	for i := 0; i < 16; i++ {
		group.Add(1)
		go use(&group, memory)
	}
	group.Wait()
}
