#!/usr/bin/env bats
# queue.mode = observe: nothing waits, and the log says who would have. And off.
load helpers

setup() {
	prepare
	start_peers
}
teardown() { clean_up; }

observed() { log_lines "select(.msg == \"observed\") | ${1:-.}"; }
observed_wait() { wait_for "[[ \$(observed 'select($1)' | wc -l) -ge ${2:-1} ]]"; }

@test "three at once go on at once; their turns would have come one after another" {
	start_turnstile -o queue.mode=observe
	local name
	for name in a b c; do
		ask_later $name k1 -H 'X-Relay-Fault: stall' -H 'X-Relay-Cut-After: 3'
		relay_wait "tag=$name" phase=headers
	done
	relay_wait active=3
	ends() { observed .would_end | wc -l; }
	becomes 1 ends
	for name in a b c; do
		hang_up $name
	done
	observed_wait '.would_end == "turn"' 3
	equal "$(observed .would_position | paste -sd' ')" "0 1 2"
	equal "$(observed .account | sort -u)" "$(key_account k1)"
	exchange_wait '.kind == "user_message" and .reason == "blocks" and .position == 0 and .wait_ms == 0' 3
	equal "$(exchanges '[.account, .would_position] | @csv' | sort | paste -sd' ')" \
		"\"$(key_account k1)\",0 \"$(key_account k1)\",1 \"$(key_account k1)\",2"
	equal "$(observed "select(.would_position == 0) | .would_wait_ms < $(scaled 1000)")" true
	equal "$(observed 'select(.would_position == 2) | .would_wait_ms > 0')" true
}

@test "who would have been refused is told" {
	start_turnstile -o queue.mode=observe -o "queue.timeout_ms=$(scaled 1000 60000)" -o queue.max_waiting=1
	turn a k1
	turn b k1
	turn c k1
	observed_wait ".would_end == \"queue_full\" and .would_wait_ms < $(scaled 1000)"
	observed_wait '.would_end == "queue_timeout" and .would_wait_ms >= 990'
	equal "$(relay_stats '[.requests[].tag]')" '["a","b","c"]'
	# and remembered, apart from what really happened
	remembered() {
		http -f "$ADMIN/api/history?by=account" | jq -c '[.rows[].observed] | [(map(.turns) | add), (map(.refused) | add)]'
	}
	becomes '[1,2]' remembered
	equal "$(http -f "$ADMIN/api/history" | jq '[.rows[] | .turns + .refused + .left] | add')" 0
}

@test "what nobody would have held isn't observed" {
	start_turnstile -o queue.mode=observe -o queue.exempt=model:claude-fake-2
	ask_tool k1 -o /dev/null
	post k1 "$(user_body | sed s/fake-1/fake-2/)"
	curl "${POST[@]}" -o /dev/null
	ask k1 -o /dev/null
	observed_wait true
	exchange_wait true 3
	equal "$(observed .would_end)" turn
	equal "$(exchanges 'select(has("would_position")) | .kind')" user_message
}

@test "shadows and real requests don't wait for each other" {
	[[ $BACKEND == redis ]] || skip "two instances need a Redis"
	start_turnstile -o queue.mode=observe
	turn a k1
	start_turnstile -o redis.instance=enforcing
	served k1
	exchange_wait ".outcome == \"answered\" and .wait_ms < $(scaled 1000)"
}

@test "a body that would be too large to wait goes through" {
	start_turnstile -o queue.mode=observe -o listen.max_body_bytes=1KiB
	user_body "$(printf '%05000d' 0)" >large
	BODY=large post k1 ''
	equal "$(curl "${POST[@]}" -o /dev/null -w '%{http_code}')" 200
	equal "$(relay_stats '.requests[0].body_sha256')" "$(sha256sum <large | cut -d' ' -f1)"
}

@test "one whose length nobody says goes through as well, and one for which there is no room" {
	start_turnstile -o queue.mode=observe -o listen.max_body_bytes=1MiB -o listen.max_buffered_bytes=1MiB
	user_body "$(head -c 3000000 /dev/zero | tr '\0' x)" >large
	BODY=large post k1 ''
	equal "$(curl "${POST[@]}" -H 'Transfer-Encoding: chunked' -o /dev/null -w '%{http_code}')" 200
	equal "$(relay_stats '.requests[0].body_sha256')" "$(sha256sum <large | cut -d' ' -f1)"
	user_body "$(head -c 900000 /dev/zero | tr '\0' x)" >room
	BODY=room ask_later a k1 -H 'X-Relay-Delay-Ms: 60000'
	relay_wait tag=a phase=body
	BODY=room post k1 ''
	equal "$(curl "${POST[@]}" -o /dev/null -w '%{http_code}')" 200
	equal "$(relay_stats '.requests[2].body_sha256')" "$(sha256sum <room | cut -d' ' -f1)"
	hang_up a
}

@test "the mode changes on SIGHUP, and what was observed until then goes on" {
	printf '[queue]\nmode = observe\n' >t.ini
	start_turnstile --config t.ini
	turn a k1
	printf '[queue]\nmode = enforce\n' >t.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg == "reloaded"'
	turn b k1
	ask_later c k1
	in_line c k1 1
	equal "$(relay_stats '[.requests[].tag | select(. != "")]')" '["a","b"]'
	hang_up b
	await c
	equal "$(outcome c)" "200 0"
}

@test "shutdown ends turns that are only played" {
	start_turnstile -o queue.mode=observe -o listen.drain_timeout_ms=1000
	turn a k1
	turn b k1
	hang_up a
	stop_turnstile
	equal "$STATUS" 1 # b had to be cut
	log_wait '.msg == "stopped"'
	[[ $BACKEND != redis ]] || equal "$(redis keys 'user_msg_queue_lock:*')" ""
}

@test "off looks at nothing, whichever way it is said" {
	local option
	for option in queue.mode=off queue.enabled=false; do
		start_turnstile -o $option
		turn a k1
		served k1
		exchange_wait '.kind == "other" and .reason == "not_looked_at" and .account == null'
		hang_up a
		stop_turnstile
	done
}
