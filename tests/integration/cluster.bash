# cluster.bash - a real Redis Cluster of three masters, and two turnstiles on it. Behind helpers.bash.
#
#     start_cluster; start_two; at a; key_on "${NODES[1]}"; served "$KEY"

declare -gA NODE_PID=() NODE_ID=()
declare -ga NODES=()
declare -ga CLI=() # for redis-cli; nodes speak TLS only if there is anything

# start_node [ARGUMENT...]: a redis-server on a free port, in PORT; NODE_PID by port. Its bus has a port of its
# own, as the usual one, 10000 higher, may be somebody's; before Redis 7.0 there is no other.
start_node() {
	local try listen bus=1
	[[ $(redis-server --version) != *v=6.* ]] || bus=
	for try in {1..20}; do
		new_port
		mkdir -p "$DIR/$PORT"
		listen=(--port "$PORT")
		[[ -z ${CLI[*]} ]] || listen=(--port 0 --tls-port "$PORT")
		redis-server "${listen[@]}" ${bus:+--cluster-port $((PORT - 10000))} --bind 127.0.0.1 --dir "$DIR/$PORT" --save '' \
			--cluster-enabled yes --cluster-node-timeout "$(scaled 1000 3000)" --cluster-require-full-coverage no "$@" \
			>"$DIR/$PORT.out" 2>&1 3>&- &
		NODE_PID[$PORT]=$!
		wait_for "is_redis ${NODE_PID[$PORT]} $PORT ${CLI[*]} || ! running ${NODE_PID[$PORT]}"
		if running "${NODE_PID[$PORT]}"; then
			PROCESSES+=("${NODE_PID[$PORT]}")
			NODE_ID[$PORT]=$(on "$PORT" cluster myid)
			return
		fi
	done
	cat "$DIR/$PORT.out" >&2
	return 1
}

# start_cluster [ARGUMENT...]: three masters, in NODES; the arguments are for each of them.
start_cluster() {
	local i port
	for i in 1 2 3; do
		start_node "$@"
		NODES+=("$PORT")
	done
	redis-cli "${CLI[@]}" --cluster create "${NODES[@]/#/127.0.0.1:}" --cluster-yes >"$DIR/create.out" || {
		cat "$DIR/create.out" >&2
		return 1
	}
	for port in "${NODES[@]}"; do
		wait_for "on $port cluster info | grep -q cluster_state:ok"
	done
}

# By a name, which isn't how the nodes call each other, and which has two addresses, as "localhost" has on most
# machines, where Redis listens on one of them. Without a mount namespace it is localhost as it is here.
name_cluster() {
	local host=localhost
	if unshare --mount true 2>/dev/null; then
		printf '%s\n' '127.0.0.1 localhost cluster.test' '127.0.0.2 cluster.test' >"$DIR/hosts"
		# shellcheck disable=SC2016 # for that shell
		TURNSTILE_UNDER=(unshare --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$DIR/hosts")
		host=cluster.test
	fi
	REDIS_URL=redis://$host:${NODES[0]}
}

on() { redis-cli "${CLI[@]}" -p "$1" "${@:2}"; }
all() { redis-cli "${CLI[@]}" -c -p "${ALIVE:-${NODES[1]}}" "$@"; }
kill_node() {
	kill -9 "${NODE_PID[$1]}"
	ended "${NODE_PID[$1]}"
}

# start_two [OPTION...]: two turnstiles that know all nodes; URL_OF, LOG_OF and ADMIN_OF by name.
start_two() {
	local name
	declare -gA URL_OF LOG_OF ADMIN_OF
	for name in a b; do
		start_turnstile -o redis.cluster=true -o "redis.instance=$name" -o "redis.command_timeout_ms=$(scaled 1000 3000)" "$@"
		URL_OF[$name]=$URL LOG_OF[$name]=$LOG ADMIN_OF[$name]=$ADMIN
		[[ $name != a ]] || PID_A=$TURNSTILE_PID
		wait_for "[[ \$(connections $name) -ge 3 ]]"
	done
}
at() { URL=${URL_OF[$1]} LOG=${LOG_OF[$1]} ADMIN=${ADMIN_OF[$1]}; }

# connections NAME: nodes that its loop is connected to.
connections() {
	local port
	for port in "${NODES[@]}"; do
		on "$port" client list 2>/dev/null | grep -o -m 1 "name=turnstile:$1\." || true
	done | wc -l
}

key() { echo "user_msg_queue_$1:{$(key_account "$2")}"; }
slot() { all cluster keyslot "$(key lock "$1")"; }

# key_on PORT: a key whose account lives there; each call gives another one, in KEY.
declare -g LAST_KEY=0
key_on() {
	while :; do
		KEY=c$((++LAST_KEY))
		on "$1" exists "$(key lock "$KEY")" 2>&1 | grep -q MOVED || return 0
	done
}

# waits NAME KEY N: as in_line, in a cluster.
waits() {
	sent "$1" && wait_for "[[ \$(all zcard '$(key wait "$2")') == $3 ]]"
}

# listeners: subscribers at the nodes that live.
listeners() {
	local port
	for port in "${NODES[@]}"; do
		on "$port" pubsub channels 2>/dev/null
	done | grep -c '^user_msg_queue:'
}

# move_keys SLOT FROM TO, begin_move, end_move: what redis-cli --cluster reshard does.
begin_move() {
	on "$3" cluster setslot "$1" importing "${NODE_ID[$2]}"
	on "$2" cluster setslot "$1" migrating "${NODE_ID[$3]}"
} >/dev/null
move_keys() {
	local keys
	while mapfile -t keys < <(on "$2" cluster getkeysinslot "$1" 20) && ((${#keys[@]})) && [[ ${keys[0]} ]]; do
		on "$2" migrate 127.0.0.1 "$3" '' 0 1000 keys "${keys[@]}"
	done
} >/dev/null
end_move() {
	local port
	for port in "$3" "$2" "${NODES[@]}"; do
		on "$port" cluster setslot "$1" node "${NODE_ID[$3]}"
	done
} >/dev/null

# lease_of PORT KEY: when a key's life ends, or the first of its waiters', if they have leases; wherever the slot is.
lease_of() {
	local command="PEXPIRETIME $2"
	[[ $2 != *_alive:* ]] || command="ZRANGE $2 0 0 WITHSCORES"
	printf 'ASKING\n%s\n' "$command" | on "$1" | tail -n 1
}

# renewed PORT KEY [PORT KEY]...: all of them, by calls that were sent after this one: so each of them twice.
renewed() {
	local i j before=()
	for j in 1 2; do
		for ((i = 1; i < $#; i += 2)); do
			before[i]=$(lease_of "${@:i:2}")
		done
		for ((i = 1; i < $#; i += 2)); do
			wait_for "((\$(lease_of ${*:i:2}) > ${before[i]}))" 8
		done
	done
}

# all_nodes_serve [ARGUMENT...]: for each node, a turn and a place of an account there are kept, one of them while its
# slot is on its way, and served in the end. The arguments are for MIGRATE.
all_nodes_serve() {
	local port from=${NODES[1]} to=${NODES[2]} lock slot leases=() keys
	for port in "${NODES[@]}"; do
		key_on "$port"
		at a
		turn "h$port" "$KEY"
		at b
		ask_later "w$port" "$KEY"
		waits "w$port" "$KEY" 1
		leases+=("$port" "$(key lock "$KEY")" "$port" "$(key alive "$KEY")")
		[[ $port != "$from" ]] || lock=$(key lock "$KEY") slot=$(slot "$KEY")
	done
	renewed "${leases[@]}"
	begin_move "$slot" "$from" "$to"
	on "$from" migrate 127.0.0.1 "$to" "$lock" 0 1000 "$@"
	renewed "$to" "$lock"
	mapfile -t keys < <(on "$from" cluster getkeysinslot "$slot" 20)
	on "$from" migrate 127.0.0.1 "$to" '' 0 1000 "$@" keys "${keys[@]}"
	end_move "$slot" "$from" "$to"
	for port in "${NODES[@]}"; do
		hang_up "h$port"
		await "w$port"
		equal "$(outcome "w$port")" "200 0"
	done
	equal "$(cat "${LOG_OF[@]}" | jq -c 'select(.msg | test("redis|lost"))')" ""
}
