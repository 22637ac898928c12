#!/usr/bin/env bats
# Recorded requests of real clients, in $CAPTURES (beside the project; not part of it).
load helpers

setup() {
	prepare
	[[ -d ${CAPTURES:=$BATS_TEST_DIRNAME/../../../shared/captures} ]] ||
		skip "THERE ARE NO RECORDED REQUESTS: $CAPTURES is missing, real bodies were not tested"
	start_relay
	start_turnstile -o queue.exempt= # what each is by its form
}
teardown() { clean_up; }

# recorded NUMBER: what curl needs to send it as it was recorded, in the array RECORDED.
recorded() {
	local entry file
	entry=$(jq -c ".[$1]" "$CAPTURES/index.json")
	file=$CAPTURES/$(jq -r .file <<<"$entry")
	jq -r '.headers[] | select(.[0] | test("^(host|content-length|connection|accept-encoding)$"; "i") | not)
		| "\(.[0]): \(.[1])"' <<<"$entry" >headers
	RECORDED=(-sS -N --noproxy '*' --max-time "$LIMIT" -X "$(jq -r .method <<<"$entry")" -H @headers
		-H 'Expect:' --data-binary "@$file" "$URL$(jq -r .target <<<"$entry")")
}

# replay NUMBER [CURL ARGUMENT...]
replay() {
	recorded "$1"
	curl "${RECORDED[@]}" "${@:2}"
}

count() { jq length "$CAPTURES/index.json"; }

@test "each arrives byte for byte, is answered, and is what it is said to be" {
	local i file kind
	for ((i = 0; i < $(count); i++)); do
		relay_reset
		equal "$(replay "$i" -o body -w '%{http_code}')" 200
		file=$(jq -r ".[$i].file" "$CAPTURES/index.json")
		equal "$file $(relay_stats '.requests[0].body_sha256')" \
			"$file $(sha256sum <"$CAPTURES/$file" | cut -d' ' -f1)"
		equal "$(relay_stats '.requests[0].target')" "$(jq -r ".[$i].target" "$CAPTURES/index.json")"
		exchange_wait true $((i + 1))
		kind=$(jq -r ".[$i].kind" "$CAPTURES/index.json")
		case $kind in
		user*) kind=user_message ;;
		esac
		equal "$file $(exchanges .kind | tail -n 1)" "$file $kind"
	done
}

@test "each arrives with its headers" {
	local i
	for ((i = 0; i < $(count); i++)); do
		URL=$URL/echo replay "$i" -o echo
		jq -r '.headers[]' echo | sort >got
		while read -r line; do
			grep -qxF "$line" got || { echo "not there: $line" >&2; return 1; }
		done <headers
	done
}

@test "two user messages of one login wait for each other, a tool result doesn't" {
	local user tool
	user=$(jq 'map(.kind == "user") | index(true)' "$CAPTURES/index.json")
	tool=$(jq 'map(.kind == "tool_result") | index(true)' "$CAPTURES/index.json")
	recorded "$user"
	curl "${RECORDED[@]}" -o first -H 'X-Relay-Tag: a' -H 'X-Relay-Fault: stall' -H 'X-Relay-Cut-After: 3' 3>&- &
	CLIENTS+=($!)
	relay_wait tag=a phase=headers
	curl "${RECORDED[@]}" --trace-ascii % -o second -H 'X-Relay-Tag: b' 2>b.error 3>&- &
	CLIENTS+=($!)
	SIZE_b=$(wc -c <"$CAPTURES/$(jq -r ".[$user].file" "$CAPTURES/index.json")")
	sent b
	replay "$tool" -o third -H 'X-Relay-Uncounted: 1'
	has message_stop "$(cat third)"
	equal "$(relay_stats '[.requests[].tag]')" '["a","",""]'
}
