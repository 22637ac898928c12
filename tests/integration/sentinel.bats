#!/usr/bin/env bats
# High availability: three real sentinels, a master and a replica; and what else redis.url can say.
load helpers

setup() {
	declare -gA PORT_OF=() NODE_PID=()
	prepare
	start_relay
}
teardown() { clean_up; }

# node NAME ARGUMENT...: a redis-server on a port of its own; PORT_OF and NODE_PID by name.
node() {
	local name=$1 try port PORT
	shift
	for try in {1..20}; do
		new_port
		port=$PORT
		mkdir -p "$DIR/$name"
		redis-server "$@" --port "$port" --dir "$DIR/$name" >"$DIR/$name.out" 2>&1 3>&- &
		NODE_PID[$name]=$!
		wait_for "is_redis ${NODE_PID[$name]} $port || ! running ${NODE_PID[$name]}"
		if running "${NODE_PID[$name]}"; then
			PORT_OF[$name]=$port
			PROCESSES+=("${NODE_PID[$name]}")
			return
		fi
	done
	cat "$DIR/$name.out" >&2
	return 1
}
at() { redis-cli -p "${PORT_OF[$1]}" "${@:2}"; }

start_sentinels() {
	local i
	node one --save ''
	node two --save '' --replicaof 127.0.0.1 "${PORT_OF[one]}"
	wait_for "at two info replication | grep -q master_link_status:up"
	for i in 1 2 3; do
		printf '%s\n' "sentinel monitor main 127.0.0.1 ${PORT_OF[one]} 2" \
			"sentinel down-after-milliseconds main $(scaled 700 3000)" 'sentinel failover-timeout main 3000' >"$DIR/s$i.conf"
		node "s$i" "$DIR/s$i.conf" --sentinel
	done
	for i in 1 2 3; do
		wait_for "at s$i sentinel ckquorum main | grep -q '^OK 3 usable'"
		wait_for "at s$i info sentinel | grep -q slaves=1"
	done
	# The first one isn't there at all.
	REDIS_URL=redis+sentinel://127.0.0.1:1,127.0.0.1:${PORT_OF[s1]},localhost:${PORT_OF[s2]},127.0.0.1:${PORT_OF[s3]}/main
}

lock_key() { echo "user_msg_queue_lock:$(key_account "$1")"; }

@test "sentinels name the master, and a failover is followed" {
	start_sentinels
	start_turnstile
	turn held k1
	wait_for "[[ \$(at two exists $(lock_key k1)) == 1 ]]" # replicated
	ask_later waits k1
	sent waits
	kill -9 "${NODE_PID[one]}"
	ended "${NODE_PID[one]}"
	wait_for "at two role | grep -q master" 30
	local start=$SECONDS
	wait_for '[[ $(ask k2 -o /dev/null -w "%{http_code}") == 200 ]]' 10
	equal "$(at two exists "$(lock_key k1)")" 1 # the keeper followed as well, and renews it there
	wait_for "(( \$(at two pttl $(lock_key k1)) > 110000 ))"
	equal "$(log_lines 'select(.msg | test("lost"))')" ""
	hang_up held
	served k1
}

@test "a master that was demoted is left for the new one" {
	start_sentinels
	start_turnstile
	turn held k1
	wait_for "[[ \$(at two exists $(lock_key k1)) == 1 ]]"
	at s1 sentinel failover main
	wait_for "at two role | grep -q master" 30
	log_wait '(.cause // "") | test("another server is the master")'
	at one role | grep -q master # and would go on to serve
	wait_for '[[ $(ask k2 -o /dev/null -w "%{http_code}") == 200 ]]' 10
	equal "$(at two exists "$(lock_key k1)")" 1
	hang_up held
	wait_for "[[ \$(at two exists $(lock_key k1)) == 0 ]]"
}

# bats test_tags=waits
# Give-backs of the moments before it is noticed go to the old master; the new one has copies of what has ended. The
# leases are the default's, two minutes.
@test "a planned failover: turns that end meanwhile leave no account standing still" {
	start_sentinels
	start_turnstile
	local n
	for n in 1 2 3 4 5 6; do
		turn "h$n" "k$n"
		ask_later "w$n" "k$n"
		sent "w$n"
		wait_for "[[ \$(at two exists $(lock_key "k$n")) == 1 ]]"
	done
	at s1 sentinel failover main
	wait_for "at two role | grep -q master" 30
	for n in 1 2 3 4 5 6; do
		hang_up "h$n"
	done
	await w1 w2 w3 w4 w5 w6
	for n in 1 2 3 4 5 6; do
		equal "$(outcome "w$n")" "200 0"
		exchange_wait ".account == \"$(key_account "k$n")\" and .outcome == \"answered\" and .wait_ms < $(scaled 20000)"
		wait_for "[[ \$(at two exists $(lock_key "k$n")) == 0 ]]"
	done
}

@test "the master crashes: nobody in line is refused, and the order stays" {
	start_sentinels
	start_turnstile
	local n
	turn held k1
	for n in 1 2 3 4 5 6; do
		ask_later "w$n" k1
		sent "w$n"
		wait_for "[[ \$(at one zcard user_msg_queue_wait:$(key_account k1)) == $n ]]"
	done
	kill -9 "${NODE_PID[one]}"
	ended "${NODE_PID[one]}"
	wait_for "at two role | grep -q master" 30
	wait_for "[[ \$(at two zcard user_msg_queue_wait:$(key_account k1)) == 6 ]]" 30
	hang_up held
	await w1 w2 w3 w4 w5 w6
	equal "$(relay_stats '.accounts.k1 | [(.order | join(" ")), .max_overlap]')" '["held w1 w2 w3 w4 w5 w6",1]'
}

@test "a master that no sentinel knows is said to be so" {
	start_sentinels
	REDIS_URL=${REDIS_URL%main}other
	start_turnstile -o redis.command_timeout_ms=500
	log_wait '(.cause // "") | test("know no master other")'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
}

@test "a Unix socket" {
	node one --save '' --unixsocket "$DIR/redis.sock"
	REDIS_URL=unix:$DIR/redis.sock?db=2
	start_turnstile
	turn a k1
	equal "$(at one -n 2 exists "$(lock_key k1)")" 1
	ask_later b k1
	sent b
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
}

@test "IPv6" {
	node one --save '' --bind 127.0.0.1 ::1
	redis-cli -h ::1 -p "${PORT_OF[one]}" ping >/dev/null 2>&1 || skip "no IPv6 here"
	REDIS_URL=redis://[::1]:${PORT_OF[one]}
	start_turnstile
	served k1
}
