# Stays for as long as the connection does: greets, and does what each line of its input asks.
#
#   list            lists the files of the spool there
#   read NAME FROM  prints a part of one of them, from a position on
#   arm NAME FROM   the same as soon as something was written to the spool since the last `arm`
#   bye             ends, and leaves everything as it is
#
# Anything else comes back as it is, for a sign of life. Answers stand between two lines that begin
# with the mark. When its input ends without a `bye` it takes away the session of our client there,
# unless somebody is in it. Its arguments are the mark, tmux, its option for the socket (two
# words), and the session.
mark=$1
tmux=$2
way=$3
socket=$4
session=$5
spool=${QD_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/quarterdeck}/spool
active=$spool/hooks.spool
LC_ALL=C
export LC_ALL
set -f
trap '' HUP INT TERM PIPE

list() {
	printf '%s begin list\n' "$mark"
	(cd "$spool" && set +f && ls -in hooks*.spool | tail -n 64) 2>/dev/null
	printf '\n%s end\n' "$mark"
}

part() {
	printf '%s begin read %s %s\n' "$mark" "$1" "$2"
	tail -c "+$(($2 + 1))" "$spool/$1" 2>/dev/null | head -c 65536
	printf '\n%s end\n' "$mark"
}

leave() {
	# Whoever made no session has none to take away, and no name would mean anybody's.
	[ -n "$session" ] || exit
	try=4
	while [ "$try" -gt 0 ]; do
		"$tmux" -N "$way" "$socket" has-session -t "=$session:" </dev/null >/dev/null 2>&1 || exit
		"$tmux" -N "$way" "$socket" if-shell -F -t "=$session:" '#{==:#{session_attached},0}' \
			"kill-session -t '=$session:'" </dev/null >/dev/null 2>&1
		try=$((try - 1))
		sleep 1
	done
	exit
}

# What is asked for, and a word for whatever was written to the spool.
words() {
	{
		(
			until [ -e "$active" ]; do sleep 2; done
			exec tail -n 1 -F "$active"
		) 2>/dev/null 4>&- &
		follower=$!
		cat <&3 >&4
		kill -9 "$follower" 2>/dev/null
		printf '\ngone\n' >&4
	} | while said=$(dd bs=65536 count=1 2>&1 >/dev/null); do
		case $said in 0+0*) break ;; esac
		printf '\nwritten\n' >&4
	done
}

printf '%s hello %s %s\n' "$mark" "$(id -u)" "$(date +%s.%N)"
exec 3<&0
words 4>&1 </dev/null | {
	exec 3<&-
	armed=
	written=
	while IFS= read -r line; do
		set -- $line
		case ${1-} in
		'') ;;
		list) list ;;
		read) part "$2" "$3" ;;
		arm)
			armed="$2 $3"
			[ -z "$written" ] || { part "$2" "$3"; armed=; }
			written=
			;;
		written)
			if [ -n "$armed" ]; then part $armed; armed=; else written=1; fi
			;;
		bye) exit ;;
		gone) leave ;;
		*) printf '%s %s\n' "$mark" "$line" ;;
		esac
	done
	leave
}
