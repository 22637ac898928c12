#!/usr/bin/env bats
# Start, reload, stop; and what is said when a start fails.
load helpers

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

# refused ARGUMENT...: a start that must fail; its status is in STATUS, what it said in `said`.
refused() {
	STATUS=0
	run_turnstile "$@" >said 2>&1 3>&- || STATUS=$?
	((STATUS != 0))
}

@test "SIGTERM while nothing goes on: ends at once with 0" {
	start_turnstile
	served k1
	stop_turnstile
	equal "$STATUS" 0
}

@test "SIGINT drains too" {
	start_turnstile
	held a k1
	kill -INT "$TURNSTILE_PID"
	log_wait '.msg == "draining"'
	relay_go
	await a
	equal "$(outcome a)" "200 0"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "an idle keep-alive connection doesn't hold up the end" {
	start_turnstile
	local address=${URL#http://}
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	printf 'GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n' >&"$FD"
	read -r -t "$LIMIT" line <&"$FD"
	has 'HTTP/1.1 200' "$line"
	stop_turnstile
	equal "$STATUS" 0
	exec {FD}>&-
}

@test "while it drains no connection is accepted" {
	start_turnstile
	turn a k1
	kill "$TURNSTILE_PID"
	log_wait '.msg | test("drain|shutting"; "i")'
	wait_for '[[ $(curl -s -o /dev/null --max-time 1 -w "%{exitcode}" "$URL/v1/models") == 7 ]]'
	hang_up a
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "what streams longer than the drain timeout is cut" {
	start_turnstile -o listen.drain_timeout_ms=500
	turn a k1
	stop_turnstile
	await a
	equal "$(outcome a)" "200 18"
}

@test "a second SIGTERM ends at once" {
	start_turnstile
	turn a k1
	kill "$TURNSTILE_PID"
	log_wait '.msg | test("drain|shutting"; "i")'
	stop_turnstile
	await a
	equal "$(outcome a)" "200 18"
}

@test "SIGHUP reads the file again" {
	printf '[queue]\nmax_waiting = 10\n' >turnstile.ini
	start_turnstile --config turnstile.ini
	turn a k1
	printf '[queue]\nenabled = false\n' >turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg | test("reload|configuration"; "i")'
	served k1
}

@test "SIGHUP with a mistake in the file changes nothing and says why" {
	printf '[queue]\ntimeout_ms = 1000\n' >turnstile.ini
	start_turnstile --config turnstile.ini
	printf '[queue]\nenabled = false\ntimeout_ms = 1\n' >turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	wait_for "grep -q 'queue.timeout_ms' '$LOG'"
	has turnstile.ini:3 "$(cat "$LOG")"
	turn a k1
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
}

@test "SIGHUP with a change that needs a restart changes nothing and names it" {
	printf '[queue]\ntimeout_ms = 1000\n' >turnstile.ini
	start_turnstile --config turnstile.ini
	printf '[queue]\nenabled = false\n[upstream]\nurl = http://127.0.0.1:1\n[listen]\nmax_connections = 5\n' >turnstile.ini
	kill -HUP "$TURNSTILE_PID"
	wait_for "grep -q 'listen.max_connections' '$LOG'"
	turn a k1
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
}

@test "a port that is taken is named" {
	refused -o "listen.address=$RELAY"
	has "$RELAY" "$(cat said)"
	has "in use" "$(cat said)"
}

@test "a malformed upstream URL is named, with status 2" {
	refused -o upstream.url=localhost:3000
	equal "$STATUS" 2
	has upstream.url "$(cat said)"
	has http:// "$(cat said)"
}

@test "a malformed Redis URL is named, with status 2" {
	printf '[redis]\nurl = redis+sentinel://me:hunter2@localhost:26379\n' >turnstile.ini
	refused --config turnstile.ini
	equal "$STATUS" 2
	has 'turnstile.ini:2: ' "$(cat said)"
	has 'redis.url: has no name of a master' "$(cat said)"
	refused -o redis.url=redis://hunter2@localhost
	equal "$STATUS" 2
	has redis.url "$(cat said)"
	lacks hunter2 said
}

@test "unknown options and bad values are all named, with status 2" {
	printf '[queue]\ndelay = 5\ntimeout_ms = 5\n\n[listen]\nadress = x\n' >turnstile.ini
	refused --config turnstile.ini -o queue.nothing=1
	equal "$STATUS" 2
	has turnstile.ini:2 "$(cat said)"
	has turnstile.ini:3 "$(cat said)"
	has listen.address "$(cat said)"
	has queue.nothing "$(cat said)"
	has "1000 to 86400000" "$(cat said)"
}

@test "a file that isn't there is named" {
	refused --config nowhere.ini
	has nowhere.ini "$(cat said)"
}

@test "the relay's own environment variables count" {
	TURNSTILE_ENV=(USER_MESSAGE_QUEUE_ENABLED=false)
	start_turnstile
	turn a k1
	served k1
}

@test "--check, --print-config, --help and --version start nothing" {
	run_turnstile --check -o queue.delay_ms=1
	has 'delay_ms = 1' "$(run_turnstile --print-config -o queue.delay_ms=1)"
	run_turnstile --print-config -o redis.url=redis://:hunter2@localhost >printed
	has 'redis://' "$(cat printed)"
	lacks hunter2 printed
	has queue.delay_ms "$(run_turnstile --help)"
	has turnstile "$(run_turnstile --version)"
	refused --check -o queue.delay_ms=x
	equal "$STATUS" 2
}

@test "hash-key names a key as the log does" {
	equal "$(echo k1 | run_turnstile hash-key)" "$(key_account k1)"
	start_turnstile
	served k1
	exchange_wait ".account == \"$(key_account k1)\""
}

@test "hash-key takes a key of any length, from standard input only" {
	local long
	long=$(head -c 6000 /dev/zero | tr '\0' k)
	equal "$(echo "$long" | run_turnstile hash-key)" \
		"$(echo '{}' | run_turnstile explain -H "x-api-key: $long" | jq -r .account)"
	refused hash-key k1
	equal "$STATUS" 2
	has 'give the key on standard input' "$(cat said)"
}
