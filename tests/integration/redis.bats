#!/usr/bin/env bats
# A fleet: several processes, one Redis.
load helpers
load admin

setup() {
	prepare
	start_relay
	start_redis
}
teardown() { clean_up; }

# start_two [OPTION...]: URL_A, URL_B and their PIDs.
start_two() {
	start_turnstile -o redis.instance=a "$@"
	URL_A=$URL PID_A=$TURNSTILE_PID LOG_A=$LOG
	start_turnstile -o redis.instance=b "$@"
	URL_B=$URL PID_B=$TURNSTILE_PID LOG_B=$LOG
}

lock_key() { echo "user_msg_queue_lock:$(key_account "$1")"; }

@test "two instances serve an account one at a time" {
	start_two
	local i names=()
	for i in {1..10}; do
		((i % 2)) && URL=$URL_A || URL=$URL_B
		ask_later "r$i" k1 -H 'X-Relay-Events: 2' -H 'X-Relay-Interval-Ms: 10'
		names+=("r$i")
	done
	await "${names[@]}"
	equal "$(for i in {1..10}; do outcome "r$i"; done | sort -u)" "200 0"
	equal "$(relay_stats '.accounts.k1 | [.completed, .max_overlap]')" '[10,1]'
}

@test "turns come in the order of arrival over all instances" {
	start_two
	local i names=()
	URL=$URL_A
	turn holder k1
	for i in {1..6}; do
		((i % 2)) && URL=$URL_B || URL=$URL_A
		ask_later "r$i" k1
		in_line "r$i" k1 "$i"
		names+=("r$i")
	done
	hang_up holder
	await "${names[@]}"
	equal "$(relay_stats '.accounts.k1.order | join(" ")')" "holder r1 r2 r3 r4 r5 r6"
}

@test "a hand-off to another instance is prompt" {
	start_two
	URL=$URL_A
	turn a k1
	URL=$URL_B
	ask_later b k1
	in_line b k1 1
	hang_up a
	await b
	local gap
	gap=$(relay_stats '.requests[1].arrived_us - .requests[0].aborted_us')
	((gap < $(scaled 1500000)))
}

@test "the delay holds over all instances, by the time of Redis" {
	start_two -o queue.delay_ms=500
	URL=$URL_A
	ask k1 -o /dev/null
	URL=$URL_B
	ask k1 -o /dev/null
	relay_stats '.requests[1].arrived_us - .requests[0].last_us' >gap
	(($(cat gap) >= 498000))
}

@test "a turn and a place outlive their lease while responses stream" {
	start_turnstile -o "queue.lock_ttl_ms=$(scaled 1000 5000)"
	ask_later a k1 -H 'X-Relay-Events: 7' -H "X-Relay-Interval-Ms: $(scaled 500 2500)"
	relay_wait tag=a
	ask_later b k1
	ask_later c k2
	await a b c
	equal "$(outcome a), $(outcome b), $(outcome c)" "200 0, 200 0, 200 0"
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
	equal "$(log_lines 'select(.msg | test("lost"))')" ""
}

@test "the lock is the relay's own key, with a lease, and gone afterwards" {
	start_turnstile
	turn a k1
	has test. "$(redis get "$(lock_key k1)")"
	(($(redis pttl "$(lock_key k1)") > 0))
	hang_up a
	wait_for "[[ \$(redis exists $(lock_key k1)) == 0 ]]"
	has 1 "$(redis get "user_msg_queue_last:$(key_account k1)")"
}

# bats test_tags=waits
@test "another instance waits no longer than the lease for one that crashed" {
	start_two -o queue.lock_ttl_ms=2000
	URL=$URL_A
	turn a k1
	crash_turnstile "$PID_A"
	URL=$URL_B
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 200
}

@test "a crashed waiter is passed over" {
	start_two -o queue.lock_ttl_ms=2000
	URL=$URL_B
	turn a k1
	URL=$URL_A
	ask_later b k1
	in_line b k1 1
	URL=$URL_B
	ask_later c k1
	in_line c k1 2
	crash_turnstile "$PID_A"
	LOG=$LOG_B
	hang_up a
	await c
	equal "$(outcome c)" "200 0"
	equal "$(relay_stats '.accounts.k1.order')" '["a","c"]'
}

@test "a start gives back what an earlier boot of this instance left, and nothing else" {
	start_two -o queue.lock_ttl_ms=60000
	URL=$URL_A
	turn a k1
	URL=$URL_B
	turn b k2
	crash_turnstile "$PID_A"
	start_turnstile -o redis.instance=a -o queue.lock_ttl_ms=60000
	served k1
	equal "$(redis exists "$(lock_key k2)")" 1
	equal "$(ask k2 -o /dev/null -w '%{http_code}' --max-time 1 2>/dev/null)" 000
	equal "$(relay_stats .accounts.k2.max_overlap)" 1
}

@test "startup_cleanup = off leaves it" {
	start_turnstile -o queue.lock_ttl_ms=60000
	turn a k1
	crash_turnstile
	start_turnstile -o queue.startup_cleanup=off -o queue.lock_ttl_ms=60000 -o queue.timeout_ms=1000
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	exchange_wait '.outcome == "queue_timeout"'
}

@test "locks without a lease are removed in time" {
	start_turnstile -o queue.cleanup_interval_ms=1000
	served k1
	redis set "$(lock_key k1)" somebody:1
	ask_later a k1
	await a
	equal "$(outcome a)" "200 0"
}

# bats test_tags=waits
@test "locks without a lease stay while the queue is disabled" {
	start_turnstile -o queue.cleanup_interval_ms=1000 -o queue.enabled=false
	redis set "$(lock_key k1)" somebody:1
	served k1
	rest 2500 # two rounds of cleaning
	equal "$(redis exists "$(lock_key k1)")" 1
}

@test "Redis unreachable at the start: it starts, says so, recovers by itself" {
	local port=$REDIS_PORT
	stop_redis
	start_turnstile -o redis.command_timeout_ms=300
	log_wait '.msg | test("redis is unreachable")'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	has message_stop "$(ask_tool k1)"
	start_redis "$port"
	wait_for 'served k1'
	log_wait '.msg | test("redis is reachable")'
}

@test "Redis hangs, and nobody is to wait for it: waiters and newcomers are told within the command timeout" {
	start_turnstile -o "redis.command_timeout_ms=$(scaled 500 3000)" -o redis.outage_ms=0
	turn a k1
	ask_later b k1
	in_line b k1 1
	kill -STOP "$REDIS_PID"
	equal "$(ask k1 -o /dev/null -w '%{http_code}' --max-time "$(scaled 6)")" 503
	await b
	equal "$(outcome b)" "503 0"
	kill -CONT "$REDIS_PID"
	hang_up a
	wait_for 'served k1'
}

@test "on_backend_error = forward passes user messages" {
	stop_redis
	start_turnstile -o redis.command_timeout_ms=300 -o queue.on_backend_error=forward
	turn a k1
	served k1
}

@test "on_backend_error = local queues in this process" {
	stop_redis
	start_turnstile -o redis.command_timeout_ms=300 -o queue.on_backend_error=local
	turn a k1
	ask_later b k1
	ask_later c k1 -H 'X-Relay-Tag:'
	hang_up a
	await b c
	equal "$(outcome b), $(outcome c)" "200 0, 200 0"
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
}

@test "keys that somebody makes up don't fill Redis" {
	local begin=$SECONDS
	start_turnstile -o redis.max_accounts=200
	turn a k1
	ask_later b k1
	in_line b k1 1
	redis config set maxmemory $(($(redis info memory | sed -n 's/^used_memory:\([0-9]*\).*/\1/p') + 1200000))
	equal "$(python3 "$BATS_TEST_DIRNAME/crowd.py" flood 3000 8 "$URL" -- 'X-Relay-Events: 1')" '{"200":3000}'
	served k2
	(($(redis zcard user_msg_queue_index) <= 204))
	(($(redis dbsize) <= 3 * 204 + 12)) # last, times, and for a minute the line's numbers
	wait_for '(($(metric turnstile_accounts_forgotten_total) >= 2700))'
	log_wait '.msg | test("than there is room for")'
	(($(log_lines 'select(.msg | test("than there is room for"))' | wc -l) <= 1 + (SECONDS - begin) / 60)) # one a minute
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
}

@test "scripts are loaded again when Redis has lost them" {
	start_turnstile
	served k1
	redis script flush
	served k1
}

@test "no key and no prompt is stored in Redis" {
	start_turnstile
	user_body prompt-secret-2 >prompt
	BODY=prompt
	turn a sk-ant-secret-1
	ask_later b sk-ant-secret-1
	in_line b sk-ant-secret-1 1
	redis --scan >keys
	has user_msg_queue_lock "$(cat keys)"
	while read -r key; do
		printf '%s %s\n' "$key" "$(redis dump "$key" | base64 -w0)"
		case $(redis type "$key") in
		zset) redis zrange "$key" 0 -1 withscores ;;
		hash) redis hgetall "$key" ;;
		string) redis get "$key" ;;
		esac
	done <keys >dump
	has "$(key_account sk-ant-secret-1)" "$(cat dump)"
	lacks secret dump
}

@test "Redis with a password, a database and a prefix" {
	redis config set requirepass hunter2
	REDIS_URL=redis://:hunter2@127.0.0.1:$REDIS_PORT/3
	start_turnstile -o redis.key_prefix=other
	turn a k1
	equal "$(redis --no-auth-warning -a hunter2 -n 3 exists "other_lock:$(key_account k1)")" 1
	stop_redis
	log_wait '.msg | test("redis is unreachable")'
	lacks hunter2 "$LOG"
}
