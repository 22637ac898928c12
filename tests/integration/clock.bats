#!/usr/bin/env bats
# The clock of Redis is set forward and back by minutes, under a turn, waiters and a delay. SKEW: the library
# that does so within redis-server (skew.c).
load helpers
load admin

setup() {
	prepare
	start_relay
	echo 0 >skew
	: "${SKEW:?the library that sets clocks}"
	redis-server() { exec env SKEW_FILE="$DIR/skew" LD_PRELOAD="$SKEW" redis-server "$@"; }
	start_redis
	unset -f redis-server
}
teardown() { clean_up; }

# set_clock SECONDS: by so many it is wrong from now on.
set_clock() {
	local before
	echo "$1" >skew.new
	mv skew.new skew
	wait_for "((\$(redis time | head -n 1) - \$(date +%s) - ($1) < 2 && ($1) - \$(redis time | head -n 1) + \$(date +%s) < 2))"
}
start() {
	start_turnstile -o queue.lock_ttl_ms=3000 "$@"
	turn held k1
	ask_later one k1
	in_line one k1 1
	ask_later two k1
	in_line two k1 2
}
in_order() {
	await one two
	equal "$(outcome one), $(outcome two)" "200 0, 200 0"
	equal "$(relay_stats '.accounts.k1.order | join(" ")')" "held one two"
	served k1
}

# bats test_tags=waits
@test "set back by five minutes: turns, places and their order stay" {
	start
	set_clock -300
	rest 3500 # a lease, and some
	wait_for "(( \$(redis pttl user_msg_queue_lock:$(key_account k1)) <= 3000 ))"
	equal "$(redis zcard "user_msg_queue_wait:$(key_account k1)")" 2
	hang_up held
	in_order
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
	equal "$(log_lines 'select(.msg | test("lost"))')" ""
}

@test "set back by five minutes: who died before is dropped after its lease" {
	start
	crash_turnstile
	await one two
	start_turnstile -o redis.instance=other -o queue.lock_ttl_ms=3000
	set_clock -300
	ask_later last k1
	await last
	equal "$(outcome last)" "200 0"
	equal "$(redis zcard "user_msg_queue_wait:$(key_account k1)")" 0
	exchange_wait ".outcome == \"answered\" and .wait_ms < $(scaled 10000)"
}

@test "set back by five minutes: a delay isn't longer than it is" {
	start_turnstile -o queue.delay_ms=1500
	served k1
	set_clock -300
	served k1
	local gap
	gap=$(relay_stats '.requests[1].arrived_us - .requests[0].last_us')
	((gap >= 1498000 && gap < 1500000 + $(scaled 4500000)))
}

@test "set forward by five minutes: the turn is lost and said to be so, nobody is stuck" {
	start
	set_clock 300
	log_wait '.msg | test("a turn was lost")'
	await one two
	equal "$(outcome one), $(outcome two)" "200 0, 200 0"
	hang_up held
	served k1
	wait_for "[[ \$(redis exists user_msg_queue_lock:$(key_account k1) user_msg_queue_wait:$(key_account k1)) == 0 ]]"
}

@test "a window that is spent is asked about once a minute, and the first success opens the line" {
	local five=anthropic-ratelimit-unified-5h
	local spent=(-H 'X-Relay-Status: 429' -H "X-Relay-Header: $five-status: rejected"
		-H "X-Relay-Header: $five-reset: $(($(date +%s) + 7200))")
	start_turnstile -o queue.on_limit=quota
	ask k1 -o /dev/null "${spent[@]}"
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 429
	set_clock 35 # and what all this takes is on top
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 429
	equal "$(relay_stats .accounts.k1.seen)" 1
	set_clock 62
	ask k1 -o /dev/null "${spent[@]}"
	equal "$(relay_stats .accounts.k1.seen)" 2
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 429
	set_clock 97
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 429
	equal "$(relay_stats .accounts.k1.seen)" 2
	set_clock 124
	served k1
	served k1
	equal "$(queue k1 .held)" null
}
