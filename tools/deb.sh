#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the Debian packages of debian/ from a copy of the checkout, as git would commit it,
# and show what lintian has to say, which is to be nothing. The tests of the library, which
# a build daemon runs, are left to `make check`, unless DEB_BUILD_OPTIONS is set, to nothing
# for example. Argument: the directory that gets them.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
out=$(cd "$1" && pwd)
version=$(dpkg-parsechangelog -S Version)
source=$out/uiommu-$version
rm -rf "$source"
rm -f "$out"/*uiommu*_"$version"*
mkdir "$source"
python3 -B -c "import sys; sys.path.insert(0, 'tools'); import style; print(*style.tree(), sep='\n')" |
	xargs -d '\n' cp --parents --preserve=mode,links -t "$source"
echo "building; the log is $out/build.log"
export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-nocheck}"
(cd "$source" && dpkg-buildpackage --no-sign >"$out/build.log" 2>&1) || {
	tail -n 40 "$out/build.log"
	exit 1
}
rm -rf "$source"
# Nothing but a bug number of Debian's list of wanted packages is missing.
lintian --allow-root --info --suppress-tags initial-upload-closes-no-bugs \
	--fail-on error,warning "$out/uiommu_${version}_$(dpkg --print-architecture).changes"
ls "$out"/*_"$version"_*.deb
