# machine.bash - a machine of namespaces whose pid 1 is this machine's systemd.
#
#     why_no_machine    why none can be started here; nothing if one can
#     machine_start     starts it with turnstile of $BUILD installed, and waits until it is up
#     machine COMMAND   runs that in it
#     machine_stop      ends it, and all that runs in it; also one that didn't come up
#
# It sees this machine's /usr, with a layer of its own above it, and nothing else: its /etc, /var and
# /run are new and all but empty, its network is a loopback. Its processes are in a cgroup below ours, and in
# that of the unified hierarchy: one without controllers is enough, so it doesn't matter whether this
# machine still has the old ones. Mounts are made below $WORK, in the mount namespace of the caller.

MACHINE='' OUTSIDE='' GROUP=''

systemd_path() { command -v /usr/lib/systemd/systemd /lib/systemd/systemd | head -n 1; }
own_group() { sed -n 's/^0:://p' /proc/self/cgroup; }

why_no_machine() {
	local tool
	[[ $(id -u) == 0 ]] || { echo "not root"; return; }
	[[ $(systemd_path) ]] || { echo "there is no systemd here"; return; }
	for tool in unshare nsenter setpriv pivot_root meson curl jq openssl redis-server; do
		command -v $tool >/dev/null || { echo "there is no $tool here"; return; }
	done
	unshare --mount --pid --uts --ipc --net --cgroup --fork true 2>/dev/null ||
		{ echo "no namespaces can be made here"; return; }
	unshare --user true 2>/dev/null || { echo "no user namespaces can be made here"; return; }
	unshare --mount sh -c 'mount -t cgroup2 cgroup2 /mnt && mkdir "$1" && rmdir "$1"' - \
		"/mnt$(own_group)/turnstile-test-$$" 2>/dev/null || { echo "no cgroup of version 2 can be made here"; return; }
	unshare --mount sh -c 'mount -t tmpfs tmpfs /mnt && mkdir /mnt/a /mnt/b /mnt/c &&
		mount -t overlay -o lowerdir=/usr,upperdir=/mnt/a,workdir=/mnt/b overlay /mnt/c' 2>/dev/null ||
		echo "no overlay of /usr can be mounted here"
}

machine() { nsenter --all --root --wd --target "$MACHINE" -- "$@"; }

# What needs namespaces of its own is made by boot. With a machine-id it isn't the first boot, at which all
# services that there are would be enabled.
make_root() {
	local root=$1
	mkdir "$root"
	mount -t tmpfs -o mode=755 tmpfs "$root"
	mkdir -p "$root"/{usr,layer,work,proc,sys,dev,run,tmp,var,root,etc/systemd/system,mnt/tests}
	mount -t overlay -o "lowerdir=/usr,upperdir=$root/layer,workdir=$root/work" overlay "$root/usr"
	cp -P /bin /sbin /lib* "$root/"
	cp -a /etc/alternatives "$root/etc/"
	cp -r tests/service tests/integration "$root/mnt/tests/"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
	printf '%s\n' 'passwd: files systemd' 'group: files systemd' 'hosts: files dns' >"$root/etc/nsswitch.conf"
	head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$root/etc/machine-id"
	printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' >"$root/etc/systemd/system/machine.target"
}

install_turnstile() {
	local root=$1
	DESTDIR=$root meson install -C "$BUILD" --no-rebuild >"$WORK/install.log" 2>&1 ||
		{ cat "$WORK/install.log" >&2; exit 1; }
	install -D -t "$root/usr/local/bin" "$BUILD/tests/fake_relay" "$BUILD/tests/pace"
}

machine_start() {
	local root=$WORK/root
	make_root "$root"
	install_turnstile "$root"
	mkdir "$WORK/cgroup"
	mount -t cgroup2 cgroup2 "$WORK/cgroup"
	GROUP=$WORK/cgroup$(own_group)/${WORK##*/}
	mkdir "$GROUP"
	(
		echo 0 >"$GROUP/cgroup.procs"
		exec unshare --cgroup --pid --uts --ipc --net --mount --fork --kill-child \
			tests/service/boot "$root" "$(systemd_path)"
	) >"$WORK/machine.log" 2>&1 &
	OUTSIDE=$!
	wait_for "{ MACHINE=\$(tr -d ' ' </proc/$OUTSIDE/task/$OUTSIDE/children) && [[ \$MACHINE ]] &&
		machine systemctl is-active machine.target; } || ! running $OUTSIDE" 30 && running "$OUTSIDE"
}

# With its pid 1, all of it ends.
machine_stop() {
	[[ ! $OUTSIDE ]] || kill -KILL "$OUTSIDE" 2>/dev/null || true
	[[ $GROUP && -d $GROUP ]] || return 0
	wait_for "grep -qx 'populated 0' '$GROUP/cgroup.events'"
	find "$GROUP" -depth -type d -exec rmdir {} +
}
