#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the Linux kernel's own tests of iommufd, unmodified, under `uiommu run`.
#
#   tools/conformance.sh BUILD [LIST.md]
#
# They come from Debian's linux-source-6.12, which is fetched once and kept in
# BUILD/linux-source, and are built against the headers of that source. The names
# of those that pass go to LIST.md. Fails when they are fewer than on a real
# kernel, of which that is 187 of 190 and 7 of 7.
set -eu
cd "$(dirname "$0")/.."
. tools/linux-source.sh
build=$1
list=${2:-$build/conformance/list.md}
package=linux-source-6.12
work=$build/conformance
want_iommufd=187
want_fail_nth=7
huge_pages=80 # of 2 MiB: the largest test maps 128 MiB of them

die()
{
	echo "conformance.sh: $*" >&2
	exit 1
}

mkdir -p "$work"
work=$(cd "$work" && pwd)
uiommu=$(cd "$build" && pwd)/uiommu

# ---- the source ----

selftests=tools/testing/selftests
fetch()
{
	linux_source_download $package "$build/linux-source" || exit 1
	linux_source_unpack "$deb" "$work" \
		"$selftests/iommu/*" "$selftests/kselftest*.h" \
		drivers/iommu/iommufd/iommufd_test.h \
		include/uapi/linux/iommufd.h include/uapi/linux/vfio.h
	dpkg-deb -f "$deb" Version >"$work/version"
}

[ -s "$work/version" ] || fetch
version=$(cat "$work/version")

# ---- the tests ----

source=$work/$package
# Two of the kernel's headers; all others of the kernel are the system's.
mkdir -p "$work/include/linux"
cp "$source/include/uapi/linux/iommufd.h" "$source/include/uapi/linux/vfio.h" \
	"$work/include/linux"
for test in iommufd iommufd_fail_nth; do
	for link in '' -static; do
		${CC:-cc} -O2 -Wall -Wno-unused-function -D_GNU_SOURCE= -D__user= $link \
			-I"$work/include" -include tools/conformance.h \
			-o "$work/$test$link" "$source/$selftests/iommu/$test.c"
	done
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

run()
{
	echo "uiommu run --test-abi --report none -- $1"
	"$uiommu" run --test-abi --report none -- "$work/$1" >"$work/$1.tap" 2>&1 || true
	passed=$(grep '^ok ' "$work/$1.tap" | grep -vc '# SKIP' || true)
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$work/$1.tap" | head -n1)
	echo "$passed of ${planned:-?} pass"
	grep '^not ok\|^ok .*# SKIP' "$work/$1.tap" || true
}

run iommufd
passed_iommufd=$passed planned_iommufd=$planned
run iommufd_fail_nth
passed_fail_nth=$passed planned_fail_nth=$planned
# Linked statically they know of no library that could be in their way.
run iommufd-static
passed_iommufd_static=$passed
run iommufd_fail_nth-static
passed_fail_nth_static=$passed

# One row per test, a column per variant would be wider than any page.
names()
{
	sed -n "/# SKIP/d; s/^$2 [0-9]* \([A-Za-z0-9_.]*\).*/- \1/p" "$work/$1.tap"
}

{
	cat <<-EOF
	<!-- SPDX-License-Identifier: MIT -->
	# The kernel's own tests

	Made by \`make conformance\`, which builds \`$selftests/iommu\` of Debian's
	\`$package\` ($version) against the headers of that source and runs

	    uiommu run --test-abi --report none -- ./iommufd
	    uiommu run --test-abi --report none -- ./iommufd_fail_nth

	With \`--test-abi\`, \`/dev/iommu\` answers the ioctl IOMMU_TEST_CMD of
	\`drivers/iommu/iommufd/iommufd_test.h\` as a kernel with CONFIG_IOMMUFD_TEST
	does: mock devices whose domains have pages of 2 KiB, accesses, checks of
	what is mapped, pinned and dirty.

	| program | pass | linked statically | a real kernel |
	|---|---|---|---|
	| \`iommufd\` | $passed_iommufd of $planned_iommufd | $passed_iommufd_static | 187 of 190 |
	| \`iommufd_fail_nth\` | $passed_fail_nth of $planned_fail_nth | $passed_fail_nth_static | 7 of 7 |

	The tests in that package are newer than its kernel: three need what only later
	kernels have, which are a type of data in GET_HW_INFO and devices with PASIDs.
	\`tools/conformance.h\` has the names that the package's headers lack.
	EOF
	for test in iommufd iommufd_fail_nth; do
		printf '\n## %s: pass\n\n' "$test"
		names "$test" ok
		if grep -q '^not ok' "$work/$test.tap"; then
			printf '\n## %s: fail\n\n' "$test"
			names "$test" 'not ok'
		fi
	done
} >"$list"
echo "The list is in $list."

[ "$passed_iommufd" -ge $want_iommufd ] && [ "$passed_fail_nth" -ge $want_fail_nth ] &&
	[ "$passed_iommufd_static" = "$passed_iommufd" ] &&
	[ "$passed_fail_nth_static" = "$passed_fail_nth" ] ||
	die "fewer pass than $want_iommufd and $want_fail_nth; their output is in $work"
