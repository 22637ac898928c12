#!/usr/bin/env bats
# An operator's address is called when something is wrong: admin.webhook.
load helpers
load admin

setup() {
	prepare
	touch events plan
}
teardown() { clean_up; }

# start_receiver [PORT]
start_receiver() {
	rm -f address # the one before has its own
	python3 "$BATS_TEST_DIRNAME/receiver.py" address events plan "$@" >receiver.out 2>&1 3>&- &
	RECEIVER_PID=$!
	PROCESSES+=("$RECEIVER_PID")
	wait_for '[[ -e address ]]'
	HOOK=http://$(cat address)/hook?token=t-0123456789
}

# events [FILTER]: of what has come, a line each.
events() { jq -c "${1:-(.text | fromjson)}" events; }

# event NAME: one of that name has come.
event() { wait_for "events '(.text | fromjson) | select(.event == \"$1\")' | grep -q ." 30; }

# held KEY [FIELD]: the account answers 429.
held() { ask "$1" -o /dev/null -H 'X-Relay-Status: 429' -H "X-Relay-Header: ${2:-retry-after: 1}"; }

@test "an account is held and freed: told once each, signed, in order" {
	start_receiver
	start_all -o "admin.webhook=$HOOK" -o admin.webhook_secret=0123456789abcdef
	held k1
	event account_held
	served k1
	event account_freed
	held k1 # within ten minutes it isn't told again
	held k2
	wait_for '[[ $(events .path | wc -l) == 3 ]]'
	events '.text | fromjson | .event + " " + .account' >told
	printf '"%s %s"\n' account_held "$(key_account k1)" account_freed "$(key_account k1)" account_held "$(key_account k2)" |
		diff - told
	equal "$(events '.text | fromjson | [.instance, .forMs > 0]' | head -n 1)" '["test",true]'
	equal "$(events '.text | fromjson | .id' | sort -u | wc -l)" 3
	equal "$(events .path | head -n 1)" '"/hook?token=t-0123456789"'
	equal "$(events .fields.\"x-turnstile-event\" | head -n 1)" '"account_held"'
	jq -j -s '.[0].text' events >body
	equal "$(jq -r -s '.[0].fields."x-turnstile-signature"' events)" \
		"sha256=$(openssl dgst -sha256 -hmac 0123456789abcdef -r body | cut -d' ' -f1)"
	becomes 3 metric 'turnstile_webhook_events_total{result="sent"}'
	# neither the address nor the secret is told to anybody
	admin /api/config | tee /dev/stderr | { ! grep -q -e t-0123456789 -e 0123456789abcdef; }
	! grep -q -e t-0123456789 "$LOG"
}

@test "a long line and a lost turn; in the form of chats" {
	start_receiver
	start_all -o "admin.webhook=$HOOK" -o admin.webhook_format=slack -o admin.webhook_line=2
	turn a k1
	ask_later b k1
	waiting k1 1
	ask_later c k1
	waiting k1 2
	wait_for '[[ -s events ]]'
	equal "$(events '.text | fromjson | .text')" "\"turnstile test: $(key_account k1): many wait for the account (2)\""
	equal "$(order DELETE "/api/queues/$(key_account k1)/lock")" 200
	wait_for '[[ $(events .path | wc -l) == 2 ]]'
	events '.text | fromjson | .text' | grep -q 'a turn was lost'
	hang_up a
	await b c
}

@test "a receiver that fails is asked again; one that refuses or redirects isn't" {
	start_receiver
	echo 500 cut 204 404 redirect >plan
	start_all -o "admin.webhook=$HOOK"
	held k1
	wait_for '[[ $(events .answer | wc -l) == 3 ]]' 30
	equal "$(events '.text | fromjson | .id' | uniq | wc -l)" 1
	held k2
	log_wait '(.msg | test("take an event")) and .status == 404 and .attempts == 1'
	held k3
	log_wait '.msg | test("admin.webhook redirects")'
	wait_for '[[ $(metric "turnstile_webhook_events_total{result=\"failed\"}") == 2 ]]'
	becomes 1 metric 'turnstile_webhook_events_total{result="sent"}'
	equal "$(events .path | wc -l)" 5
}

@test "a receiver that hangs is in nobody's way, and what it didn't take is sent again" {
	start_receiver
	echo hang 204 204 hang >plan
	start_all -o "admin.webhook=$HOOK"
	held k1
	wait_for '[[ -s events ]]'
	held k2
	served k3
	wait_for '[[ $(metric "turnstile_webhook_events_total{result=\"sent\"}") == 2 ]]' 40
	equal "$(events .answer | paste -sd' ')" '"hang" "204" "204"'
	equal "$(events '.text | fromjson | .account' | paste -sd' ')" \
		"\"$(key_account k1)\" \"$(key_account k1)\" \"$(key_account k2)\""
	held k4
	wait_for '[[ $(events .answer | wc -l) == 4 ]]'
	stop_turnstile # and not even in its own end's
	equal "$STATUS" 0
}

@test "nobody listens there yet: it is told later" {
	new_port
	start_all -o "admin.webhook=http://127.0.0.1:$PORT/hook"
	held k1
	served k2
	start_receiver "$PORT"
	event account_held
	equal "$(events '.text | fromjson | .account')" "\"$(key_account k1)\""
}

@test "the relay is gone, and back" {
	start_receiver
	start_all -o "admin.webhook=$HOOK" -o upstream.connect_retry_ms=60000
	local since=${EPOCHREALTIME/./}
	stop_relay
	ask_later a k1
	event relay_gone
	((${EPOCHREALTIME/./} - since >= 5000000)) # a restart is no outage
	start_relay --port "${RELAY##*:}"
	event relay_back
	await a
	equal "$(outcome a)" "200 0"
}

@test "Redis is gone, and back" {
	start_receiver
	start_relay
	start_redis
	start_turnstile -o "admin.webhook=$HOOK"
	served k1
	stop_redis
	event redis_gone
	start_redis "$REDIS_PORT"
	event redis_back
	equal "$(events '.text | fromjson | .event' | uniq | wc -l)" 2
}

# told WHAT: how many events of all processes came to that end.
told() {
	local n sum=0 where
	for where in "${FLEET[@]}"; do
		n=$(ADMIN=$where metric "turnstile_webhook_events_total{result=\"$1\"}")
		sum=$((sum + n))
	done
	echo $sum
}

# start_fleet OPTION...: two processes, and a relay.
start_fleet() {
	FLEET=()
	start_relay
	start_turnstile -o redis.instance=one "$@"
	FLEET+=("$ADMIN") ONE=$URL
	start_turnstile -o redis.instance=two "$@"
	FLEET+=("$ADMIN")
}

@test "a fleet tells each once: of an account, of the relay, of Redis when it is back" {
	start_receiver
	start_redis
	start_fleet -o "admin.webhook=$HOOK" -o upstream.connect_retry_ms=60000
	held k1
	wait_for '[[ $(told sent) == 1 ]]'
	URL=$ONE ask k1 -o /dev/null -H 'X-Relay-Status: 429' -H 'X-Relay-Header: retry-after: 1'
	wait_for '[[ $(told claimed) == 1 ]]'
	local left
	left=$(redis pttl "user_msg_queue_told:account_held:$(key_account k1)")
	((left > 400000 && left <= 600000))
	equal "$(events '.text | fromjson | [.event, .instance]' | paste -sd' ')" '["account_held","two"]'

	stop_relay
	ask_later a k2
	URL=$ONE ask_later b k3
	event relay_gone
	wait_for '[[ $(told claimed) == 2 ]]' 30
	start_relay --port "${RELAY##*:}"
	event relay_back
	await a b
	wait_for '[[ $(told sent) == 3 && $(told claimed) == 3 ]]' 30

	# what only Redis could settle each tells by itself
	stop_redis
	wait_for '[[ $(told sent) == 5 ]]' 40
	start_redis "$REDIS_PORT"
	event redis_back
	wait_for '[[ $(told sent) == 6 && $(told claimed) == 4 ]]' 30
	events '.text | fromjson | .event' | sort | uniq -c | awk '{ print $2, $1 }' >seen
	printf '"%s" %d\n' account_held 1 redis_back 1 redis_gone 2 relay_back 1 relay_gone 1 | diff - seen
}

@test "that something is over is told whenever its begin was" {
	start_receiver
	start_redis
	start_relay
	local name
	for name in one two; do
		start_turnstile -o "redis.instance=$name" -o "admin.webhook=$HOOK" -o upstream.connect_retry_ms=60000
		stop_relay
		ask_later "$name" k1
		wait_for '[[ $(events ".text | fromjson | [.event, .instance]" | grep -c "relay_gone.*$name") == 1 ]]' 30
		start_relay --port "${RELAY##*:}"
		wait_for '[[ $(events ".text | fromjson | [.event, .instance]" | grep -c "relay_back.*$name") == 1 ]]' 30
		await "$name"
		stop_turnstile
		# ten minutes after the begin; of the end they aren't over
		redis del user_msg_queue_told:relay_gone >/dev/null
	done
}

@test "a turn whose lock is gone" {
	start_receiver
	start_relay
	start_redis
	start_turnstile -o "admin.webhook=$HOOK" -o "queue.lock_ttl_ms=$(scaled 1500 5000)"
	turn a k1
	redis flushall >/dev/null
	event turn_lost
	hang_up a
	equal "$(events | wc -l)" 1
}

@test "a turn that doesn't move, once somebody waits for it" {
	start_receiver
	start_all -o "admin.webhook=$HOOK" -o listen.stall_timeout_ms=1000
	turn a k1
	wait_for '[[ $(queue k1 .holder.heldMs) -gt 3000 ]]'
	equal "$(events | wc -l)" 0
	ask_later b k1
	event account_stuck
	hang_up a
	await b
}

@test "an operator tries it" {
	start_receiver
	echo 204 403 >plan
	start_all
	equal "$(order POST /api/webhook/test)" 409
	stop_turnstile
	start_turnstile -o "admin.webhook=$HOOK"
	equal "$(order POST /api/webhook/test)" 200
	equal "$(jq -c . answer)" '{"sent":true,"status":204}'
	equal "$(events '.text | fromjson | .event')" '"test"'
	equal "$(order POST /api/webhook/test)" 502
	jq -r .error.message answer | grep -q 403
	stop_turnstile
	start_turnstile -o admin.webhook=http://127.0.0.1:9/
	equal "$(order POST /api/webhook/test)" 502
	jq -r .error.message answer | grep -q "can't be reached"
}

@test "an operator who leaves while it is tried ends nobody" {
	start_receiver
	echo hang >plan
	start_all -o "admin.webhook=$HOOK"
	curl -sS --noproxy "*" -X POST "$ADMIN/api/webhook/test" >answer 2>&1 3>&- &
	local operator=$!
	CLIENTS+=("$operator")
	wait_for '[[ -s events ]]'
	kill "$operator"
	wait "$operator" || true
	http -f -o /dev/null "$ADMIN/healthz"
	served k1
	stop_turnstile
	equal "$STATUS" 0
}

@test "what is no address is told at start, without the address" {
	local url
	for url in ftp://h/secret http://u:secret@h/ 'http://h/#secret' 'http://h/a secret' secret; do
		! run_turnstile --check -o "admin.webhook=$url" 2>said
		grep -q 'admin.webhook' said
		! grep -q secret said
	done
	run_turnstile --check -o 'admin.webhook=https://h.example/a?b=c'
}
