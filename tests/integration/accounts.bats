#!/usr/bin/env bats
# Whose request it is, on whose terms it waits, who needn't wait, and how long a client is made to.
load helpers

setup() {
	prepare
	start_peers
}
teardown() { clean_up; }

# section NAME KEY... : an [account] section for these keys; more lines come on standard input.
section() {
	local key
	printf '[account "%s"]\n' "$1"
	for key in "${@:2}"; do
		printf 'keys = %s\n' "$(key_account "$key")"
	done
	cat
}

# body TEXT [MORE MEMBERS]: a user message.
body() { printf '{"model":"m","messages":[{"role":"user","content":"%s"}]%s}' "$1" "${2:-}"; }

# asked: the tags of what has reached the relay's /v1/messages.
asked() { relay_stats '[.requests[] | select(.target | startswith("/v1/messages")) | .tag]'; }

# send BODY [CURL ARGUMENT...]: of the account k1.
send() {
	post k1 "$1"
	curl "${POST[@]}" --max-time "$LIMIT" "${@:2}"
}

@test "two keys of one section wait for each other, a third key doesn't" {
	section team-a k1 k2 </dev/null >t.ini
	start_turnstile --config t.ini
	turn a k1
	ask_later b k2
	sent b
	ask k3 -o /dev/null
	equal "$(asked)" '["a",""]'
	hang_up a
	await b
	equal "$(outcome b)" "200 0"
	exchange_wait '.account == "team-a"' 2
	exchange_wait ".account == \"$(key_account k3)\""
}

# bats test_tags=waits
@test "a section has its own timeout, length of line, release and switch" {
	section slow k1 <<<"timeout_ms = $(scaled 4000 60000)"$'\nmax_waiting = 1' >t.ini
	section early k2 <<<'release_on = headers' >>t.ini
	section free k3 <<<'enabled = false' >>t.ini
	start_turnstile --config t.ini
	turn a k1
	ask_later b k1
	sent b
	[[ $BACKEND != redis ]] || wait_for "[[ \$(redis zcard user_msg_queue_wait:slow) == 1 ]]"
	equal "$(ask k1 -o body -w '%{http_code}')" 503
	equal "$(jq -r .error.code body)" QUEUE_FULL
	await b
	equal "$(outcome b)" "503 0"
	equal "$(jq -r .error.code b.body)" QUEUE_TIMEOUT
	turn c k2
	served k2
	turn d k3
	served k3
	exchange_wait '.account == "free" and .kind == "exempt" and .reason == "exempt_account"'
}

@test "sections change on SIGHUP, and a bad one changes nothing" {
	section one k1 </dev/null >t.ini
	start_turnstile --config t.ini
	ask k1 -o /dev/null
	exchange_wait '.account == "one"'
	section two k1 </dev/null >t.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.msg == "reloaded"'
	ask k1 -o /dev/null
	exchange_wait '.account == "two"'
	section three k1 </dev/null >t.ini
	section four k1 </dev/null >>t.ini
	kill -HUP "$TURNSTILE_PID"
	log_wait '.level == "error" and (.msg | test("t.ini:3: .account \"four\".*belongs to another"))'
	ask k1 -o /dev/null
	exchange_wait '.account == "two"' 2
}

@test "contradictions end the start with their place" {
	section one k1 </dev/null >t.ini
	section two k1 </dev/null >>t.ini
	local status=0
	run_turnstile --config t.ini --check >out 2>&1 || status=$?
	equal "$status" 2
	has 't.ini:3: [account "two"]: '"$(key_account k1) belongs to another account already: t.ini:1" "$(cat out)"
}

@test "a header names the account only if it comes from a trusted proxy" {
	start_turnstile -o account.source=header:X-Account,api-key -o account.trusted_proxies=10.0.0.0/8
	ask k1 -o /dev/null -H 'X-Account: somebody'
	exchange_wait ".account == \"$(key_account k1)\""
	stop_turnstile
	start_turnstile -o account.source=header:X-Account,api-key -o account.trusted_proxies=127.0.0.1
	ask k1 -o /dev/null -H 'X-Account: somebody'
	exchange_wait '.account == "somebody"'
}

@test "behind a trusted proxy the client is the nearest address that isn't trusted" {
	start_turnstile -o account.trusted_proxies=127.0.0.1,10.0.0.0/8
	held a k1 -H 'X-Forwarded-For: 192.0.2.1, 203.0.113.9, 10.0.0.8'
	ask_later b k1 -H 'Forwarded: for="[2001:db8::1]:4711"'
	in_line b k1 1
	equal "$(http -f "$ADMIN/api/queues/$(key_account k1)" | jq -c '[.holder.client, .waiters[0].client]')" \
		'["203.0.113.9","2001:db8::1"]'
	relay_go
	relay_wait seen=2
	relay_go
	await a b
	exchange_wait '.client == "203.0.113.9"'
	exchange_wait '.client == "2001:db8::1"'
	stop_turnstile
	start_turnstile
	ask k1 -o /dev/null -H 'X-Forwarded-For: 203.0.113.9'
	exchange_wait '.client == "127.0.0.1"'
}

@test "a header from anybody is warned of where anybody can send one" {
	start_turnstile -o account.source=header:X-Account -o listen.address=0.0.0.0:0
	log_wait '.level == "warn" and (.msg | test("takes a header from anybody"))'
	stop_turnstile
	start_turnstile -o account.source=header:X-Account
	equal "$(log_lines 'select(.msg | test("takes a header"))')" ""
}

@test "exempt kinds pass while a turn is held, and say by which rule" {
	start_turnstile -o 'queue.exempt=probe,title,subagent,classifier,notification,compaction,workflow,loop,auxiliary,header:X-Kind=side,model:haiku-*'
	turn a k1
	send "$(body quota ',"max_tokens":1')" -o /dev/null
	send "$(body '<session>x' ',"tools":[],"output_config":{"format":{"schema":{"properties":{"title":{}}}}}')" -o /dev/null
	send "$(body hi)" -o /dev/null -H 'X-Claude-Code-Agent-Id: a1'
	send "$(body '<transcript>x')" -o /dev/null
	send "$(body '<task-notification>x')" -o /dev/null
	send "$(body hi)" -o /dev/null -H 'X-Kind: side'
	send "$(body hi | sed 's/"m"/"haiku-9"/')" -o /dev/null
	send "$(body 'CRITICAL: Respond with TEXT ONLY. x')" -o /dev/null
	send "$(body hi)" -o /dev/null -H 'X-Claude-Code-Request-Class: workflow'
	send "$(body hi)" -o /dev/null -H 'User-Agent: claude-cli/2 (external, cli, workload/cron)'
	send "$(body hi)" -o /dev/null -H 'X-Claude-Code-Request-Class: auxiliary'
	exchange_wait '.kind == "exempt"' 11
	equal "$(exchanges .reason | paste -sd' ')" \
		"exempt_probe exempt_title exempt_subagent exempt_classifier exempt_notification exempt_header exempt_model "\
"exempt_compaction exempt_workflow exempt_loop exempt_auxiliary"
	ask_later b k1
	sent b
	equal "$(asked)" '["a","","","","","","","","","","",""]'
}

@test "by default a quota check and the auto mode's question pass, and a title waits" {
	start_turnstile
	turn a k1
	post k1 "$(body quota ',"max_tokens":1')"
	curl "${POST[@]}" -o /dev/null --max-time "$LIMIT"
	post k1 "$(body '<transcript>x')"
	curl "${POST[@]}" -o /dev/null --max-time "$LIMIT"
	post k1 "$(body '<session>x' ',"tools":[],"output_config":{"format":{"schema":{"properties":{"title":{}}}}}')"
	local status=0
	curl "${POST[@]}" -o /dev/null --max-time 1 || status=$?
	equal "$status" 28
	equal "$(asked)" '["a","",""]'
}

@test "a client that waits 2 s gets its 503 before it hangs up" {
	start_turnstile
	turn a k1
	equal "$(ask k1 -o body -D head -w '%{http_code}' -H 'X-Stainless-Timeout: 2')" 503
	equal "$(jq -r .error.code body)" QUEUE_TIMEOUT
	[[ $(header retry-after head) -ge 1 ]]
	# A tenth is kept for the way back; the wait is measured where it ends, which a busy machine delays.
	exchange_wait ".outcome == \"queue_timeout\" and .wait_ms >= 1000 and .wait_ms < 1800 + $(scaled 700)"
}

@test "the client's patience counts for nothing where that is switched off, or within the timeout" {
	start_turnstile -o queue.client_budget=off -o queue.timeout_ms=2000
	turn a k1
	ask_later b k1 -H 'X-Stainless-Timeout: 1'
	await b
	equal "$(outcome b)" "503 0"
	exchange_wait '.outcome == "queue_timeout" and .wait_ms >= 1900'
	hang_up a
	stop_turnstile
	start_turnstile -o queue.timeout_ms=1000
	turn c k1
	ask_later d k1 -H 'X-Stainless-Timeout: 600'
	await d
	exchange_wait ".outcome == \"queue_timeout\" and .wait_ms >= 900 and .wait_ms < 1000 + $(scaled 9000)"
}

@test "bodies in zstd and br are looked into, and arrive as they were sent" {
	start_turnstile
	local coding tried=0
	tool_result_body >result
	for coding in zstd br gzip; do
		case $coding in
		zstd) command -v zstd >/dev/null && zstd -q -c result >packed || continue ;;
		br) command -v brotli >/dev/null && brotli -c result >packed || continue ;;
		gzip) gzip -c result >packed ;;
		esac
		relay_reset
		BODY=packed post k1 ''
		curl "${POST[@]}" -o /dev/null -H "Content-Encoding: $coding" --max-time "$LIMIT"
		equal "$(relay_stats '.requests[0].body_sha256')" "$(sha256sum <packed | cut -d' ' -f1)"
		exchange_wait '.kind == "tool_result" or .reason == "content_coding"' $((++tried))
	done
	exchange_wait '.kind == "tool_result"'
}
