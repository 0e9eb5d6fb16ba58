#!/bin/sh
# SPDX-License-Identifier: MIT
# Install into a scratch directory; a C and a C++ program that know nothing but
# pkg-config's answer compile against it and run, with the shared library and
# without. Arguments: source directory, build directory.
set -eu
source=$1 build=$2
root=$(mktemp -d "${TMPDIR:-/tmp}/uiommu-install.XXXXXX")
trap 'rm -rf "$root"' EXIT
n=0 failed=0

check()
{
	n=$((n + 1))
	what=$1
	shift
	if "$@" >"$root/log" 2>&1; then
		echo "ok $n - $what"
	else
		sed 's/^/# /' "$root/log"
		echo "not ok $n - $what"
		failed=1
	fi
}

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet >/dev/null
pc=$(find "$root" -name uiommu.pc)
check 'pkg-config file is installed' test -n "$pc"
export PKG_CONFIG_LIBDIR=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root
lib=$(pkg-config --variable=libdir uiommu)
case $lib in "$root"*) ;; *) lib=$root$lib ;; esac
prefix=${lib%/lib*}

check 'the command is installed' test -x "$prefix/bin/uiommu"
check 'it runs a program' "$prefix/bin/uiommu" run -- true
check 'bash completion is installed' test -f "$prefix/share/bash-completion/completions/uiommu"
check 'man page uiommu(1) is installed' test -f "$prefix/share/man/man1/uiommu.1"
check 'man page uiommu-run(1) is installed' test -f "$prefix/share/man/man1/uiommu-run.1"
check 'man page iommu_map(3) is installed' test -f "$prefix/share/man/man3/iommu_map.3"

for language in c c++; do
	if [ $language = c ]; then compiler='cc'; else compiler='c++'; fi
	command -v $compiler >/dev/null || continue
	for how in shared static; do
		if [ $how = static ]; then option=-static; else option=; fi
		program=$root/consumer-$language-$how
		check "a $language program compiles, $how" $compiler -x $language -Wall -Wextra -Werror \
			"$source/tests/package/consumer.c" -x none -o "$program" $option \
			$(pkg-config --cflags --libs ${option:+--static} uiommu)
		check "a $language program runs, $how" env LD_LIBRARY_PATH="$lib" "$program"
	done
done
check 'the shared library needs libc only' sh -c \
	"! readelf -d '$lib/libuiommu.so' | grep NEEDED | grep -v 'libc\\.so'"
echo "1..$n"
exit $failed
