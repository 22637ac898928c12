#!/usr/bin/env bats
# Several turns at once, their interval, and what a line does when its turns change; on the backend $BACKEND. Who is next
# is shares.bats', and who comes back patience.bats'.
load helpers
load admin

setup() { prepare; }
teardown() { clean_up; }

# prompts N TURN_MS: N prompts of one person, each read before the next begins; p1 to pN.
prompts() {
	local i
	for ((i = 1; i <= $1; i++)); do
		ask_later "p$i" k1 -H 'X-Relay-Events: 4' -H "X-Relay-Interval-Ms: $(($2 / 4))"
		sent "p$i"
	done
}
all() { eval "echo p{1..$1}"; }

# begun: the prompts in the order in which the relay saw them.
begun() { relay_stats '[.requests[] | select(.tag | startswith("p"))] | sort_by(.arrived_us)'; }

# lasted: from the first one's arrival to the last one's end, in ms.
lasted() { begun | jq '((map(.last_us) | max) - .[0].arrived_us) / 1000 | floor'; }

# in_order: those of two turns that end at once may be heard in either order.
in_order() {
	begun | jq -e 'to_entries | map(.key - (.value.tag[1:] | tonumber - 1) | fabs) | max <= 1'
}

@test "ten prompts, two at once: in half the time, never three, in order" {
	local one two
	start_all -o queue.turns=1
	turn h1 k1
	prompts 10 400
	hang_up h1
	await $(all 10)
	one=$(lasted)
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
	equal "$(begun | jq -r 'map(.tag) | join(" ")')" "$(all 10)"
	stop_turnstile
	relay_reset
	start_turnstile -o queue.turns=2
	turn h1 k1
	turn h2 k1
	prompts 10 400
	hang_up h1
	hang_up h2
	await $(all 10)
	two=$(lasted)
	equal "$(relay_stats .accounts.k1.max_overlap)" 2
	in_order
	echo "# one at a time $one ms, two at once $two ms" >&3
	((two < one * 65 / 100))
}

@test "turns are raised and lowered at run time: more begin at once, none is cut" {
	start_all
	turn a k1
	ask_later b k1 -H 'X-Relay-Interval-Ms: 3600000'
	waiting k1 1
	ask_later c k1
	waiting k1 2
	equal "$(order PUT /api/config '{"turns":2}')" 200
	relay_wait tag=b
	equal "$(queue k1 '[.waiting, (.holders | length)]')" '[1,2]'
	equal "$(order PUT /api/config '{"turns":1}')" 200
	wait_for '[[ $(admin /api/config .turns) == 1 ]]'
	hang_up a
	wait_for '[[ $(queue k1 ".holders | length") == 1 ]]'
	equal "$(queue k1 .waiting)" 1 # the place that a leaves is none any more
	hang_up b
	await c
	equal "$(outcome c)" "200 0"
	equal "$(relay_stats .accounts.k1.max_overlap)" 2
}

@test "one of two holders is ended by its ticket, the other goes on" {
	start_all -o queue.turns=2
	local ticket
	turn a k1
	turn b k1
	ask_later c k1
	waiting k1 1
	ticket=$(queue k1 '.holders[0].ticket')
	equal "$(order DELETE "/api/queues/$(key_account k1)/lock/$ticket")" 200
	await c
	equal "$(outcome c)" "200 0"
	wait_for '[[ $(queue k1 ".holders | length") == 1 ]]'
	equal "$(queue k1 ".holders[0].ticket != \"$ticket\"")" true
}

@test "starts of turns are interval_ms apart, however many may be at once" {
	local interval
	interval=$(scaled 600 5000)
	start_all -o queue.turns=5 -o "queue.interval_ms=$interval"
	prompts 5 $((2 * interval))
	await $(all 5)
	in_order
	# what is apart when it begins is heard with some delay, which differs
	equal "$(begun | jq -c '[.[].arrived_us] | [range(1; length) as $i | .[$i] - .[$i - 1] | select(. < '$((interval * 667))')]')" '[]'
	(($(relay_stats .accounts.k1.max_overlap) >= 2))
}

@test "a share has a limit of its own in line" {
	start_all -o account.source=static:team -o queue.max_waiting_per_share=2
	team() { wait_for "[[ \$(admin /api/queues/team .waiting) == $1 ]]"; }
	turn holder k1
	ask_later a k1
	team 1
	ask_later b k1
	team 2
	equal "$(ask k1 -o body -w '%{http_code}')" 503
	equal "$(jq -r .error.type body)" queue_full
	ask_later other k2
	team 3
	hang_up holder
	await a b other
	equal "$(outcome a), $(outcome b), $(outcome other)" "200 0, 200 0, 200 0"
}
