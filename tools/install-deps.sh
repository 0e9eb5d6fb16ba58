#!/bin/sh
# SPDX-License-Identifier: MIT
# Install the Debian packages that "make $1" lacks. Does nothing, and needs no
# network, when all of them are there.
set -eu
build='gcc libc6-dev meson ninja-build pkg-config python3 libjson-c-dev libncurses-dev libcmocka-dev'
conformance="$build xz-utils"
bench="$build valgrind"
peers="$build clang gnuplot-nox xz-utils"
demo="$build gnuplot-nox xz-utils"
cross='gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu gcc-s390x-linux-gnu'
qemu='qemu-system-x86 qemu-system-arm qemu-system-misc'
oracle="$build $cross $qemu"
big_endian='libc6-dev-s390x-cross qemu-user'
check="$demo $cross $qemu $big_endian g++ clang clang-format libclang-rt-dev tmux man-db groff-base binutils"

case ${1-} in
bench) wanted=$bench ;;
bench-peers) wanted=$peers ;;
build) wanted=$build ;;
conformance) wanted=$conformance ;;
demo) wanted=$demo ;;
oracle) wanted=$oracle ;;
check) wanted=$check ;;
*) echo "usage: install-deps.sh bench|bench-peers|build|conformance|demo|oracle|check" >&2; exit 2 ;;
esac

die()
{
	echo "install-deps.sh: $*" >&2
	exit 1
}

command -v dpkg-query >/dev/null || exit 0 # not Debian: Meson will say what it misses

missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
	*' installed') ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	root=
elif command -v sudo >/dev/null; then
	root=sudo
else
	die "missing packages:$missing (run this as root, or install sudo)"
fi

echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_install()
{
	$root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq -y --no-install-recommends $missing >"$log" 2>&1
}
# The package lists may be there already, and fresh enough.
apt_install || {
	$root apt-get update -qq >"$log" 2>&1 && apt_install
} || die "cannot install$missing: $(grep -m1 '^E:' "$log" || tail -n1 "$log")"
