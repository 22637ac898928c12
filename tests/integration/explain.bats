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
		'{"enabled":true,"delay_ms":200,"timeout_ms":280000,"max_waiting":1000,"release_on":"end"}'
}

@test "what isn't gated says why as well" {
	says '[.gated, .kind, .reason]' '[false,"tool_result","tool_result"]' "$FIXTURES/tool_result_with_typed_text.json"
	says '[.gated, .kind, .reason, .account]' '[false,"other","not_looked_at",null]' \
		--target /v1/messages/count_tokens "$FIXTURES/prompt_string.json"
	says .mode observe -o queue.mode=observe "$FIXTURES/prompt_string.json"
	says '[.mode, .reason]' '["off","not_looked_at"]' -o queue.enabled=false "$FIXTURES/prompt_string.json"
}

@test "which rule exempted it" {
	says '[.gated, .mark, .exempt]' '[false,"probe","probe"]' "$FIXTURES/quota.json"
	says '[.gated, .mark, .exempt]' '[false,"classifier","classifier"]' "$FIXTURES/classifier_handback.json"
	says '[.gated, .mark, .exempt]' '[true,"title",null]' "$FIXTURES/title.json"
	local exempt=queue.exempt=probe,title,header:X-Kind=side
	says '[.gated, .kind, .reason, .exempt]' '[false,"exempt","exempt_title","title"]' -o $exempt "$FIXTURES/title.json"
	says '[.reason, .exempt]' '["exempt_header","header:X-Kind=side"]' -o $exempt -H 'x-kind: side' \
		"$FIXTURES/prompt_string.json"
	says '[.reason, .exempt]' '["text",null]' -o $exempt -H 'x-kind: side' -o account.trusted_proxies=10.0.0.0/8 \
		"$FIXTURES/prompt_string.json"
	says .exempt header:X-Kind=side -o $exempt -H 'x-kind: side' -o account.trusted_proxies=10.0.0.0/8 \
		--client 10.1.2.3 "$FIXTURES/prompt_string.json"
}

@test "what it is for: recorded requests of Claude Code" {
	local sample args name
	[[ -d ${SAMPLES:=$BATS_TEST_DIRNAME/../../../shared/samples} ]] ||
		skip "THERE ARE NO RECORDED REQUESTS: $SAMPLES is missing, real marks were not tested"
	for sample in "$SAMPLES"/*.json; do
		name=$(basename "$sample" .json)
		[[ $(jq -r .request "$sample") == 'POST /v1/messages'?(\?*) ]] || continue
		mapfile -t args < <(jq -r '.headers | to_entries[] | "--header", "\(.key): \(.value)"' "$sample")
		jq '.small_members + {messages: [.last_non_system_message], tools: [range(.tools) | {}]}' "$sample" >body.json
		echo "$name $(explain -o queue.exempt= "${args[@]}" body.json | jq -r '"\(.gated) \(.mark)"')"
	done >marks
	diff -u - marks <<-'END'
		01-typed-prompt-print true null
		02-tool-result false null
		03-typed-prompt-no-hints true null
		04-tool-result-no-hints false null
		05-typed-prompt-tui-auto-mode true null
		06-title true title
		07-quota-probe-oauth true probe
		08-subagent-first true subagent
		09-subagent-tool-result false null
		10-subagent-nested-first true subagent
		11-subagent-explore-parallel true subagent
		12-notification-background-agent true notification
		13-notification-background-bash true notification
		14-workflow-subagent true workflow
		15-subagent-handback-classifier true classifier
		16-compact-manual true compaction
		17-compact-auto true compaction
		18-compact-reactive true compaction
		19-after-auto-compaction true null
		20-loop-typed true null
		21-loop-wakeup true loop
		22-stop-hook-continuation true null
		23-slash-command true null
		24-skill true null
		25-after-esc-retyped true null
		26-websearch true auxiliary
		28-stream-idle-or-sse-error-resend-nonstream true null
		29-agent-sdk-prompt true null
		30-subagent-no-hints true subagent
		31-sdk-1.14 true null
	END
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
