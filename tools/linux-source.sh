# SPDX-License-Identifier: MIT
# Kernel sources from Debian's packages, for scripts that include this file.

# linux_source_download PACKAGE DIR [OPTION...]
# The package into DIR, unless it is there; OPTIONs are apt-get's. Sets $deb.
linux_source_download()
{
	mkdir -p "$2"
	package=$1 dir=$(cd "$2" && pwd)
	shift 2
	deb=$(find "$dir" -maxdepth 1 -name "${package}_*.deb" | head -n1)
	[ -z "$deb" ] || return 0
	echo "fetching $package (150 MB)"
	if ! (cd "$dir" && apt-get "$@" download -qq "$package" >fetch.log 2>&1); then
		echo "cannot fetch $package: $(tail -n1 "$dir/fetch.log")" >&2
		return 1
	fi
	deb=$(find "$dir" -maxdepth 1 -name "${package}_*.deb" | head -n1)
}

# linux_source_unpack DEB DIR FILE...
# These files of the source, patterns as tar knows them, into DIR/PACKAGE.
linux_source_unpack()
{
	deb=$1 dir=$2
	package=$(basename "${deb%%_*}")
	shift 2
	for file; do
		shift
		set -- "$@" "$package/$file"
	done
	echo "unpacking what is needed of $(basename "$deb")"
	dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$package.tar.xz" |
		xz -dc | tar -C "$dir" -x --wildcards "$@"
}

# linux_source_backports DIR
# Let apt know the backports of this release and of trixie, with lists of its own in DIR,
# and the options for that in $apt_options.
linux_source_backports()
{
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' |
		grep -m1 '/debian$') || return 1
	. /etc/os-release
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/none"
	for suite in "$VERSION_CODENAME" trixie; do
		echo "deb [signed-by=$keyring] $site $suite-backports main"
	done | sort -u >"$1/sources.list"
	apt_options="-oDir::State::Lists=$1/lists -oDir::Cache=$1/cache
		-oDir::Etc::SourceList=$1/sources.list -oDir::Etc::SourceParts=$1/none
		-oDir::Etc::PreferencesParts=$1/none -oAcquire::Languages=none"
	[ "$(id -u)" != 0 ] || apt_options="$apt_options -oAPT::Sandbox::User=root"
	apt-get $apt_options update -qq >"$1/update.log" 2>&1
}
