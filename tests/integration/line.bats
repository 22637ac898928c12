#!/usr/bin/env bats
# Who stands in line asks where it is; on the backend $BACKEND.
load helpers
load admin

LINE=/.well-known/turnstile/line

setup() { prepare; }
teardown() { clean_up; }

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# line KEY [FILTER] [CURL ARGUMENT...]: the answer for that key.
line() { http -f -H "x-api-key: $1" "${@:3}" "$URL$LINE" | jq -r -c "${2:-.}"; }

# line_of SESSION: as a status line shows it.
line_of() { http -f -H 'Accept: text/plain' "$URL$LINE?session=$1"; }

# session NAME: what Claude Code says of itself.
session() { echo "X-Claude-Code-Session-Id: $1"; }

@test "the line of one's own key: how many, where, how long" {
	start_all
	equal "$(line k1)" "{\"account\":\"$(key_account k1)\",\"turns\":1,\"running\":0,\"waiting\":0,\"mine\":[],\"held\":null}"
	held holder k1
	ask_later a k1
	waiting k1 1
	ask_later b k1
	waiting k1 2
	wait_for '[[ $(line k1 .waiting) == 2 ]]'
	equal "$(line k1 '[.running, (.mine[] | .position, .of)] | tostring')" '[1,1,2,2,2]'
	line k1 >answer
	jq -e '.mine[0].estimate_ms < .mine[1].estimate_ms and .mine[0].waited_ms >= .mine[1].waited_ms' answer
	# another key has another line
	equal "$(line k2 '[.running, .waiting, .mine] | tostring')" '[0,0,[]]'
	relay_go
	await a b holder
	wait_for '[[ $(line k1 "[.running, .waiting, .mine] | tostring") == "[0,0,[]]" ]]'
}

@test "a session sees its own place, its turn, and nobody else's" {
	start_all
	held holder k1
	ask_later a k1 -H "$(session session-a)"
	waiting k1 1
	ask_later b k1 -H "$(session session-b)"
	waiting k1 2
	wait_for '[[ $(line_of session-b) == "in line: 2 of 2, about "* ]]'
	has 'in line: 1 of 2, about ' "$(line_of session-a)"
	equal "$(line_of session-c)" 'not in line'
	equal "$(line k1 '.mine | length' -G -d session=session-b)" 1
	equal "$(line k1 '.mine[0] | [.position, .of] | tostring' -G -d session=session-b)" '[2,2]'
	has u- "$(line k1 '.mine[0].share' -G -d session=session-b)"
	# who has several in line sees the first one
	ask_later c k1 -H "$(session session-b)"
	waiting k1 3
	wait_for '[[ $(line_of session-b) == "in line: 2 of 3, about "*", and 1 more" ]]'
	relay_go
	await a b c holder
	held turn k1 -H "$(session session-d)"
	wait_for '[[ $(line_of session-d) == "your turn, for "* ]]'
	relay_go
	await turn
}

@test "people with one key learn of each other's places only, not who has them" {
	start_all -o queue.share_by=header:X-Who
	held holder k1
	ask_later a k1 -H 'X-Who: ann'
	waiting k1 1
	ask_later b k1 -H 'X-Who: bob'
	waiting k1 2
	wait_for '[[ $(line k1 "[.mine[] | .position] | tostring") == "[1,2]" ]]'
	equal "$(line k1 '[.mine[].share] | tostring')" '[null,null]'
	equal "$(line k1 '[.mine[] | .share != null] | tostring' -H 'X-Who: bob')" '[false,true]'
	relay_go
	await a b holder
}

@test "nobody without a credential, and it makes no noise" {
	start_all
	equal "$(http -o answer -w '%{http_code}' "$URL$LINE")" 401
	equal "$(jq -r .error.type answer)" authentication_error
	equal "$(http -o answer -w '%{http_code}' "$URL$LINE?session=")" 401
	line k1
	equal "$(exchanges)" ''
	equal "$(admin /api/overview '[.refusals[]?] | length')" 0
	equal "$(relay_stats .all.seen)" 0
	equal "$(http -I -o /dev/null -w '%{http_code}' -H 'x-api-key: k1' "$URL$LINE")" 200
}

@test "a page of another site may ask, with whatever credential it has" {
	start_all
	equal "$(http -X OPTIONS -D head -o answer -w '%{http_code}' -H 'Origin: https://example.org' \
		-H 'Access-Control-Request-Method: GET' -H 'Access-Control-Request-Headers: x-api-key' "$URL$LINE?session=s")" 200
	equal "$(header access-control-allow-origin head)|$(header access-control-allow-methods head)" '*|GET, HEAD'
	equal "$(header access-control-allow-headers head)|$(cat answer)" 'x-api-key|'
	equal "$(http -D head -o answer -w '%{http_code}' -H 'Origin: https://example.org' -H 'x-api-key: k1' "$URL$LINE")" 200
	equal "$(header access-control-allow-origin head)" '*'
	equal "$(relay_stats .all.seen)" 0
	http -X OPTIONS -o /dev/null -H 'Origin: https://example.org' "$URL$LINE/other" # the relay's to say
	equal "$(relay_stats .all.seen)" 1
}

@test "a paused account, and one that is limited" {
	start_all
	held holder k1
	ask_later a k1 -H "$(session s-a)"
	waiting k1 1
	order POST "/api/queues/$(key_account k1)/pause"
	relay_go
	await holder
	wait_for '[[ $(line k1 "[.held.reason, .held.until, .mine[0].estimate_ms] | tostring") == "[\"pause\",null,null]" ]]'
	has 'in line: 1 of 1 (waited ' "$(line_of s-a)"
	has '; the account is paused' "$(line_of s-a)"
	order POST "/api/queues/$(key_account k1)/resume"
	await a
	ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 50'
	wait_for '[[ $(line k1 .held.reason) == throttle ]]'
	has T "$(line k1 .held.until)"
	ask_later b k1 -H "$(session s-b)"
	waiting k1 1
	wait_for '[[ $(line_of s-b) == "in line: 1 of 1, about "*"; the account is limited for "*" s" ]]'
	line k1 >answer
	jq -e '.mine[0].estimate_ms > 10000' answer
	hang_up b
}

@test "a session is found in another process of the fleet, by its account's key" {
	[[ $BACKEND == redis ]] || skip "one process has no fleet"
	start_all -o redis.instance=one
	held holder k1
	ask_later a k1 -H "$(session session-a)"
	waiting k1 1
	start_turnstile -o redis.instance=two
	equal "$(line_of session-a)" 'not in line' # whose line would that be?
	wait_for '[[ $(line k1 ".mine[0] | [.position, .of] | tostring" -G -d session=session-a) == "[1,1]" ]]'
	equal "$(line k1 '[.waiting, .mine] | tostring' -G -d session=session-b)" '[1,[]]'
	relay_go
	await a holder
}

@test "the script for Claude Code's status line" {
	start_all
	http -f -o statusline.sh "$URL$LINE/statusline"
	head -n 1 statusline.sh | grep -qx '#!/bin/sh'
	status_line() {
		printf '{"session_id": "%s",\n "model":{"id":"x"},"prompt_id":"p"}' "$1" |
			env -i PATH="$PATH" ANTHROPIC_BASE_URL="$URL/" "${@:2}" sh statusline.sh
	}
	equal "$(status_line 0b6f8f6e-1a4e-4f6e-9c59-5f1d3a1f2c3d)" 'not in line'
	held holder k1
	ask_later a k1 -H "$(session 0b6f8f6e-1a4e-4f6e-9c59-5f1d3a1f2c3d)"
	waiting k1 1
	wait_for '[[ $(status_line 0b6f8f6e-1a4e-4f6e-9c59-5f1d3a1f2c3d) == "in line: 1 of 1, about "* ]]'
	has 'in line: 1 of 1' "$(status_line 0b6f8f6e-1a4e-4f6e-9c59-5f1d3a1f2c3d ANTHROPIC_AUTH_TOKEN=k1)"
	equal "$(status_line x ANTHROPIC_BASE_URL=http://127.0.0.1:9)" 'turnstile does not answer'
	relay_go
	await a holder
}

@test "accounts that aren't named by the key are shown to those who are in them" {
	start_all -o account.source=static:all
	held holder k1
	ask_later a k2
	waiting_all() { [[ $(admin /api/queues/static:all .waiting) == 1 ]] || [[ $(admin /api/queues/all .waiting) == 1 ]]; }
	wait_for waiting_all
	wait_for '[[ $(line k2 "[.running, .waiting, .mine[0].position] | tostring") == "[1,1,1]" ]]'
	equal "$(line made-up '[.account, .running, .waiting] | tostring')" '[null,0,0]'
	relay_go
	await a holder
}

@test "another path, or none" {
	start_all -o listen.line_path=/wait
	equal "$(http -H 'x-api-key: k1' "$URL/wait" | jq -c .mine)" '[]'
	http -f "$URL/wait/statusline" | grep -q '/wait?session='
	stop_turnstile
	start_turnstile -o listen.line_path=
	http -o /dev/null "$URL$LINE" -H 'x-api-key: k1'
	exchange_wait ".path == \"$LINE\" and .outcome == \"answered\"" # by the relay
}

@test "estimates come true within a quarter, for the first ten in line" {
	start_all
	local i asked names=() turn=(-H 'X-Relay-Events: 15' -H "X-Relay-Interval-Ms: $(scaled 100 300)")
	for i in 1 2 3; do
		ask k1 -o /dev/null "${turn[@]}"
	done
	held holder k1
	for i in {1..11}; do
		ask_later "r$i" k1 "${turn[@]}"
		waiting k1 "$i"
		names+=("r$i")
	done
	relay_go
	relay_wait tag=r1 phase=headers # its turn has just begun
	line k1 '[.mine[].estimate_ms]' >estimates
	http -f -o /dev/null -H 'X-Relay-Tag: asked' "http://$RELAY/v1/models"
	await "${names[@]}"
	relay_stats '[.requests[] | select(.tag) | {tag, arrived_us}]' >arrived
	jq -n -c --slurpfile estimates estimates --slurpfile arrived arrived '
		($arrived[0] | map({(.tag): .arrived_us}) | add) as $at
		| range(10) as $i | (($at["r\($i + 2)"] - $at.asked) / 1000) as $really | $estimates[0][$i] as $said
		| {position: ($i + 1), said: $said, really: ($really | floor), off: (($said / $really - 1) * 100 | floor)}' >result
	sed 's/^/# /' result >&3
	jq -s -e 'length == 10 and all(.[]; .off >= -25 and .off <= 25)' result
}
