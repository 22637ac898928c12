#!/usr/bin/env bats
# Settings made while running; on the backend $BACKEND.
load helpers
load admin

setup() {
	prepare
	K=$(key_account k1)
}
teardown() { clean_up; }

# config [FILTER]: what counts.
config() { admin /api/config "${1:-.}"; }

@test "what counts, and where it comes from" {
	start_all -o queue.delay_ms=300
	equal "$(config '[.enabled, .delayMs, .timeoutMs]')" '[true,300,280000]'
	equal "$(config '.sources | [.enabled, .delayMs, .timeoutMs] | unique')" '["configuration"]'
	equal "$(order PUT /api/config '{"delayMs":7,"enabled":false}')" 200
	equal "$(jq -c .stored answer)" '{"delayMs":7,"enabled":false}'
	wait_for "[[ \$(config '[.enabled, .delayMs, .timeoutMs]') == '[false,7,280000]' ]]"
	equal "$(config '.sources | [.enabled, .delayMs, .timeoutMs]')" '["runtime","runtime","configuration"]'
	equal "$(config .configured.delayMs)" 300
	equal "$(order DELETE /api/config)" 200
	wait_for "[[ \$(config '[.enabled, .delayMs, .timeoutMs]') == '[true,300,280000]' ]]"
	equal "$(config '.sources | [.[]] | unique')" '["configuration"]'
}

@test "delay, timeout and enabled are in effect at once" {
	start_all
	equal "$(order PUT /api/config '{"timeoutMs":1000}')" 200
	wait_for "[[ \$(config .timeoutMs) == 1000 ]]"
	turn a k1
	equal "$(ask k1 -o body -w '%{http_code}')" 503
	equal "$(order PUT /api/config '{"enabled":false}')" 200
	wait_for "[[ \$(config .enabled) == false ]]"
	served k1
	exchange_wait '.outcome == "answered"'
	equal "$(exchanges 'select(.outcome == "answered") | .wait_ms' | tail -n 1)" 0
	hang_up a
	equal "$(order PUT /api/config '{"enabled":true,"delayMs":800}')" 200
	wait_for "[[ \$(config .delayMs) == 800 ]]"
	ask k2 -o /dev/null
	ask k2 -o /dev/null
	relay_stats '[.requests[] | select(.account == "k2")] | .[1].arrived_us - .[0].last_us' >gap
	(($(cat gap) >= 798000))
}

@test "an account may have its own" {
	start_all -o queue.delay_ms=100
	equal "$(order PUT "/api/queues/$K/config" '{"timeoutMs":1000,"delayMs":0}')" 200
	wait_for "[[ \$(admin /api/queues/$K/config .timeoutMs) == 1000 ]]"
	equal "$(admin "/api/queues/$K/config" '[.enabled, .delayMs, .sources.delayMs, .sources.enabled]')" \
		'[true,0,"runtime_account","configuration"]'
	equal "$(config .delayMs)" 100
	equal "$(config ".accounts[\"$K\"]")" '{"delayMs":0,"timeoutMs":1000}'
	turn a k1
	equal "$(ask k1 -o body -w '%{http_code}')" 503
	equal "$(order PUT "/api/queues/$K/config" '{"enabled":false}')" 200
	wait_for "[[ \$(admin /api/queues/$K/config .enabled) == false ]]"
	served k1
	equal "$(order DELETE "/api/queues/$K/config")" 200
	wait_for "[[ \$(admin /api/queues/$K/config .timeoutMs) == 280000 ]]"
	equal "$(config .accounts)" '{}'
	hang_up a
}

@test "what is wrong is refused with its name and range, and changes nothing" {
	start_all
	local body
	while IFS='|' read -r body name range; do
		equal "$(order PUT /api/config "$body") $body" "400 $body"
		has "$name" "$(jq -r .error.message answer)"
		has "$range" "$(jq -r .error.message answer)"
	done <<-'END'
		{"delayMs":10001}|delayMs|0 to 10000
		{"delayMs":-1}|delayMs|0 to 10000
		{"delayMs":1.5}|delayMs|0 to 10000
		{"delayMs":"5"}|delayMs|0 to 10000
		{"delayMs":null}|delayMs|0 to 10000
		{"delayMs":1e300}|delayMs|0 to 10000
		{"timeoutMs":999}|timeoutMs|1000 to 86400000
		{"timeoutMs":86400001}|timeoutMs|1000 to 86400000
		{"timeoutMs":300001}|timeoutMs|in silence
		{"enabled":1}|enabled|true or false
		{"enabled":"true"}|enabled|true or false
		{"delayMs":5,"nonsense":1}|nonsense|enabled, mode, delayMs, timeoutMs
		{"mode":"watch"}|mode|enforce, observe, off
		{"mode":true}|mode|enforce, observe, off
		{"delayMs":5,"timeoutMs":1}|timeoutMs|1000 to 86400000
		{"delayMs":5,"delayMs":6}|delayMs|twice
		{"DelayMs":5}|DelayMs|enabled, mode, delayMs, timeoutMs
		{}|body|enabled
		[]|body|object
		"x"|body|object
		{"delayMs":5|body|object
		{"delayMs":5} x|body|object
	END
	equal "$(config .runtime)" '{}'
	equal "$(config '[.enabled, .delayMs, .timeoutMs]')" '[true,0,280000]'
}

@test "a reload of the file leaves it on top" {
	printf '[queue]\ntimeout_ms = 5000\n' >t.ini
	start_all -c t.ini
	equal "$(order PUT /api/config '{"enabled":false}')" 200
	wait_for "[[ \$(config .enabled) == false ]]"
	printf '[queue]\ntimeout_ms = 6000\n' >t.ini
	kill -HUP "$TURNSTILE_PID"
	wait_for "[[ \$(config '[.enabled, .timeoutMs]') == '[false,6000]' ]]"
	equal "$(order DELETE /api/config)" 200
	wait_for "[[ \$(config '[.enabled, .timeoutMs]') == '[true,6000]' ]]"
}

@test "a reload says which of the file's values don't count" {
	printf '[queue]\ntimeout_ms = 5000\ndelay_ms = 1\nmode = enforce\n' >t.ini
	start_all -c t.ini # which has delay_ms as -o
	equal "$(order PUT /api/config '{"timeoutMs":7000}')" 200
	wait_for "[[ \$(config .timeoutMs) == 7000 ]]"
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg == "reloaded"'
	of_no_effect() { log_lines 'select(.msg | test("file.s value")) | .option' | sort | tr '\n' ' '; }
	becomes 'queue.delay_ms queue.timeout_ms ' of_no_effect
}

@test "from observing to waiting without a restart: one account, then all but one" {
	start_all -o queue.mode=observe
	turn a k1
	served k1 # beside it
	equal "$(order PUT "/api/queues/$K/config" '{"mode":"enforce"}')" 200
	wait_for "[[ \$(admin /api/queues/$K/config .mode) == enforce ]]"
	hang_up a
	turn b k1
	ask_later c k1
	waiting k1 1
	turn d k2
	served k2
	equal "$(order PUT /api/config '{"mode":"enforce"}')" 200
	equal "$(order PUT "/api/queues/$K/config" '{"mode":"observe"}')" 200
	wait_for "[[ \$(admin /api/status .mode) == enforce ]]"
	served k1
	hang_up d
	turn e k2
	ask_later f k2
	waiting k2 1
	equal "$(order PUT "/api/queues/$K/config" '{"mode":"off"}')" 200
	wait_for "[[ \$(admin /api/queues/$K/config .enabled) == false ]]"
	equal "$(order PUT /api/config '{"mode":"off"}')" 200
	wait_for "[[ \$(admin /api/status .mode) == off ]]"
	served k2
	equal "$(admin /api/changes '[.changes[] | select(.setting == "mode")][0] | [.before, .after]')" '["enforce","off"]'
	hang_up b
	hang_up e
	await c f
}

@test "a change is seen by every instance within a second, and after a restart" {
	[[ $BACKEND == redis ]] || skip "one process"
	start_all
	local here=$ADMIN there
	start_turnstile -o redis.instance=other
	there=$ADMIN ADMIN=$here
	equal "$(order PUT /api/config '{"delayMs":77}')" 200
	ADMIN=$there
	wait_for "[[ \$(config .delayMs) == 77 ]]" 2
	stop_turnstile
	start_turnstile -o redis.instance=third
	wait_for "[[ \$(config .delayMs) == 77 ]]"
	# nothing but the hash itself tells of it: there is no message to be lost
	redis hset user_msg_queue_config delayMs 78 "$K/delayMs" 79 nonsense 1 >/dev/null
	wait_for "[[ \$(config '[.delayMs, .accounts[\"$K\"].delayMs]') == '[78,79]' ]]" 2
	log_wait '.msg | startswith("settings made at run time that aren")'
}

@test "while Redis is gone settings stay, and changes are refused" {
	[[ $BACKEND == redis ]] || skip "needs Redis"
	start_all
	equal "$(order PUT /api/config '{"delayMs":77}')" 200
	wait_for "[[ \$(config .delayMs) == 77 ]]"
	stop_redis
	wait_for "[[ \$(admin /api/status .backend.up) == false ]]"
	equal "$(order PUT /api/config '{"delayMs":78}')" 503
	equal "$(config .delayMs)" 77
}
