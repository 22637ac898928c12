#!/usr/bin/env bats
# The fake relay itself: that it does what the other tests rely on.
load helpers

setup() {
	prepare
	start_relay
	URL=http://$RELAY
}
teardown() { clean_up; }

fault() { ask k1 -o body -w '%{http_code} %{exitcode}' -H "X-Relay-Fault: $1" "${@:2}" 2>/dev/null || true; }

@test "a stream has the real sequence of events" {
	ask k1 -H 'X-Relay-Events: 2' -D head >body
	has 'text/event-stream' "$(header content-type head)"
	equal "$(sed -n 's/^event: //p' body | paste -sd' ')" \
		"message_start content_block_start ping content_block_delta content_block_delta content_block_stop message_delta message_stop"
	sed -n 's/^data: //p' body | jq -e '.type' >/dev/null
}

@test "requests of one tag are waited for by their number" {
	ask k1 -o /dev/null -H 'X-Relay-Tag: a'
	relay_wait tag=a phase=headers
	equal "$(http -o /dev/null -w '%{http_code}' "$URL/__relay/wait?tag=a&times=2&limit_ms=50")" 408
	held a k1 # its own is what is waited for
	relay_wait tag=a phase=headers times=2
	relay_go
	await a
	held a k1
	equal "$(relay_stats '[.requests[] | select(.tag == "a")] | length')" 3
	relay_go
	await a
}

@test "without stream it is one message" {
	http --data '{"messages":[]}' "$URL/v1/messages" | jq -e '.type == "message" and .role == "assistant"'
}

@test "stream is found wherever a body is split" {
	local i body='{"x":"y","stream" : true}'
	for ((i = 1; i < ${#body}; i++)); do
		exec {fd}<>"/dev/tcp/${RELAY/:/\/}"
		printf 'POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Relay-Events: 0\r\nTransfer-Encoding: chunked\r\n\r\n' >&"$fd"
		printf '%x\r\n%s\r\n%x;ext=1\r\n%s\r\n0\r\nTrailer: x\r\n\r\n' "$i" "${body:0:i}" $((${#body} - i)) "${body:i}" >&"$fd"
		has message_stop "$(cat <&"$fd")"
		exec {fd}>&-
	done
}

@test "errors have the API's shape" {
	equal "$(ask k1 -H 'X-Relay-Status: 529' -w '%{http_code}' -o body)" 529
	jq -e '.type == "error" and .error.type == "overloaded_error" and .request_id' body
}

@test "echo tells what was received" {
	printf hello >hello
	http -T hello "$URL/echo/a//../b?c=%2F" --path-as-is -H 'X-Two:  b ' >body
	equal "$(jq -r .request_line body)" "PUT /echo/a//../b?c=%2F HTTP/1.1"
	equal "$(jq -r .body_sha256 body)" "$(sha256sum <hello | cut -d' ' -f1)"
	jq -e '.headers | index("X-Two:  b ")' body
}

@test "a mistake in the script is an error" {
	equal "$(ask k1 -H 'X-Relay-Event: 2' -o /dev/null -w '%{http_code}')" 400
	equal "$(ask k1 -H 'X-Relay-Fault: none' -o /dev/null -w '%{http_code}')" 400
}

@test "a tool is called, until its result is there" {
	local tool='X-Relay-Tool: Bash {"command":"echo \"a\""}'
	ask k1 -H "$tool" >body
	equal "$(sed -n 's/^data: //p' body | jq -s -c '[.[].delta | select(.partial_json) | .partial_json | fromjson]')" \
		'[{"command":"echo \"a\""}]'
	equal "$(sed -n 's/^data: //p' body | jq -s -c '[.[].content_block // empty | [.type, .name, .input]]')" '[["tool_use","Bash",{}]]'
	has '"stop_reason":"tool_use"' "$(cat body)"
	has '"stop_reason":"end_turn"' "$(ask_tool k1 -H "$tool")"
	equal "$(http --data '{"messages":[]}' -H "$tool" "$URL/v1/messages" | jq -c '[.stop_reason, .content[0].input.command]')" \
		'["tool_use","echo \"a\""]'
	equal "$(ask k1 -H 'X-Relay-Tool: Bash' -o /dev/null -w '%{http_code}')" 400
}

@test "a script may be for the first of a kind only" {
	local i
	for i in 1 2 3; do
		ask k1 -H 'X-Relay-Status: 503' -H 'X-Relay-First: 2' -H 'X-Relay-Tag: a' -o /dev/null -w '%{http_code} '
	done >statuses
	ask k1 -H 'X-Relay-Status: 503' -H 'X-Relay-First: 2' -H 'X-Relay-Tag: b' -o /dev/null -w '%{http_code}' >>statuses
	equal "$(cat statuses)" '503 503 200 503'
}

@test "overlap and order are counted per account" {
	ask_later a k1 -H 'X-Relay-Fault: stall'
	relay_wait tag=a phase=headers
	ask_later b k1 -H 'X-Relay-Fault: stall'
	relay_wait active=2 account=k1
	ask k2 -o /dev/null
	hang_up a
	relay_wait tag=a phase=aborted
	equal "$(relay_stats '.accounts.k1 | [.max_overlap, .active, .aborted, .order]')" '[2,1,1,["a","b"]]'
	equal "$(relay_stats '.accounts.k2 | [.max_overlap, .completed]')" '[1,1]'
	equal "$(relay_stats .all.max_overlap)" 3
}

@test "what isn't counted doesn't overlap" {
	ask_later a k1 -H 'X-Relay-Fault: stall' -H 'X-Relay-Uncounted: 1'
	relay_wait tag=a phase=headers
	equal "$(relay_stats '.all | [.seen, .active]')" '[1,0]'
}

@test "a wait that doesn't come about ends with 408" {
	equal "$(http -o /dev/null -w '%{http_code}' "$URL/__relay/wait?seen=1&limit_ms=50")" 408
}

@test "reset forgets, also what is running" {
	ask_later a k1 -H 'X-Relay-Fault: stall'
	relay_wait tag=a phase=headers
	relay_reset
	equal "$(relay_stats '.all.seen, (.requests | length)' | paste -sd' ')" "0 0"
	hang_up a
	ask k1 -o /dev/null
	equal "$(relay_stats '.accounts.k1.seen')" 1
}

@test "the bytes are those of yes, in every framing" {
	local n=3000001 f
	for f in chunked length close; do
		equal "$(http "$URL/x" -H "X-Relay-Bytes: $n" -H "X-Relay-Framing: $f" | sha256sum)" \
			"$(yes 123456789 | head -c $n | sha256sum)"
	done
}

@test "a reader that stops costs the relay no memory" {
	http "$URL/x" -H 'X-Relay-Bytes: 2000000000' -H 'X-Relay-Tag: big' --limit-rate 1k -o /dev/null --max-time 60 3>&- &
	CLIENTS+=($!)
	relay_wait tag=big phase=headers
	equal "$(http "$URL/x" -H 'X-Relay-Bytes: 50000000' | wc -c)" 50000000
	(($(awk '/^VmHWM/ {print $2}' "/proc/$RELAY_PID/status") < 400000))
}

@test "pauses are kept" {
	local t
	t=$(ask k1 -H 'X-Relay-Delay-Ms: 100' -H 'X-Relay-Events: 4' -H 'X-Relay-Interval-Ms: 50' -o /dev/null -w '%{time_total}')
	((10#${t/./} >= 300000))
}

@test "pauses end when they are told to" {
	held a k1
	relay_go
	await a
	equal "$(outcome a)" "200 0"
	has message_stop "$(cat a.body)"
}

@test "faults before the response" {
	equal "$(fault refuse-late)" "000 52"
	equal "$(fault reset)" "000 56"
	equal "$(fault garbage)" "000 1"
	equal "$(fault silent --max-time 1)" "000 28"
}

@test "faults within the response" {
	equal "$(fault cut-body -H 'X-Relay-Cut-After: 4')" "200 18"
	equal "$(grep -c '^event: ' body)" 5
	equal "$(fault cut-body -H 'X-Relay-Framing: close' -H 'X-Relay-Cut-After: 4')" "200 56"
	equal "$(fault cut-body -H 'X-Relay-Framing: length')" "200 18"
	equal "$(fault stall -H 'X-Relay-Cut-After: 2' --max-time "$(scaled 3)")" "200 28"
	equal "$(grep -c '^event: ' body)" 2
}

@test "connections that don't last" {
	equal "$(fault close-idle -D head)" "200 0"
	lacks '^connection:' head
	equal "$(ask k1 -o body -H 'X-Relay-Fault: stale' -o body2 "$URL/echo" -w '%{http_code}/%{num_connects} ')" \
		"200/1 200/1 "
	equal "$(relay_stats .stale)" 1
}

@test "an answer before the end of the body" {
	head -c 5000000 /dev/zero >zeros
	equal "$(http -T zeros "$URL/x" -H 'X-Relay-Fault: early-413' -o body -w '%{http_code}')" 413
	jq -e '.error.type == "request_too_large"' body
}

@test "interim responses come first" {
	fault interim -D head
	equal "$(grep -o '^HTTP/1.1 [0-9]*' head | paste -sd' ')" "HTTP/1.1 103 HTTP/1.1 100 HTTP/1.1 200"
}

@test "the body may wait" {
	head -c 5000000 /dev/zero >zeros
	equal "$(http -T zeros "$URL/echo" -H 'X-Relay-Read-Pause-Ms: 100' | jq .body_bytes)" 5000000
}
