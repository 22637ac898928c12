#!/usr/bin/env bats
# The one-liners for operators of src/admin/README.md, taken from there and run.
load helpers
load admin

setup() {
	prepare
	start_all
	K=$(key_account k1)
}
teardown() { clean_up; }

# recipe COMMENT [N]: runs the Nth command below the line "# COMMENT" of its recipes.
recipe() {
	local command
	command=$(awk -v comment="# $1" -v n="${2:-1}" '
		/^## / { inside = $0 == "## Recipes" }
		inside && index($0, comment) == 1 { at = NR }
		inside && at && NR == at + n { print; exit }' "$BATS_TEST_DIRNAME/../../src/admin/README.md")
	[[ $command == curl* ]] || { echo "no such command: $1" >&2; return 1; }
	A=$ADMIN ACCOUNT=$K bash -c "$command"
}

# A holder, and two who wait.
line_up() {
	turn a k1
	ask_later b k1
	waiting k1 1
	ask_later c k1
	waiting k1 2
}

@test "who waits, who holds" {
	ask k2 -o /dev/null
	equal "$(recipe 'who waits')" ""
	line_up
	[[ $(recipe 'who waits') =~ ^"$K 2 waiting, oldest "[0-9]+" ms"$ ]]
	[[ $(recipe 'who holds') =~ ^"$K test running "[0-9]+" ms"$ ]]
	hang_up a
	await b c
}

@test "what does it cost" {
	ask k1 -o /dev/null
	ask k2 -o /dev/null
	recipe 'what does it cost' >cost
	equal "$(wc -l <cost)" 2
	grep -qE "^$K wait p50 [0-9]+ p99 [0-9]+ ms, hold p50 [0-9]+ ms$" cost
}

@test "pause and resume" {
	served k1
	recipe 'pause an account' 1
	equal "$(queue k1 .paused)" true
	recipe 'pause an account' 2
	equal "$(queue k1 .paused)" false
	served k1
}

@test "free a stuck account" {
	line_up
	recipe 'free a stuck account'
	await b c
	equal "$(outcome b) $(outcome c)" "200 0 200 0"
	hang_up a
}

@test "throw out who has waited longest" {
	line_up
	recipe 'throw out'
	await b
	equal "$(outcome b)" "503 0"
	hang_up a
	await c
	equal "$(outcome c)" "200 0"
}

@test "other pacing, and back" {
	recipe 'other pacing' 1
	wait_for "[[ \$(admin /api/config .delayMs) == 500 ]]"
	recipe 'other pacing' 2
	wait_for "[[ \$(admin /api/queues/$K/config .timeoutMs) == 120000 ]]"
	recipe 'other pacing' 3
	wait_for "[[ \$(admin /api/config .delayMs) == 0 ]]"
	equal "$(admin "/api/queues/$K/config" .timeoutMs)" 120000
}

@test "is it ready" {
	equal "$(recipe 'is it ready')" ready
}
