#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetch the kernel's table code: fetch.sh BUILD
#
# Of linux-source-6.12, the drivers' own; of the newest linux-source that backports
# have, generic_pt. Both once, into BUILD/bench-peers. Without the second the
# benchmark has fewer peers, which is said; without the first there is none.
set -eu
cd "$(dirname "$0")/../.."
. tools/linux-source.sh
debs=$1/linux-source
work=$1/bench-peers
old=linux-source-6.12
mkdir -p "$work" "$debs"
debs=$(cd "$debs" && pwd)

unpack()
{
	# Elsewhere first: what is half unpacked must not be taken for the whole.
	rm -rf "$work/unpacking"
	mkdir "$work/unpacking"
	linux_source_unpack "$1" "$work/unpacking" 'drivers/iommu/*' 'include/linux/*'
	mv "$work/unpacking"/* "$work"
	rmdir "$work/unpacking"
}

fetch_newest()
{
	linux_source_backports "$debs" || return 1
	newest=$(apt-cache $apt_options pkgnames linux-source- | grep '^linux-source-[0-9]' |
		sort -V | tail -n1)
	[ -n "$newest" ] || return 1
	linux_source_download "$newest" "$debs" $apt_options || return 1
	unpack "$deb"
	[ -d "$work/$newest/drivers/iommu/generic_pt" ] || {
		rm -rf "${work:?}/$newest"
		return 1
	}
}

[ -d "$work/$old" ] || {
	linux_source_download $old "$debs" || exit 1
	unpack "$deb"
}
ls -d "$work"/linux-source-*/drivers/iommu/generic_pt >/dev/null 2>&1 || fetch_newest ||
	echo "No linux-source with generic_pt within reach: these peers are left out."
