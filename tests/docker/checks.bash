# checks.bash - the project of tests/docker/run, and what is asked of it.
#
# Requests and waiting are those of tests/integration/helpers.bash: ask, ask_later, turn, await, …
# Each check uses a key, and so an account, of its own.

KEY=sk-e2e-$RANDOM$RANDOM

# --- the project --------------------------------------------------------------------------------

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
	done
}

# A copy of the tree, so that nobody's docker/.env is used or touched.
prepare_project() {
	mkdir "$PROJECT"
	cp -r Dockerfile .dockerignore LICENSE README.md meson.build config src tests docker "$PROJECT"
	cp "$PROJECT/docker/.env.example" "$PROJECT/docker/.env"
	setting COMPOSE_PROJECT_NAME "$MINE" USER_MESSAGE_QUEUE_DELAY_MS 50 \
		TURNSTILE_ADMIN_TOKEN "$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')" \
		PUBLISH "127.0.0.1:$(free_port)" PUBLISH_ADMIN "127.0.0.1:$(free_port)" \
		PUBLISH_FLEET "127.0.0.1:$(free_port)" BUILD_NETWORK host IMAGE_BASE "$BASE" \
		IMAGE_TURNSTILE "$MINE-turnstile" IMAGE_DEMO "$MINE-relay"
}

# What was set, for another process.
read_project() {
	TOKEN=$(is_set TURNSTILE_ADMIN_TOKEN)
	SINGLE_URL=http://$(is_set PUBLISH) ADMIN=http://$(is_set PUBLISH_ADMIN) FLEET_URL=http://$(is_set PUBLISH_FLEET)
}

is_set() { sed -n "s/^$1=//p" "$PROJECT/docker/.env"; }

# setting NAME VALUE...: as an operator does it, in .env.
setting() {
	while (($#)); do
		sed -i "/^#*$1=/d" "$PROJECT/docker/.env"
		echo "$1=$2" >>"$PROJECT/docker/.env"
		shift 2
	done
}

choose_images() {
	setting IMAGE_REDIS "$(image_or_stand_in redis:8-alpine)" \
		IMAGE_HAPROXY "$(image_or_stand_in haproxy:3.0-alpine)"
}

compose_v1() { (cd "$PROJECT/docker" && docker-compose "$@"); }

compose_v2() {
	local socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
	docker run --rm --network none -v "${socket#unix://}:/var/run/docker.sock" \
		-v "$PROJECT:$PROJECT" -w "$PROJECT/docker" "$MINE-stand-ins" docker-compose "$@"
}

# Both as programs, for docker/update.
compose_programs() {
	local name
	for name in compose_v1 compose_v2; do
		{ declare -p MINE PROJECT; declare -f $name; echo "$name \"\$@\""; } | sed '1i#!/usr/bin/env bash' >"$WORK/$name"
		chmod +x "$WORK/$name"
	done
}

# compose ARGUMENT...: by the one whose turn it is, quietly unless it fails.
compose() {
	local profile args=()
	for profile in "${PROFILES[@]}"; do
		args+=(--profile "$profile")
	done
	"$COMPOSE" "${args[@]}" "$@" >"$WORK/compose.log" 2>&1 || { cat "$WORK/compose.log" >&2; return 1; }
}

ours() { docker "$1" ls -q "${@:2}" --filter "label=com.docker.compose.project=$MINE"; }
container() { docker ps -aq --filter "label=com.docker.compose.project=$MINE" --filter "label=com.docker.compose.service=$1"; }
state() { docker inspect -f "$2" "$(container "$1")"; }
health() { state "$1" '{{.State.Health.Status}}'; }
address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$1" | cut -d' ' -f1; }

up_demo() {
	compose up -d
	RELAY=$(address "$(container relay)"):3000
	URL=$SINGLE_URL
	wait_for "ready"
}

# A relay that this project knows nothing of but network and name.
up_fleet() {
	docker network create "$MINE-elsewhere" >/dev/null
	docker run -d --name "$MINE-own-relay" --network "$MINE-elsewhere" --network-alias own-relay \
		"$MINE-relay" >/dev/null
	setting COMPOSE_FILE compose.yaml:relay-network.yaml RELAY_NETWORK "$MINE-elsewhere" \
		TURNSTILE_UPSTREAM_URL http://own-relay:3000 STOP_SIGNAL SIGUSR1 STOP_GRACE 11m
	compose up -d --no-build
	RELAY=$(address "$MINE-own-relay"):3000
	URL=$FLEET_URL
	wait_for "http -f '$URL/v1/models'"
}

down() {
	[[ -n ${COMPOSE:-} ]] || return 0
	compose down -v --remove-orphans -t 20
	if [[ -n $(docker ps -aq --filter "name=$MINE-own-relay") ]]; then
		docker rm -f "$MINE-own-relay" >/dev/null
		docker network rm "$MINE-elsewhere" >/dev/null
	fi
}

show_containers() {
	local id
	for id in $(docker ps -aq --filter "label=com.docker.compose.project=$MINE"); do
		docker inspect -f '--- {{.Name}} {{.State.Status}}{{if .State.Health}} {{json .State.Health}}{{end}}' "$id"
		docker logs --tail 25 "$id" 2>&1
	done
}

# crash SERVICE: its process is killed from outside of the container, so the restart policy counts.
crash() {
	local id pid
	id=$(container "$1")
	pid=$(docker inspect -f '{{.State.Pid}}' "$id")
	if grep -qa "^turnstile" "/proc/$pid/comm" && kill -9 "$pid"; then
		wait_for "[[ \$(docker inspect -f '{{.RestartCount}}' $id) -ge 1 ]]"
	else
		docker kill "$id" >/dev/null && docker start "$id" >/dev/null # another machine's engine
	fi
}

# --- what is asked ------------------------------------------------------------------------------

admin() { http -H "Authorization: Bearer $TOKEN" "$ADMIN$1"; }
ready() { http -f -o /dev/null "$ADMIN/readyz"; }
status_of() { ask "$@" -o "$DIR/answer" -w '%{http_code}'; }
tool_status_of() { ask_tool "$@" -o "$DIR/answer" -w '%{http_code}'; }
of_account() { admin "/api/queues/$(key_account "$1")" | jq -r "$2"; }
waiting() { wait_for "[[ \$(of_account $1 '.waiters | length') == $2 ]]"; }
seen_and_overlap() { relay_stats ".accounts[\"$1\"] | \"\\(.seen) \\(.max_overlap)\""; }
slowly() { printf '%s\n' -H "X-Relay-Events: $1" -H 'X-Relay-Interval-Ms: 100'; }
log_of() { docker logs "$(container "$1")" 2>&1; }
# cut_off NAME: the client was told that the response isn't whole.
cut_off() { [[ $(outcome "$1") != '200 0' ]] || { echo "$1 looks complete" >&2; return 1; }; }

image_is_as_promised() {
	local inspect version
	inspect=$(docker image inspect "$MINE-turnstile" | jq '.[0]')
	version=$(docker run --rm --read-only --cap-drop ALL --network none "$MINE-turnstile" --version)
	IMAGE_BYTES=$(jq .Size <<<"$inspect")
	((IMAGE_BYTES < 60000000)) || { echo "the image has $IMAGE_BYTES bytes" >&2; return 1; }
	equal "$(jq -r '.Config | "\(.User) \(.StopSignal) \(.Healthcheck.Test[1:] | join(" "))"' <<<"$inspect")" \
		'10001:10001 SIGTERM turnstile --health'
	equal "turnstile $(jq -r '.Config.Labels["org.opencontainers.image.version"]' <<<"$inspect")" "$version"
	equal "$(jq -r '.Config.Labels["org.opencontainers.image.licenses"]' <<<"$inspect")" MIT
	# Who uses an engine of his own may have that step in its cache.
	grep -qE 'Fail: +0|Using cache|CACHED' "$WORK/build.log"
	docker run --rm --network none --entrypoint sh "$MINE-turnstile" -ec '
		cd /usr/share/doc
		while read -r package version; do test -s $package/copyright && test -n "$version"; done <turnstile/packages
		case $(cat turnstile/packages /var/lib/dpkg/status) in *libcurl*"Package: libcurl"*) ;; *) exit 1 ;; esac
		test -s turnstile/LICENSE; test -s turnstile/uthash.copyright; test -s turnstile/dygraphs.copyright
		test -s /etc/ssl/certs/ca-certificates.crt; test -s /usr/lib/ssl/cert.pem
		for tool in apt-get bash gcc meson python3 curl redis-server fake_relay; do ! command -v $tool || exit 1; done'
}

# hook NAME: runs what docker/kubernetes/fleet.yaml has there in the container of turnstile, as Kubernetes would.
hook() {
	local command
	mapfile -t -d '' command < <("$PROJECT/tests/kubernetes/manifests.py" hooks "$PROJECT/docker/kubernetes/fleet.yaml" |
		jq -j --arg name "$1" '.[$name][] + "\u0000"')
	docker exec "$(container turnstile)" "${command[@]}"
}

# The file changes, and is read without a signal from outside.
kubernetes_reloads() {
	hook livenessProbe >/dev/null
	hook readinessProbe >/dev/null
	hook postStart
	printf '[account "reloaded"]\nkeys = %s\n' "$(key_account "$KEY-reload")" >"$PROJECT/docker/etc/turnstile.ini"
	wait_for "status_of '$KEY-reload' && log_of turnstile | grep -q '\"account\":\"reloaded\"'"
}

# One streams, one waits, one comes before the port is closed: all are served, then the container ends by itself.
kubernetes_stops() {
	local options
	mapfile -t options < <(slowly 80)
	ask_later last "$KEY-hook" "${options[@]}"
	relay_wait tag=last phase=headers
	ask_later late "$KEY-hook"
	waiting "$KEY-hook" 1
	hook preStop >/dev/null 2>&1 &
	served "$KEY-other"
	await last late
	equal "$(outcome last) $(outcome late)" '200 0 200 0'
	wait_for "log_of turnstile | grep -q '\"msg\":\"retiring' && [[ \$(state turnstile '{{.RestartCount}}') -ge 1 ]]"
	wait_for ready
}

three_users() {
	local name waits
	for name in a b c; do
		ask_later $name "$KEY-three" -H 'X-Relay-Delay-Ms: 300'
	done
	await a b c
	for name in a b c; do
		equal "$(outcome $name)" '200 0'
		has message_stop "$(cat "$DIR/$name.body")"
	done
	equal "$(seen_and_overlap "$KEY-three")" '3 1'
	waits=$(for name in a b c; do header server-timing "$DIR/$name.head"; done | sed 's/.*dur=//' | sort -n)
	awk '$1 < (NR - 1) * 300 { exit 1 }' <<<"$waits" || { echo "they waited $waits ms" >&2; return 1; }
}

tool_result_passes() {
	turn held "$KEY-tool"
	ask_later next "$KEY-tool"
	waiting "$KEY-tool" 1
	equal "$(tool_status_of "$KEY-tool")" 200
	hang_up held
	await next
	equal "$(outcome next)" '200 0'
	equal "$(of_account "$KEY-tool" .isLocked)" false
}

# Event by event as the relay sends it: no pause of a second, and not all at the end.
stream_flows() {
	local options
	mapfile -t options < <(slowly 25)
	ask "$KEY-flow" "${options[@]}" | while IFS= read -r line; do
		[[ $line != data:* ]] || echo "${EPOCHREALTIME/./}"
	done >"$DIR/times"
	awk 'NR > 1 && $1 - last > 1000000 { late++ }
		NR == 1 { first = $1 }
		{ last = $1 }
		END { exit late || NR < 28 || last - first < 2000000 }' "$DIR/times" ||
		{ tr '\n' ' ' <"$DIR/times" >&2; return 1; }
}

redis_is_gone() {
	local options
	mapfile -t options < <(slowly 80)
	ask_later stream "$KEY-stream" "${options[@]}"
	relay_wait tag=stream phase=headers
	compose kill redis
	wait_for "! ready"
	equal "$(tool_status_of "$KEY-gone")" 200
	equal "$(status_of "$KEY-gone")" 503
	has QUEUE_BACKEND_ERROR "$(cat "$DIR/answer")"
	docker exec "$(container turnstile)" turnstile --config /etc/turnstile/turnstile.ini --health >/dev/null
	compose start redis
	wait_for ready
	served "$KEY-gone"
	await stream
	equal "$(outcome stream)" '200 0'
}

stopped_softly() {
	local options
	mapfile -t options < <(slowly 25)
	ask_later last "$KEY-stop" "${options[@]}"
	relay_wait tag=last phase=headers
	ask_later late "$KEY-stop"
	waiting "$KEY-stop" 1
	compose stop turnstile
	await last late
	equal "$(outcome last)" '200 0'
	equal "$(outcome late)" '503 0'
	has SHUTTING_DOWN "$(cat "$DIR/late.body")"
	equal "$(state turnstile '{{.State.ExitCode}}')" 0
	compose start turnstile
	wait_for ready
}

crashed() {
	turn lost "$KEY-crash"
	crash turnstile
	await lost
	cut_off lost
	wait_for ready
	served "$KEY-crash"
}

accounts_reread() {
	local hash
	hash=$(printf %s "$KEY-team" | docker run -i --rm --network none "$MINE-turnstile" hash-key)
	equal "$hash" "$(key_account "$KEY-team")"
	printf '[account "team"]\nkeys = %s\n' "$hash" >"$PROJECT/docker/etc/turnstile.ini"
	compose exec -T turnstile sh -c 'kill -HUP 1'
	wait_for "status_of '$KEY-team' && log_of turnstile | grep -q '\"account\":\"team\"'"
}

six_users() {
	local name names='u1 u2 u3 u4 u5 u6'
	for name in $names; do
		ask_later "$name" "$KEY-six" -H 'X-Relay-Delay-Ms: 100'
	done
	await $names
	for name in $names; do
		equal "$(outcome "$name")" '200 0'
	done
	equal "$(seen_and_overlap "$KEY-six")" '6 1'
	for name in turnstile turnstile-2 turnstile-3; do
		wait_for "log_of $name | grep -q '\"account\":\"$(key_account "$KEY-six")\",.*\"ticket\":\"turnstile-[123][.]'"
	done
}

hang_up_in_line() {
	turn first "$KEY-gone"
	ask_later second "$KEY-gone"
	waiting "$KEY-gone" 1
	hang_up second
	waiting "$KEY-gone" 0
	hang_up first
	wait_for "[[ \$(of_account '$KEY-gone' .isLocked) == false ]]"
	equal "$(seen_and_overlap "$KEY-gone")" '1 1'
}

holder_is_killed() {
	local holder
	turn victim "$KEY-kill"
	ask_later heir "$KEY-kill"
	waiting "$KEY-kill" 1
	holder=$(of_account "$KEY-kill" .holder.instance)
	crash "${holder%-1}"
	await victim heir
	cut_off victim
	equal "$(outcome heir)" '200 0'
	wait_for ready
}

# --- updates -------------------------------------------------------------------------------------

# begin_load: 20 requests a second at URL, until end_load, which wants each of them served, and never two of an account
# at once.
begin_load() {
	touch "$DIR/go_on"
	python3 "$PROJECT/tests/integration/steady.py" 20 "$DIR/go_on" 5 "${URL#http://}" -- \
		'X-Relay-Events: 7' 'X-Relay-Interval-Ms: 20' >"$DIR/load" &
	LOAD=$!
}
end_load() {
	rm "$DIR/go_on"
	wait "$LOAD"
	echo "        $(cat "$DIR/load")"
	jq -e '.sent >= 100 and (del(.sent, .reused) | keys == ["200"])' "$DIR/load" >/dev/null
	equal "$(relay_stats '[.accounts | to_entries[] | select(.key | test("^k[0-4]$")) | .value.max_overlap] | max')" 1
}

# begin_line NAME URL: one streams there, another one waits behind it.
begin_line() {
	local options
	mapfile -t options < <(slowly 80)
	URL=$2 ask_later "$1_long" "$KEY-$1" "${options[@]}"
	relay_wait "tag=$1_long" phase=headers
	URL=$2 ask_later "$1_late" "$KEY-$1"
	waiting "$KEY-$1" 1
}
# end_line NAME: both were served.
end_line() {
	await "$1_long" "$1_late"
	equal "$(outcome "$1_long") $(outcome "$1_late")" '200 0 200 0'
}

# Each turnstile in turn becomes another container, each with a line of its own.
fleet_is_replaced() {
	local service before
	begin_load
	for service in turnstile turnstile-2 turnstile-3; do
		before=$(container $service)
		begin_line "${service/-/_}" "http://$(address "$before"):8080"
		compose up -d --no-deps --no-build --force-recreate $service
		[[ $(container $service) != "$before" ]]
		end_line "${service/-/_}"
		wait_for "[[ \$(health $service) == healthy ]]" 30
	done
	end_load
}

# One turnstile, which takes over from the one before. The line is served by the old one, so that one outlives it.
up_alone() {
	setting COMPOSE_FILE takeover.yaml TURNSTILE_UPSTREAM_URL http://relay:3000 STOP_SIGNAL SIGTERM STOP_GRACE 40s \
		TURNSTILE_LISTEN_IDLE_TIMEOUT_MS 10000 # connections that nobody uses any more keep the old one
	up_demo
}
one_is_replaced() {
	local round before
	begin_load
	for round in first second; do
		before=$(container turnstile)
		begin_line "$round" "$URL"
		"$PROJECT/docker/update" "$WORK/$COMPOSE" >"$WORK/update.log" 2>&1 || { cat "$WORK/update.log" >&2; return 1; }
		end_line "$round"
		equal "$(container turnstile | wc -w)" 1
		[[ $(container turnstile) != "$before" ]]
		[[ -z $(docker ps -aq --no-trunc --filter "id=$before") ]]
	done
	end_load
	equal "$(state turnstile '{{.HostConfig.RestartPolicy.Name}} {{.RestartCount}}')" 'unless-stopped 0'
}
# What doesn't start changes nothing.
bad_one_is_not_taken() {
	local before
	before=$(container turnstile)
	setting TURNSTILE_QUEUE_TURNS none
	if "$PROJECT/docker/update" "$WORK/$COMPOSE" >"$WORK/update.log" 2>&1; then
		echo "it took one that can't start" >&2
		return 1
	fi
	setting TURNSTILE_QUEUE_TURNS 1
	grep -q "the old one goes on" "$WORK/update.log"
	equal "$(container turnstile)" "$before"
	equal "$(state turnstile '{{.HostConfig.RestartPolicy.Name}}')" unless-stopped
	served "$KEY-stays"
}
# Of the process itself; a crash comes back, and takes the ports again though it left the socket behind.
one_crashes() {
	crash turnstile
	wait_for ready
	served "$KEY-back"
}

fleet_without_redis() {
	compose kill redis
	wait_for "tool_status_of '$KEY-less'; log_of balancer | grep -q ' unready/turnstile'"
	equal "$(tool_status_of "$KEY-less")" 200
	equal "$(status_of "$KEY-less")" 503
	has QUEUE_BACKEND_ERROR "$(cat "$DIR/answer")"
	compose start redis
	wait_for ready
	served "$KEY-less"
}

# --- how it is kept -----------------------------------------------------------------------------

as_configured() {
	local service facts
	for service; do
		facts=$(docker inspect "$(container "$service")" | jq -c '.[0] | [
			.HostConfig.ReadonlyRootfs, .HostConfig.CapDrop, .HostConfig.SecurityOpt,
			.HostConfig.PidsLimit, .HostConfig.Memory > 0, .HostConfig.RestartPolicy.Name,
			.HostConfig.LogConfig.Type, .HostConfig.LogConfig.Config["max-size"],
			.HostConfig.LogConfig.Config["max-file"], (.Config.User | test("^[1-9][0-9]*:[1-9]"))]')
		equal "$service $facts" "$service $(jq -nc '[true, ["ALL"], ["no-new-privileges:true"], 64, true,
			"unless-stopped", "json-file", "10m", "5", true]')"
	done
	equal "$(state redis '{{len .HostConfig.PortBindings}} {{len .NetworkSettings.Networks}}')" '0 1'
	equal "$(docker network inspect -f '{{.Internal}}' "$(ours network --filter name=queue)")" true
	equal "$(state turnstile '{{.HostConfig.NanoCpus}}')" 1000000000
	[[ -n $(container relay) ]] || return 0
	reaches relay turnstile 8080
	if reaches relay redis 6379; then
		echo "the relay reaches turnstile's Redis" >&2
		return 1
	fi
}

# reaches SERVICE OTHER PORT: from inside of SERVICE's container, by OTHER's address.
reaches() {
	docker exec "$(container "$1")" timeout 2 \
		bash -c "exec 3<>/dev/tcp/$(address "$(container "$2")")/$3" 2>/dev/null
}

# What is set by default gives no reason for a warning.
starts_without_warnings() {
	local service
	for service; do
		equal "$(log_of "$service" | jq -r 'select(.msg == "listening"), select(.level == "warn") | .msg' | head -n 1)" listening
	done
}

# Every line is JSON, also of a crash; exchanges are among them; no key is.
logs_are_clean() {
	local service log=$WORK/service.log
	for service; do
		log_of "$service" >"$log"
		jq -e -s 'map(select(.msg == "exchange")) | length > 0' "$log" >/dev/null
		lacks "$KEY|$TOKEN" "$log"
	done
}

all_healthy() {
	local id
	for id in $(docker ps -q --filter "label=com.docker.compose.project=$MINE"); do
		wait_for "[[ \$(docker inspect -f '{{.State.Health.Status}}' $id) == healthy ]]" 30
	done
}

nothing_left() {
	equal "$(ours container -a)$(ours network)$(ours volume)" ''
}
