#!/usr/bin/env bats
# However an exchange ends, its turn or place is given back: each test ends by sending another
# request of the same account, which must be served at once. On the backend $BACKEND.
load helpers
load admin

setup() { prepare; }
teardown() { clean_up; }

fault() { ask k1 -o body -H "X-Relay-Fault: $1" -w '%{http_code} %{exitcode}' "${@:2}" 2>/dev/null || true; }

# ends_as OUTCOME [N]: the log says so of N exchanges.
ends_as() { exchange_wait ".outcome == \"$1\"" "${2:-1}"; }

# raw_request HEADERS BODY: opens a connection and sends this, with a length of 100000; then the
# descriptor is in FD.
raw_request() {
	local address=${URL#http://}
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	printf 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: k1\r\n%b\r\n%s' "$1" "$2" >&"$FD"
}

@test "answered" {
	start_all
	served k1
	served k1
}

@test "answered with an error by the upstream" {
	start_all
	equal "$(ask k1 -o /dev/null -w '%{http_code}' -H 'X-Relay-Status: 529')" 529
	served k1
}

@test "the upstream refuses the connection" {
	start_peers
	start_turnstile -o upstream.url=http://127.0.0.1:9 -o account.source=static:one -o upstream.connect_retry_ms=0
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 502
	equal "$(ask k1 -o /dev/null -w '%{http_code}' --max-time "$(scaled 6)")" 502
	ends_as upstream_unreachable 2
}

@test "the upstream closes without an answer" {
	start_all
	equal "$(fault refuse-late)" "502 0"
	ends_as upstream_broken
	served k1
}

@test "the upstream resets the connection" {
	start_all
	equal "$(fault reset)" "502 0"
	ends_as upstream_broken
	served k1
}

@test "the upstream sends garbage" {
	start_all
	equal "$(fault garbage)" "502 0"
	ends_as upstream_broken
	served k1
}

@test "the upstream is cut within the headers" {
	start_all
	equal "$(fault cut-headers)" "502 0"
	ends_as upstream_broken
	served k1
}

@test "the upstream is cut within the stream" {
	start_all
	equal "$(fault cut-body -H 'X-Relay-Cut-After: 4')" "200 18"
	ends_as upstream_broken
	served k1
}

@test "the upstream says nothing" {
	start_all -o upstream.request_timeout_ms=1500
	equal "$(fault silent)" "504 0"
	ends_as upstream_timeout
	served k1
}

@test "the upstream stops within the stream" {
	start_all -o upstream.request_timeout_ms=1500
	equal "$(fault stall -H 'X-Relay-Cut-After: 4')" "200 18"
	ends_as upstream_timeout
	served k1
}

@test "the upstream answers before the body has ended" {
	start_all
	user_body "$(head -c 8000000 /dev/zero | tr '\0' x)" >body
	equal "$(http -H 'x-api-key: k1' -H 'X-Relay-Fault: early-413' --data-binary @body \
		"$URL/v1/messages" -o /dev/null -w '%{http_code}')" 413
	served k1
}

@test "the client hangs up while uploading" {
	start_all
	raw_request 'Content-Length: 100000\r\n' '{"messages":['
	passed
	exec {FD}>&-
	ends_as client_gone
	served k1
}

@test "the client stops uploading" {
	start_all -o listen.stall_timeout_ms=1000
	raw_request 'Content-Length: 100000\r\n' '{"messages":['
	ends_as client_stalled
	exec {FD}>&-
	served k1
}

@test "the client hangs up while it waits" {
	start_all
	turn a k1
	ask_later b k1
	in_line b k1 1
	hang_up b
	ends_as client_gone
	equal "$(exchanges 'select(.outcome == "client_gone") | .position')" 1
	hang_up a
	ends_as client_gone 2
	served k1
	equal "$(relay_stats '.accounts.k1.order')" '["a",""]'
}

# bats test_tags=waits
@test "the client vanishes while it waits, without a word" {
	start_all
	turn a k1
	"$BATS_TEST_DIRNAME/vanish.py" "${URL#http://}" k1 >vanish.log 2>&1 3>&- &
	PROCESSES+=("$!")
	wait_for "[[ \$(queue k1 .waiting) == 1 ]] || ! running $!"
	! grep 'not permitted' vanish.log || skip "no TCP_REPAIR here, which lets a connection vanish"
	kill "${PROCESSES[-1]}"
	ended "${PROCESSES[-1]}"
	wait_for "[[ \$(exchanges 'select(.outcome == \"client_gone\")' | wc -l) == 1 ]]" 40
	hang_up a
	served k1
	equal "$(relay_stats '.accounts.k1.order')" '["a",""]'
}

@test "the upstream vanishes without a word: probes notice" {
	start_peers
	"$BATS_TEST_DIRNAME/vanish.py" --upstream >vanish.log 2>&1 3>&- &
	PROCESSES+=("$!")
	wait_for "grep -q listening vanish.log || ! running $!"
	start_turnstile -o "upstream.url=http://127.0.0.1:$(sed -n 's/listening on //p' vanish.log)" \
		-o upstream.keepalive_ms=1000 -o upstream.keepalive_timeout_ms=1000 -o account.source=static:one
	ask_later a k1
	wait_for "grep -q vanished vanish.log || ! running ${PROCESSES[-2]}"
	! grep 'not permitted' vanish.log || skip "no TCP_REPAIR here, which lets a connection vanish"
	await a # upstream.request_timeout_ms is 10 minutes
	ends_as upstream_broken
}

@test "the client hangs up while its delay runs" {
	start_all -o "queue.delay_ms=$(scaled 5000 10000)" -o queue.timeout_ms=60000
	served k1
	ask_later b k1
	sent b
	hang_up b
	ends_as client_gone
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 200
	equal "$(relay_stats .accounts.k1.seen)" 2
}

@test "the client hangs up before the headers" {
	start_all
	ask_later a k1 -H 'X-Relay-Fault: silent'
	relay_wait tag=a phase=body
	hang_up a
	relay_wait tag=a phase=aborted
	ends_as client_gone
	served k1
}

@test "the client hangs up within the stream" {
	start_all
	turn a k1
	hang_up a
	relay_wait tag=a phase=aborted
	ends_as client_gone
	served k1
}

@test "clients hang up within the stream while an older one is idle: none is kept" {
	local address i
	start_all
	address=${URL#http://}
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	printf 'GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n' >&"$FD"
	read -r -t "$LIMIT" line <&"$FD"
	has 'HTTP/1.1 200' "$line"
	for i in {1..20}; do
		held "c$i" "k$i"
		hang_up "c$i"
	done
	becomes 1 metric turnstile_connections
	stop_turnstile
	equal "$STATUS" 0
	exec {FD}>&-
}

@test "the client stops reading" {
	start_all -o listen.stall_timeout_ms=1000
	local body
	body=$(user_body)
	raw_request "X-Relay-Tag: a\\r\\nX-Relay-Bytes: 500000000\\r\\nContent-Length: ${#body}\\r\\n" "$body"
	relay_wait tag=a phase=aborted
	ends_as client_stalled
	exec {FD}>&-
	served k1
}

@test "the queue's timeout" {
	start_all -o queue.timeout_ms=1000
	turn a k1
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	ends_as queue_timeout
	hang_up a
	served k1
}

@test "the queue is full" {
	start_all -o queue.max_waiting=1
	turn a k1
	ask_later b k1
	in_line b k1 1
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	ends_as queue_full
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	served k1
}

@test "the turn is held too long" {
	start_all -o queue.lock_ttl_ms=1000 -o queue.max_hold_ms=1000
	turn a k1
	log_wait '.msg | test("lost")'
	served k1
	hang_up a
	served k1
}

@test "the lock is lost" {
	[[ $BACKEND == redis ]] || skip "nobody can take a lock away within one process"
	start_all -o queue.lock_ttl_ms=1500
	turn a k1
	redis set "user_msg_queue_lock:$(key_account k1)" somebody px 1000
	log_wait '.msg == "a turn was lost" and (.cause | test("another program"))'
	served k1
	hang_up a
	ends_as client_gone
	served k1
}

@test "the lock is deleted: the turn goes on, and that it may not have been alone is said, once" {
	[[ $BACKEND == redis ]] || skip "nobody can take a lock away within one process"
	start_all -o queue.lock_ttl_ms=1500
	turn a k1
	redis del "user_msg_queue_lock:$(key_account k1)"
	log_wait '.msg | test("may not have been alone")'
	equal "$(redis exists "user_msg_queue_lock:$(key_account k1)")" 1
	hands_on a b k1
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
	equal "$(log_lines 'select(.msg | test("may not have been alone")) | .account + " " + .cause')" \
		"$(key_account k1) its key was deleted, evicted or flushed"
	equal "$(metric turnstile_lost_turns_total)" 1
	served k1
}

@test "Redis goes and comes back" {
	[[ $BACKEND == redis ]] || skip "there is no Redis"
	start_all -o "redis.command_timeout_ms=$(scaled 500 3000)" -o redis.outage_ms=0 \
		-o "queue.lock_ttl_ms=$(scaled 2000 5000)"
	turn a k1
	ask_later b k1
	in_line b k1 1
	stop_redis
	await b
	equal "$(outcome b)" "503 0"
	equal "$(jq -r .error.type b.body)" queue_backend_error
	hang_up a
	ends_as client_gone
	start_redis "$REDIS_PORT"
	wait_for 'served k1'
	served k1
}

@test "SIGTERM: who waits is told, who streams ends, the next process serves at once" {
	start_all
	held a k1
	ask_later b k1
	in_line b k1 1
	kill "$TURNSTILE_PID"
	await b
	relay_go
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
	await a
	equal "$(outcome a), $(outcome b)" "200 0, 503 0"
	has message_stop "$(cat a.body)"
	equal "$(jq -r .error.code b.body)" SHUTTING_DOWN
	ends_as shutting_down
	start_turnstile -o redis.instance=another
	served k1
}

@test "a second SIGTERM: all is cut, the next process serves at once" {
	start_all
	turn a k1
	ask_later b k1
	in_line b k1 1
	kill "$TURNSTILE_PID"
	await b
	running "$TURNSTILE_PID"
	stop_turnstile
	await a
	equal "$(outcome a), $(outcome b)" "200 18, 503 0"
	start_turnstile -o redis.instance=another
	served k1
}

@test "a body that is too large" {
	start_all -o listen.max_body_bytes=100KiB -o listen.max_buffered_bytes=100KiB
	user_body "$(head -c 200000 /dev/zero | tr '\0' x)" >body
	equal "$(http -H 'x-api-key: k1' --data-binary @body "$URL/v1/messages" -o /dev/null -w '%{http_code}')" 413
	ends_as body_too_large
	served k1
}
