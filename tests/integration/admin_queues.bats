#!/usr/bin/env bats
# Operators see who holds and who waits, and give orders; on the backend $BACKEND. With Redis the
# operator asks another process than the one that serves: views and orders are the fleet's.
load helpers
load admin

setup() {
	prepare
	start_all
	if [[ $BACKEND == redis ]]; then
		local url=$URL log=$LOG
		start_turnstile -o redis.instance=other
		OTHER_LOG=$LOG URL=$url LOG=$log
	fi
	K=$(key_account k1)
}
teardown() { clean_up; }

@test "an account that nobody uses is idle" {
	equal "$(queue k1 '[.accountId, .isLocked, .lockHolder, .lockTtlMs, .lockTtlRaw, .lastCompletedAt, .waiting, .holder, .waiters]')" \
		"[\"$K\",false,null,0,-2,null,0,null,[]]"
	equal "$(admin /api/queues '.queues | length')" 0
}

@test "who holds and who waits is seen, in order" {
	turn a k1
	ask_later b k1
	in_line b k1 1
	waiting k1 1
	ask_later c k1
	waiting k1 2
	queue k1 >seen
	jq -e '.isLocked and .lockTtlMs > 0 and .lockTtlRaw == .lockTtlMs and .lockHolder == .holder.ticket' seen
	jq -e '.holder | .state == "running" and .client == "127.0.0.1" and .heldMs >= 0 and .waitedMs >= 0' seen
	jq -e '[.waiters[] | .position] == [1, 2]' seen
	jq -e 'all(.waiters[]; .client == "127.0.0.1" and .waitedMs >= 0)' seen
	jq -e '.waiters[0].waitedMs >= .waiters[1].waitedMs' seen
	jq -e '.oldestWaitMs >= 0 and .paused == false' seen
	# of those that are in the instance that answers
	jq '[.holders[0], .waiters[] | .request // empty]' seen >here
	[[ $BACKEND == redis ]] || jq -e 'length == 3' here
	jq -e 'all(.[]; .requestId[:4] == "req_" and .bodyBytes > 0 and .path == "/v1/messages")' here
	jq -e 'all(.[]; .state == "waiting" or .upstreamRequestId)' here
	local instance=test
	[[ $BACKEND == redis ]] || instance=$(admin /api/status .instance)
	equal "$(jq -r .holder.instance seen)" "$instance"
	equal "$(admin /api/queues '[.queues[] | [.accountId, .waiting]]')" "[[\"$K\",2]]"
	hang_up a
	await b c
	# the log's names are the same
	exchange_wait '.outcome == "answered" and .ticket' 2
	equal "$(jq -r '.waiters[].ticket' seen)" \
		"$(exchanges 'select(.outcome == "answered" and .ticket) | .ticket')"
}

# state WANTED: of k1's holder, as the account and the dashboard's answer tell it.
state() {
	[[ $(queue k1 .holder.state) == "$1" ]] &&
		[[ $(admin "/api/overview?account=$K" '.queues[0].state') == "${1/running/busy}" ]]
}

# bats test_tags=waits
@test "a turn that may not begin yet is pacing, then running from its start on" {
	local delay
	delay=$(scaled 3000 10000) # there is no longer one
	equal "$(order PUT /api/config "{\"delayMs\":$delay}")" 200
	wait_for "passed; [[ \$(log_lines 'select(.msg | startswith(\"settings made\"))' | wc -l) -ge 1 ]]"
	ask k1 -o /dev/null
	ask_later b k1 -H 'X-Relay-Interval-Ms: 3600000'
	wait_for 'state pacing'
	queue k1 >seen
	jq -e ".isLocked and .holder.heldMs == 0 and .holder.waitedMs > 0 and .holder.waitedMs <= $delay" seen
	equal "$(relay_stats .accounts.k1.seen)" 1
	relay_wait tag=b phase=headers
	wait_for 'state running'
	queue k1 >later
	jq -e ".holder.heldMs < $delay" later # not from when it was handed over
	equal "$(jq .holder.waitedMs later)" "$(jq .holder.waitedMs seen)"
	relay_go
	await b
	exchange_wait ".hold_ms < $delay and .wait_ms > 0"
}

@test "percentiles of recent turns" {
	local i
	for i in 1 2 3; do
		ask k1 -o /dev/null -H 'X-Relay-Events: 3' -H 'X-Relay-Interval-Ms: 20'
	done
	wait_for "[[ \$(queue k1 .last5Minutes.turns) == 3 ]]"
	queue k1 .last5Minutes >recent
	jq -e '.holdMs | .p50 > 0 and .p50 <= .p90 and .p90 <= .p99 and .p99 <= .max and .max < 20000' recent
	jq -e '.waitMs | .p50 >= 0 and .p50 <= .max' recent
	jq -e '.lastCompletedAt | fromdateiso8601?' <<<"$(queue k1 '.lastCompletedAt |= sub("\\.[0-9]+"; "")')"
}

@test "force release: the next is served, though the holder goes on" {
	turn a k1
	ask_later b k1
	waiting k1 1
	equal "$(order DELETE "/api/queues/$K/lock")" 200
	await b
	equal "$(outcome b)" "200 0"
	wait_for "[[ \$(queue k1 .isLocked) == false ]]"
	equal "$(order DELETE "/api/queues/$K/lock")" 404
	equal "$(jq -r .error.code answer)" not_found
	log_wait '.msg | startswith("a turn was lost")'
	hang_up a
	served k1
}

@test "a pause holds new turns, running ones finish, resume lets them go on in order" {
	turn a k1
	equal "$(order POST "/api/queues/$K/pause")" 200
	equal "$(queue k1 .paused)" true
	ask_later b k1
	waiting k1 1
	hang_up a
	wait_for "[[ \$(queue k1 .isLocked) == false ]]"
	ask_later c k1
	waiting k1 2
	equal "$(relay_stats .accounts.k1.seen)" 1
	served k2
	equal "$(order POST "/api/queues/$K/resume")" 200
	await b c
	equal "$(relay_stats '.accounts.k1.order | join(" ")')" "a b c"
	equal "$(order POST "/api/queues/$K/resume")" 404
}

@test "waiters of a paused account keep their timeout" {
	equal "$(order PUT /api/config '{"timeoutMs":1000}')" 200
	equal "$(order POST "/api/queues/$K/pause?unseen=1")" 200
	wait_for "[[ \$(http '$URL/v1/models' -o /dev/null; log_lines 'select(.msg | startswith(\"settings made\"))' | wc -l) -ge 1 ]]"
	ask k1 -o body -w '%{http_code}' >status
	equal "$(cat status)" 503
	equal "$(jq -r .error.code body)" QUEUE_TIMEOUT
	equal "$(order POST "/api/queues/$K/resume")" 200
	served k1
}

@test "a waiter that is removed is answered 503, the others aren't touched" {
	turn a k1
	ask_later b k1
	waiting k1 1
	ask_later c k1
	waiting k1 2
	local ticket holder
	ticket=$(queue k1 '.waiters[0].ticket')
	holder=$(queue k1 .lockHolder)
	equal "$(order DELETE "/api/queues/$K/waiters/$ticket")" 200
	await b
	equal "$(outcome b)" "503 0"
	equal "$(jq -r '.error.type + " " + .error.code' b.body)" "queue_removed QUEUE_REMOVED"
	equal "$(header x-user-message-queue-error b.head)" queue_removed
	equal "$(order DELETE "/api/queues/$K/waiters/$ticket")" 404
	equal "$(order DELETE "/api/queues/$K/waiters/$holder")" 409
	equal "$(queue k1 .waiting)" 1
	hang_up a
	await c
	equal "$(outcome c)" "200 0"
}

@test "an account that nobody has isn't paused: 404 with the name that was meant" {
	served k1
	equal "$(order POST /api/queues/nobody/pause)" 404
	equal "$(jq -r .error.message answer)" \
		'nobody has used the account nobody lately (To pause it all the same: ?unseen=1)'
	equal "$(order POST "/api/queues/${K%??}0x/pause")" 404
	has "did you mean $K?" "$(jq -r .error.message answer)"
	equal "$(http "$ADMIN/api/queues/nobody" | jq .paused)" false
	equal "$(order POST "/api/queues/nobody/pause?unseen=2")" 400
	equal "$(order POST "/api/queues/nobody/pause?unseen=1")" 200
	equal "$(http "$ADMIN/api/queues/nobody" | jq .paused)" true
	equal "$(order POST /api/queues/nobody/pause)" 200
	equal "$(order PUT /api/queues/team/config '{"delayMs":1}')" 200
	wait_for "[[ \$(order POST /api/queues/team/pause) == 200 ]]"
	equal "$(order POST "/api/queues/$K/pause")" 200
}

@test "orders are logged, with who gave them" {
	served k1
	equal "$(order POST "/api/queues/$K/pause")" 200
	equal "$(order POST "/api/queues/$K/resume")" 200
	local log=${OTHER_LOG:-$LOG}
	LOG=$log
	becomes "[\"operator: account paused\",\"$K\",\"127.0.0.1\"]
[\"operator: account resumed\",\"$K\",\"127.0.0.1\"]" \
		log_lines 'select(.msg | startswith("operator:")) | [.msg, .account, .client]'
}

@test "the list has pages" {
	local i
	for i in 1 2 3 4 5; do
		ask "p$i" -o /dev/null
	done
	wait_for "[[ \$(admin /api/queues '.queues | length') == 5 ]]"
	admin '/api/queues?limit=2' >page1
	jq -e '(.queues | length) == 2 and .nextOffset == 2' page1
	admin '/api/queues?limit=2&offset=2' >page2
	admin '/api/queues?limit=2&offset=4' >page3
	jq -e '(.queues | length) == 1 and .nextOffset == null' page3
	equal "$(jq -r '.queues[].accountId' page1 page2 page3 | sort -u | wc -l)" 5
	equal "$(http "$ADMIN/api/queues?limit=0" -o /dev/null -w '%{http_code}')" 400
	equal "$(http "$ADMIN/api/queues?offset=x" -o /dev/null -w '%{http_code}')" 400
}

@test "no account can be called so" {
	equal "$(http "$ADMIN/api/queues/a%20b" -o answer -w '%{http_code}')" 400
	equal "$(jq -r .error.code answer)" bad_account
	equal "$(order DELETE '/api/queues/%2e%2e%2fx/lock')" 400
}
