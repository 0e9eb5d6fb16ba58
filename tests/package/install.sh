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
# The programs that README.md and uiommu(7) show, as a reader compiles them.
sed -n '/^```c$/,/^```$/{/^```/d;p}' "$source/README.md" >"$root/readme.c"
sed -n '/^\.SH EXAMPLES/,/^\.fi/{/^\./d;s/^\\&//;p}' "$source/man/uiommu.7" |
	sed -n '/^#include/,$p' >"$root/page.c"
for program in readme page; do
	check "the program of the $program compiles" cc -Wall -Werror -o "$root/$program" \
		"$root/$program.c" $(pkg-config --cflags --libs uiommu)
	check "the program of the $program runs" env LD_LIBRARY_PATH="$lib" "$root/$program"
done
# `make install` goes where PREFIX says, each time: by what it tells Meson, which a stand-in notes.
mkdir -p "$root/bin" "$root/build"
for tool in meson ninja; do
	cat >"$root/bin/$tool" <<-'END'
	#!/bin/sh
	case $0:$* in
	*/meson:setup*)
		prefix=$(echo "$*" | sed 's/.*--prefix \([^ ]*\).*/\1/')
		mkdir -p "$BUILD/meson-private" && : >"$BUILD/build.ninja"
		echo "prefix=$prefix" >"$BUILD/meson-private/uiommu.pc"
		;;
	*/meson:install*) cat "$BUILD/meson-private/uiommu.pc" >>"$BUILD/log" ;;
	esac
	END
	chmod +x "$root/bin/$tool"
done
install_to()
{
	PATH=$root/bin:$PATH BUILD=$root/build MAKEFLAGS= make -s -C "$source" install BUILD="$root/build" "$@"
}
check 'make install, by default' install_to DESTDIR="$root/stage"
check 'make install PREFIX=/usr' install_to PREFIX=/usr DESTDIR="$root/stage"
check 'make install PREFIX=/opt' install_to PREFIX=/opt DESTDIR="$root/stage"
check 'make install, by default again' install_to DESTDIR="$root/stage"
printf 'prefix=%s\n' /usr/local /usr /opt /usr/local >"$root/wanted"
check 'each goes where it says' diff "$root/wanted" "$root/build/log"
if install_to PREFIX=/dev/null/none >"$root/refusal" 2>&1; then refused=no; else refused=; fi
check 'one line where nothing can be written' sh -c \
	"test -z '$refused' && grep -q '^cannot write /dev/null/none: run it as root' '$root/refusal'"
check 'the shared library needs libc only' sh -c \
	"! readelf -d '$lib/libuiommu.so' | grep NEEDED | grep -v 'libc\\.so'"
echo "1..$n"
exit $failed
