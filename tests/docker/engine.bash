# engine.bash - a Docker engine and the images that are built on, for tests/docker/run and deploy.
#
#     engine_start [DOCKERD OPTION...]   one that runs already, or our own below $WORK
#     engine_stop       ends our own, and looks that no process and no mount of it is left
#     base_image        sets BASE: debian:trixie-slim if the engine has it, else the same made by
#                       debootstrap. Nothing is ever pulled.
#     stand_ins         builds what stands in for Redis, HAProxy and Compose v2
#
# $MINE is what the names of our images, containers and networks begin with.

source tests/chroot/debian.bash

# Why no engine of our own can run here; nothing if one can.
why_no_engine() {
	[[ $(id -u) == 0 ]] || { echo "not root, and no Docker engine answers"; return; }
	[[ -e /sys/fs/cgroup/cgroup.controllers || -d /sys/fs/cgroup/memory ]] ||
		{ echo "no cgroups here"; return; }
	unshare --mount --net true 2>/dev/null || echo "no namespaces can be made here"
}

engine_start() {
	OWN_ENGINE=''
	! docker info >/dev/null 2>&1 || return 0
	export DOCKER_HOST=unix://$WORK/engine.sock
	dockerd --host "$DOCKER_HOST" --data-root "$WORK/engine" --exec-root "$WORK/run" \
		--pidfile "$WORK/engine.pid" "$@" >>"$WORK/engine.log" 2>&1 &
	OWN_ENGINE=$!
	wait_for "docker info || ! kill -0 $OWN_ENGINE" 30
	docker info >/dev/null 2>&1
}

engine_stop() {
	local containers left
	[[ -n $OWN_ENGINE ]] || return 0
	mapfile -t containers < <(docker ps -aq)
	[[ ${#containers[@]} == 0 ]] || docker rm -f "${containers[@]}" >/dev/null
	kill "$OWN_ENGINE" 2>/dev/null || true
	wait_for "! kill -0 $OWN_ENGINE" 30
	OWN_ENGINE=''
	# It forgets this one, of builds on the host's network.
	umount "$WORK/run/netns/default" 2>/dev/null || true
	left=$(grep -F " $WORK/" /proc/self/mounts || true)
	[[ -z $left ]] || { echo "mounts are left: $left" >&2; umount -l $(cut -d' ' -f2 <<<"$left"); return 1; }
	wait_for "! pgrep -f -- '$WORK/(engine|run)'"
}

# The official image is made like this: minbase, without documents (licences stay), manuals, languages,
# and without waiting for the disk at each package.
base_image() {
	local root=$WORK/base
	BASE=debian:trixie-slim
	! docker image inspect "$BASE" >/dev/null 2>&1 || return 0
	BASE=$MINE-base
	debootstrap --variant=minbase trixie "$root" "$(mirror)" >"$WORK/debootstrap.log" 2>&1 ||
		{ tail -n 5 "$WORK/debootstrap.log" >&2; return 1; }
	apt_settings >"$root/etc/apt/apt.conf.d/99host"
	printf 'Acquire::Languages "none";\n' >"$root/etc/apt/apt.conf.d/99languages"
	printf 'path-exclude /usr/share/%s\n' 'doc/*' 'man/*' 'info/*' 'locale/*' >"$root/etc/dpkg/dpkg.cfg.d/slim"
	printf 'path-include /usr/share/doc/*/copyright\nforce-unsafe-io\n' >>"$root/etc/dpkg/dpkg.cfg.d/slim"
	find "$root"/usr/share/doc ! -type d ! -name copyright -delete
	tar -C "$root" -c --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./dev/*' \
		--exclude='./usr/share/man/*' --exclude='./usr/share/info/*' --exclude='./usr/share/locale/*' . |
		docker import - "$BASE" >/dev/null
	rm -rf "$root"
}

stand_ins() {
	docker build -q --network host --build-arg BASE_IMAGE="$BASE" -t "$MINE-stand-ins" \
		tests/docker/stand-ins >"$WORK/stand-ins.log" 2>&1 || { cat "$WORK/stand-ins.log" >&2; return 1; }
}

# image_or_stand_in NAME: that image if the engine has it.
image_or_stand_in() {
	if docker image inspect "$1" >/dev/null 2>&1; then
		echo "$1"
	else
		echo "$MINE-stand-ins"
	fi
}
