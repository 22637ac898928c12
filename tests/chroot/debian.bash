# debian.bash - Debian's mirror, and roots made of it by debootstrap.
#
#     apt_settings      what apt of this machine needs to reach its mirror
#     mirror            where that is

# What holds here holds inside as well.
apt_settings() {
	apt-config dump | grep -E '^Acquire::(http|https|Check-)[^ ]* ".+";$' || true
}

mirror() {
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
		grep -m 1 '/debian/*$' || echo http://deb.debian.org/debian
}
