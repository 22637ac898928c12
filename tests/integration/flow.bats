#!/usr/bin/env bats
# A request's way through: bytes, streaming, what passes and what queues, connections to the relay.
load helpers
load admin

CROWD=$BATS_TEST_DIRNAME/crowd.py

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

sha() { sha256sum "$@" | cut -d' ' -f1; }

# peak_kb: the most memory that turnstile has had. A sanitizer keeps what was freed: it says nothing.
peak_kb() {
	if grep -qE '__(asan|tsan)_init' "$TURNSTILE"; then
		echo 0
	else
		awk '/^VmHWM/ {print $2}' "/proc/$TURNSTILE_PID/status"
	fi
}

@test "body, target and headers of a user message arrive as they were sent" {
	start_turnstile
	{ printf '{ "messages" :\t[{"role":"user","content":"\\u00e9 \xc3\xa9 1.0e+2"}],\r\n "a":1,"a":2 }  '; } >body
	http -X POST "$URL/echo/./v1//../v1/messages?beta=true&x=%2F%zz" --path-as-is --data-binary @body \
		-H 'X-Custom: One,  two' -H 'X-Custom: three' -H 'anthropic-beta: a,b' -H 'x-api-key: k1' \
		-H 'User-Agent: Test/1.0' -H 'Accept-Encoding: gzip, br' -H 'Content-Type: application/json' >echo
	equal "$(jq -r .request_line echo)" \
		'POST /echo/./v1//../v1/messages?beta=true&x=%2F%zz HTTP/1.1'
	equal "$(jq -r .body_sha256 echo)" "$(sha body)"
	equal "$(jq -r '.headers[] | select(test("^x-custom:"; "i"))' echo)" $'X-Custom: One,  two\nX-Custom: three'
	jq -e '.headers | index("x-api-key: k1") and index("User-Agent: Test/1.0") and
		index("Accept-Encoding: gzip, br") and index("anthropic-beta: a,b")' echo
	exchange_wait '.kind == "user_message"'
}

@test "nothing is added that the client did not send, hop-by-hop fields stay behind" {
	start_turnstile
	http "$URL/echo" -H 'User-Agent:' -H 'Accept:' -H 'Connection: X-Hop' -H 'X-Hop: 1' \
		-H 'Keep-Alive: 5' -H 'TE: gzip' >echo
	jq -r '.headers[]' echo >headers
	has Host: "$(cat headers)"
	lacks '^(accept|user-agent|content-type|expect|x-hop|keep-alive|te|transfer-encoding):' headers
}

@test "the response comes as it was sent, with its headers" {
	start_turnstile
	ask k1 -D head -o body -H 'X-Relay-Header: X-Twice: 1' -H 'X-Relay-Header: X-Twice: 2' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-status: allowed'
	equal "$(header x-twice head)" $'1\n2'
	equal "$(header anthropic-ratelimit-unified-status head)" allowed
	equal "$(header content-type head)" 'text/event-stream; charset=utf-8'
	has req_relay_ "$(header request-id head)"
	equal "$(header date head | wc -l)" 1
	http "http://$RELAY/v1/messages" -d '{"stream":true}' | sed s/msg_relay_......// >wanted
	equal "$(sed s/msg_relay_......// body)" "$(cat wanted)"
}

@test "an upstream's error is passed on with status, body and retry-after" {
	start_turnstile
	equal "$(ask k1 -D head -o body -w '%{http_code}' -H 'X-Relay-Status: 429' \
		-H 'X-Relay-Header: retry-after: 7')" 429
	equal "$(header retry-after head)" 7
	jq -e '.error.type == "rate_limit_error"' body
	served k1 --max-time $((7 + $(scaled 6))) # the account is held for these seven
}

@test "events reach the client while the upstream still streams" {
	start_turnstile
	turn a k1
	wait_for "grep -q 'event: ping' a.body"
	equal "$(grep -c '^event:' a.body)" 3
	has 'queue;dur=' "$(header server-timing a.head)"
}

@test "tool results, other paths and methods pass while a user message has the turn" {
	start_turnstile
	turn a k1
	has message_stop "$(ask_tool k1)"
	equal "$(http -H 'x-api-key: k1' "$URL/v1/messages/count_tokens?beta=true" -d "$(user_body)")" '{"input_tokens":10}'
	equal "$(http -H 'x-api-key: k1' -o /dev/null -w '%{http_code}' "$URL/v1/models")" 200
	equal "$(http -H 'x-api-key: k1' -o /dev/null -w '%{http_code}' -X PUT "$URL/echo/v1/messages" -d "$(user_body)")" 200
	equal "$(http -I -o /dev/null -w '%{http_code}' "$URL/")" 200
	equal "$(http -I -o /dev/null -w '%{http_code}' "$URL/api/hello")" 200
	exchange_wait true 6
	equal "$(exchanges 'select(.wait_ms > 0)')" ""
}

@test "a user message waits until the one before it has streamed its last event" {
	start_turnstile
	ask_later a k1 -H 'X-Relay-Events: 3' -H 'X-Relay-Interval-Ms: 200'
	relay_wait tag=a
	ask_later b k1
	await a b
	equal "$(outcome a), $(outcome b)" "200 0, 200 0"
	equal "$(relay_stats '.accounts.k1 | [.max_overlap, .order]')" '[1,["a","b"]]'
}

@test "with release_on = headers the turn ends when the response begins" {
	start_turnstile -o queue.release_on=headers
	turn a k1
	served k1
	exchange_wait true
	equal "$(exchanges | wc -l)" 1
}

@test "with queue.enabled = false nothing waits" {
	start_turnstile -o queue.enabled=false
	turn a k1
	served k1
	becomes other exchanges .kind
}

@test "queue.paths says what is looked at" {
	start_turnstile -o queue.paths=/v1/other
	turn a k1
	served k1
	becomes other exchanges .kind
}

@test "the account may come from a header" {
	start_turnstile -o account.source=header:X-Account,api-key
	turn a k1 -H 'X-Account: one'
	served k1
	served k1 -H 'X-Account: two'
	ask_later b k2 -H 'X-Account: one'
	sent b
	hang_up a
	await b
	exchange_wait '.account == "one"' 2
	equal "$(exchanges 'select(.account == "one") | .position' | paste -sd' ')" "0 1"
}

@test "a connection without a request is closed in time" {
	start_turnstile -o listen.idle_timeout_ms=1000
	local address=${URL#http://}
	timeout "$LIMIT" socat -u "TCP:$address" - >answer
	equal "$(cat answer)" ""
	exec {FD}<>"/dev/tcp/${address/:/\/}"
	printf 'GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n' >&"$FD"
	timeout "$LIMIT" cat <&"$FD" >answer
	exec {FD}>&-
	has 'HTTP/1.1 200' "$(head -n 1 answer)"
}

@test "a large upload streams through with little memory" {
	start_turnstile
	passed
	local before
	before=$(peak_kb)
	head -c 100000000 /dev/zero | http -T - "$URL/echo/v1/files" -H 'X-Relay-Read-Pause-Ms: 300' \
		--max-time $((6 * LIMIT)) >echo
	equal "$(jq -c '[.body_bytes, .chunked]' echo)" '[100000000,true]'
	equal "$(jq -r .body_sha256 echo)" "$(head -c 100000000 /dev/zero | sha)"
	(($(peak_kb) - before < 32000))
}

@test "an upload with a length keeps its length" {
	start_turnstile
	head -c 3000000 /dev/zero >zeros
	http -T zeros "$URL/echo/v1/files" >echo
	equal "$(jq -c '[.body_bytes, .chunked]' echo)" '[3000000,false]'
	jq -e '.headers | map(ascii_downcase) | index("content-length: 3000000")' echo
}

@test "a large download to a slow reader costs little memory" {
	start_turnstile
	passed
	local before
	before=$(peak_kb)
	http "$URL/x" -H 'X-Relay-Bytes: 100000000' --limit-rate 40M --max-time $((6 * LIMIT)) | sha >sum
	equal "$(cat sum)" "$(yes 123456789 | head -c 100000000 | sha)"
	(($(peak_kb) - before < 32000))
}

# buffered: how many bytes of bodies turnstile keeps.
buffered() { http -f "$ADMIN/metrics" | awk '$1 == "turnstile_buffered_bytes" {print $2}'; }

@test "while a response streams, nothing of its request is kept" {
	start_turnstile
	user_body "$(head -c 3000000 /dev/zero | tr '\0' x)" >large
	BODY=large held a k1
	becomes 0 buffered
	ask_later b k1
	becomes "$(user_body | wc -c)" buffered # it waits, and is all that is kept
	relay_go
	await a b
	equal "$(outcome a), $(outcome b)" "200 0, 200 0"
}

@test "every framing of a response arrives whole" {
	start_turnstile
	local f
	for f in chunked length close; do
		equal "$(http "$URL/x" -H "X-Relay-Framing: $f" -H 'X-Relay-Bytes: 300001' | sha)" \
			"$(yes 123456789 | head -c 300001 | sha)"
	done
	equal "$(http "$URL/x" -H 'X-Relay-Bytes: 0' -o /dev/null -w '%{http_code} %{size_download}')" "200 0"
	equal "$(http "$URL/" -H 'X-Relay-Status: 204' -o /dev/null -w '%{http_code}')" 204
}

@test "interim responses of the upstream don't disturb" {
	start_turnstile
	has message_stop "$(ask k1 -H 'X-Relay-Fault: interim' -D head)"
	equal "$(grep -c '^HTTP/1.1 200' head)" 1
}

@test "a client that expects 100-continue gets it" {
	start_turnstile
	has message_stop "$(ask k1 -H 'Expect: 100-continue' --expect100-timeout 10)"
}

@test "a chunked user message is queued as any other" {
	start_turnstile
	user_body >body
	has message_stop "$(http -N -X POST -T body -H 'Transfer-Encoding: chunked' -H 'x-api-key: k1' "$URL/v1/messages")"
	exchange_wait '.kind == "user_message" and .outcome == "answered"'
	equal "$(relay_stats '.requests[0].body_sha256')" "$(sha body)"
}

@test "connections to the upstream are used again" {
	start_turnstile
	local i
	for i in 1 2 3 4 5; do
		ask k1 -o /dev/null
	done
	equal "$(relay_stats '[.requests[].connection] | unique | length')" 1
}

@test "so are those of hundreds at once, who share no list of connections" {
	start_turnstile
	"$CROWD" each 300 "$URL" -- 'X-Relay-Interval-Ms: 3600000' >crowd.out 3>&- &
	CLIENTS+=($!)
	relay_wait active=300
	relay_go
	wait_for '[[ -s crowd.out ]]'
	equal "$(cat crowd.out)" '{"200":300}'
	equal "$("$CROWD" each 300 "$URL" 3>&-)" '{"200":300}'
	equal "$(relay_stats '[.requests[].connection] | unique | length')" 300
	ask k1 -o /dev/null
	equal "$(relay_stats '[.requests[].connection] | unique | length')" 300
}

@test "connections of clients are used again" {
	start_turnstile
	equal "$(ask k1 -o /dev/null "$URL/v1/models" -o /dev/null -w '%{num_connects} ')" "1 0 "
}

@test "a stale connection to the upstream is never shown to the client" {
	start_turnstile
	ask k1 -o /dev/null -H 'X-Relay-Fault: stale'
	served k1
	ask k1 -o /dev/null -H 'X-Relay-Fault: close-idle'
	served k1
	equal "$(relay_stats '.stale, .accounts.k1.seen' | paste -sd' ')" "1 4"
}

@test "a stale connection is noticed with a large body and with a tool result too" {
	start_turnstile
	user_body "$(head -c 3000000 /dev/zero | tr '\0' x)" >body
	ask k1 -o /dev/null -H 'X-Relay-Fault: stale'
	has message_stop "$(http -H 'x-api-key: k1' --data-binary @body "$URL/v1/messages")"
	ask k1 -o /dev/null -H 'X-Relay-Fault: stale'
	has message_stop "$(ask_tool k1)"
	equal "$(relay_stats .stale)" 2
	equal "$(relay_stats '.requests[1].body_sha256')" "$(sha body)"
}

@test "a request that the upstream may have read isn't sent again" {
	start_turnstile
	served k1
	equal "$(ask k1 -o /dev/null -w '%{http_code}' -H 'X-Relay-Fault: refuse-late')" 502
	equal "$(relay_stats .accounts.k1.seen)" 3 # at once: as if the kept connection had been stale
	equal "$(metric turnstile_upstream_resent_total)" 1
	served k1
	equal "$(ask k1 -o body -w '%{http_code}' -H 'X-Relay-Fault: refuse-late' -H 'X-Relay-Delay-Ms: 1300')" 502
	equal "$(relay_stats .accounts.k1.seen)" 5
	equal "$(metric turnstile_upstream_resent_total)" 1
	exchange_wait '.outcome == "upstream_broken" and (.error | test("may have been read"))'
}

@test "the upstream's path prefix goes in front" {
	start_turnstile -o "upstream.url=http://$RELAY/echo/claude"
	equal "$(http "$URL/v1/models?x" | jq -r .request_line)" "GET /echo/claude/v1/models?x HTTP/1.1"
	# "*" is no path, and none of those that are echoed
	equal "$(http -X OPTIONS --request-target '*' "$URL" -w '%{http_code}' -o star)" 404
}

@test "Host is the upstream's, the client's or a name" {
	start_turnstile
	has "Host: $RELAY" "$(http "$URL/echo" | jq -r '.headers[]')"
	stop_turnstile
	start_turnstile -o upstream.host=client
	has "Host: ${URL#http://}" "$(http "$URL/echo" | jq -r '.headers[]')"
	stop_turnstile
	start_turnstile -o upstream.host=relay.example
	has "Host: relay.example" "$(http "$URL/echo" | jq -r '.headers[]')"
}

# certificate: a throw-away authority's for localhost, in cert.pem and key.pem.
certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem \
		-out cert.pem -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null
	cat cert.pem key.pem >both.pem
}

# start_tls: https in front of the relay, on 127.0.0.1:$TLS_PORT.
start_tls() {
	certificate
	local try PORT
	for try in {1..20}; do
		new_port
		TLS_PORT=$PORT
		socat -d -d "OPENSSL-LISTEN:$TLS_PORT,bind=127.0.0.1,reuseaddr,fork,cert=both.pem,verify=0" \
			"TCP:$RELAY" 2>socat.log 3>&- &
		TLS_PID=$!
		wait_for "grep -q 'listening on' socat.log || ! running $TLS_PID"
		if running "$TLS_PID"; then
			PROCESSES+=("$TLS_PID")
			return
		fi
	done
	return 1
}

@test "an https upstream whose certificate is trusted" {
	start_tls
	start_turnstile -o "upstream.url=https://localhost:$TLS_PORT" -o upstream.ca_file=cert.pem
	has message_stop "$(ask k1)"
	served k1
}

@test "an https upstream whose certificate isn't trusted is refused" {
	start_tls
	start_turnstile -o "upstream.url=https://localhost:$TLS_PORT"
	equal "$(ask k1 -o body -w '%{http_code}')" 502
	equal "$(relay_stats .all.seen)" 0
	stop_turnstile
	start_turnstile -o "upstream.url=https://localhost:$TLS_PORT" -o upstream.tls_verify=false
	served k1
}

@test "it listens on a Unix socket too" {
	start_turnstile -o "listen.address=unix:$DIR/socket"
	URL=http://localhost
	has message_stop "$(ask k1 --unix-socket "$DIR/socket")"
}
