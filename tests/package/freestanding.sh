#!/bin/sh
# SPDX-License-Identifier: MIT
# Compile the rooms that need no operating system with nothing but a compiler, for
# every processor whose cross compiler is here, and see what the object wants from
# others: the four functions that a compiler may call by itself, its own helpers
# for integers that the processor lacks, and nothing more (no atomics: those
# would come from a library).
# Arguments: a directory to work in, the source directory, source files.
set -u
work=$1 source=$2
shift 2
n=0 failed=0
helpers='__u?(div|mod|divmod)ti[34]|__(clz|ctz|bswap)[dt]i2'

# PROCESSOR FORMAT-OF-READELF OPTION...; $sources. Shows what is wrong.
problems()
{
	cc=$1-linux-gnu-gcc object=$work/uiommu-freestanding-$1.o data=$2
	shift 2
	"$cc" -std=gnu11 -O1 -Wall -Wextra -Werror -Wno-unused-parameter -fno-strict-aliasing \
		-ffreestanding -nostdlib -nostdinc -isystem "$("$cc" -print-file-name=include)" \
		-fno-stack-protector -fno-pic "$@" -I"$source/include" -I"$source" \
		-r -o "$object" $sources 2>&1 || return
	readelf -h "$object" | grep -q "$data endian" || echo "is not of $data endian"
	nm -u "$object" | awk '{print $2}' | grep -vxE "memcpy|memmove|memset|memcmp|$helpers" |
		sed 's/^/undefined: /'
}

sources=$*
check()
{
	what="$1: needs nothing but memcpy, memmove, memset and memcmp"
	n=$((n + 1))
	if ! command -v "$1-linux-gnu-gcc" >/dev/null; then
		echo "ok $n - $what # SKIP no cross compiler"
		return
	fi
	said=$(problems "$@")
	if [ -z "$said" ]; then
		echo "ok $n - $what"
	else
		printf '%s\n' "$said" | sed 's/^/# /'
		echo "not ok $n - $what"
		failed=1
	fi
}

check x86_64 little
check aarch64 little -mno-outline-atomics
check riscv64 little
check s390x big
echo "1..$n"
exit $failed
