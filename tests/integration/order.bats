#!/usr/bin/env bats
# Whose turn: one at a time, in order of arrival, account by account; on the backend $BACKEND.
load helpers

setup() { prepare; }
teardown() { clean_up; }

@test "many at once are served one at a time" {
	start_all
	local i names=()
	for i in {1..12}; do
		ask_later "r$i" k1 -H 'X-Relay-Events: 2' -H 'X-Relay-Interval-Ms: 10'
		names+=("r$i")
	done
	await "${names[@]}"
	equal "$(for i in {1..12}; do outcome "r$i"; done | sort -u)" "200 0"
	equal "$(relay_stats '.accounts.k1 | [.completed, .max_overlap]')" '[12,1]'
}

@test "turns come in the order of arrival" {
	start_all
	turn holder k1
	local i names=()
	for i in {1..6}; do
		ask_later "r$i" k1
		in_line "r$i" k1 "$i"
		names+=("r$i")
	done
	hang_up holder
	await "${names[@]}"
	equal "$(relay_stats '.accounts.k1.order | join(" ")')" "holder r1 r2 r3 r4 r5 r6"
	equal "$(relay_stats '.accounts.k1.completed')" 6
	exchange_wait '.outcome == "answered" and .account' 6
	equal "$(exchanges 'select(.outcome == "answered" and .account) | .position' | paste -sd' ')" "1 2 3 4 5 6"
}

@test "accounts don't wait for each other" {
	start_all
	turn a k1
	served k2
	turn b k2
	served k3
	equal "$(relay_stats .all.max_overlap)" 3
}

@test "one key is one account, under either header" {
	start_all
	turn a k1
	ask_later b 'Bearer k1'
	in_line b k1 1
	equal "$(relay_stats .accounts.k1.seen)" 1
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	exchange_wait '.kind == "user_message"' 2
	equal "$(exchanges 'select(.kind == "user_message") | .account' | sort -u)" "$(key_account k1)"
}

@test "who hangs up in line never reaches the upstream, the others move up" {
	start_all
	turn a k1
	ask_later b k1
	in_line b k1 1
	ask_later c k1
	in_line c k1 2
	hang_up b
	exchange_wait '.outcome == "client_gone" and .position == 1'
	hang_up a
	await c
	equal "$(outcome c)" "200 0"
	equal "$(relay_stats '.accounts.k1.order')" '["a","c"]'
}

@test "the delay runs from the end of one turn to the start of the next" {
	start_all -o queue.delay_ms=400
	ask_later a k1
	ask_later b k1
	ask_later c k1
	await a b c
	equal "$(outcome a), $(outcome b), $(outcome c)" "200 0, 200 0, 200 0"
	relay_stats '[.requests[]] | [.[1].arrived_us - .[0].last_us, .[2].arrived_us - .[1].last_us] | .[] ' >gaps
	local gap
	while read -r gap; do
		((gap >= 398000)) || { echo "a gap of $gap us" >&2; return 1; }
	done <gaps
}

@test "the delay holds for who comes alone, too" {
	local delay
	delay=$(scaled 2000 10000) # so that the second one comes within it; there is no longer one
	start_all -o "queue.delay_ms=$delay"
	ask k1 -o /dev/null
	ask k1 -o /dev/null
	relay_stats '.requests[1].arrived_us - .requests[0].last_us' >gap
	(($(cat gap) >= delay * 1000 - 2000))
	exchange_wait '.wait_ms >= 300'
}

@test "a delay that outlasts the timeout ends at the deadline" {
	start_all -o queue.delay_ms=10000 -o queue.timeout_ms=1000
	ask k1 -o /dev/null
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	exchange_wait ".outcome == \"queue_timeout\" and .wait_ms >= 990 and .wait_ms < 1000 + $(scaled 4000)"
	equal "$(relay_stats .all.seen)" 1
}

@test "the wait is told to the client and in the log" {
	start_all
	held a k1
	ask_later b k1
	in_line b k1 1
	rest 500 # the wait itself
	relay_go
	await a b
	exchange_wait '.outcome == "answered" and .account' 2
	local dur
	dur=$(header server-timing b.head | sed -n 's/.*queue;dur=\([0-9]*\).*/\1/p')
	((dur >= 490 && dur < $(scaled 20000)))
	equal "$(exchanges 'select(.account and .position == 1) | .wait_ms >= 490')" true
	equal "$(exchanges 'select(.account and .position == 0) | .hold_ms >= 490')" true
}

@test "waiting takes no CPU" {
	start_all
	turn a k1
	ask_later b k1
	in_line b k1 1
	local before after
	before=$(awk '{print $14 + $15}' "/proc/$TURNSTILE_PID/stat")
	rest 1000 # what it does meanwhile is the subject
	after=$(awk '{print $14 + $15}' "/proc/$TURNSTILE_PID/stat")
	((after - before <= 10))
}
