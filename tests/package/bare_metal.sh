#!/bin/sh
# SPDX-License-Identifier: MIT
# Build examples/bare-metal and boot it: the library and the CPU's own MMU agree
# on what an address translates to.
# Arguments: a directory to work in, the source directory.
set -u
example=$2/examples/bare-metal
n=0 failed=0

# NAME COMMAND...
check()
{
	n=$((n + 1)) what=$1
	shift
	if "$@"; then
		echo "ok $n - $what"
	else
		printf '%s\n' "$said" | sed 's/^/# /'
		echo "not ok $n - $what"
		failed=1
	fi
}

value()
{
	printf '%s\n' "$said" | sed -n "s/^$1 *\\(0x[0-9a-f]*\\)\r*$/\\1/p"
}

is_same()
{
	test -n "$(value 'the library')" && test "$(value 'the library')" = "$(value 'the CPU')"
}

for command in aarch64-linux-gnu-gcc qemu-system-aarch64; do
	if ! command -v $command >/dev/null; then
		printf '1..1\nok 1 - bare metal # SKIP no %s\n' $command
		exit
	fi
done
said=$(make -s -C "$example" O="$1" 2>&1)
check 'it builds without a C library' test -z "$said"
said=$(make -s -C "$example" O="$1" run </dev/null 2>&1)
check 'it ends by itself' test $? = 0
check 'it tells where the tables are' test -n "$(value root)"
check 'its tables are six, and a top' test "$(value 'table bytes')" = 0x0000000000007000
check 'library and CPU translate alike' is_same
check 'and to what was mapped' test "$(printf '%s' "$said" | grep -c 'the same memory')" = 1
check 'in fewer than 100 lines' test "$(wc -l <"$example/main.c")" -lt 100
echo "1..$n"
exit $failed
