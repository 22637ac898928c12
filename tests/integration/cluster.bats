#!/usr/bin/env bats
# A real Redis Cluster of three masters: accounts that live on each, slots that move, nodes that die.
load helpers
load admin
load cluster

CROWD=$BATS_TEST_DIRNAME/crowd.py

setup() {
	prepare
	start_relay
	start_cluster
	name_cluster
}
teardown() { clean_up; }

# gap_us NAME NEXT: from the end of NAME, who hung up, to the arrival of NEXT, as the upstream saw it.
gap_us() {
	relay_stats "[.requests[] | select(.tag == \"$1\" or .tag == \"$2\")] | .[1].arrived_us - .[0].aborted_us"
}

# errors PORT NAME: how many of them it has answered. A Redis before 6.2 doesn't count them; there it counts for one.
errors() {
	on "$1" info errorstats | sed -n "s/^errorstat_$2:count=\([0-9]*\).*/\1/p" | grep . && return
	if on "$1" info server | grep -q '^redis_version:6\.0'; then echo 1; else echo 0; fi
}
status_of() { ask "$@" -o /dev/null -w '%{http_code}' --max-time "$(scaled 8)"; }

@test "accounts of all nodes are served in order, over two processes" {
	start_two
	local port name keys=() tags i
	for port in "${NODES[@]}"; do
		key_on "$port"
		keys+=("$KEY")
		at a
		turn "h_$KEY" "$KEY"
		i=0
		for name in b a b; do
			at $name
			ask_later "w${i}_$KEY" "$KEY"
			waits "w${i}_$KEY" "$KEY" $((++i))
		done
		equal "$(on "$port" exists "$(key lock "$KEY")")" 1
	done
	for KEY in "${keys[@]}"; do
		equal "$(queue "$KEY" '[.isLocked, .waiting] | join(" ")')" "true 3"
		tags="h_$KEY w0_$KEY w1_$KEY w2_$KEY"
		hang_up "h_$KEY"
		await "w0_$KEY" "w1_$KEY" "w2_$KEY"
		equal "$(relay_stats ".accounts.$KEY | [.max_overlap, (.order | join(\" \"))] | join(\" \")")" "1 $tags"
	done
	equal "$(admin '/api/queues' '.queues | length')" 3
	equal "$("$CROWD" row 40 3 "${URL_OF[@]}" -- 'X-Relay-Events: 2' 'X-Relay-Interval-Ms: 5')" '{"200":40}'
	equal "$(relay_stats '.accounts.k1 | [.completed, .max_overlap]')" '[40,1]'
	equal "$("$CROWD" each 60 "${URL_OF[@]}" -- 'X-Relay-Events: 2')" '{"200":60}'
	equal "$(order PUT /api/config '{"delayMs":70}')" 200
	at a
	wait_for "[[ \$(admin /api/config .delayMs) == 70 ]]"
	equal "$(cat "${LOG_OF[@]}" | jq -c 'select(.msg | test("redis|lost"))')" ""
}

@test "accounts that somebody makes up are forgotten on all nodes" {
	start_two -o redis.max_accounts=150
	local name port keys=() total=0
	at a
	for port in "${NODES[@]}"; do
		key_on "$port"
		keys+=("$KEY")
		turn "h_$KEY" "$KEY"
	done
	for name in a b; do
		equal "$("$CROWD" flood 600 4 "${URL_OF[$name]}" -- 'X-Relay-Events: 1')" '{"200":600}'
	done
	for port in "${NODES[@]}"; do
		((total += $(on "$port" dbsize)))
	done
	((total <= 3 * 154 + 30)) # last, times, and for a minute the line's numbers
	for KEY in "${keys[@]}"; do
		equal "$(queue "$KEY" '.isLocked')" true
		equal "$(admin "/api/queues?limit=500" "[.queues[] | select(.accountId == \"$(key_account "$KEY")\")] | length")" 1
		hang_up "h_$KEY"
		served "$KEY"
	done
}

@test "a slot moves while a turn is held and others wait: TRYAGAIN, ASK, MOVED" {
	start_two -o redis.command_timeout_ms=60000
	local from=${NODES[1]} to=${NODES[2]} slot
	key_on "$from"
	slot=$(slot "$KEY")
	at a
	turn held "$KEY"
	at b
	ask_later one "$KEY"
	waits one "$KEY" 1
	at a
	begin_move "$slot" "$from" "$to"
	ask_later two "$KEY"
	sent two
	ask_later gone "$KEY"
	sent gone
	wait_for "((\$(errors $from TRYAGAIN) > 0))"
	hang_up gone # before anybody could take it
	move_keys "$slot" "$from" "$to"
	wait_for "((\$(errors $from ASK) > 0 && \$(errors $to TRYAGAIN) > 0))"
	end_move "$slot" "$from" "$to"
	waits two "$KEY" 2
	wait_for "((\$(errors $from MOVED) > 0))"
	wait_for "((\$(on $to pttl '$(key lock "$KEY")') > 110000))"
	hang_up held
	await one two
	equal "$(outcome one), $(outcome two)" "200 0, 200 0"
	equal "$(relay_stats ".accounts.$KEY | [.max_overlap, (.order | join(\" \"))] | join(\" \")")" "1 held one two"
	equal "$(all zcard "$(key wait "$KEY")")" 0 # nobody was left in line
	served "$KEY"
	equal "$(cat "${LOG_OF[@]}" | jq -c 'select(.msg | test("redis|lost"))')" ""
}

# A script is done where all its keys are: that needs each kind of key there is.
@test "a slot is on its way and all keys are there: ASK is followed to the end" {
	start_two
	local from=${NODES[1]} to=${NODES[2]} slot
	key_on "$from"
	slot=$(slot "$KEY")
	at a
	served "$KEY"
	turn held "$KEY"
	ask_later waits "$KEY"
	waits waits "$KEY" 1
	ask_later leaves "$KEY"
	waits leaves "$KEY" 2
	hang_up leaves
	wait_for "on $from cluster getkeysinslot $slot 20 | grep -q _kept:"
	equal "$(order POST "/api/queues/$(key_account "$KEY")/pause")" 200
	equal "$(on "$from" cluster countkeysinslot "$slot")" 13
	begin_move "$slot" "$from" "$to"
	move_keys "$slot" "$from" "$to"
	equal "$(on "$to" cluster countkeysinslot "$slot")" 13
	hang_up held
	wait_for "! on $to cluster getkeysinslot $slot 20 | grep -q _lock:"
	((  $(errors "$from" ASK) > 0))
	end_move "$slot" "$from" "$to"
	equal "$(order POST "/api/queues/$(key_account "$KEY")/resume")" 200
	await waits
	equal "$(outcome waits)" "200 0"
}

# Longer than any lease, and than patience with a node.
@test "a slot is on its way for long: turns and places live, wherever their keys are" {
	start_two -o "queue.lock_ttl_ms=$(scaled 1500 5000)"
	local from=${NODES[1]} to=${NODES[2]} lock wait alive slot
	key_on "$from"
	slot=$(slot "$KEY") lock=$(key lock "$KEY") wait=$(key wait "$KEY") alive=$(key alive "$KEY")
	at a
	turn held "$KEY"
	at b
	ask_later one "$KEY"
	waits one "$KEY" 1
	at a
	ask_later two "$KEY"
	waits two "$KEY" 2
	at b
	ask_later three "$KEY"
	waits three "$KEY" 3

	begin_move "$slot" "$from" "$to"
	renewed "$from" "$lock" "$from" "$alive" "$from" "$wait"
	on "$from" migrate 127.0.0.1 "$to" "$lock" 0 1000
	renewed "$to" "$lock" "$from" "$alive"
	on "$from" migrate 127.0.0.1 "$to" "$alive" 0 1000
	renewed "$to" "$alive" "$from" "$wait"
	move_keys "$slot" "$from" "$to"
	renewed "$to" "$lock" "$to" "$alive" "$to" "$wait"
	end_move "$slot" "$from" "$to"

	hang_up held
	await one two three
	equal "$(outcome one), $(outcome two), $(outcome three)" "200 0, 200 0, 200 0"
	equal "$(relay_stats ".accounts.$KEY | [.max_overlap, (.order | join(\" \"))] | join(\" \")")" "1 held one two three"
	equal "$(all zcard "$(key wait "$KEY")")" 0
	served "$KEY"
	equal "$(cat "${LOG_OF[@]}" | jq -c 'select(.msg | test("redis|lost"))')" ""
}

# slot_without_node SLOT
slot_without_node() {
	local port
	for port in "${NODES[@]}"; do
		on "$port" cluster delslots "$1"
	done
}

@test "a slot has no node for a while: who waits has its turn when there is one again" {
	start_two
	key_on "${NODES[1]}"
	at a
	held held "$KEY"
	at b
	ask_later waits "$KEY"
	waits waits "$KEY" 1
	slot_without_node "$(slot "$KEY")"
	log_wait '(.cause // "") | test("^CLUSTERDOWN")' # a touch and redis.command_timeout_ms are over
	running "$PID_waits"
	on "${NODES[1]}" cluster addslots "$(slot "$KEY")"
	relay_go tag=held
	await held waits
	equal "$(outcome held), $(outcome waits)" "200 0, 200 0"
	equal "$(relay_stats ".accounts.$KEY.max_overlap")" 1
}

@test "a slot has no node any more: who waits is told so after redis.outage_ms" {
	start_two -o "redis.outage_ms=$(scaled 2500)"
	key_on "${NODES[1]}"
	at a
	turn held "$KEY"
	at b
	ask_later waits "$KEY"
	waits waits "$KEY" 1
	slot_without_node "$(slot "$KEY")"
	wait_for '! running $PID_waits' # queue.timeout_ms would be a minute
	equal "$(outcome waits)" "503 0"
	at b
	log_wait '(.cause // "") | test("^CLUSTERDOWN")'
}

@test "the login counts at every node" {
	local port
	for port in "${NODES[@]}"; do
		on "$port" acl setuser me on '>p@ss' '~user_msg_queue*' '&user_msg_queue*' +@all
		on "$port" config set masterauth operator
		on "$port" config set requirepass operator
	done
	export REDISCLI_AUTH=operator
	REDIS_URL=redis://me:p%40ss@localhost:${NODES[0]}
	start_two -o "queue.lock_ttl_ms=$(scaled 1500 5000)"
	all_nodes_serve auth operator
}

@test "a slot moves and moves back under load: never two at the upstream, nobody is refused" {
	start_two -o redis.command_timeout_ms=60000 # a busy machine may need a second for one move
	local slot from port to before i
	slot=$(slot k1)
	for port in "${NODES[@]}"; do
		on "$port" exists "$(key lock k1)" 2>&1 | grep -q MOVED || from=$port
	done
	printf '%s\n' "${URL_OF[@]}" >urls
	"$CROWD" hammer 6 "$DIR/urls" -- 'X-Relay-Events: 2' 'X-Relay-Interval-Ms: 2' >crowd.out 3>&- &
	CLIENTS+=($!)
	for i in {1..6}; do
		to=${NODES[RANDOM % 3]}
		[[ $to != "$from" ]] || continue
		begin_move "$slot" "$from" "$to"
		move_keys "$slot" "$from" "$to"
		end_move "$slot" "$from" "$to"
		from=$to
		before=$(relay_stats .all.completed)
		wait_for "((\$(relay_stats .all.completed) >= $before + 20))"
	done
	rm urls
	wait_for '[[ -s crowd.out ]]'
	echo "# $(cat crowd.out)" >&3
	has '{"200":' "$(cat crowd.out)"
	lacks '"(503|502|error)"' crowd.out
	equal "$(relay_stats .accounts.k1.max_overlap)" 1
}

@test "a restart releases what it left on every node" {
	start_two
	local port keys=()
	at a
	for port in "${NODES[@]}"; do
		key_on "$port"
		keys+=("$(key lock "$KEY")")
		turn "h_$KEY" "$KEY"
	done
	crash_turnstile "$PID_A"
	start_turnstile -o redis.cluster=true -o redis.instance=a
	local key
	for key in "${keys[@]}"; do
		wait_for "[[ \$(all exists '$key') == 0 ]]"
	done
}

@test "a node dies: its accounts get what on_backend_error says, others go on" {
	start_two -o redis.outage_ms=0
	local dead=${NODES[0]} lives=${NODES[1]} lost kept name # dead: the one that redis.url names
	key_on "$dead"
	lost=$KEY
	key_on "$lives"
	kept=$KEY
	at a
	turn there "$lost"
	turn here "$kept"
	at b
	ask_later gone "$lost"
	waits gone "$lost" 1
	ask_later next "$kept"
	waits next "$kept" 1
	kill_node "$dead"
	await gone
	equal "$(outcome gone)" "503 0"
	equal "$(status_of "$lost")" 503
	hang_up here
	await next
	equal "$(outcome next)" "200 0"
	at a
	served "$kept"
	equal "$(status_of "$lost")" 503
	for name in a b; do
		at $name
		equal "$name $(log_lines 'select(.msg == "redis is unreachable") | 1' | wc -l)" "$name 1"
	done
	# Messages go on as well, from another node: hand-offs don't wait for touches.
	local round
	wait_for "[[ \$(listeners) == 2 ]]"
	for round in 1 2 3; do
		at a
		turn "first_$round" "$kept"
		at b
		ask_later "second_$round" "$kept"
		waits "second_$round" "$kept" 1
		hang_up "first_$round"
		await "second_$round"
		gap_us "first_$round" "second_$round" >>gaps
	done
	(($(sort -n gaps | sed -n 2p) < $(scaled 500000)))
	# And so do settings, which live on a node of their own.
	on "$lives" exists user_msg_queue_config
	equal "$(order PUT /api/config '{"delayMs":70}')" 200
	at a
	wait_for "[[ \$(admin /api/config .delayMs) == 70 ]]"
}

@test "a node freezes: accounts of the others are served as before" {
	local frozen=${NODES[2]} kept lease
	lease=$(scaled 1000 5000)
	start_two -o "queue.lock_ttl_ms=$lease"
	key_on "${NODES[1]}"
	kept=$KEY
	key_on "$frozen"
	at a
	turn here "$kept"
	turn there "$KEY"
	at b
	ask_later next "$kept"
	waits next "$kept" 1
	kill -STOP "${NODE_PID[$frozen]}"
	equal "$(status_of "$KEY")" 503
	rest $((lease * 3 / 2)) # all of a lease, and some
	equal "$(ALIVE=${NODES[1]} all exists "$(key lock "$kept")")" 1
	hang_up here
	await next
	equal "$(outcome next)" "200 0"
	(($(gap_us here next) < 300000 + $(scaled 700000)))
	equal "$(cat "${LOG_OF[@]}" | jq -c 'select((.msg | test("lost")) and .account == "'"$kept"'")')" ""
	kill -CONT "${NODE_PID[$frozen]}"
	wait_for '[[ $(status_of other) == 200 ]]'
	hang_up there
	wait_for "[[ \$(status_of $KEY) == 200 ]]"
}

# start_replica MASTER: of that master's port; its own in PORT.
start_replica() {
	start_node
	on "$PORT" cluster meet 127.0.0.1 "${NODES[0]}" $((NODES[0] - 10000)) || on "$PORT" cluster meet 127.0.0.1 "${NODES[0]}"
	wait_for "on $PORT cluster replicate ${NODE_ID[$1]} | grep -q OK"
	wait_for "on $PORT info replication | grep -q master_link_status:up"
	wait_for "on ${NODES[0]} cluster nodes | grep -q '${NODE_ID[$PORT]}.*slave ${NODE_ID[$1]}'"
}

# The leases are the default's, two minutes.
@test "a planned failover: turns that end meanwhile leave no account standing still" {
	start_replica "${NODES[2]}"
	local replica=$PORT keys=() n
	start_two
	for n in 0 1 2 3 4 5; do
		key_on "${NODES[2]}"
		keys+=("$KEY")
		at a
		held "h$n" "$KEY"
		at b
		ask_later "w$n" "$KEY"
		waits "w$n" "$KEY" 1
	done
	on "$replica" cluster failover
	relay_go
	await h0 h1 h2 h3 h4 h5 w0 w1 w2 w3 w4 w5
	wait_for "on $replica role | grep -q master"
	for n in 0 1 2 3 4 5; do
		equal "$(outcome "h$n"), $(outcome "w$n")" "200 0, 200 0"
		at b
		exchange_wait ".account == \"$(key_account "${keys[n]}")\" and .outcome == \"answered\" and .wait_ms < $(scaled 20000)"
		wait_for "[[ \$(ALIVE=$replica all exists '$(key lock "${keys[n]}")') == 0 ]]"
		equal "$(relay_stats ".accounts[\"${keys[n]}\"].max_overlap")" 1
	done
}

@test "a master fails and its replica takes over: turns and places are there again" {
	local master=${NODES[2]}
	start_replica "$master"
	local replica=$PORT
	start_two -o redis.command_timeout_ms=60000
	key_on "$master"
	at a
	turn held "$KEY"
	at b
	ask_later next "$KEY"
	waits next "$KEY" 1
	kill_node "$master"
	wait_for "on $replica role | grep -q master"
	at a
	ask_later last "$KEY" # in time, as its timeout is longer than the election
	ALIVE=$replica waits last "$KEY" 2
	hang_up held
	await next last
	equal "$(outcome next), $(outcome last)" "200 0, 200 0"
	equal "$(relay_stats ".accounts.$KEY.max_overlap")" 1
	equal "$(cat "${LOG_OF[@]}" | jq -c 'select(.msg | test("lost"))')" ""
}
