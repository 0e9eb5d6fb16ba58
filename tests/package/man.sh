#!/bin/sh
# SPDX-License-Identifier: MIT
# Each page formats without a warning, has a NAME that whatis can use, and refers
# to no page of ours that does not exist. Arguments: the pages.
set -u
n=0 failed=0
export LC_ALL=C.UTF-8
have=" $(for page; do printf '%s ' "${page##*/}"; done)"

problems()
{
	groff -t -man -ww -z "$1" 2>&1
	lexgrog "$1" >/dev/null 2>&1 || echo 'no NAME that lexgrog understands'
	sed -n 's/\\-/-/g; s/^\.BR \([^ ]*\) (\([0-9]\)).*/\1.\2/p' "$1" | grep -iE 'iommu|mem_cgroup' |
		while read -r to; do
			case $have in *" $to "*) ;; *) echo "refers to $to" ;; esac
		done
}

for page; do
	n=$((n + 1)) said=$(problems "$page")
	if [ -z "$said" ]; then
		echo "ok $n - ${page##*/}"
	else
		printf '%s\n' "$said" | sed 's/^/# /'
		echo "not ok $n - ${page##*/}"
		failed=1
	fi
done
echo "1..$n"
exit $failed
