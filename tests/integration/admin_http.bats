#!/usr/bin/env bats
# The operators' listener itself: routes, who may, health, metrics.
load helpers
load admin

setup() { prepare; }
teardown() { clean_up; }

TOKEN=0123456789abcdef0123

# status ARGUMENT...: the status that curl gets; the body is in answer.
status() { http -o answer -w '%{http_code}' "$@"; }
code() { jq -r .error.code answer; }

@test "routes: a list, 404, 405 with Allow, all JSON" {
	start_all
	admin /api 'length > 10 and all(.[]; .method and .path and .access and .help)' | grep -qx true
	equal "$(status "$ADMIN/nonsense") $(code)" "404 not_found"
	equal "$(status "$ADMIN/dashboard/nonsense.js") $(code)" "404 not_found"
	equal "$(status -X POST -D head "$ADMIN/api/config") $(code)" "405 method_not_allowed"
	equal "$(header allow head)" "GET, HEAD, PUT, DELETE"
	equal "$(header content-type head)" application/json
	equal "$(status -I "$ADMIN/api/status")" 200
	equal "$(status -X OPTIONS -D head -H 'Origin: http://x' "$ADMIN/api/config")" 405
	lacks access-control head
}

@test "off loopback there must be a token, or it doesn't start" {
	start_relay
	run run_turnstile -o admin.address=0.0.0.0:0 --check
	equal "$status" 2
	has admin.token "$output"
	run run_turnstile -o admin.address=0.0.0.0:0 -o admin.token=short --check
	equal "$status" 2
	[[ $output != *'"short"'* ]]
	run_turnstile -o admin.address=0.0.0.0:0 -o admin.token=$TOKEN --check
	run_turnstile -o admin.token=$TOKEN --print-config >config
	lacks "$TOKEN" config
}

@test "with a token nothing but health is told without it" {
	start_all -o admin.token=$TOKEN
	local path
	for path in /api /api/status /api/overview /api/queues /api/queues/x /api/config /metrics; do
		equal "$(status -D head "$ADMIN$path") $path $(code)" "401 $path unauthorized"
		equal "$(header www-authenticate head)" Bearer
		equal "$(status -H "Authorization: Bearer ${TOKEN}x" "$ADMIN$path")" 401
		equal "$(status -H "Authorization: Bearer $TOKEN" "$ADMIN$path") $path" "200 $path"
	done
	equal "$(status "$ADMIN/healthz")" 200
	equal "$(status "$ADMIN/readyz")" 200
	equal "$(status -X POST "$ADMIN/api/queues/x/pause")" 401
	equal "$(status -X POST -H "Authorization: Bearer $TOKEN" -H 'Origin: http://x' "$ADMIN/api/queues/x/pause?unseen=1")" 200
	lacks "$TOKEN" "$LOG"
}

@test "tokens with names: one may look, one may change, and who changed what is told" {
	local eye=eye-token-of-24-letters hand=hand-token-of-24-letter
	run run_turnstile -o "admin.tokens=eye:see:$eye" --check
	equal "$status" 2
	lacks "$eye" - <<<"$output"
	run run_turnstile -o "admin.tokens=a:read:$eye, b:write:$eye" --check
	equal "$status" 2
	has 'element 2' "$output"
	run run_turnstile -o admin.token=$eye -o "admin.tokens=a:read:$eye" --check
	equal "$status" 2
	run_turnstile -o admin.address=0.0.0.0:0 -o "admin.tokens=eye:read:$eye" --check
	start_all -o "admin.tokens=eye:read:$eye, hand:write:$hand"
	equal "$(status "$ADMIN/api/status") $(code)" "401 unauthorized"
	equal "$(status -H "Authorization: Bearer $eye" "$ADMIN/api/overview") $(jq -c '[.who, .mayWrite, .changes]' answer)" '200 ["eye",false,0]'
	equal "$(status -X POST -H "Authorization: Bearer $eye" "$ADMIN/api/queues/x/pause") $(code)" "403 read_only"
	equal "$(status -X POST -H "Authorization: Bearer $hand" "$ADMIN/api/queues/x/pause?unseen=1")" 200
	equal "$(status -X PUT -H "Authorization: Bearer $hand" --json '{"delayMs":7}' "$ADMIN/api/config")" 200
	equal "$(status -X DELETE -H "Authorization: Bearer $hand" "$ADMIN/api/config")" 200
	equal "$(status -H "Authorization: Bearer $eye" "$ADMIN/api/changes")" 200
	equal "$(jq -c '[.count, (.changes | length)]' answer)" '[7,7]'
	equal "$(jq -c '.changes[-2:][] | [.who, .client, .what, .accountId, .setting, .before, .after]' answer)" \
		'["hand","127.0.0.1","operator: setting changed",null,"delayMs","0","7"]
["hand","127.0.0.1","operator: account paused","x",null,null,null]'
	orders() { log_lines 'select(.msg | startswith("operator:")) | [.msg, .who]' | head -2; }
	becomes '["operator: account paused","hand"]
["operator: setting changed","hand"]' orders
	lacks "$eye" "$LOG"
	lacks "$hand" "$LOG"
}

@test "pages of other sites change nothing and see nothing" {
	start_all
	equal "$(status -X POST -H 'Origin: http://evil.example' "$ADMIN/api/queues/x/pause") $(code)" "403 other_site"
	equal "$(status -X POST -H 'Sec-Fetch-Site: cross-site' "$ADMIN/api/queues/x/pause") $(code)" "403 other_site"
	equal "$(status -H 'Host: evil.example' "$ADMIN/api/status") $(code)" "403 wrong_host"
	equal "$(status -X PUT -d '{"delayMs":1}' "$ADMIN/api/config") $(code)" "415 not_json"
	equal "$(status -X PUT -H 'content-type: text/plain' -d '{"delayMs":1}' "$ADMIN/api/config") $(code)" "415 not_json"
	equal "$(status -X POST -H "Origin: $ADMIN" -H 'Sec-Fetch-Site: same-origin' "$ADMIN/api/queues/x/pause?unseen=1")" 200
	equal "$(admin /api/config .runtime)" '{}'
}

@test "a body that is too large, a request that stalls, a client that goes" {
	start_all
	head -c 100000 /dev/zero | tr '\0' x >big
	equal "$(status -X PUT -H 'content-type: application/json' --data-binary @big "$ADMIN/api/config") $(code)" "413 too_large"
	printf 'PUT /api/config HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n' |
		socat -t 0.1 - "TCP:${ADMIN#http://}"
	equal "$(status "$ADMIN/healthz")" 200
	wait_for "[[ \$(metric process_open_fds) -lt 40 ]]"
}

# connect [TEXT]: a connection to the admin listener, on which TEXT is sent and nothing more; sets FD.
connect() {
	local address=${ADMIN#http://}
	exec {FD}<>"/dev/tcp/${address%:*}/${address##*:}"
	printf "${1:-}" >&"$FD"
}
PART='PUT /api/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'

# bats test_tags=waits
@test "connections that say nothing, or not all, are closed soon" {
	start_all
	local fds=() fd text answer begin=$SECONDS
	for text in '' 'GET /healthz HTT' "$PART"; do
		connect "$text"
		fds+=("$FD")
	done
	for fd in "${fds[@]}"; do
		answer=$(timeout "$LIMIT" cat <&"$fd") # until it is closed
		equal "$answer" ''
		exec {fd}>&-
	done
	((SECONDS - begin >= 9))
}

@test "more connections than there is room for, without a whole request, keep no operator out" {
	start_all
	local text i fds fd begin=$SECONDS since
	for text in '' 'GET /healthz HTT' "$PART"; do
		fds=() since=$SECONDS
		for i in {1..300}; do
			connect "$text"
			fds+=("$FD")
		done
		equal "$(status --max-time "$(scaled 5)" "$ADMIN/healthz") of '${text:0:3}'" "200 of '${text:0:3}'"
		# no more than needed are closed, before their time is over
		(($(metric process_open_fds) > 250 || SECONDS - since >= 9))
		for fd in "${fds[@]}"; do
			exec {fd}>&-
		done
	done
	refusers() { log_lines 'select(.msg | startswith("too many connections")) | .listener' | sort -u; }
	becomes admin.address refusers
	(($(log_lines 'select(.msg | startswith("too many connections"))' | wc -l) < 10 + SECONDS - begin)) # one a second
}

@test "an empty address: no listener; a taken one: told, and no start" {
	start_all
	run run_turnstile -o listen.address=127.0.0.1:0 -o "admin.address=${ADMIN#http://}"
	equal "$status" 1
	has "${ADMIN#http://}" "$output"
	start_turnstile -o admin.address=
	equal "$(log_lines 'select(.msg == "listening") | .admin')" ""
	stop_turnstile
	equal "$STATUS" 0
}

@test "status" {
	start_all
	turn a k1
	ask_later b k1
	waiting k1 1
	admin /api/status >seen
	jq -e --arg backend "$BACKEND" '.version and .backend.name == $backend and .backend.up' seen
	jq -e '.uptimeMs >= 0 and .waiting == 1 and .holding == 1 and .activeRenewals == 1' seen
	jq -e '.exchanges | .waiting == 1 and .streaming == 1' seen
	jq -e '.connections == 2 and .maxConnections > 2 and .bufferedBytes > 0 and .draining == false' seen
	hang_up a
	await b
	[[ $BACKEND != redis ]] || equal "$(admin /api/status '.backend.roundTripMs > 0')" true
}

@test "ready, and not ready: draining" {
	start_all -o listen.drain_timeout_ms=20000
	equal "$(admin /readyz .status)" ready
	turn a k1
	kill "$TURNSTILE_PID"
	log_wait '.msg == "draining"'
	equal "$(status "$ADMIN/readyz")" 503
	equal "$(jq -r '.reasons[].code' answer)" draining
	equal "$(status "$ADMIN/healthz")" 200
	hang_up a
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
}

@test "not ready: the backend is gone, unless it can be done without" {
	[[ $BACKEND == redis ]] || skip "needs Redis"
	start_all
	local strict=$ADMIN
	start_turnstile -o redis.instance=lax -o queue.on_backend_error=local
	stop_redis
	wait_for "[[ \$(status '$strict/readyz') == 503 ]]"
	equal "$(jq -r '.reasons[].code' answer)" backend_down
	wait_for "[[ \$(admin /api/status .backend.up) == false ]]"
	equal "$(status "$ADMIN/readyz")" 200
	equal "$(metric turnstile_backend_up)" 0
}

@test "not ready: a holder that doesn't move, with others waiting" {
	start_all -o listen.stall_timeout_ms=600 -o upstream.request_timeout_ms=20000
	turn a k1
	ask_later c k2
	await c
	equal "$(status "$ADMIN/readyz")" 200
	ask_later b k1
	wait_for "[[ \$(status '$ADMIN/readyz') == 503 ]]"
	equal "$(jq -r '.reasons[] | .code + " " + .detail' answer)" "account_stuck $(key_account k1)"
	equal "$(order DELETE "/api/queues/$(key_account k1)/lock")" 200
	await b
	wait_for "[[ \$(status '$ADMIN/readyz') == 200 ]]"
	hang_up a
}

@test "not ready: which account is stuck is told with the token only" {
	start_all -o listen.stall_timeout_ms=600 -o upstream.request_timeout_ms=20000 -o admin.token=$TOKEN
	turn a k1
	ask_later b k1
	wait_for "[[ \$(status '$ADMIN/readyz') == 503 ]]"
	equal "$(jq -r '.reasons[].code' answer)" account_stuck
	lacks "$(key_account k1)" answer
	equal "$(status "$ADMIN/readyz" -H "Authorization: Bearer $TOKEN")" 503
	has "$(key_account k1)" "$(cat answer)"
	hang_up a
	await b
}

@test "not ready: the backend goes while it is asked about a holder" {
	[[ $BACKEND == redis ]] || skip "needs Redis"
	start_all -o listen.stall_timeout_ms=600 -o upstream.request_timeout_ms=20000 -o "redis.command_timeout_ms=$(scaled 1000 3000)"
	local strict=$ADMIN
	turn a k1
	ask_later b k1
	wait_for "[[ \$(status '$strict/readyz') == 503 ]]"
	equal "$(jq -r '.reasons[].code' answer)" account_stuck
	start_turnstile -o redis.instance=lax -o queue.on_backend_error=local -o listen.stall_timeout_ms=600 \
		-o upstream.request_timeout_ms=20000 -o "redis.command_timeout_ms=$(scaled 1000 3000)"
	turn c k2
	ask_later d k2
	wait_for "[[ \$(status '$ADMIN/readyz') == 503 ]]"
	kill -STOP "$REDIS_PID" # from now on nobody is answered
	http -o lax -w '%{http_code}' "$ADMIN/readyz" >lax.status 3>&- &
	CLIENTS+=($!)
	equal "$(status "$strict/readyz")" 503
	equal "$(jq -r '.status + ": " + .reasons[].code + " " + .reasons[].detail' answer)" "not_ready: backend_down redis"
	wait "${CLIENTS[-1]}"
	unset 'CLIENTS[-1]'
	equal "$(cat lax.status) $(jq -r .status lax)" "200 ready"
	kill -CONT "$REDIS_PID"
	hang_up a
	hang_up c
	await b d
}

@test "not ready: the loop has stood still" {
	start_all
	equal "$(admin /readyz .status)" ready
	kill -STOP "$TURNSTILE_PID"
	rest 1500 # the stall itself
	kill -CONT "$TURNSTILE_PID"
	wait_for "[[ \$(status '$ADMIN/readyz') == 503 ]]"
	equal "$(jq -r '.reasons[].code' answer)" loop_stalled
	awk "BEGIN { exit !($(metric turnstile_loop_lag_seconds) > 1) }"
}

# bats test_tags=waits
@test "a stall is told for ten seconds, across the end of the ten that it was in" {
	start_all
	kill -STOP "$TURNSTILE_PID"
	rest 1000 # the stall itself
	kill -CONT "$TURNSTILE_PID"
	wait_for 'awk "BEGIN { exit !($(metric turnstile_loop_lag_seconds) > 0.7) }"'
	rest 10500 # behind that end, and before the next
	awk "BEGIN { exit !($(metric turnstile_loop_lag_seconds) > 0.7) }"
}

@test "metrics: the right format, and what happened" {
	start_all -o admin.metrics_accounts=1
	ask k1 -o /dev/null
	ask k2 -o /dev/null
	ask_tool k1 -o /dev/null
	turn a k1
	ask_later b k1
	waiting k1 1
	http -f -D head "$ADMIN/metrics" -o metrics
	has 'text/plain; version=0.0.4' "$(header content-type head)"
	becomes 2 metric 'turnstile_requests_total{kind="user_message",outcome="answered"}'
	becomes 1 metric 'turnstile_requests_total{kind="tool_result",outcome="answered"}'
	equal "$(metric turnstile_waiting) $(metric turnstile_holding)" "1 1"
	equal "$(metric turnstile_active_renewals)" 1
	equal "$(metric 'turnstile_upstream_responses_total{class="2xx"}')" 4
	becomes 2 metric 'turnstile_wait_seconds_count'
	becomes 2 metric 'turnstile_hold_seconds_count'
	becomes 2 metric 'turnstile_wait_seconds_bucket{le="+Inf"}'
	becomes 1 metric "turnstile_account_turns_total{account=\"$(key_account k1)\"}"
	becomes 1 metric 'turnstile_account_turns_total{account="other"}'
	awk '$1 == "turnstile_oldest_waiter_seconds" { ok = $2 > 0 } END { exit !ok }' metrics
	[[ $BACKEND != redis ]] || (($(metric turnstile_backend_round_trip_seconds_count) > 0))
	(($(metric process_open_fds) > 5))
	(($(metric process_resident_memory_bytes) > 1000000))
	hang_up a
	await b
	wait_for '(($(metric turnstile_handoff_seconds_count) >= 1))'
	wait_for '(($(metric turnstile_loop_delay_seconds_count) > 0))'
	stop_relay
	ask k1 -o /dev/null
	becomes 1 metric turnstile_upstream_connect_failures_total
}

@test "metrics: renewals, and turns that were lost" {
	start_all -o queue.lock_ttl_ms=1000
	turn a k1
	[[ $BACKEND != redis ]] || wait_for "((\$(metric turnstile_renewals_total) > 0))"
	equal "$(metric turnstile_lost_turns_total)" 0
	equal "$(order DELETE "/api/queues/$(key_account k1)/lock")" 200
	wait_for "[[ \$(metric turnstile_lost_turns_total) == 1 ]]"
	hang_up a
}

@test "metrics: promtool has nothing to say" {
	command -v promtool >/dev/null || skip "promtool (Debian's prometheus) isn't installed"
	start_all -o admin.metrics_accounts=5
	ask k1 -o /dev/null
	http -f "$ADMIN/metrics" | promtool check metrics >said 2>&1
	equal "$(cat said)" ""
}

@test "metrics: no label by account unless wanted" {
	start_all
	ask k1 -o /dev/null
	http -f "$ADMIN/metrics" >metrics
	lacks 'account=' metrics
	lacks "$(key_account k1)" metrics
}

@test "history: turns, waits and refusals by step, account and share, as JSON and CSV" {
	start_all -o queue.max_waiting=1
	ask k1 -o /dev/null
	ask k1 -o /dev/null
	turn a k2
	ask_later b k2
	in_line b k2 1
	waiting k2 1
	equal "$(ask k2 -o /dev/null -w '%{http_code}')" 503
	hang_up b
	exchange_wait '.outcome == "client_gone"'
	hang_up a
	exchange_wait '.outcome == "client_gone"' 2
	exchange_wait '.outcome == "queue_full"'
	exchange_wait '.outcome == "answered"' 2
	equal "$(admin /api/history '[.stepMs, .by, ([.rows[] | .turns] | add), ([.rows[] | .refused] | add), ([.rows[] | .left] | add)]')" '[60000,"total",3,1,1]'
	equal "$(admin '/api/history?hours=192&by=account' ".rows | map(select(.accountId == \"$(key_account k1)\") | .turns) | add")" 2
	equal "$(admin "/api/history?hours=8&account=$(key_account k2)" '[.stepMs, ([.rows[] | .turns] | add), (.rows[0] | .waitP95Ms != null), (.rows[0].observed.turns)]')" '[900000,1,true,0]'
	equal "$(admin '/api/history?account=nobody' .rows)" '[]'
	http -f -D head "$ADMIN/api/history?format=csv&by=share" >csv
	equal "$(header content-type head)" 'text/csv; charset=utf-8'
	equal "$(head -1 csv | tr -d '\r' | cut -d, -f1-9)" at,account,share,turns,refused,left,held_ms,wait_p50_ms,wait_p95_ms
	equal "$(awk -F, 'NR > 1 { n += $4 } END { print n }' csv)" 3
	equal "$(awk -F, '{ print NF }' csv | sort -u)" 26
	equal "$(admin '/api/history?step=range&by=account' '[.rows | length, ([.[].turns] | add), ([.[].waited] | add) >= 1]')" '[2,3,true]'
	equal "$(admin '/api/history?step=hour&hours=24' '[([.rows[].turns] | add), ([.rows[].at | endswith(":00:00.000Z")] | all)]')" '[3,true]'
	equal "$(admin '/api/history?step=range' '[.rows[0].turns, .total.turns, .total.refused, .rows[0].at == .from]')" '[3,3,1,true]'
	equal "$(admin /api/history '[.instance, .since < .to]')" "$(admin /api/status '[.instance, true]')"
	local bad
	for bad in hours=0 hours=193 by=day step=day format=xml account=%zz; do
		equal "$(status "$ADMIN/api/history?$bad") $bad" "400 $bad"
	done
}

@test "history: the upstream's answers by kind, of account and share, and holds" {
	start_all -o queue.delay_ms=0 -o queue.on_limit=throttle
	ask k1 -o /dev/null
	ask_tool k1 -o /dev/null
	ask k1 -o /dev/null -H 'X-Relay-Status: 500'
	ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: x-user-message-queue-error: queue_full'
	ask k2 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 2'
	exchange_wait true 5
	equal "$(admin "/api/history?step=range&account=$(key_account k1)" '[.rows[0].turns, .rows[0].holds] + (.rows[0].answers | [.ok, .throttle, .notALimit, .failed])')" '[3,0,2,0,1,1]'
	equal "$(admin "/api/history?account=$(key_account k2)" '.total | [.turns, .holds, .answers.ok, .answers.throttle]')" '[1,1,0,1]'
	equal "$(admin "/api/history?step=range&by=share&account=$(key_account k1)" '[.rows[] | [.share == null, .turns, .answers.ok]]')" '[[true,0,1],[false,3,1]]'
	http -f "$ADMIN/api/history?step=range&format=csv" | tr -d '\r' >csv
	equal "$(cut -d, -f11-19 csv | tail -1)" 1,2,1,0,0,1,0,1,0
	equal "$(cut -d, -f11-19 csv | head -1)" holds,answers_ok,answers_throttle,answers_quota,answers_overloaded,answers_not_a_limit,answers_unknown,answers_failed,answers_refused
}

@test "the dashboard's files are open, kept by their tag, packed for those who take it" {
	start_all -o admin.token=$TOKEN
	equal "$(status -D head "$ADMIN/")" 200
	equal "$(header content-type head)" "text/html; charset=utf-8"
	has "frame-ancestors 'none'" "$(header content-security-policy head)"
	has "default-src 'none'" "$(header content-security-policy head)"
	lacks content-encoding head
	has "<!doctype html>" "$(cat answer)"
	local tag
	tag=$(header etag head)
	equal "$(status -H "If-None-Match: W/\"other\", $tag" "$ADMIN/")" 304
	equal "$(status -H 'If-None-Match: "other"' "$ADMIN/")" 200
	equal "$(status -D head -H 'Accept-Encoding: br, gzip;q=0.5' "$ADMIN/dashboard/dygraph.js")" 200
	equal "$(header content-encoding head)" gzip
	gzip -dc answer >unpacked
	equal "$(status -D head -H 'Accept-Encoding: gzip;q=0' "$ADMIN/dashboard/dygraph.js")" 200
	lacks content-encoding head
	cmp answer unpacked
	has 'VERSION="2.2.1"' "$(cat answer)"
	equal "$(status -X POST "$ADMIN/")" 405
}

@test "overview: sorted, searched, in parts, one account whole" {
	start_all
	ask k1 -o /dev/null
	turn a k2
	ask_later b k2
	in_line b k2 1
	waiting k2 1
	local one two
	one=$(key_account k1) two=$(key_account k2)
	wait_for "[[ \$(admin /api/overview '[.queues[].accountId]') == '[\"$two\",\"$one\"]' ]]"
	equal "$(admin '/api/overview?sort=wait&order=asc' '[.queues[].accountId]')" "[\"$one\",\"$two\"]"
	equal "$(admin "/api/overview?q=${two#key-}" '[.matched, .queues[].state]')" '[1,"busy"]'
	equal "$(admin '/api/overview?q=fr%65e' '[.queues[].accountId]')" "[\"$one\"]"
	equal "$(admin '/api/overview?limit=1&offset=1' '[.matched, .offset, (.queues | length)]')" '[2,1,1]'
	equal "$(admin "/api/overview?account=$two" '.account | [.accountId, .waiting, (.waiters | length), (.timeline.turns | length)]')" \
		"[\"$two\",1,1,61]"
	equal "$(admin '/api/overview?account=nobody' '.account | [.state, .waiting]')" '["free",0]'
	equal "$(admin /api/overview '[.fleet.totals | .accounts, .held, .waiting]')" '[2,1,1]'
	equal "$(admin /api/overview '[.fleet.instances[] | .state, .self]')" '["up",true]'
	# every account of the list is there, with the same fields
	admin /api/queues '.queues[] | keys' | sort -u >listed
	admin /api/overview '.queues[] | del(.state, .stuckBecause, .stalled) | keys' | sort -u | cmp - listed
	local bad
	for bad in sort=name order=up limit=0 limit=501 offset=-1 q=%zz "account=$(printf 'x%.0s' {1..150})"; do
		equal "$(status "$ADMIN/api/overview?$bad") $(code) $bad" "400 bad_query $bad"
	done
	hang_up a
	await b
}

@test "overview: pages can't make it show more accounts whole than there is room for" {
	start_all
	# by one curl, so that they are there at once: an account nobody asks about for 5 s makes room
	http -Z --parallel-immediate --parallel-max 40 "$ADMIN/api/overview?account=w[1-40]" -o 'whole-#1'
	equal "$(jq -r 'if .account then "whole" else .accountError end' whole-* | sort | uniq -c | awk '{ print $1, $2 }' | xargs)" \
		"8 other 32 whole"
	equal "$(cat whole-* | jq -r '.account.accountId | values' | sort -u | wc -l)" 32
}
