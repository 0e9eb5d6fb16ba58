#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header alone, and twice, as strict C99, as C11 without a C library,
# and as C++, by every compiler that is here. Arguments: the headers.
set -u
n=0 failed=0

# COMPILER LANGUAGE OPTION... for $header; shows what the compiler has to say.
compile()
{
	command -v "$1" >/dev/null || return 0
	printf '#include <uiommu/%s>\n#include <uiommu/%s>\n' "$name" "$name" |
		"$1" -x "$2" "$3" ${4:+"$4"} -Wall -Wextra -Wpedantic -Werror \
			-I"${header%/uiommu/"$name"}" -fsyntax-only - 2>&1 | sed "s/^/# $1 $3: /"
}

for header; do
	n=$((n + 1)) name=${header##*/uiommu/}
	said=$(for cc in gcc clang; do
		compile $cc c -std=c99
		compile $cc c -std=c11 -ffreestanding
	done
	for cxx in g++ clang++; do
		compile $cxx c++ -std=c++11
	done)
	if [ -z "$said" ]; then
		echo "ok $n - $name"
	else
		printf '%s\n' "$said"
		echo "not ok $n - $name"
		failed=1
	fi
done
echo "1..$n"
exit $failed
