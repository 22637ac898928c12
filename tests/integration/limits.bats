#!/usr/bin/env bats
# What the upstream says of an account's limits, and what follows for those in line.
load helpers
load admin

setup() { prepare; }
teardown() { clean_up; }

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# limited TAG KEY FIELD...: a request that has its turn until relay_go, and is answered 429 then.
limited() {
	local fields=() f
	for f in "${@:3}"; do
		fields+=(-H "X-Relay-Header: $f")
	done
	ask_later "$1" "$2" -H 'X-Relay-Status: 429' -H 'X-Relay-Delay-Ms: 3600000' "${fields[@]}"
	relay_wait "tag=$1" phase=body
}

in_order() { relay_stats '[.requests[] | select(.counted) | .tag] | join(" ")'; }

@test "a throttle: nobody of the line is sent meanwhile, then one, then all in order" {
	start_all -o queue.delay_ms=0
	local n seconds
	seconds=$(scaled 5 50) # in which all of this is seen; from a minute on it is asked before its end
	limited a k1 "retry-after: $seconds"
	for n in 1 2 3 4 5 6; do
		ask_later "w$n" k1
		waiting k1 "$n"
	done
	relay_go
	await a
	equal "$(outcome a)" "429 0"
	wait_for '[[ $(queue k1 .held.reason) == throttle ]]'
	equal "$(queue k1 .waiting)" 6
	equal "$(admin /api/overview '.queues[0].state')" limited
	await w1
	relay_stats '(.requests | map({(.tag): .}) | add) | (.w1.arrived_us - .a.last_us) / 1000' >pause
	(($(cut -d. -f1 pause) >= seconds * 1000 - 10))
	await w2 w3 w4 w5 w6
	for n in 1 2 3 4 5 6; do
		equal "$(outcome "w$n")" "200 0"
	done
	equal "$(in_order)" "a w1 w2 w3 w4 w5 w6"
	equal "$(queue k1 .held)" null
	log_wait '.msg | test("the upstream limits the account")'
	equal "$(metric 'turnstile_upstream_limits_total{kind="throttle"}')" 1
}

@test "a probe that is refused holds the account for longer; nobody else hears of it" {
	start_all -o queue.delay_ms=0
	limited a k1
	ask_later b k1 -H 'X-Relay-Status: 429'
	waiting k1 1
	ask_later c k1
	waiting k1 2
	relay_go
	await a b
	equal "$(outcome a) $(outcome b)" "429 0 429 0"
	becomes '[2,1]' queue k1 '[.held.refusals, .waiting]'
	await c
	equal "$(outcome c)" "200 0"
	equal "$(in_order)" "a b c"
}

@test "a window is spent: who waits hears it at once, in the upstream's words; then one asks" {
	start_all -o queue.delay_ms=0 -o queue.on_limit=throttle,quota -o queue.timeout_ms=60000
	local reset start
	reset=$(($(date +%s) + 7200))
	limited a k1 'retry-after: 7200' 'anthropic-ratelimit-unified-status: rejected' \
		'anthropic-ratelimit-unified-5h-status: rejected' "anthropic-ratelimit-unified-5h-reset: $reset" \
		'anthropic-ratelimit-unified-representative-claim: five_hour' 'x-private: no'
	ask_later b k1
	waiting k1 1
	relay_go
	await a
	start=$(now_ms)
	await b
	(($(now_ms) - start < $(scaled 1000)))
	equal "$(outcome b)" "429 0"
	equal "$(header x-turnstile-held b.head)" quota
	equal "$(header anthropic-ratelimit-unified-5h-reset b.head)" "$reset"
	equal "$(header x-private b.head)" ''
	equal "$(header x-should-retry b.head)" false
	(($(header retry-after b.head) > 7000 && $(header retry-after b.head) <= 7200))
	cmp a.body b.body
	exchange_wait '.outcome == "account_limited" and .status == 429'
	# whoever comes later hears the same, and the relay nothing
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 429
	equal "$(relay_stats .all.seen)" 1
	equal "$(queue k1 '.held.reason')" quota
	# an operator ends it
	equal "$(order DELETE "/api/queues/$(key_account k1)/hold")" 200
	equal "$(order DELETE "/api/queues/$(key_account k1)/hold")" 404
	served k1
}

@test "a fleet has one hold: who waits elsewhere hears it in the same words, and it ends anywhere" {
	[[ $BACKEND == redis ]] || skip "one process is no fleet"
	local options=(-o queue.delay_ms=0 -o queue.on_limit=throttle,quota -o queue.timeout_ms=60000)
	start_all "${options[@]}" -o redis.instance=one
	local first=$ADMIN
	limited a k1 'retry-after: 7200' 'anthropic-ratelimit-unified-status: rejected' \
		'anthropic-ratelimit-unified-5h-status: rejected' \
		"anthropic-ratelimit-unified-5h-reset: $(($(date +%s) + 7200))"
	start_turnstile "${options[@]}" -o redis.instance=two
	ask_later b k1
	waiting k1 1
	relay_go
	await a b
	equal "$(outcome b)" "429 0"
	equal "$(header x-turnstile-held b.head)" quota
	cmp a.body b.body
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 429
	equal "$(relay_stats .all.seen)" 1
	equal "$(queue k1 '[.held.reason, .held.refusals]')" '["quota",1]'
	equal "$(ADMIN=$first queue k1 .held.reason)" quota
	equal "$(ADMIN=$first order DELETE "/api/queues/$(key_account k1)/hold")" 200
	served k1
	equal "$(queue k1 .held)" null
}

@test "what isn't the account's limit holds nobody; and what isn't wanted neither" {
	start_all -o queue.delay_ms=0
	ask k1 -o /dev/null -H 'X-Relay-Status: 529'
	served k1
	ask k1 -o /dev/null -H 'X-Relay-Status: 503'
	served k1
	ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: x-user-message-queue-error: queue_full'
	equal "$(queue k1 .held)" null
	stop_turnstile
	start_turnstile -o queue.delay_ms=0 -o queue.on_limit=
	ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 20'
	served k1
	log_wait '.msg == "the upstream refused for a limit" and .kind == "throttle" and .held == false'
	stop_turnstile
	printf '[account "one"]\nkeys = %s\non_limit =\n' "$(key_account k1)" >t.ini
	start_turnstile --config t.ini -o queue.delay_ms=0
	ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 20'
	served k1
}

@test "quota in view: windows as the responses tell, the answers by kind, and what changes in the log" {
	local hour reset five=anthropic-ratelimit-unified-5h
	start_all -o queue.delay_ms=0 -o queue.on_limit= -o admin.metrics_accounts=5
	hour=$(($(date +%s) + 3600))
	equal "$(queue k1 .quota)" null
	ask k1 -o /dev/null -H "X-Relay-Header: $five-utilization: 0.5" -H "X-Relay-Header: $five-reset: $hour" \
		-H "X-Relay-Header: $five-status: allowed"
	wait_for '[[ $(queue k1 ".quota.windows | map(.window) | join(\" \")") == "5h requests" ]]'
	equal "$(queue k1 '.quota.windows[0] | [.used, .status]')" '[0.5,"allowed"]'
	equal "$(queue k1 ".quota.windows[0].resets | sub(\"[.]000Z\"; \"Z\") | fromdate")" "$hour"
	equal "$(admin /api/overview '.queues[0].quota.windows[0].used')" 0.5
	equal "$(metric "turnstile_account_quota_used_ratio{account=\"$(key_account k1)\",window=\"5h\"}")" 0.5
	equal "$(metric "turnstile_account_quota_reset_timestamp_seconds{account=\"$(key_account k1)\",window=\"5h\"}")" "$hour"
	# another one, of requests that don't queue as well; the first stays
	reset=$(($(date +%s) + 2 + $(scaled 3 10)))
	ask_tool k1 -o /dev/null -H 'X-Relay-Header: anthropic-ratelimit-unified-7d_opus-utilization: 1' \
		-H "X-Relay-Header: anthropic-ratelimit-unified-7d_opus-reset: $reset" \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-7d_opus-status: rejected'
	log_wait '.msg == "the upstream tells of a quota" and .window == "7d_opus" and .status == "rejected" and .level == "warn"'
	equal "$(queue k1 '.quota.windows | map(.window) | sort | join(" ")')" '5h 7d_opus requests'
	# what has rolled over is dropped
	wait_for '[[ $(queue k1 ".quota.windows | map(.window) | sort | join(\" \")") == "5h requests" ]]'
	ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 5'
	ask k1 -o /dev/null -H 'X-Relay-Status: 529'
	ask_tool k1 -o /dev/null -H 'X-Relay-Status: 529'
	ask k1 -o /dev/null -H 'X-Relay-Status: 500'
	ask k1 -o /dev/null -H 'X-Relay-Status: 404'
	wait_for '[[ $(queue k1 .answersLast24Hours.refused) == 1 ]]'
	equal "$(queue k1 '.answersLast24Hours | [.ok, .throttle, .quota, .overloaded, .failed, .refused]')" '[2,1,0,2,1,1]'
	equal "$(metric "turnstile_account_answers_total{account=\"$(key_account k1)\",kind=\"overloaded\"}")" 2
	# one that doesn't say when it ends has no end
	ask k2 -o /dev/null -H "X-Relay-Header: $five-utilization: 0.25"
	becomes 0.25 metric "turnstile_account_quota_used_ratio{account=\"$(key_account k2)\",window=\"5h\"}"
	equal "$(metric "turnstile_account_quota_reset_timestamp_seconds{account=\"$(key_account k2)\",window=\"5h\"}")" ''
}

@test "a relay that makes a 403 of a spent window is believed by its fields; and no title holds anybody" {
	start_all -o queue.delay_ms=0 -o queue.on_limit=throttle,quota
	ask k1 -o /dev/null -H 'X-Relay-Status: 403' -H 'X-Relay-Header: retry-after: 50'
	equal "$(queue k1 .held)" null
	ask k1 -o /dev/null -H 'X-Relay-Status: 403' -H 'X-Relay-Bytes: 9' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-5h-status: rejected' -H "X-Relay-Header: anthropic-ratelimit-unified-5h-reset: $(($(date +%s) + 7200))"
	equal "$(queue k1 .held.reason)" quota
	ask k2 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 50' -H 'x-claude-code-request-class: auxiliary'
	equal "$(queue k2 .held)" null
	served k2
}

@test "queue.release_on = headers: a refusal keeps its turn until its body says whether it is a limit" {
	start_all -o queue.delay_ms=0 -o queue.release_on=headers
	ask k1 -o /dev/null -H 'X-Relay-Status: 429'
	equal "$(queue k1 .held.reason)" throttle
}

# for_model NAME MODEL [CURL ARGUMENT...]: k1's request for that model, whose tool names haiku.
for_model() {
	user_body | jq -c --arg m "$2" '.model = $m | .tools = [{name: "a"}, {type: "advisor", model: "claude-haiku-5"}]' >"$1.json"
	BODY=$1.json ask_later "$1" k1 "${@:3}"
}

@test "a window of one family of models is spent: only requests for it are held, others pass them" {
	local reset
	start_all -o queue.delay_ms=0 -o queue.on_limit=throttle,quota -o queue.timeout_ms=60000
	reset=$(($(date +%s) + 7200))
	for_model a claude-opus-5-5 -H 'X-Relay-Status: 429' -H 'X-Relay-Delay-Ms: 3600000' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-status: rejected' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-5h-status: allowed' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-7d_opus-status: rejected' \
		-H "X-Relay-Header: anthropic-ratelimit-unified-7d_opus-reset: $reset"
	relay_wait tag=a phase=body
	for_model b claude-opus-5-5
	waiting k1 1
	for_model c claude-sonnet-5-5
	waiting k1 2
	relay_go
	await a b c
	equal "$(outcome a) $(outcome b) $(outcome c)" "429 0 429 0 200 0"
	equal "$(header x-turnstile-held b.head)" quota
	cmp a.body b.body
	equal "$(queue k1 '[.held, .state, (.heldFamilies | map(.family, .reason))]')" '[null,null,["opus","quota"]]'
	equal "$(admin /api/overview '.queues[0].state')" free
	log_wait '.msg | test("limits a family of models")'
	for_model d claude-haiku-5
	for_model e claude-opus-4-1
	await d e
	equal "$(outcome d) $(outcome e)" "200 0 429 0"
	equal "$(relay_stats .all.seen)" 3
	# what a tool names counts as well
	for_model f claude-haiku-5 -H 'X-Relay-Status: 429' \
		-H 'X-Relay-Header: anthropic-ratelimit-unified-7d_haiku-status: rejected' \
		-H "X-Relay-Header: anthropic-ratelimit-unified-7d_haiku-reset: $reset"
	await f
	for_model g claude-sonnet-5-5
	await g
	equal "$(outcome g)" "429 0"
	served k1 # its tools name nobody
	equal "$(order DELETE "/api/queues/$(key_account k1)/hold")" 200
	for_model h claude-opus-5-5
	await h
	equal "$(outcome h)" "200 0"
}

@test "limits that an upstream makes up hold an account for a day at most, and it is asked after a minute" {
	local i=0 fields now
	start_all -o queue.delay_ms=0 -o queue.on_limit=throttle,quota
	for fields in 'retry-after: 99999999999999999999' 'retry-after: 86400000' \
		'anthropic-ratelimit-unified-5h-status: rejected|anthropic-ratelimit-unified-5h-reset: 99999999999999999999' \
		'anthropic-ratelimit-unified-status: rejected|anthropic-ratelimit-unified-representative-claim: seven_day|anthropic-ratelimit-unified-reset: 9999999999999' \
		'anthropic-ratelimit-requests-remaining: 0|anthropic-ratelimit-requests-reset: 9999-12-31T23:59:59Z'; do
		local args=() field
		while IFS= read -r field; do
			args+=(-H "X-Relay-Header: $field")
		done < <(tr '|' '\n' <<<"$fields")
		ask "k$((++i))" -o /dev/null -H 'X-Relay-Status: 429' "${args[@]}"
		now=$(date +%s)
		equal "$(queue "k$i" "[.held | .until, .nextProbe | sub(\"[.][0-9]+Z\"; \"Z\") | fromdate - $now] | [.[0] <= 86401, .[1] <= 61]")" '[true,true]'
	done
	# what says nothing of an end holds for seconds
	for fields in 'retry-after: -5' 'retry-after: soon' 'retry-after: 0' 'retry-after: 1e9'; do
		ask "k$((++i))" -o /dev/null -H 'X-Relay-Status: 429' -H "X-Relay-Header: $fields"
		now=$(date +%s)
		log_wait ".account == \"$(key_account "k$i")\" and .held"
		# which may be over already
		equal "$(queue "k$i" "(.held.until // \"1970-01-01T00:00:00Z\" | sub(\"[.][0-9]+Z\"; \"Z\") | fromdate) - $now <= 3")" true
	done
}

@test "queue.retry: of several turns that are refused together, one asks again, and the line waits for it" {
	local name
	start_all -o queue.delay_ms=0 -o queue.turns=2 -o queue.retry=throttle
	for name in a b; do
		ask_later "$name" k1 -H 'X-Relay-Status: 429' -H 'X-Relay-First: 1' -H 'X-Relay-Header: retry-after: 5' \
			-H 'X-Relay-Delay-Ms: 3600000'
	done
	relay_wait tag=a phase=body
	relay_wait tag=b phase=body
	ask_later c k1
	waiting k1 1
	relay_go
	await a b c
	equal "$({ outcome a; outcome b; } | sort | paste -sd,)" "200 0,429 0"
	equal "$(outcome c)" "200 0"
	equal "$(relay_stats '[.requests[] | select(.counted) | .tag] | [length, .[-1], (.[2] | . == "a" or . == "b")] | join(" ")')" "4 c true"
	equal "$(queue k1 .held)" null
}
