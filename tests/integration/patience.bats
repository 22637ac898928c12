#!/usr/bin/env bats
# Ten people at one key press Enter at the same time. With what turnstile does by default nobody is sent away, nobody
# is refused, all are answered in order, and the account isn't idle meanwhile. All times are a tenth of what they are
# in life: turns of 20 s, the clients' patience and back-off (people.py), queue.delay_ms and queue.timeout_ms.
load helpers

setup() {
	prepare
	start_peers
	# One turn, from its request to its end.
	TURN=(-- 'X-Relay-Events: 20' 'X-Relay-Interval-Ms: 100')
}
teardown() { clean_up; }

# tenth OPTION: of its default.
tenth() { run_turnstile --print-config | awk -v name="${1#*.}" '$1 == name && $2 == "=" { print int($3 / 10) }'; }

# ten [OPTION...]: ten people, and what became of them.
ten() {
	start_turnstile -o "queue.delay_ms=$(tenth queue.delay_ms)" -o "queue.timeout_ms=$(tenth queue.timeout_ms)" "$@"
	"$BATS_TEST_DIRNAME/people.py" 10 10 "$URL" "${TURN[@]}" >people
	echo "# $(cat people), idle: $(idle) of a thousand" >&3
}

# idle: thousandths of the time from the first turn's begin to the last one's end in which nobody had one.
idle() {
	relay_stats '[.requests[] | select(.account == "k1" and .last_us)] | sort_by(.arrived_us) | . as $r
		| ([range(1; length) | $r[.].arrived_us - $r[. - 1].last_us] | add) * 1000
		/ ($r[-1].last_us - $r[0].arrived_us) | floor'
}

@test "ten at once: all are answered, in order, nobody is refused, and nobody waits for nothing" {
	ten
	equal "$(cat people)" '{"answered":10,"sent_away":0,"tries":10}'
	equal "$(relay_stats '.accounts.k1 | [.completed, .max_overlap]')" '[10,1]'
	exchange_wait '.outcome == "answered"' 10
	equal "$(exchanges 'select(.outcome == "answered") | .position' | paste -sd' ')" '0 1 2 3 4 5 6 7 8 9'
	(($(idle) < $(scaled 20)))
}

@test "where the line's patience is shorter than the line, who is refused comes back, and the account isn't idle" {
	ten -o queue.timeout_ms=6000 # a minute
	equal "$(jq -c '[.answered, .sent_away]' people)" '[10,0]'
	equal "$(relay_stats '.accounts.k1 | [.completed, .max_overlap]')" '[10,1]'
	(($(jq '.["503"] // 0' people) > 0)) # or it says nothing
	(($(idle) < $(scaled 60))) # of a thousand
	# in the moment of each refusal somebody had the account's turn
	exchange_wait '.outcome == "answered"' 10
	exchanges '[.outcome, (.time | sub("\\.(?<ms>.*)Z"; "Z") | fromdateiso8601) * 1000 + (.time | .[20:23] | tonumber), .hold_ms]' >ends
	jq -s -e '
		[.[] | select(.[0] == "answered") | {from: (.[1] - .[2]), to: .[1]}] as $turns
		| [.[] | select(.[0] == "queue_timeout") | .[1] as $at | any($turns[]; .from <= $at + 50 and $at <= .to + 50)]
		| length > 0 and all' ends
}
