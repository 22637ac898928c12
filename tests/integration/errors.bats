#!/usr/bin/env bats
# What the client is told when it isn't the upstream that answers.
load helpers

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

# is_error NAME STATUS TYPE CODE: NAME.head and NAME.body are such an error.
is_error() {
	has "HTTP/1.1 $2" "$(head -n 1 "$1.head")" &&
		equal "$(jq -c '[.type, .error.type, .error.code]' "$1.body")" "[\"error\",\"$3\",\"$4\"]" &&
		jq -e '.error.message | length > 10' "$1.body" >/dev/null &&
		equal "$(header content-type "$1.head")" application/json &&
		equal "$(jq -r .request_id "$1.body")" "$(header request-id "$1.head")" &&
		becomes "$2" exchanges "select(.request_id == \"$(header request-id "$1.head")\") | .status"
}

# is_queue_error NAME TYPE CODE
is_queue_error() {
	is_error "$1" 503 "$2" "$3" && is_retried "$1" &&
		equal "$(header x-user-message-queue-error "$1.head")" "$2"
}

is_retried() {
	local after
	after=$(header retry-after "$1.head")
	equal "$(header x-should-retry "$1.head")" true && ((after >= 1 && after <= 60))
}

is_not_retried() {
	equal "$(header x-should-retry "$1.head")" "" && equal "$(header x-user-message-queue-error "$1.head")" ""
}

# told NAME [CURL ARGUMENT...]: asks and keeps what came.
told() { ask k1 -o "$1.body" -D "$1.head" "${@:2}"; }

@test "a relay that queues by itself is told of, once a minute" {
	start_all
	local i
	for i in 1 2; do
		equal "$(ask k1 -o /dev/null -w '%{http_code}' -H 'X-Relay-Status: 503' \
			-H 'X-Relay-Header: x-user-message-queue-error: queue_timeout')" 503
	done
	log_wait '.msg | test("the relay queues user messages by itself")'
	equal "$(log_lines 'select(.msg | test("relay queues")) | [.level, .error, .status]')" '["warn","queue_timeout",503]'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 200
}

@test "queue timeout" {
	start_turnstile -o queue.timeout_ms=1000
	turn a k1
	told b
	is_queue_error b queue_timeout QUEUE_TIMEOUT
	(($(header server-timing b.head | sed -n 's/.*queue;dur=\([0-9]*\).*/\1/p') >= 1000))
}

@test "a refusal says what is going on in its line" {
	start_turnstile -o queue.timeout_ms=1500
	turn a k1
	told c
	has "waited too long for the account's turn: 2 s so far, 1 request before it (about " "$(jq -r .error.message c.body)"
	has ' more), the present turn began ' "$(jq -r .error.message c.body)"
	has ' ago, its place in line is kept' "$(jq -r .error.message c.body)"
	equal "$(header retry-after c.head)" 1
}

@test "a script on a web page hears our own errors, and the relay's as they are" {
	start_turnstile -o queue.timeout_ms=1000 -o listen.max_target_bytes=300
	ask k1 -o a.body -D a.head -H 'Origin: https://example.org'
	equal "$(header access-control-allow-origin a.head)" ''
	turn b k1
	told c -H 'Origin: https://example.org'
	equal "$(header access-control-allow-origin c.head)" '*'
	has 'request-id, retry-after' "$(header access-control-expose-headers c.head)"
	told d
	equal "$(header access-control-allow-origin d.head)" ''
	http -o e.body -D e.head -H 'Origin: https://example.org' -d x "$URL/$(printf 'x%.0s' {1..500})" || true
	has 'HTTP/1.1 414' "$(head -n 1 e.head)"
	equal "$(header access-control-allow-origin e.head)" '*'
}

@test "queue full" {
	start_turnstile -o queue.max_waiting=1
	turn a k1
	ask_later b k1
	in_line b k1 1
	told c
	is_queue_error c queue_full QUEUE_FULL
}

@test "backend error" {
	start_turnstile -o redis.url=redis://127.0.0.1:9 -o redis.command_timeout_ms=300
	told b
	is_queue_error b queue_backend_error QUEUE_BACKEND_ERROR
}

@test "body too large, with and without a length" {
	start_turnstile -o listen.max_body_bytes=100KiB
	user_body "$(head -c 200000 /dev/zero | tr '\0' x)" >large
	BODY=large told b
	is_error b 413 request_too_large REQUEST_TOO_LARGE
	is_not_retried b
	BODY=large told c -H 'Transfer-Encoding: chunked'
	is_error c 413 request_too_large REQUEST_TOO_LARGE
	equal "$(relay_stats .all.seen)" 0
}

@test "a body that isn't queued may be larger" {
	start_turnstile -o listen.max_body_bytes=100KiB
	head -c 300000 /dev/zero >zeros
	equal "$(http -T zeros "$URL/echo" | jq .body_bytes)" 300000
}

@test "too many bytes wait" {
	start_turnstile -o listen.max_body_bytes=200KiB -o listen.max_buffered_bytes=300KiB \
		-o listen.max_buffered_share=100
	user_body "$(head -c 180000 /dev/zero | tr '\0' x)" >large
	turn a k1
	BODY=large ask_later b k1
	in_line b k1 1
	BODY=large told c
	is_error c 503 api_error BUFFERS_FULL
	is_retried c
	# What isn't looked at passes all the same.
	equal "$(http -d @large -o /dev/null -w '%{http_code}' "$URL/v1/messages/count_tokens")" 200
}

@test "those in line leave room for tool results" {
	start_turnstile -o listen.max_body_bytes=100KiB -o listen.max_buffered_bytes=400KiB \
		-o listen.max_buffered_share=100
	user_body "$(head -c 90000 /dev/zero | tr '\0' x)" >large
	tool_result_body | sed "s/a b c/$(head -c 90000 /dev/zero | tr '\0' x)/" >result
	turn a k1
	for name in b c d; do
		BODY=large ask_later "$name" k1
		sent "$name"
	done
	BODY=large told e
	is_error e 503 api_error BUFFERS_FULL
	exchange_wait '.outcome == "buffers_full" and .kind == "user_message"'
	equal "$(BODY=result ask k1 -o /dev/null -w '%{http_code}')" 200
	hang_up b # its room is free again
	exchange_wait '.outcome == "client_gone"'
	BODY=large ask_later g k1
	sent g
	hang_up a
	await c d g
	equal "$(outcome c), $(outcome d), $(outcome g)" "200 0, 200 0, 200 0"
}

@test "upstream unreachable" {
	start_turnstile -o upstream.url=http://127.0.0.1:9 -o upstream.connect_retry_ms=300
	told b
	is_error b 502 api_error UPSTREAM_ERROR
	is_retried b # nothing of it was sent
	exchange_wait '.outcome == "upstream_unreachable"'
}

@test "an upstream whose name doesn't resolve" {
	start_turnstile -o upstream.url=http://nothing.invalid -o upstream.connect_retry_ms=300
	told b
	is_error b 502 api_error UPSTREAM_ERROR
	exchange_wait '.outcome == "upstream_unreachable"'
}

@test "upstream broken" {
	start_turnstile
	local f
	for f in refuse-late reset garbage cut-headers; do
		told "$f" -H "X-Relay-Fault: $f"
		is_error "$f" 502 api_error UPSTREAM_ERROR
	done
	exchange_wait '.outcome == "upstream_broken"' 4
}

@test "upstream timeout" {
	start_turnstile -o upstream.request_timeout_ms=1000
	told b -H 'X-Relay-Fault: silent'
	is_error b 504 timeout_error UPSTREAM_TIMEOUT
}

@test "upstream can't be connected in time" {
	# 192.0.2.0/24 is never assigned; without a route it is unreachable instead.
	start_turnstile -o upstream.url=http://192.0.2.1 -o upstream.connect_timeout_ms=300 -o upstream.connect_retry_ms=0
	told b --max-time "$(scaled 10)"
	is_error b 502 api_error UPSTREAM_ERROR
}

@test "shutting down" {
	start_turnstile
	turn a k1
	ask_later b k1
	in_line b k1 1
	kill "$TURNSTILE_PID"
	await b
	is_error b 503 api_error SHUTTING_DOWN
	is_retried b
	hang_up a
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "a cut response is cut for the client in every framing, never completed" {
	start_turnstile
	local f
	for f in chunked length; do
		equal "$(told "$f" -H 'X-Relay-Fault: cut-body' -H 'X-Relay-Cut-After: 4' \
			-H "X-Relay-Framing: $f" -w '%{http_code} %{exitcode}' 2>/dev/null)" "200 18"
		equal "$(grep -c '^event: ' "$f.body")" 5
		exchange_wait '.outcome == "upstream_broken" and .status == 200'
	done
	told close -H 'X-Relay-Fault: cut-body' -H 'X-Relay-Cut-After: 4' -H 'X-Relay-Framing: close' \
		2>/dev/null && return 1
	equal "$(grep -c message_stop close.body)" 0
}

@test "an answer that only looks complete is cut: the last chunk is missing" {
	start_turnstile
	equal "$(told b -H 'X-Relay-Fault: cut-body' -H 'X-Relay-Cut-After: 1000' \
		-w '%{exitcode}' 2>/dev/null)" 18
	equal "$(grep -c message_stop b.body)" 2
}

@test "what isn't HTTP gets an error, not silence, and hurts nobody" {
	start_turnstile
	turn a k1
	local address=${URL#http://}
	printf 'this is no HTTP\r\n\r\n' | socat -t5 - "TCP:$address" >answer || true
	printf 'GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n' | socat -t5 - "TCP:$address" >answer || true
	has 'HTTP/1.1 400' "$(cat answer)"
	served k2
}
