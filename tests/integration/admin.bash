# admin.bash - for the tests of the operators' listener.
#
#     admin /api/status .version          GET, through jq
#     order DELETE /api/config            another method; prints the status, the body is in answer
#     order PUT /api/config '{…}'

admin() { http -f "$ADMIN$1" | jq -r -c "${2:-.}"; }

order() {
	local body=()
	[[ $# -lt 3 ]] || body=(--json "$3")
	http -X "$1" "$ADMIN$2" "${body[@]}" -o answer -w '%{http_code}'
}

# queue KEY [FILTER]: the account of that key.
queue() { admin "/api/queues/$(key_account "$1")" "${2:-.}"; }

# waiting KEY N: N requests of the key's account wait.
waiting() { wait_for "[[ \$(queue $1 .waiting) == $2 ]]"; }

# metric NAME [CURL ARGUMENT...]
metric() { http -f "$ADMIN/metrics" "${@:2}" | awk -v name="$1" '$1 == name { print $2 }'; }
