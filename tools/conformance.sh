#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the Linux kernel's own tests of iommufd, unmodified, under `uiommu run`.
#
#   tools/conformance.sh BUILD [LIST.md]
#
# They come from Debian's linux-source-6.12, and linux-source-7.3 of trixie-backports,
# which are fetched once and kept in BUILD/linux-source, and are built against the headers
# of that source. The names of those that pass go to LIST.md. Fails when they are fewer
# than on a real kernel, of which that is known for 6.12: 187 of 190 and 7 of 7.
set -eu
cd "$(dirname "$0")/.."
. tools/linux-source.sh
build=$1
list=${2:-$build/conformance/list.md}
work=$build/conformance
huge_pages=80 # of 2 MiB: the largest test maps 128 MiB of them

die()
{
	echo "conformance.sh: $*" >&2
	exit 1
}

mkdir -p "$work" "$build/linux-source"
work=$(cd "$work" && pwd)
debs=$(cd "$build/linux-source" && pwd)
uiommu=$(cd "$build" && pwd)/uiommu

# ---- the source ----

selftests=tools/testing/selftests

unpack()
{
	linux_source_unpack "$deb" "$work" \
		"$selftests/iommu/*" "$selftests/kselftest*.h" \
		drivers/iommu/iommufd/iommufd_test.h \
		include/uapi/linux/iommufd.h include/uapi/linux/vfio.h
	dpkg-deb -f "$deb" Version >"$work/version-$1"
}

fetch_6_12()
{
	linux_source_download linux-source-6.12 "$debs" || exit 1
	unpack 6.12
}

# Backports have each version for a while only.
fetch_7_3()
{
	if ! ls "$debs"/linux-source-7.3_*.deb >/dev/null 2>&1; then
		linux_source_backports "$debs" || return 1
	fi
	linux_source_download linux-source-7.3 "$debs" ${apt_options-} || return 1
	unpack 7.3
}

[ -s "$work/version-6.12" ] || fetch_6_12
versions=6.12
if [ -s "$work/version-7.3" ] || fetch_7_3; then
	versions='6.12 7.3'
else
	echo "No linux-source-7.3 within reach: its tests are left out."
fi

# ---- the tests ----

# Two of the kernel's headers; all others of the kernel are the system's.
build_tests()
{
	source=$work/linux-source-$1
	mkdir -p "$work/include-$1/linux"
	cp "$source/include/uapi/linux/iommufd.h" "$source/include/uapi/linux/vfio.h" \
		"$work/include-$1/linux"
	case $1 in
	6.12) more='-include tools/conformance.h' libs= ;;
	*) more='-D__counted_by(m)=' libs=-lcap ;;
	esac
	for test in iommufd iommufd_fail_nth; do
		for link in '' -static; do
			${CC:-cc} -O2 -Wall -Wno-unused-function -D_GNU_SOURCE= -D__user= $link \
				-I"$work/include-$1" -I"$source/$selftests" $more \
				-o "$work/$test-$1$link" "$source/$selftests/iommu/$test.c" $libs
		done
	done
}

for version in $versions; do
	build_tests "$version"
done

# ---- huge pages, which only root can provide ----

pool=/sys/kernel/mm/hugepages/hugepages-2048kB
before=
restore()
{
	[ -z "$before" ] || echo "$before" >$pool/nr_hugepages
}
trap restore EXIT
trap 'exit 1' HUP INT TERM

free=$(cat $pool/free_hugepages 2>/dev/null || echo 0)
if [ "$free" -lt $huge_pages ] && [ -w $pool/nr_hugepages ]; then
	before=$(cat $pool/nr_hugepages)
	echo $((before + huge_pages - free)) >$pool/nr_hugepages
	free=$(cat $pool/free_hugepages)
fi
[ "$free" -ge $huge_pages ] ||
	echo "only $free free huge pages of 2 MiB: tests that need up to $huge_pages will fail" \
	     "(as root: echo $huge_pages > $pool/nr_hugepages)"

[ "$(id -u)" = 0 ] ||
	echo "not root: tests that change the rlimit mode, or lock much memory, will fail," \
	     "as they do on a real kernel"

# ---- run ----

# Of what has run: how many are in @1.tap, pass, and are skipped.
counts()
{
	passed=$(grep '^ok ' "$work/$1.tap" | grep -vc '# SKIP' || true)
	skipped=$(grep -c '^ok .*# SKIP' "$work/$1.tap" || true)
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$work/$1.tap" | head -n1)
	of="$passed of ${planned:-?}"
	[ "$skipped" = 0 ] || of="$of, $skipped skipped"
}

run()
{
	echo "uiommu run --test-abi --report none -- $1"
	"$uiommu" run --test-abi --report none -- "$work/$1" >"$work/$1.tap" 2>&1 || true
	counts "$1"
	echo "$of"
	grep '^not ok' "$work/$1.tap" || true
}

# Linked statically they know of no library that could be in their way.
failed=
run_tests()
{
	for test in iommufd iommufd_fail_nth; do
		run $test-$1
		dynamic=$of
		case $1-$test in
		6.12-iommufd) want=187 ;;
		6.12-*) want=7 ;;
		7.3-iommufd) want=241 ;;
		*) want=8 ;;
		esac
		[ "$passed" -ge $want ] || failed="$failed $test-$1"
		run $test-$1-static
		[ "$of" = "$dynamic" ] || failed="$failed $test-$1-static"
	done
}

for version in $versions; do
	run_tests "$version"
done

# ---- the list ----

# One row per test, a column per variant would be wider than any page.
names()
{
	sed -n "/# SKIP/$3; s/^$2 [0-9]* \([A-Za-z0-9_.]*\).*/- \1/p" "$work/$1.tap"
}

row()
{
	counts "$1"
	dynamic=$of
	counts "$1-static"
	echo "| \`${1%-*}\` of $2 | $dynamic | $passed | $3 |"
}

list_tests()
{
	printf '\n## %s of Linux %s: pass\n\n' "$1" "$2"
	names "$1-$2" ok d
	if grep -q '^ok .*# SKIP' "$work/$1-$2.tap"; then
		printf '\n## %s of Linux %s: skipped\n\n' "$1" "$2"
		names "$1-$2" ok '!d'
	fi
	if grep -q '^not ok' "$work/$1-$2.tap"; then
		printf '\n## %s of Linux %s: fail\n\n' "$1" "$2"
		names "$1-$2" 'not ok' d
	fi
}

{
	cat <<-END
	<!-- SPDX-License-Identifier: MIT -->
	# The kernel's own tests

	Made by \`make conformance\`, which builds \`$selftests/iommu\` of Debian's
	\`linux-source-6.12\` ($(cat "$work/version-6.12")) and \`linux-source-7.3\`
	($(cat "$work/version-7.3" 2>/dev/null || echo "not within reach")) against the headers of that source and runs

	    uiommu run --test-abi --report none -- ./iommufd
	    uiommu run --test-abi --report none -- ./iommufd_fail_nth

	With \`--test-abi\`, \`/dev/iommu\` answers the ioctl IOMMU_TEST_CMD of
	\`drivers/iommu/iommufd/iommufd_test.h\` as a kernel with CONFIG_IOMMUFD_TEST
	does: mock devices whose domains have pages of 2 KiB, accesses, checks of
	what is mapped, pinned and dirty. Where the answers of the two kernels differ, those of
	7.3 are given to a program that has used what only 7.3 has; \`--test-abi=6.12\` and
	\`--test-abi=7.3\` decide it.

	| program | pass | linked statically | a real kernel |
	|---|---|---|---|
	$(row iommufd-6.12 'Linux 6.12' '187 of 190')
	$(row iommufd_fail_nth-6.12 'Linux 6.12' '7 of 7')
	END
	case $versions in
	*7.3)
		row iommufd-7.3 'Linux 7.3' 'not run'
		row iommufd_fail_nth-7.3 'Linux 7.3' 'not run'
		;;
	esac
	cat <<-END

	The tests in the package of 6.12 are newer than its kernel: three need what only later
	kernels have, which are a type of data in GET_HW_INFO and devices with PASIDs.
	\`tools/conformance.h\` has the names that the package's headers lack. Those of 7.3 skip
	what makes no sense without a vIOMMU in the variant that has none.
	END
	for version in $versions; do
		list_tests iommufd "$version"
		list_tests iommufd_fail_nth "$version"
	done
} >"$list"
echo "The list is in $list."

[ -z "$failed" ] || die "fewer pass than should:$failed; their output is in $work"
