# helpers.bash - what every integration test needs: real processes, started and surely stopped.
#
#     setup()    { prepare; start_relay; start_turnstile; }
#     teardown() { clean_up; }
#
#     ask k1                     a user message of the account with the key k1, through turnstile
#     ask_later NAME k1          the same in the background; `await NAME` waits for its end, then
#                                $NAME.body, $NAME.head and $(outcome NAME) are there
#     relay_wait tag=NAME        waits until the relay has seen it (fake_relay/main.c)
#     exchanges '.account'       the lines that turnstile wrote about exchanges, through jq
#
# Nothing sleeps and hopes: what takes time is waited for with a limit, which `scaled` fits to this machine
# (tests/README.md). TURNSTILE and FAKE_RELAY are the programs, BACKEND is memory or redis. Every file of a test
# is below $DIR, the current directory.

# scaled N [MOST]: what takes N on a quiet machine takes so long here and now: a whole number (tests/pace.c).
scaled() {
	local factor n
	factor=$("$PACE") || return
	n=$((($1 * ${factor/./} + 9) / 10))
	echo $((n < ${2:-n} ? n : ${2:-n}))
}

# rest MS: without a process for it.
rest() {
	local seconds
	printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
	[[ ${NEVER:-} ]] || exec {NEVER}<> <(:)
	read -r -t "$seconds" -u "$NEVER" || true
}

# A failure is told by the line of the test, not of a helper; so bats needn't follow each command of these files, which
# takes more than the command.
trace_less() { trap '[[ ${BASH_SOURCE[0]} == *.bash ]] || bats_debug_trap "${BASH_SOURCE[0]}"' DEBUG; }

prepare() {
	trace_less
	DIR=$BATS_TEST_TMPDIR
	cd "$DIR" || return
	PROCESSES=() CLIENTS=() PORTS=() RELAY_PID='' TURNSTILE_PID='' REDIS_PID='' REDIS_URL='' STARTED=0
	: "${TURNSTILE:?the program to test}" "${FAKE_RELAY:?the fake relay}" "${BACKEND:=memory}"
	: "${PACE:=${FAKE_RELAY%/*}/pace}"
	# Seconds before something that should happen counts as not happening.
	LIMIT=$(scaled 20)
	unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
}

# wait_for CONDITION [SECONDS]: until the shell command CONDITION succeeds. The limit is scaled when it is over, as
# what makes the machine slow may have begun meanwhile. Who has waited for long looks less often: others work.
wait_for() {
	local began=${EPOCHREALTIME/./} waited=0 limit=$((${2:-20} * 1000000))
	until eval "$1" >/dev/null 2>&1; do
		waited=$((${EPOCHREALTIME/./} - began))
		if ((waited > limit && waited > $(scaled $limit))); then
			echo "in $((waited / 1000000)) s it did not happen: $1" >&2
			return 1
		fi
		rest $((waited < 200000 ? 20 : waited < 2000000 ? waited / 10000 : 200))
	done
}

# becomes WANTED COMMAND...: until the command prints that; else says what it prints. For what a client can't
# know the moment of: it has its response before the log has its line and Redis the end of its turn.
becomes() {
	local wanted=$1 command=("${@:2}") got
	# shellcheck disable=SC2016 # for wait_for
	wait_for 'got=$("${command[@]}") && [[ $got == "$wanted" ]]' || { equal "$got" "$wanted"; return 1; }
}

running() { kill -0 "$1" 2>/dev/null; }

# has NEEDLE TEXT, equal GOT WANTED: say what was there instead.
has() {
	[[ $2 == *"$1"* ]] || { printf 'no "%s" in:\n%s\n' "$1" "$2" >&2; return 1; }
}
equal() {
	[[ $1 == "$2" ]] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2" >&2; return 1; }
}

# lacks PATTERN FILE: as `!` in front of a command doesn't make a bats test fail.
lacks() {
	if grep -niE -- "$1" "$2"; then
		echo "there is $1 in $2" >&2
		return 1
	fi
}

# --- processes ----------------------------------------------------------------------------------

# start_relay [ARGUMENT...]: on a port that nobody else gets while it is down; a port that is taken makes it exit, so
# another one is tried.
start_relay() {
	local try PORT own=()
	for try in {1..20}; do
		if [[ " $* " != *" --port "* ]]; then
			new_port
			own=(--port "$PORT")
		fi
		rm -f "$DIR/relay.out" # the one before has its own
		"$FAKE_RELAY" "${own[@]}" "$@" >"$DIR/relay.out" 2>&1 3>&- &
		RELAY_PID=$!
		wait_for "grep -qs '^listening on ' '$DIR/relay.out' || ! running $RELAY_PID"
		if running "$RELAY_PID"; then
			PROCESSES+=("$RELAY_PID")
			RELAY=$(sed -n 's/^listening on //p' "$DIR/relay.out")
			return
		fi
	done
	cat "$DIR/relay.out" >&2
	return 1
}

stop_relay() {
	kill "$RELAY_PID"
	ended "$RELAY_PID"
}

# new_port: in PORT; no other test takes it until this one is over, also while nobody listens there.
new_port() {
	local dir=/tmp/turnstile-test-ports claim owner
	mkdir -p $dir
	while :; do
		PORT=$((22000 + (RANDOM * 32768 + RANDOM) % 10000)) # a cluster's bus is 10000 lower
		claim=$dir/$PORT
		(set -C && echo $$ >"$claim") 2>/dev/null && break
		owner=$(cat "$claim" 2>/dev/null)
		[[ ! $owner ]] || running "$owner" || rm -f "$claim" # that was killed
	done
	PORTS+=("$claim")
}

# start_redis [PORT]: an empty one. A port that is taken makes it exit, so another one is tried.
start_redis() {
	local try port PORT
	for try in {1..20}; do
		[[ ${1:-} ]] || new_port
		port=${1:-$PORT}
		mkdir -p "$DIR/redis"
		rm -f "$DIR/redis.out" # the one before has its own
		redis-server --port "$port" --bind 127.0.0.1 --dir "$DIR/redis" --save '' \
			--appendonly no --daemonize no >"$DIR/redis.out" 2>&1 3>&- &
		REDIS_PID=$!
		wait_for "grep -qs 'Ready to accept connections' '$DIR/redis.out' || ! running $REDIS_PID"
		if running "$REDIS_PID"; then
			PROCESSES+=("$REDIS_PID")
			REDIS_PORT=$port REDIS_URL=redis://127.0.0.1:$port
			[[ ! ${RIGHTS:-} ]] || log_in_with_rights
			return
		fi
	done
	cat "$DIR/redis.out" >&2
	return 1
}

# documented_rights: what config/README.md says that a user of its own needs, one a line.
documented_rights() {
	sed -n '/^- \*\*Rights\*\*/,/(and/p' "$BATS_TEST_DIRNAME/../../config/README.md" | sed 's/(and.*//' |
		grep -oE '[~&]PREFIX\*|\+@?[a-z]+' | sed 's/PREFIX/user_msg_queue/'
}

# log_in_with_rights: turnstile is a user who has just these, in a Redis that just started.
log_in_with_rights() {
	local rights
	mapfile -t rights < <(documented_rights)
	((${#rights[@]} > 8)) && equal "$(redis acl setuser gate on '>pw' resetkeys resetchannels -@all "${rights[@]}")" OK
	REDIS_URL=redis://gate:pw@127.0.0.1:$REDIS_PORT
}

# is_redis PID PORT [ARGUMENT...]: it is that process who answers there, not one of another test who had the port before.
is_redis() { redis-cli "${@:3}" -p "$2" info server 2>/dev/null | grep -q "^process_id:$1[^0-9]*\$"; }

stop_redis() {
	kill -9 "$REDIS_PID"
	ended "$REDIS_PID"
}

redis() { redis-cli -p "$REDIS_PORT" "$@"; }

# The options of every turnstile of the tests; those of the test come later and win.
turnstile_options() {
	printf '%s\n' -o listen.address=127.0.0.1:0 -o admin.address=127.0.0.1:0 \
		-o log.format=json -o queue.delay_ms=0 \
		-o "upstream.url=http://${RELAY:-127.0.0.1:9}" -o redis.instance=test
	[[ -z $REDIS_URL ]] || printf '%s\n' -o "redis.url=$REDIS_URL" -o "redis.command_timeout_ms=$(scaled 2000 5000)"
}

# exec_turnstile ARGUMENT...: becomes it, so that $! is its own; with nothing of our environment. TURNSTILE_UNDER
# may name a command to start it under, which becomes it as well.
exec_turnstile() {
	exec env -i PATH="$PATH" HOME="$DIR" "${TURNSTILE_ENV[@]}" \
		ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$DIR/sanitizer" \
		LSAN_OPTIONS="${LSAN_OPTIONS:-}" \
		UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$DIR/sanitizer:print_stacktrace=1" \
		TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$DIR/sanitizer" \
		"${TURNSTILE_UNDER[@]}" "$TURNSTILE" "$@"
}

# run_turnstile ARGUMENT...: waits for its end.
run_turnstile() { (exec_turnstile "$@"); }

# start_turnstile [OPTION...]: sets TURNSTILE_PID, LOG, URL and ADMIN. Several may run at a time.
start_turnstile() {
	local options
	mapfile -t options < <(turnstile_options)
	LOG=$DIR/turnstile-$((++STARTED)).log
	exec_turnstile "${options[@]}" "$@" 2>"$LOG" >"$LOG.out" 3>&- &
	TURNSTILE_PID=$!
	PROCESSES+=("$TURNSTILE_PID")
	wait_for "grep -q '\"msg\":\"listening\"' '$LOG' || ! running $TURNSTILE_PID"
	if ! running "$TURNSTILE_PID"; then
		cat "$LOG" >&2
		return 1
	fi
	read -r URL ADMIN < <(log_lines 'select(.msg == "listening") | "http://\(.address) http://\(.admin // "")"' | tail -n 1) || true
}

# What turnstile needs on either backend.
start_peers() {
	start_relay
	[[ $BACKEND != redis ]] || start_redis
}

start_all() {
	start_peers
	start_turnstile "$@"
}

# ended PID: it ended by itself or because the test stopped it; sets STATUS.
ended() {
	local pid left=()
	wait_for "! running $1" "${2:-20}" || return
	STATUS=0
	wait "$1" 2>/dev/null || STATUS=$?
	for pid in "${PROCESSES[@]}"; do
		[[ $pid == "$1" ]] || left+=("$pid")
	done
	PROCESSES=("${left[@]}")
}

# stop_turnstile [PID]: softly; sets STATUS.
stop_turnstile() {
	kill "${1:-$TURNSTILE_PID}"
	ended "${1:-$TURNSTILE_PID}"
}

# Kills as a crash would.
crash_turnstile() {
	kill -9 "${1:-$TURNSTILE_PID}"
	ended "${1:-$TURNSTILE_PID}"
}

# end PID...: softly; fails if one doesn't obey, or crashes on the way (143 is SIGTERM itself).
end() {
	local pid status failed=0
	for pid; do
		kill "$pid" 2>/dev/null || true
	done
	for pid; do
		if ! wait_for "! running $pid"; then
			echo "process $pid doesn't end on SIGTERM" >&2
			kill -9 "$pid"
			failed=1
		fi
		status=0
		wait "$pid" 2>/dev/null || status=$?
		if ((status > 128 && status != 143)); then
			echo "process $pid was ended by signal $((status - 128))" >&2
			failed=1
		fi
	done
	return $failed
}

# Stops what still runs. Fails if something of it had died, or a sanitizer had something to say.
clean_up() {
	local pid failed=0 report turnstiles=() others=()
	for pid in "${PROCESSES[@]}"; do
		if ! running "$pid"; then
			echo "process $pid ended by itself" >&2
			failed=1
		elif [[ $pid == "$RELAY_PID" || $pid == "$REDIS_PID" ]]; then
			others+=("$pid")
		else
			turnstiles+=("$pid")
		fi
	done
	end "${CLIENTS[@]}" || failed=1
	end "${turnstiles[@]}" || failed=1
	end "${others[@]}" || failed=1
	rm -f "${PORTS[@]}"
	for report in "$DIR"/sanitizer.*; do
		[[ ! -s $report ]] || { cat "$report" >&2; failed=1; }
	done
	[[ ! ${RIGHTS:-} ]] || lacks NOPERM <(cat "$DIR"/turnstile-*.log) || failed=1
	if ((failed)) || [[ ${BATS_TEST_COMPLETED:-} != 1 ]]; then
		tail -n 40 "$DIR"/turnstile-*.log >&2 2>/dev/null || true
	fi
	return $failed
}

# --- requests -----------------------------------------------------------------------------------

# Bodies in the shape of Claude Code's.
user_body() {
	printf '{"model":"claude-fake-1","messages":[{"role":"user","content":[{"type":"text","text":"%s"}]}],' \
		"${1:-What is a turnstile?}"
	printf '"system":[],"tools":[],"max_tokens":1024,"stream":true}'
}
tool_result_body() {
	printf '{"model":"claude-fake-1","messages":[{"role":"user","content":"List the files."},'
	printf '{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{}}]},'
	printf '{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"a b c"}]}],'
	printf '"tools":[],"max_tokens":1024,"stream":true}'
}

http() { curl -sS --noproxy '*' --max-time "$LIMIT" "$@"; }

# post KEY BODY: what curl needs for it, in the array POST. A KEY of the form "Bearer k1" goes into
# Authorization. A file whose name is in the variable BODY is sent in place of BODY.
post() {
	local credential="x-api-key: $1"
	[[ $1 != 'Bearer '* ]] || credential="Authorization: $1"
	POST=(-sS -N --noproxy '*' -H "$credential" -H 'content-type: application/json' -H 'Expect:'
		--data-binary "${BODY:+@}${BODY:-$2}" "$URL/v1/messages?beta=true")
}

# ask KEY [CURL ARGUMENT...]: sends a user message and prints the response.
ask() {
	post "$1" "$(user_body)"
	curl "${POST[@]}" --max-time "$LIMIT" "${@:2}"
}

# ask_tool KEY [CURL ARGUMENT...]: the same with a tool's result.
ask_tool() {
	post "$1" "$(tool_result_body)"
	curl "${POST[@]}" --max-time "$LIMIT" "${@:2}"
}

# ask_later NAME KEY [CURL ARGUMENT...]: NAME is the request's tag too.
ask_later() {
	post "$2" "$(user_body)"
	printf -v "SIZE_$1" %s "$(if [[ ${BODY:-} ]]; then wc -c <"$BODY"; else user_body | wc -c; fi)"
	curl --trace-ascii % "${POST[@]}" --max-time $((3 * LIMIT)) -H "X-Relay-Tag: $1" -o "$DIR/$1.body" \
		-D "$DIR/$1.head" -w '%{http_code} %{exitcode}\n' "${@:3}" \
		>"$DIR/$1.outcome" 2>"$DIR/$1.error" 3>&- &
	printf -v "PID_$1" %s $!
	CLIENTS+=($!)
}

# await NAME...: until they have ended.
await() {
	local name pid
	for name; do
		pid=PID_$name
		wait_for "! running ${!pid}" 60 || return
	done
}

# sent NAME: its whole body has been read by turnstile.
sent() {
	local size=SIZE_$1
	wait_for "awk '/^=> Send data, / {n += \$4} END {exit n < ${!size}}' '$DIR/$1.error'" && passed
}

# in_line NAME KEY N: NAME has been read, and N of that account are waiting.
in_line() {
	sent "$1" || return
	[[ -z $REDIS_URL ]] ||
		wait_for "[[ \$(redis zcard user_msg_queue_wait:$(key_account "$2")) == $3 ]]"
}

# passed: what the kernel had for turnstile before this call has been read, as the loop went round.
passed() { http -f -o /dev/null "$URL/v1/models"; }

# answering NAME KEY [CURL ARGUMENT...]: until the relay answers this very request, as NAME may have had others before.
answering() {
	local pid=PID_$1 before=0
	[[ ! ${!pid:-} ]] || before=$(relay_stats "[.requests[] | select(.tag == \"$1\" and .first_us)] | length")
	ask_later "$@"
	relay_wait "tag=$1" phase=headers "times=$((before + 1))"
}

# turn NAME KEY [CURL ARGUMENT...]: a user message that has its turn and doesn't end by itself.
turn() { answering "$@" -H 'X-Relay-Fault: stall' -H 'X-Relay-Cut-After: 3'; }

# held NAME KEY [CURL ARGUMENT...]: a user message whose stream has begun, and ends when relay_go lets it.
held() { answering "$@" -H 'X-Relay-Interval-Ms: 3600000'; }

# hang_up NAME: the client closes its connection.
hang_up() {
	local pid=PID_$1
	kill "${!pid}"
	wait "${!pid}" 2>/dev/null || true
}

# outcome NAME: status and curl's exit code, "200 0"; 18 says that the response was cut.
outcome() { cat "$DIR/$1.outcome"; }

# hands_on FROM TO KEY: TO stands behind FROM, whose client leaves, and is served.
hands_on() {
	ask_later "$2" "$3"
	in_line "$2" "$3" 1
	hang_up "$1"
	await "$2"
	equal "$(outcome "$2")" "200 0"
}

# header NAME FILE: the value of a header field in what curl -D wrote.
header() { tr -d '\r' <"$2" | sed -n "s/^$1: //Ip"; }

# key_account KEY: its account, as account.source = api-key names it.
key_account() { printf 'key-%.16s' "$(printf %s "$1" | sha256sum)"; }

# served KEY [CURL ARGUMENT...]: a user message of that account is answered at once, so its turn was given back.
# "At once" stands against a lease and a queue timeout that are ten times longer.
served() {
	equal "$(ask "$1" -o served.body -w '%{http_code}' --max-time "$(scaled 6)" "${@:2}")" 200 &&
		has message_stop "$(cat served.body)"
}

# --- what was seen ------------------------------------------------------------------------------

# relay_wait CONDITION...: see /__relay/wait.
relay_wait() {
	local all="limit_ms=$((LIMIT * 1000))" c
	for c; do
		all+="&$c"
	done
	http -f -o /dev/null --max-time $((2 * LIMIT)) "http://$RELAY/__relay/wait?$all"
}

relay_stats() { http "http://$RELAY/__relay/stats" | jq -r -c "${1:-.}"; }
relay_go() { http -X POST -o /dev/null "http://$RELAY/__relay/go"; }
relay_reset() { http -X POST -o /dev/null "http://$RELAY/__relay/reset"; }

log_lines() { jq -r -c -R "fromjson? | ${1:-.}" "$LOG"; }

# exchanges [FILTER]: in the order in which they ended.
exchanges() { log_lines "select(.msg == \"exchange\") | ${1:-.}"; }

# exchange_wait FILTER [N]: until N (1) exchanges have ended for which FILTER holds.
exchange_wait() { wait_for "[[ \$(exchanges 'select($1)' | wc -l) -ge ${2:-1} ]]"; }

# log_wait FILTER: until a line is there for which FILTER holds.
log_wait() { wait_for "[[ -n \$(log_lines 'select($1)') ]]"; }

