# Completion of bash for turnstile(1): flags and options are those that the program itself tells.

_turnstile_commands() {
	"$1" --help 2>/dev/null | sed -n 's/^       turnstile \([a-z][a-z-]*\).*/\1/p'
}

_turnstile_options() { # section.key= of each option
	"$1" --help 2>/dev/null | sed -n 's/^  \([a-z]*\.[a-z_]*\) =.*/\1=/p'
}

_turnstile_values() { # PROGRAM section.key: its words, where it has a few
	"$1" --help 2>/dev/null | sed -n "/^  ${2//./\\.} =/{n;n;s/; .*//;s/ or /, /;p}" | tr -d ' ' | tr ',' '\n' |
		grep -xE '[a-z]+'
}

_turnstile_flags() {
	"$@" --help 2>/dev/null | sed '/^Options with/,$d' | grep -oE -- '--[a-z]+(-[a-z]+)*' | sort -u
}

_turnstile() {
	local program=$1 word=$2 before=$3 command=()
	[[ ${COMP_WORDS[1]} != explain ]] || command=(explain)
	COMPREPLY=()
	# "=" is a word of its own here: -o queue.mode=observe has four.
	if [[ $word == = ]]; then
		word=
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ $before == -o ]]; then
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W "$(_turnstile_options "$program")" -- "$word")
	elif [[ $before == *.* && ${COMP_WORDS[COMP_CWORD - 1]}$2 == *=* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_turnstile_values "$program" "$before")" -- "$word")
	elif [[ $before == --config || $before == -c ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-o $(_turnstile_flags "$program" "${command[@]}")" -- "$word")
	elif ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$(_turnstile_commands "$program")" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -o filenames -F _turnstile turnstile
