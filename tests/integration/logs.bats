#!/usr/bin/env bats
# One line an exchange; no key, no prompt; what comes from outside can't forge a line.
load helpers
load admin

setup() {
	prepare
	start_relay
}
teardown() { clean_up; }

@test "a user message's line has all that is to know" {
	start_turnstile
	ask k1 -D head -o body
	exchange_wait '.outcome == "answered"'
	equal "$(exchanges | wc -l)" 1
	equal "$(exchanges '[.account, .kind, .reason, .position, .status, .outcome]')" \
		"[\"$(key_account k1)\",\"user_message\",\"blocks\",0,200,\"answered\"]"
	equal "$(exchanges '[.bytes_in, .bytes_out]')" "[$(user_body | wc -c),$(wc -c <body)]"
	equal "$(exchanges '[.wait_ms, .hold_ms, .request_id | type]')" '["number","number","string"]'
}

@test "how long the client waited for its first byte: in line, and for the relay" {
	local most
	most=$(scaled 150) # of what the machine adds
	start_turnstile
	ask k1 -o /dev/null -D head -H 'X-Relay-Delay-Ms: 400'
	exchange_wait '.upstream_ms >= 400'
	equal "$(exchanges "[.wait_ms < $most, .ttfb_ms >= .upstream_ms, .ttfb_ms - .upstream_ms < $most, .hold_ms >= .upstream_ms]")" \
		'[true,true,true,true]'
	has req_relay_ "$(exchanges .upstream_request_id)"
	equal "$(exchanges .upstream_request_id)" "$(header request-id head)"
	held holder k1
	ask_later b k1
	waiting k1 1
	rest 700 # the wait itself
	relay_go
	await holder b
	exchange_wait '.position == 1'
	equal "$(exchanges "select(.position == 1) | [.wait_ms >= 700, .upstream_ms < 350 + $most, (.ttfb_ms - .wait_ms - .upstream_ms | . >= 0 and . < $most)]")" \
		'[true,true,true]'
	becomes 3 metric turnstile_ttfb_seconds_count
	becomes 3 metric turnstile_upstream_ttfb_seconds_count
	# who is told nothing has no first byte, and a refusal of ours has no relay's part
	held other k1
	ask_later gone k1
	waiting k1 1
	hang_up gone
	exchange_wait '.outcome == "client_gone" and .ttfb_ms == null and .upstream_ms == null'
	ask_later late k1 -H 'X-Stainless-Timeout: 1'
	await late
	exchange_wait ".outcome == \"queue_timeout\" and .ttfb_ms > .wait_ms - $most and .upstream_ms == null and .upstream_request_id == null"
	relay_go
	await other
}

@test "a tool result's line tells why it passed" {
	start_turnstile
	ask_tool k1 -o /dev/null
	exchange_wait '.kind == "tool_result" and .reason == "tool_result" and .account == null'
}

@test "another request's line" {
	start_turnstile
	http -o /dev/null "$URL/v1/models"
	exchange_wait '.kind == "other" and .outcome == "answered" and .status == 200 and .bytes_in == 0'
}

@test "the client that hangs up is logged as 499" {
	start_turnstile
	turn a k1
	hang_up a
	exchange_wait '.outcome == "client_gone"'
}

@test "every exchange has one line, also when many run at once" {
	start_turnstile
	local i names=()
	for i in {1..10}; do
		ask_later "r$i" "k$((i % 3))"
		names+=("r$i")
	done
	await "${names[@]}"
	exchange_wait '.outcome == "answered"' 10
	equal "$(exchanges .request_id | sort -u | wc -l)" 10
}

@test "neither keys nor prompts are logged, even with log.level = debug" {
	start_turnstile -o log.level=debug
	user_body secret-2 >prompt
	BODY=prompt ask sk-ant-secret-1 -o /dev/null -H 'Authorization: Bearer secret-3' \
		-H 'Cookie: secret-4'
	ask secret-5 -o /dev/null -H 'X-Relay-Fault: garbage'
	http -o /dev/null "$URL/v1/messages?key=secret-6" -H 'x-api-key: secret-7' --data '{"messages": secret-8'
	exchange_wait true 3
	lacks secret "$LOG"
}

@test "bytes from outside can't forge a line" {
	start_turnstile
	local address=${URL#http://}
	printf 'GET /x%%0a{"msg":"exchange","forged":1}"\\\x01\x7f\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
		socat -t5 - "TCP:$address" >answer
	ask k1 -o /dev/null -H $'X-Claude-Code-Session-Id: a"b\\c\x01'
	exchange_wait true 2
	equal "$(exchanges 'select(.forged)')" ""
	equal "$(grep -c . "$LOG")" "$(log_lines | wc -l)"
}

@test "text lines are for people" {
	start_turnstile
	stop_turnstile
	mapfile -t options < <(turnstile_options)
	exec_turnstile "${options[@]}" -o log.format=text 2>text.log >/dev/null 3>&- &
	PROCESSES+=($!)
	wait_for "grep -q 'listening address=' text.log"
	URL=http://$(sed -n 's/.*listening.*address=//p' text.log | cut -d' ' -f1)
	served k1
	wait_for "grep -q ' exchange .*outcome=answered' text.log"
	has "account=$(key_account k1)" "$(cat text.log)"
}

@test "a log that nobody reads stops nobody" {
	local dropped
	mkfifo log
	exec {FD}<>log
	exec_turnstile -o "listen.address=unix:$DIR/t.sock" -o "admin.address=unix:$DIR/admin.sock" \
		-o "upstream.url=http://$RELAY" 2>log >/dev/null 3>&- &
	TURNSTILE_PID=$!
	PROCESSES+=("$TURNSTILE_PID")
	wait_for '[[ -S admin.sock ]]'
	equal "$(http --unix-socket t.sock -o /dev/null -w '%{http_code}\n' 'http://localhost/v1/models?[1-600]' |
		grep -c 200)" 600
	# One that fits into the rest of the pipe only in part, as well.
	http --unix-socket t.sock -o /dev/null "http://localhost/$(head -c 6000 /dev/zero | tr '\0' x)"
	ADMIN=http://localhost
	becomes 601 metric 'turnstile_requests_total{kind="other",outcome="answered"}' --unix-socket admin.sock
	dropped=$(metric turnstile_log_lines_dropped_total --unix-socket admin.sock)
	((dropped > 100))
	dd bs=64k iflag=nonblock <&"$FD" >before 2>/dev/null || true
	http --unix-socket t.sock -o /dev/null http://localhost/v1/models
	wait_for 'dd bs=64k iflag=nonblock <&"$FD" >>after 2>/dev/null || grep -q outcome=answered after'
	grep -q "lines of the log were dropped, as nobody read them lines=$dropped\$" after
	kill "$TURNSTILE_PID"
	ended "$TURNSTILE_PID"
	equal "$STATUS" 0
	exec {FD}>&-
}
