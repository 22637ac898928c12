#!/usr/bin/env bats
# An upstream that is away for a while, and comes back; and what it refuses for the caller's own sake. On $BACKEND.
load helpers
load admin

setup() {
	prepare
	start_peers
}
teardown() { clean_up; }

# away: the relay is gone, at once; comes_back: on the same port. The one it was has no say any more.
away() {
	kill -9 "$RELAY_PID"
	ended "$RELAY_PID"
}
comes_back() { start_relay --port "${RELAY##*:}"; }

# is_away SECONDS: turnstile has known it for so long.
is_away() { wait_for "awk '{exit \$1 < $1}' <<<\"\$(metric turnstile_upstream_down_seconds)\"" $((LIMIT + $1)); }

@test "the relay is away for 5 s: only the one whose stream was cut hears of it, and the order stays" {
	local name
	# who is killed stops listening a moment after its connections are closed: what is sent in between is broken
	start_turnstile -o "queue.delay_ms=$(scaled 500 5000)"
	turn a k1
	for name in b c d e f g h i j; do
		ask_later "$name" k1
		sent "$name"
	done
	away
	await a
	equal "$(outcome a)" "200 18"
	is_away 5
	equal "$(exchanges 'select(.kind == "user_message") | .outcome')" upstream_broken
	equal "$(log_lines 'select(.msg == "the upstream can'"'"'t be reached") | .level')" warn
	comes_back
	await b c d e f g h i j
	for name in b c d e f g h i j; do
		equal "$(outcome $name)" "200 0"
	done
	equal "$(relay_stats '.accounts.k1.order')" '["b","c","d","e","f","g","h","i","j"]'
	equal "$(relay_stats '.accounts.k1.max_overlap')" 1
	log_wait '.msg == "the upstream can be reached again" and .after_ms >= 5000'
	equal "$(metric turnstile_upstream_connect_retries_total)" 1
}

@test "what says so meanwhile" {
	start_turnstile
	equal "$(metric turnstile_upstream_up)" 1
	equal "$(admin /api/status .upstreamDownMs)" null
	away
	ask_later a k1
	is_away 1
	equal "$(metric turnstile_upstream_up)" 0
	equal "$(admin /api/status '.upstreamDownMs >= 1000')" true
	equal "$(http "$ADMIN/readyz" -o ready -w '%{http_code}')" 200
	equal "$(jq -c '[.status, .reasons, .notes[].code]' ready)" '["ready",[],"upstream_down"]'
	comes_back
	await a
	equal "$(outcome a)" "200 0"
	equal "$(metric turnstile_upstream_up)" 1
}

@test "it is known that it is back, though nobody asks" {
	start_turnstile -o upstream.connect_retry_ms=0
	away
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 502
	equal "$(metric turnstile_upstream_up)" 0
	comes_back
	wait_for '[[ $(metric turnstile_upstream_up) == 1 ]]'
	equal "$(relay_stats .all.seen)" 0
}

@test "longer than upstream.connect_retry_ms: 502, to be tried again" {
	start_turnstile -o upstream.connect_retry_ms=1000
	away
	equal "$(ask k1 -o body -D head -w '%{http_code}')" 502
	equal "$(header x-should-retry head)" true
	(($(header retry-after head) >= 1))
	exchange_wait '.outcome == "upstream_unreachable" and .total_ms >= 1000 and (.error | length) > 10'
}

@test "longer than upstream.connect_retry_ms: the place is kept for who sends it again" {
	start_turnstile -o "upstream.connect_retry_ms=$(scaled 3000 20000)"
	away
	ask_later a k1 -H 'x-claude-code-prompt-id: a'
	wait_for '[[ $(queue k1 .isLocked) == true ]]'
	ask_later b k1 -H 'x-claude-code-prompt-id: b'
	waiting k1 1
	ask_later c k1 -H 'x-claude-code-prompt-id: c'
	waiting k1 2
	await a
	equal "$(outcome a)" "502 0"
	ask_later again k1 -H 'x-claude-code-prompt-id: a'
	becomes 1 metric turnstile_places_returned_total # those before it may be the two for a moment
	waiting k1 2
	comes_back
	await b again c
	equal "$(relay_stats '.accounts.k1.order')" '["b","again","c"]'
}

@test "who hangs up meanwhile never reaches the upstream, and the next has the turn" {
	start_turnstile
	away
	ask_later a k1
	is_away 1
	ask_later b k1
	wait_for '[[ $(queue k1 .waiting) == 1 ]]'
	hang_up a
	exchange_wait '.outcome == "client_gone"'
	wait_for '[[ $(metric turnstile_holding) == 1 ]]'
	comes_back
	await b
	equal "$(outcome b)" "200 0"
	equal "$(relay_stats '.accounts.k1.order')" '["b"]'
}

@test "requests that don't queue wait for it, too, with whatever body" {
	start_turnstile
	head -c 3000000 /dev/urandom >large
	away
	local clients=()
	http -d '{"messages":[]}' -o counted -w '%{http_code}' "$URL/v1/messages/count_tokens" >counted.status 3>&- &
	clients+=($!)
	http -T large -o echoed "$URL/echo" 3>&- &
	clients+=($!)
	is_away 1
	becomes 2 metric 'turnstile_exchanges{state="forwarding"}'
	comes_back
	wait "${clients[0]}"
	wait "${clients[1]}"
	equal "$(cat counted.status)" 200
	equal "$(jq -r .body_sha256 echoed)" "$(sha256sum <large | cut -d' ' -f1)"
}

@test "a request that a kept connection has taken isn't sent again when the relay is gone" {
	start_turnstile
	served k1
	ask_later a k1 -H 'X-Relay-Fault: silent'
	relay_wait tag=a
	away
	await a
	equal "$(outcome a)" "502 0"
	exchange_wait '.outcome == "upstream_broken"'
}

@test "made-up keys make nobody wait: 401 and 403 are no used turns" {
	local i start status
	start_turnstile -o account.source=static:team -o queue.delay_ms=10000
	for i in {1..8}; do
		for status in 401 403; do
			equal "$(ask "made-up-$i" -o /dev/null -w '%{http_code}' -H "X-Relay-Status: $status" --max-time 5)" $status
		done
	done
	equal "$(ask k1 -o /dev/null -w '%{http_code}' --max-time 5)" 200 # now the delay runs
	becomes 1 metric turnstile_hold_seconds_count
}

# refused NAME N STATUS SECONDS [CURL ARGUMENT...]: k1's request, of which N in a row are refused for so long.
refused() {
	ask_later "$1" k1 -H "X-Relay-Status: $3" -H "X-Relay-First: $2" -H "X-Relay-Header: retry-after: $4" "${@:5}"
}

@test "queue.retry: a refused request keeps its turn and is sent again; nobody hears of it, nobody goes before it" {
	local name
	start_turnstile -o queue.retry=throttle,overloaded
	refused a 2 429 1 -H "X-Relay-Delay-Ms: $(scaled 300)"
	relay_wait tag=a phase=body
	for name in b c; do
		ask_later "$name" k1
		sent "$name"
	done
	await a b c
	for name in a b c; do
		equal "$(outcome $name)" "200 0"
		has message_stop "$(cat $name.body)"
	done
	equal "$(relay_stats '.accounts.k1.order')" '["a","a","a","b","c"]'
	equal "$(relay_stats '.accounts.k1.max_overlap')" 1
	equal "$(relay_stats '[.requests[] | select(.tag == "a") | .body_sha256] | unique | length')" 1
	relay_stats '[.requests[] | select(.tag == "a")] | (.[2].arrived_us - .[1].last_us) / 1000' >pause
	(($(cut -d. -f1 pause) >= 990))
	exchange_wait '.retries == 2 and .status == 200'
	equal "$(exchanges 'select(has("retries")) | .retries')" 2
	equal "$(log_lines 'select(.again_in_ms > 900 and .again_in_ms <= 1000) | .kind' | sort | uniq -c | tr -s ' ')" ' 2 throttle'
	equal "$(metric 'turnstile_upstream_retries_total{kind="throttle"}')" 2
	equal "$(metric 'turnstile_upstream_limits_total{kind="throttle"}')" 2
	refused d 1 529 1
	await d
	equal "$(outcome d)" "200 0"
	equal "$(metric 'turnstile_upstream_retries_total{kind="overloaded"}')" 1
}

@test "queue.retry: twice at most, then the client hears the upstream's own words" {
	start_turnstile -o queue.retry=throttle -o queue.on_limit=
	refused a 9 429 1
	await a
	equal "$(outcome a)" "429 0"
	equal "$(header retry-after a.head)" 1
	equal "$(jq -r .error.type a.body)" rate_limit_error
	equal "$(relay_stats '.accounts.k1.order')" '["a","a","a"]'
	served k1
}

@test "queue.retry: what isn't named, what would take too long, and what has no turn is sent once" {
	local field n=0
	start_turnstile -o queue.retry=throttle -o queue.on_limit=
	for field in 'x-should-retry: false' 'retry-after: 11' 'anthropic-ratelimit-unified-5h-status: rejected' \
		'x-user-message-queue-error: queue_full'; do
		equal "$(ask k1 -o /dev/null -w '%{http_code}' -H 'X-Relay-Status: 429' -H "X-Relay-Header: $field" \
			--max-time "$(scaled 2)")" 429
		equal "$(relay_stats .all.seen)" $((++n))
	done
	equal "$(ask k1 -o /dev/null -w '%{http_code}' -H 'X-Relay-Status: 529' -H 'X-Relay-Header: retry-after: 1')" 529
	equal "$(ask_tool k1 -o /dev/null -w '%{http_code}' -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 1')" 429
	equal "$(relay_stats .all.seen)" $((n + 2))
	equal "$(metric 'turnstile_upstream_retries_total{kind="throttle"}')" 0
}

@test "queue.retry: whoever leaves in the pause, or loses the turn, is sent no more" {
	start_turnstile -o queue.retry=overloaded
	refused a 9 529 8
	log_wait '.again_in_ms'
	hang_up a
	exchange_wait '.outcome == "client_gone"'
	served k1
	refused b 9 529 8
	log_wait '.again_in_ms and .request_id != "'"$(exchanges 'select(.outcome == "client_gone") | .request_id')"'"'
	equal "$(order DELETE "/api/queues/$(key_account k1)/lock")" 200
	await b
	equal "$(outcome b)" "503 0"
	exchange_wait '.outcome == "lock_lost"'
	served k1
	equal "$(relay_stats '[.requests[] | select(.tag == "a" or .tag == "b")] | length')" 2
}

@test "upstream.finish_abandoned: a request goes on without its client, and the next one doesn't run beside it" {
	start_turnstile -o upstream.finish_abandoned=true
	held a k1
	ask_later b k1
	in_line b k1 1
	hang_up a
	wait_for '[[ $(metric turnstile_upstream_abandoned_total) == 1 ]]'
	equal "$(metric 'turnstile_exchanges{state="abandoned"}') $(queue k1 .isLocked)" "1 true"
	equal "$(relay_stats '[.accounts.k1.seen, .all.aborted]')" '[1,0]'
	relay_go
	await b
	equal "$(outcome b)" "200 0"
	equal "$(relay_stats '[.accounts.k1.order, .accounts.k1.max_overlap, .all.aborted]')" '[["a","b"],1,0]'
	exchange_wait '.outcome == "client_gone" and .abandoned_ms > 0 and .hold_ms > 0'
	# before any answer as well
	ask_later c k1 -H 'X-Relay-Delay-Ms: 3600000'
	relay_wait tag=c phase=body
	hang_up c
	wait_for '[[ $(metric turnstile_upstream_abandoned_total) == 2 ]]'
	relay_go
	served k1
	equal "$(relay_stats '[.accounts.k1.max_overlap, .all.aborted]')" '[1,0]'
	wait_for '[[ $(exchanges "select(.abandoned_ms).upstream_request_id // \"\"" | grep -c "^req_relay_") == 2 ]]'
}

@test "upstream.finish_abandoned: those without a client are no more than connections may be" {
	start_turnstile -o upstream.finish_abandoned=true -o listen.max_connections=1
	held a k1
	hang_up a
	wait_for '[[ $(metric turnstile_upstream_abandoned_total) == 1 ]]'
	held b k2
	hang_up b
	relay_wait tag=b phase=aborted
	equal "$(metric turnstile_upstream_abandoned_total)" 1
	relay_go
	relay_wait tag=a phase=done
}

# start_way [STATUS]: a proxy on the way to the upstream, at PROXY; what it gets is in proxy.out.
start_way() {
	rm -f proxy.out # the one before has its own
	python3 "$BATS_TEST_DIRNAME/proxy.py" "$@" >proxy.out 2>&1 3>&- &
	PROCESSES+=($!)
	wait_for "grep -q '^proxy ' proxy.out"
	PROXY=127.0.0.1:$(sed -n 's/^proxy //p' proxy.out)
}

@test "plain http goes through a proxy in absolute-form, with its credentials and nothing else of ours" {
	start_way
	start_turnstile -o "upstream.proxy=http://me:secret@$PROXY" -o "upstream.url=http://$RELAY/base"
	equal "$(http "$URL/echo?a=%2f" | jq -r '.request_line, (.headers | map(select(test("^proxy|^via"; "i"))) | length)')" \
		"GET /base/echo?a=%2f HTTP/1.1
1"
	equal "$(sed -n 2p proxy.out)" "GET http://$RELAY/base/echo?a=%2f HTTP/1.1 auth "
	served k1
}

@test "a proxy that refuses is told as what it is, and nothing counts as sent" {
	local status
	for status in 407 403; do
		start_way $status
		start_turnstile -o "upstream.proxy=http://$PROXY" -o upstream.url=https://127.0.0.1:1
		equal "$(ask k1 -o /dev/null -w '%{http_code}' --max-time 10)" 502 # at once: it will refuse again
		becomes '"upstream_unreachable",true' exchanges '[.outcome, (.error | test("'$status'"))] | @csv'
		has "CONNECT 127.0.0.1:1" "$(cat proxy.out)"
	done
	start_way 407
	start_turnstile -o "upstream.proxy=http://$PROXY" -o account.source=static:team -o queue.delay_ms=10000
	equal "$(ask k1 -o /dev/null -w '%{http_code}' --max-time 10)" 502
	equal "$(ask k1 -o /dev/null -w '%{http_code}' --max-time 10)" 502 # no delay
	exchange_wait '.outcome == "upstream_unreachable" and (.error | test("407"))' 2
}
