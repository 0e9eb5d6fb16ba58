#!/bin/sh
# SPDX-License-Identifier: MIT
# Link the freestanding library to one object and see what it wants from others:
# the four functions that a compiler may call by itself and its own helpers (for
# 128-bit division), and nothing more.
# Arguments: the archive, a directory to work in.
set -eu
object=$2/uiommu-freestanding.o
ld -r --whole-archive "$1" -o "$object"
wanted=$(nm -u "$object" | awk '{print $2}' | grep -vxE 'memcpy|memmove|memset|memcmp|__u?(div|mod|divmod)ti[34]' || true)
echo 1..1
if [ -z "$wanted" ]; then
	echo 'ok 1 - needs nothing but memcpy, memmove, memset and memcmp'
else
	echo "# undefined: $(echo $wanted)"
	echo 'not ok 1 - needs nothing but memcpy, memmove, memset and memcmp'
	exit 1
fi
