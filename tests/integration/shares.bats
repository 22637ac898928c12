#!/usr/bin/env bats
# Who is next within an account: shares take turns beside each other, requests that nobody typed let others go first,
# and whoever was sent away comes back to its place; on the backend $BACKEND.
load helpers
load admin

setup() { prepare; }
teardown() { clean_up; }

# asked: whom the relay has seen, in order.
asked() { relay_stats '[.requests[] | select(.target | startswith("/v1/messages")) | .tag] | join(" ")'; }

# place TAG: how many came before it.
place() { asked | tr ' ' '\n' | awk -v "tag=$1" '$0 == tag {print NR - 1}'; }

# of_device DEVICE: the body of a prompt from there.
of_device() {
	printf '{"messages":[{"role":"user","content":"hi"}],"metadata":{"user_id":"%s"},"stream":true}' \
		"$(printf '{"device_id":"%s","session_id":"s-%s"}' "$1" "$1" | sed 's/"/\\"/g')" >"$DIR/$1.json"
	echo "$DIR/$1.json"
}

# several N NAME COMMAND...: N later requests, NAME1 to NAMEn, each read before the next begins.
several() {
	local i
	for ((i = 1; i <= $1; i++)); do
		ask_later "$2$i" "${@:3}"
		sent "$2$i"
	done
}

@test "a script's thirty prompts don't hold up a person with another key" {
	start_all -o account.source=static:team -o queue.delay_ms=0
	turn holder script
	several 30 s script
	ask_later person k2
	sent person
	hang_up holder
	await person s30
	[[ $(place person) -le 3 ]]
	equal "$(asked | tr ' ' '\n' | grep '^s' | paste -sd' ')" "$(echo s{1..30})"
}

@test "twenty prompts of one device don't hold up another device with the same key" {
	start_all -o queue.delay_ms=0
	local first second
	first=$(of_device d1) second=$(of_device d2)
	BODY=$first turn holder k1
	BODY=$first several 20 a k1
	BODY=$second ask_later person k1
	BODY=$second sent person
	hang_up holder
	await person a20
	[[ $(place person) -le 3 ]]
}

@test "one's own prompt comes before one's own agents, whose turn comes all the same" {
	start_all -o queue.delay_ms=0
	turn holder k1
	several 15 a k1 -H 'X-Claude-Code-Agent-Id: a1'
	ask_later prompt k1
	sent prompt
	hang_up holder
	await prompt a15
	[[ $(place prompt) -le 2 ]]
	equal "$(asked | tr ' ' '\n' | grep '^a' | paste -sd' ')" "$(echo a{1..15})"
	exchange_wait '.mark == "subagent" and .outcome == "answered"' 15
}

@test "weights and names: a section's share gets more, and the log tells of it" {
	cat >t.ini <<-END
		[account]
		source = static:team
		[share "alice"]
		keys = $(key_account k1)
		weight = 3
		[share "bob"]
		keys = $(key_account k2)
	END
	start_all --config t.ini -o queue.delay_ms=0
	turn holder k3
	several 6 a k1
	several 6 b k2
	hang_up holder
	await a6 b6
	equal "$(asked | cut -d' ' -f2-9 | tr -d '0-9 ' | sed 's/a//g' | wc -c)" 3 # two b and the line's end
	exchange_wait '.share == "alice"' 6
	exchange_wait '.share == "bob"' 6
	exchange_wait '.share | test("^u-[0-9a-f]{12}$")'
}

@test "arrival is the order of arrival, whoever it is" {
	start_all -o account.source=static:team -o queue.order=arrival -o queue.delay_ms=0
	turn holder script
	several 5 s script
	ask_later person k2
	sent person
	hang_up holder
	await person s5
	equal "$(asked)" "holder s1 s2 s3 s4 s5 person"
}

@test "whoever was refused and sends the same again has its old place" {
	local timeout
	timeout=$(scaled 2000)
	start_all -o queue.delay_ms=0 -o "queue.timeout_ms=$timeout"
	turn holder k1
	ask_later first k1 -H 'X-Claude-Code-Prompt-Id: p1'
	await first
	equal "$(outcome first)" "503 0"
	several 3 other k1 -H 'X-Claude-Code-Prompt-Id: p2'
	BODY=$(of_device d1) ask_later again k1 -H 'X-Claude-Code-Prompt-Id: p1' # the id is enough
	BODY=$(of_device d1) sent again
	hang_up holder
	await again other3
	equal "$(place again)" 1
}

@test "nobody else comes by that place: the credential is part of it" {
	local timeout
	timeout=$(scaled 2000)
	start_all -o account.source=static:team -o queue.order=arrival -o queue.delay_ms=0 -o "queue.timeout_ms=$timeout"
	turn holder k1
	ask_later first k1 -H 'X-Claude-Code-Prompt-Id: p1'
	await first
	several 2 other k1 -H 'X-Claude-Code-Prompt-Id: p2'
	ask_later thief k2 -H 'X-Claude-Code-Prompt-Id: p1'
	sent thief
	hang_up holder
	await thief other2
	equal "$(asked)" "holder other1 other2 thief"
}

@test "metrics by share: of those that a section names, of all others together, and none without sections" {
	printf '[account]\nsource = static:team\n[share "alice"]\nkeys = %s\n' "$(key_account k1)" >t.ini
	start_all --config t.ini -o queue.max_waiting=1
	turn a k1
	ask_later b k2
	wait_for '[[ $(metric turnstile_waiting) == 1 ]]'
	equal "$(ask k1 -o /dev/null -w '%{http_code}')" 503
	hang_up a
	await b
	exchange_wait true 3
	ask k3 -o /dev/null
	exchange_wait true 4
	equal "$(metric 'turnstile_share_turns_total{share="alice"}') $(metric 'turnstile_share_turns_total{share="other"}')" "1 2"
	equal "$(metric 'turnstile_share_refused_total{share="alice"}') $(metric 'turnstile_share_refused_total{share="other"}')" "1 0"
	awk -v a="$(metric 'turnstile_share_hold_seconds_total{share="alice"}')" \
		-v o="$(metric 'turnstile_share_wait_seconds_total{share="other"}')" 'BEGIN { exit !(a > 0 && o > 0) }'
	stop_turnstile
	start_turnstile
	ask k1 -o /dev/null
	exchange_wait true
	http -f "$ADMIN/metrics" >metrics
	lacks 'share=' metrics
}

@test "sections change on SIGHUP, and contradictions end a start with their place" {
	printf '[account]\nsource = static:team\n[share "a"]\nkeys = %s\n' "$(key_account k1)" >t.ini
	start_all --config t.ini
	ask k1 -o /dev/null
	exchange_wait '.share == "a"'
	sed -i 's/"a"/"b"/' t.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg | test("reload")'
	ask k1 -o /dev/null
	exchange_wait '.share == "b"'
	printf '[share "a"]\nkeys = %s\nweight = 0\n[share "b"]\nkeys = %s\n' "$(key_account k1)" "$(key_account k1)" >t.ini
	local status=0
	run_turnstile --check --config t.ini >out 2>err || status=$?
	equal "$status" 2
	has 't.ini:3: [share "a"] weight: is no weight; allowed: a number from 0.01 to 100' "$(cat err)"
	has "t.ini:4: [share \"b\"]: $(key_account k1) belongs to another share already: t.ini:1" "$(cat err)"
}
