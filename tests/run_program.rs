// SPDX-License-Identifier: MIT
// A Rust program for tests/run_kinds.py, with nothing but the standard library.
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::thread;

extern "C" {
    fn ioctl(fd: i32, request: u64, ...) -> i32;
}

#[repr(C)]
struct Alloc {
    size: u32,
    flags: u32,
    id: u32,
}

#[repr(C)]
struct Destroy {
    size: u32,
    id: u32,
}

fn open() -> File {
    OpenOptions::new().read(true).write(true).open("/dev/iommu").unwrap()
}

fn use_it() {
    let mut file = open();
    let other = file.try_clone().unwrap();
    let mut alloc = Alloc { size: 12, flags: 0, id: 0 };
    let mut destroy = Destroy { size: 8, id: 1 };
    assert_eq!(unsafe { ioctl(file.as_raw_fd(), 0x3b81, &mut alloc) }, 0);
    assert_eq!(alloc.id, 1);
    assert_eq!(unsafe { ioctl(other.as_raw_fd(), 0x3b80, &mut destroy) }, 0);
    assert_eq!(unsafe { ioctl(other.as_raw_fd(), 0x3b80, &mut destroy) }, -1);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(2));
    assert!(file.read(&mut [0u8; 8]).is_err());
}

fn main() {
    assert!(fs::metadata("/dev/iommu").unwrap().file_type().is_char_device());
    let names: Vec<_> = fs::read_dir("/dev/vfio/devices")
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["vfio0"]);
    assert_eq!(fs::canonicalize("/dev/../dev/./iommu").unwrap().to_str(), Some("/dev/iommu"));
    let threads: Vec<_> = (0..16).map(|_| thread::spawn(use_it)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
