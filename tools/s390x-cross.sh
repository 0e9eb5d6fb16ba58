#!/bin/sh
# SPDX-License-Identifier: MIT
# Make a directory in which Meson finds what a build for s390x, the big-endian
# processor, takes beside Debian's cross compiler: the libraries, from Debian's
# archive but without making s390x an architecture of this system, and cross.ini,
# a cross file that runs programs with QEMU. Does nothing if it is there.
# Argument: the directory.
set -eu
test -n "${1-}" || { echo 'usage: s390x-cross.sh DIRECTORY' >&2; exit 2; }
mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial"
dir=$(cd "$1" && pwd)
! test -f "$dir/cross.ini" || ! test -f "$dir/root/usr/include/expat.h" || exit 0

apt()
{
	apt-get -qq -o APT::Architecture=s390x -o APT::Architectures::=s390x \
		-o Dir::State="$dir/apt" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/apt" \
		-o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@"
}

# An index of security updates that cannot be had, as while a mirror is brought up to date,
# does not matter: the libraries are in the release itself.
apt update || echo 'going on without these package lists' >&2
(cd "$dir/apt" && apt download libcmocka0 libcmocka-dev libjson-c5 libjson-c-dev \
	libexpat1 libexpat1-dev libncursesw6 libtinfo6 libncurses-dev)
for package in "$dir"/apt/*.deb; do
	dpkg -x "$package" "$dir/root"
done
rm -r "$dir/apt"

cat >"$dir/cross.ini.new" <<END
[binaries]
c = 's390x-linux-gnu-gcc'
ar = 's390x-linux-gnu-ar'
strip = 's390x-linux-gnu-strip'
pkgconfig = 'pkg-config'
# So little address space that QEMU need not keep books of a reservation of 256 GiB.
exe_wrapper = ['qemu-s390x', '-R', '0x100000000', '-L', '/usr/s390x-linux-gnu',
               '-E', 'LD_LIBRARY_PATH=$dir/root/usr/lib/s390x-linux-gnu']
[properties]
sys_root = '$dir/root'
pkg_config_libdir = '$dir/root/usr/lib/s390x-linux-gnu/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 's390x'
cpu = 's390x'
endian = 'big'
END
mv "$dir/cross.ini.new" "$dir/cross.ini"
