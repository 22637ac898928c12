#!/usr/bin/env bats
# turnstile explain: the verdict that a real request gets, on one line.
load helpers

setup() {
	prepare
	FIXTURES=$BATS_TEST_DIRNAME/../fixtures/requests
}
teardown() { clean_up; }

explain() { run_turnstile explain "$@"; }

# says FILTER WANTED ARGUMENT...
says() { equal "$(explain "${@:3}" | jq -r -c "$1")" "$2"; }

@test "a prompt: gated, why, whose, on which terms" {
	local line
	line=$(explain --header 'x-api-key: k1' "$FIXTURES/prompt_string.json")
	equal "$(wc -l <<<"$line")" 1
	equal "$(jq -c '[.gated, .mode, .kind, .reason, .account, .account_from, .exempt]' <<<"$line")" \
		"[true,\"enforce\",\"user_message\",\"text\",\"$(key_account k1)\",\"api-key\",null]"
	equal "$(jq -c .settings <<<"$line")" \
		'{"enabled":true,"delay_ms":200,"timeout_ms":60000,"max_waiting":1000,"release_on":"end"}'
}

@test "what isn't gated says why as well" {
	says '[.gated, .kind, .reason]' '[false,"tool_result","tool_result"]' "$FIXTURES/tool_result_with_typed_text.json"
	says '[.gated, .kind, .reason, .account]' '[false,"other","not_looked_at",null]' \
		--target /v1/messages/count_tokens "$FIXTURES/prompt_string.json"
	says .mode observe -o queue.mode=observe "$FIXTURES/prompt_string.json"
	says '[.mode, .reason]' '["off","not_looked_at"]' -o queue.enabled=false "$FIXTURES/prompt_string.json"
}

@test "which rule exempted it" {
	local exempt=queue.exempt=probe,title,header:X-Kind=side
	says '[.gated, .kind, .reason, .exempt]' '[false,"exempt","exempt_title","title"]' -o $exempt "$FIXTURES/title.json"
	says '[.reason, .exempt]' '["exempt_header","header:X-Kind=side"]' -o $exempt -H 'x-kind: side' \
		"$FIXTURES/prompt_string.json"
	says '[.reason, .exempt]' '["text",null]' -o $exempt -H 'x-kind: side' -o account.trusted_proxies=10.0.0.0/8 \
		"$FIXTURES/prompt_string.json"
	says .exempt header:X-Kind=side -o $exempt -H 'x-kind: side' -o account.trusted_proxies=10.0.0.0/8 \
		--client 10.1.2.3 "$FIXTURES/prompt_string.json"
}

@test "an account's section, and the client's patience" {
	printf '[account "team"]\nkeys = %s\ndelay_ms = 7\nrelease_on = headers\n' "$(key_account k1)" >t.ini
	says '[.account, .account_from, .settings.delay_ms, .settings.release_on, .settings.timeout_ms]' \
		'["team","api-key",7,"headers",58000]' \
		--config t.ini -H 'Authorization: Bearer k1' -H 'X-Stainless-Timeout: 60' "$FIXTURES/prompt_string.json"
}

@test "the body may come on standard input, and be compressed" {
	equal "$(gzip -c "$FIXTURES/tool_result.json" | explain -H 'Content-Encoding: gzip' - | jq -r .reason)" tool_result
	equal "$(explain <"$FIXTURES/tool_result.json" | jq -r .reason)" tool_result
	equal "$(printf x | explain | jq -r .kind)" unreadable
}

@test "a line of the log says what it can, and no more" {
	start_relay
	start_turnstile -o queue.exempt=model:claude-fake-1
	ask k1 -o /dev/null
	ask_tool k2 -o /dev/null
	exchange_wait true 2
	explain --from-log "$LOG" >out
	equal "$(jq -c '[.gated, .kind, .reason, .account]' out | paste -sd' ')" \
		"[false,\"exempt\",\"exempt_model\",\"$(key_account k1)\"] [false,\"tool_result\",\"tool_result\",null]"
	equal "$(jq -r .meaning out | head -n 1)" "a model: rule of queue.exempt holds"
	equal "$(jq -c '[.mode, .account_from, .exempt, .settings]' out | sort -u)" '[null,null,null,null]'
	equal "$(jq -r .request_id out)" "$(exchanges .request_id)"
	local status=0
	explain --from-log <<<'no log' >out 2>err || status=$?
	equal "$status" 2
	has log.format "$(cat err)"
}

@test "mistakes are told, and status is 2" {
	local status try
	for try in '-o queue.exempt=titles' '--header nonsense' 'missing.json' '--nonsense' 'a b' '--client foo'; do
		status=0
		# shellcheck disable=SC2086 # words
		explain $try </dev/null >out 2>err || status=$?
		equal "$try: $status" "$try: 2"
		[[ -s err && ! -s out ]]
	done
	explain --help | grep -q 'usage: turnstile explain'
}

@test "neither keys nor the body are shown" {
	explain -H 'x-api-key: sk-secret' <<<'{"messages":[{"role":"user","content":"secret"}]}' >out
	lacks secret out
}
