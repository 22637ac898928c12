#!/usr/bin/env bats
# A client that waits for a stream hears pings until its turn, then the relay's events, or one error event.
load helpers
load admin

PINGS=(-o queue.heartbeat_after_ms=200 -o queue.heartbeat_ms=200)

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# events NAME: what a parser of event streams makes of NAME.body.
events() { python3 "$BATS_TEST_DIRNAME/sse.py" <"$1.body"; }

# pings NAME: how many it has so far.
pings() { grep -c '^event: ping$' "$1.body" || true; }

# pinged NAME N: until it has so many.
pinged() { wait_for "[[ \$(pings $1) -ge $2 ]]"; }

# behind_pings NAME: what came behind our own pings, to behind.
behind_pings() {
	python3 - "$1.body" >behind <<-'END'
		import sys
		ping = b'event: ping\ndata: {"type": "ping"}\n\n'
		body = open(sys.argv[1], "rb").read()
		assert body.startswith(ping), body[:100]
		while body.startswith(ping):
		    body = body[len(ping):]
		sys.stdout.buffer.write(body)
	END
}

# wait_behind NAME [CURL ARGUMENT...]: a request that stands behind another's turn, which relay_go ends.
wait_behind() {
	held holder k1
	ask_later "$1" k1 "${@:2}"
}

# error_of NAME: the last event, and nothing behind it, is an error; prints its object.
error_of() {
	equal "$(events "$1" | tail -n 2 | head -n 1 | jq -r .event)" error
	equal "$(events "$1" | tail -n 1)" end
	events "$1" | tail -n 2 | head -n 1 | jq -r .data | jq -c .
}

@test "pings until the turn, then the relay's events byte for byte" {
	start_turnstile "${PINGS[@]}"
	wait_behind a -H 'X-Relay-Header: X-Late: 1' -H 'Origin: https://example.org'
	pinged a 3
	equal "$(header access-control-allow-origin a.head)" '*'
	equal "$(header content-type a.head)" 'text/event-stream; charset=utf-8'
	has 'HTTP/1.1 200' "$(cat a.head)"
	has req_ "$(header request-id a.head)"
	relay_go
	await a holder
	equal "$(outcome a)" '200 0'
	equal "$(events a | tail -n 1)" end
	behind_pings a
	http "http://$RELAY/v1/messages" -d '{"stream":true}' | sed s/msg_relay_......// >wanted
	equal "$(sed s/msg_relay_......// behind)" "$(cat wanted)"
	exchange_wait '.wait_ms > 500' 1
	equal "$(exchanges 'select(.wait_ms > 500) | [.outcome, .status, .event_status, .position] | tostring')" \
		'["answered",200,null,1]'
	equal "$(metric turnstile_heartbeat_responses_total)" 1
	(($(metric turnstile_heartbeats_total) >= 3))
}

@test "a ping each heartbeat_ms, the first one after heartbeat_after_ms" {
	start_turnstile -o queue.heartbeat_after_ms=1500 -o queue.heartbeat_ms=300
	local start
	start=$(now_ms)
	wait_behind a
	rest 1000 # too early for one
	[[ ! -s a.body ]] || (($(now_ms) - start >= 1500))
	pinged a 4
	(($(now_ms) - start >= 1500 + 3 * 300))
	(($(now_ms) - start < 2400 + $(scaled 3000)))
	relay_go
	await a holder
}

@test "no stream asked for, no wait, only observed: nothing of it is heard" {
	start_turnstile "${PINGS[@]}"
	held holder k1
	post k1 "$(user_body | sed 's/,"stream":true//')"
	curl "${POST[@]}" --max-time "$LIMIT" -D plain.head -o plain.body -H 'X-Relay-Tag: plain' 3>&- &
	CLIENTS+=($!)
	local plain=$!
	rest 1000 # five times what PINGS wait
	[[ ! -s plain.head ]]
	ask_tool k1 -o tool.body
	lacks 'event: ping' <(head -c 40 tool.body)
	relay_go
	wait_for "! running $plain"
	has 'HTTP/1.1 200' "$(cat plain.head)"
	jq -e '.type == "message"' plain.body
	await holder
	ask k1 -o alone.body
	has message_start "$(head -n 1 alone.body)"
	stop_turnstile

	start_turnstile "${PINGS[@]}" -o queue.mode=observe
	held holder k1
	ask k1 -o observed.body -H 'X-Relay-Delay-Ms: 700'
	has message_start "$(head -n 1 observed.body)"
	relay_go
	await holder
}

@test "the relay's error is one event with its own object, and the log tells both statuses" {
	start_turnstile "${PINGS[@]}"
	wait_behind a -H 'X-Relay-Status: 529'
	pinged a 1
	relay_go
	await a holder
	equal "$(outcome a)" '200 0'
	equal "$(error_of a | jq -r '[.type, .error.type] | tostring')" '["error","overloaded_error"]'
	exchange_wait '.event_status == 529'
	equal "$(exchanges 'select(.event_status == 529) | [.outcome, .status] | tostring')" '["answered",200]'
	equal "$(http "$ADMIN/metrics" | sed -n 's/^turnstile_upstream_responses_total{class="5xx"} //p')" 1
	served k1
}

@test "our own error is one event too" {
	start_turnstile "${PINGS[@]}" -o queue.timeout_ms="$(scaled 1500 60000)"
	wait_behind a
	await a
	equal "$(outcome a)" '200 0'
	equal "$(error_of a | jq -r .error.type)" queue_timeout
	(($(pings a) >= 1))
	exchange_wait '.outcome == "queue_timeout"'
	equal "$(exchanges 'select(.outcome == "queue_timeout") | [.status, .event_status] | tostring')" '[200,503]'
	relay_go
	await holder
}

@test "a relay that breaks off, or can't be reached any more" {
	start_turnstile "${PINGS[@]}"
	wait_behind a -H 'X-Relay-Fault: cut-body' -H 'X-Relay-Cut-After: 2'
	pinged a 1
	relay_go
	await a holder
	equal "$(outcome a)" '200 18' # a part never looks like all
	lacks '^event: error' a.body
	wait_behind b -H 'X-Relay-Fault: cut-headers'
	pinged b 1
	relay_go
	await b holder
	equal "$(outcome b)" '200 0'
	equal "$(error_of b | jq -r .error.type)" api_error
}

@test "HTTP/1.0: whole, and cut" {
	start_turnstile "${PINGS[@]}"
	wait_behind a --http1.0
	pinged a 1
	relay_go
	await a holder
	equal "$(outcome a)" '200 0'
	has message_stop "$(tail -n 3 a.body)"
	equal "$(events a | tail -n 1)" end
	wait_behind b --http1.0 -H 'X-Relay-Fault: cut-body' -H 'X-Relay-Cut-After: 2'
	pinged b 1
	relay_go
	await b holder
	equal "$(outcome b)" '200 56' # reset: nothing else says there that it isn't all
}

@test "a client that doesn't read keeps nobody's turn, and misses nothing" {
	start_turnstile "${PINGS[@]}"
	held holder k1
	python3 - "${URL#http://}" "$(user_body)" >slow.body 3>&- <<-'END' &
		import socket, sys, time, os
		host, port = sys.argv[1].rsplit(":", 1)
		body = sys.argv[2].encode()
		s = socket.create_connection((host, int(port)))
		s.sendall(b"POST /v1/messages HTTP/1.0\r\nHost: h\r\nX-Api-Key: k1\r\nContent-Type: application/json\r\n"
		          b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
		while not os.path.exists("read"):
		    time.sleep(0.05)
		text = b""
		while piece := s.recv(1000):
		    text += piece
		sys.stdout.buffer.write(text.split(b"\r\n\r\n", 1)[1])
	END
	local slow=$!
	CLIENTS+=("$slow")
	wait_for '(($(metric turnstile_heartbeats_total) >= 3))'
	relay_go
	await holder
	served k1 # though it still hasn't read a byte
	touch read
	wait_for "! running $slow"
	equal "$(events slow | tail -n 1)" end
	has message_stop "$(tail -n 3 slow.body)"
}

@test "a proxy that cuts what is silent" {
	start_turnstile "${PINGS[@]}"
	python3 - "${URL#http://}" >proxy.out 3>&- <<-'END' &
		import asyncio, sys
		host, port = sys.argv[1].rsplit(":", 1)
		async def pump(reader, writer):
		    try:
		        while data := await asyncio.wait_for(reader.read(65536), 1.5):
		            writer.write(data)
		            await writer.drain()
		    except (asyncio.TimeoutError, OSError):
		        pass
		    writer.close()
		async def serve(reader, writer):
		    inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
		    async def up():
		        while data := await reader.read(65536):
		            inner_writer.write(data)
		            await inner_writer.drain()
		    task = asyncio.ensure_future(up())
		    await pump(inner_reader, writer)
		    task.cancel()
		    inner_writer.close()
		async def main():
		    server = await asyncio.start_server(serve, "127.0.0.1", 0)
		    print("127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
		    await server.serve_forever()
		asyncio.run(main())
	END
	CLIENTS+=($!)
	wait_for '[[ -s proxy.out ]]'
	held holder k1
	local direct=$URL
	URL=http://$(cat proxy.out)
	ask_later a k1
	pinged a 15 # twice as long as it would have been
	relay_go
	await a
	equal "$(outcome a)" '200 0'
	has message_stop "$(tail -n 3 a.body)"
	URL=$direct
	await holder
}

@test "draining ends the wait by an event; retiring goes on with it" {
	start_turnstile "${PINGS[@]}"
	wait_behind a
	pinged a 2
	kill -USR1 "$TURNSTILE_PID"
	log_wait '.msg == "retiring: serving those who are here"'
	pinged a "$(($(pings a) + 2))"
	kill -TERM "$TURNSTILE_PID"
	await a
	equal "$(outcome a)" '200 0'
	equal "$(error_of a | jq -r .error.code)" SHUTTING_DOWN
	relay_go
	await holder
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "a successor takes over in the middle: pings go on, the turn comes" {
	start_turnstile "${PINGS[@]}" -o listen.takeover="$DIR/takeover.sock"
	local old=$TURNSTILE_PID old_log=$LOG
	wait_behind a
	pinged a 2
	start_turnstile "${PINGS[@]}" -o listen.takeover="$DIR/takeover.sock"
	wait_for "grep -q 'a successor has taken over' '$old_log'"
	pinged a "$(($(pings a) + 2))"
	relay_go
	await a holder
	equal "$(outcome a)" '200 0'
	has message_stop "$(tail -n 3 a.body)"
	ended "$old"
	equal "$STATUS" 0
}

@test "release_on = headers: the next one goes, the events still come" {
	start_turnstile "${PINGS[@]}" -o queue.release_on=headers
	ask_later first k1 -H 'X-Relay-Delay-Ms: 3600000'
	relay_wait tag=first
	ask_later a k1 -H 'X-Relay-Interval-Ms: 3600000'
	pinged a 2
	hang_up first
	relay_wait tag=a phase=headers
	served k1
	relay_go
	await a
	equal "$(outcome a)" '200 0'
	has message_stop "$(tail -n 3 a.body)"
}

# limited NAME RETRY_AFTER [CURL ARGUMENT...]: has its turn until relay_go, and is answered 429 then.
limited() {
	ask_later "$1" k1 -H 'X-Relay-Status: 429' -H 'X-Relay-Delay-Ms: 3600000' \
		-H "X-Relay-Header: retry-after: $2" "${@:3}"
	relay_wait "tag=$1" phase=body
}

@test "a limit of the account that ends: pings until then" {
	start_turnstile "${PINGS[@]}"
	limited holder "$(scaled 3 50)" # for so long a hears pings
	ask_later a k1
	pinged a 1
	relay_go
	await holder
	wait_for '[[ $(queue k1 .held.reason) == throttle ]]'
	pinged a "$(($(pings a) + 3))"
	await a
	equal "$(outcome a)" '200 0'
	has message_stop "$(tail -n 3 a.body)"
}

@test "a limit for longer than it would wait: the upstream's refusal is the event" {
	start_turnstile "${PINGS[@]}" -o queue.on_limit=throttle,quota
	local reset
	reset=$(($(date +%s) + 7200))
	limited holder 7200 -H 'X-Relay-Header: anthropic-ratelimit-unified-status: rejected' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-5h-status: rejected' \
		-H "X-Relay-Header: anthropic-ratelimit-unified-5h-reset: $reset" \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-representative-claim: five_hour'
	ask_later a k1
	pinged a 1
	relay_go
	await holder a
	equal "$(outcome a)" '200 0'
	equal "$(error_of a)" "$(jq -c . holder.body)"
	exchange_wait '.outcome == "account_limited"'
	equal "$(exchanges 'select(.outcome == "account_limited") | [.status, .event_status] | tostring')" '[200,429]'
	stop_turnstile

	# and one that waits as long as a day isn't refused at all
	relay_reset
	start_turnstile "${PINGS[@]}" -o queue.on_limit=throttle,quota -o queue.timeout_ms=86400000
	limited holder 7200 -H 'X-Relay-Header: anthropic-ratelimit-unified-status: rejected' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-5h-status: rejected' \
		-H "X-Relay-Header: anthropic-ratelimit-unified-5h-reset: $reset" \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-representative-claim: five_hour'
	ask_later b k1
	pinged b 1
	relay_go
	await holder
	wait_for '[[ $(queue k1 .held.reason) == quota ]]'
	pinged b "$(($(pings b) + 3))"
	equal "$(order DELETE "/api/queues/$(key_account k1)/hold")" 200
	await b
	has message_stop "$(tail -n 3 b.body)"
}

@test "who leaves in the middle has left the line" {
	start_turnstile "${PINGS[@]}"
	wait_behind a
	pinged a 2
	hang_up a
	exchange_wait '.outcome == "client_gone"'
	relay_go
	await holder
	equal "$(relay_stats .all.seen)" 1 # it never got there
	served k1
}

@test "a timeout of hours only with heartbeats, and silence for 300 s at most" {
	run run_turnstile --check -o upstream.url=http://127.0.0.1:9 -o queue.timeout_ms=3600000
	equal "$status" 2
	has 'longer than clients wait in silence' "$output"
	run run_turnstile --check -o upstream.url=http://127.0.0.1:9 -o queue.timeout_ms=86400000 \
		-o queue.heartbeat_after_ms=20000
	equal "$status" 0
	lacks 'queue.timeout_ms' <(echo "$output")
	user_body >body
	equal "$(run_turnstile explain -o queue.timeout_ms=86400000 -o queue.heartbeat_after_ms=20000 body |
		jq .settings.timeout_ms)" 86400000
	sed -i 's/,"stream":true//' body
	equal "$(run_turnstile explain -o queue.timeout_ms=86400000 -o queue.heartbeat_after_ms=20000 body |
		jq .settings.timeout_ms)" 300000
}
