#!/usr/bin/env bats
# A name server that doesn't answer holds up who needs the name, and nobody else. SLOW_NAMES: the library that stands
# for it within turnstile (slow_names.c).
load helpers
load admin

setup() {
	prepare
	start_relay
	: "${SLOW_NAMES:?the library that makes names slow}"
	TURNSTILE_ENV=("LD_PRELOAD=$SLOW_NAMES")
	# The sanitizer wants to be the first library, and needn't be for this one.
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
}
teardown() { clean_up; }

@test "a client that leaves while its upstream's name is resolved stops nobody" {
	start_turnstile -o upstream.url=http://relay.slow.test:80
	ask_later gone k1
	wait_for '[[ $(metric turnstile_holding) == 1 ]]'
	hang_up gone
	becomes client_gone exchanges .outcome
	http -f "$ADMIN/healthz"
}

@test "the others of its account get their turn" {
	start_turnstile -o upstream.url=http://relay.slow.test:80 -o upstream.connect_timeout_ms=300 \
		-o upstream.connect_retry_ms=0
	ask_later one k1
	ask_later two k1
	await one two
	equal "$(outcome one), $(outcome two)" "502 0, 502 0"
}

@test "the process ends, whatever name is being resolved" {
	start_turnstile -o upstream.url=http://relay.slow.test:80 -o listen.drain_timeout_ms=300
	ask_later one k1
	wait_for '[[ $(metric turnstile_holding) == 1 ]]'
	kill -TERM "$TURNSTILE_PID"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 1 # what ran was cut
}

@test "the process ends, though the name of Redis isn't known yet" {
	start_turnstile -o redis.url=redis://redis.slow.test
	kill -TERM "$TURNSTILE_PID"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "an upstream that has another address by now is found there at once" {
	local port=${RELAY##*:}
	TURNSTILE_ENV+=("MOVING=$DIR/moving")
	echo 127.0.0.1 >moving
	start_turnstile -o "upstream.url=http://moving.test:$port"
	served k1
	stop_relay
	start_relay --address 127.0.0.2 --port "$port" # another one, of which the first relay's address knows nothing
	echo 127.0.0.2 >moving
	served k1
	equal "$(relay_stats .all.seen)" 1
}
