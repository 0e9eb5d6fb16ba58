#!/bin/sh
# SPDX-License-Identifier: MIT
# Install the Debian packages that a target of the Makefile needs and this system
# lacks (Debian 12 and 13). Does nothing, and needs no network, when none is missing.
#
#   tools/install-deps.sh [--check] TARGET
#
# With --check nothing is installed: one line says what is missing and how to get it.
# The exit status is 1 if packages are missing that were not, or cannot be, installed.
set -eu
export LC_ALL=C

build='gcc libc6-dev meson ninja-build pkgconf python3 libjson-c-dev libexpat1-dev
	libncurses-dev'
demo="$build gnuplot-nox xz-utils"
tests="$build libcmocka-dev"
cross='gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu gcc-s390x-linux-gnu'
qemu='qemu-system-x86 qemu-system-arm qemu-system-misc'
big_endian='libc6-dev-s390x-cross qemu-user'
check="$demo $tests $cross $qemu $big_endian g++ clang clang-format libclang-rt-dev
	bzip2 lz4 zstd tmux man-db groff-base binutils bash-completion fish zsh musl-tools golang-go"

case ${1-} in
--check) check_only=1; shift ;;
*) check_only= ;;
esac
case ${1-} in
bench) wanted="$build valgrind" ;;
bench-peers) wanted="$build clang gnuplot-nox xz-utils" ;;
build) wanted=$build ;;
check) wanted=$check ;;
conformance) wanted="$build xz-utils libcap-dev" ;;
deb) wanted="$tests build-essential debhelper fakeroot lintian" ;;
demo) wanted=$demo ;;
fresh) wanted='python3 mmdebstrap' ;;
oracle) wanted="$tests $cross $qemu" ;;
*)
	echo 'usage: install-deps.sh [--check]' \
		'bench|bench-peers|build|check|conformance|deb|demo|fresh|oracle' >&2
	exit 2
	;;
esac
# The tests ask for gcc by its name, the product does with any compiler.
case $1 in
check | oracle) compiler=gcc ;;
*) compiler=${CC:-cc} ;;
esac

die()
{
	printf '%s\n' "$*" >&2
	exit 1
}

# What a build needs may be on the system without Debian's package of that name.
is_usable()
{
	case $1 in
	gcc) command -v "$compiler" ;;
	libc6-dev) echo '#include <stdio.h>' | $compiler -E - ;;
	meson | python3 | mmdebstrap) command -v "$1" ;;
	pkgconf) command -v pkg-config ;;
	gnuplot-nox) command -v gnuplot ;;
	xz-utils) command -v xz ;;
	ninja-build) command -v ninja ;;
	libjson-c-dev) pkg-config --exists json-c ;;
	libexpat1-dev) pkg-config --exists expat ;;
	libncurses-dev) pkg-config --exists ncursesw ;;
	libcmocka-dev) pkg-config --exists cmocka ;;
	*) false ;;
	esac >/dev/null 2>&1
}

is_installed()
{
	case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in
	*' installed') ;;
	*) is_usable "$1" ;;
	esac
}

missing= count=0
for package in $wanted; do
	case " $missing " in *" $package "*) continue ;; esac
	is_installed "$package" || { missing="$missing $package" count=$((count + 1)); }
done
[ -n "$missing" ] || exit 0
packages="$count packages" lack="$count packages are missing"
[ $count -gt 1 ] || packages='1 package' lack='1 package is missing'

if ! command -v apt-get >/dev/null; then
	# Of the tools that only some tests use nothing is known here: those tests say it.
	[ "$wanted" = "$build" ] || [ "$wanted" = "$demo" ] || exit 0
	die "$lack (by the names that Debian has for them):$missing"
fi

# Bytes to fetch and to keep, with all that the packages depend on, as text. Empty if apt
# has no package lists.
sizes()
{
	apt-get -s -o Debug::NoLocking=true install --no-install-recommends $missing 2>/dev/null |
		sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p' |
		xargs -r apt-cache show --no-all-versions 2>/dev/null |
		awk '/^Size: / { fetch += $2 } /^Installed-Size: / { keep += $2 }
		     END { if (keep) printf "about %.0f MB to fetch, %.0f MB to be installed",
		           fetch / 1e6, keep * 1024 / 1e6 }'
}

command="apt-get update && apt-get install --no-install-recommends$missing"
if [ -n "$check_only" ]; then
	size=$(sizes)
	die "$lack${size:+ ($size)}. As root: $command"
fi
if [ "$(id -u)" = 0 ]; then
	root=
elif command -v sudo >/dev/null; then
	root=sudo
else
	die "$lack, and there is no sudo. As root: $command"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
fail()
{
	die "cannot install$missing: $(grep -m1 '^E:' "$log" || tail -n1 "$log")"
}

# stdin may be the terminal that sudo asks for a password; apt asks nothing.
apt()
{
	$root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1
}

updated=
update()
{
	[ -z "$updated" ] || fail
	echo 'fetching the package lists'
	apt update || fail
	updated=1
}

size=$(sizes)
if [ -z "$size" ]; then
	update
	size=$(sizes)
fi
echo "installing $packages${size:+, $size}:$missing"
# Package lists that are there may be older than the mirror.
until apt install -y --no-install-recommends $missing; do
	update
done
