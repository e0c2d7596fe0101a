# Stays for as long as the connection does: greets, and does what each line of its input asks.
#
#   list            lists the files of the spool there
#   read NAME FROM  prints a part of one of them, from a position on
#   arm NAME FROM   the same as soon as something was written to the spool since the last `arm`
#   door NAME VERB NUMBER [TEXT]
#                   speaks with a hook that waits for an answer: it may come `still`, this one is
#                   to `give`, or is taken `back`, or none will come: `end`
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
# While this is there, hooks there may wait for an answer.
reader=$spool/reader-$$
LC_ALL=C
export LC_ALL
set -f
trap '' HUP INT TERM PIPE

# Hooks make the folder. Until they did, none waits.
announce() {
	[ ! -d "$spool" ] || : >"$reader"
}

list() {
	announce
	printf '%s begin list\n' "$mark"
	(cd "$spool" && set +f && ls -in hooks*.spool | tail -n 64) 2>/dev/null
	printf '\n%s end\n' "$mark"
}

part() {
	printf '%s begin read %s %s\n' "$mark" "$1" "$2"
	tail -c "+$(($2 + 1))" "$spool/$1" 2>/dev/null | head -c 65536
	printf '\n%s end\n' "$mark"
}

# Whether the hook behind the door still runs.
is_there() {
	[ -p "$door" ] && kill -0 "${door##*-}"
}

# Wakes it. What is opened for both never waits for the other side; it may go meanwhile.
ring() {
	echo look 1<>"$door"
	[ -p "$door" ] || rm -f "$door"
}

door() {
	door=$spool/wait-$1
	found=gone
	case $2 in
	still)
		if [ -e "$door.answer" ]; then
			found=lies
		elif is_there; then
			echo "$$.$3" >"$door.said"
			found=waits
		fi
		;;
	give)
		new=$door.new.$$
		# Of several who answer, only one can make the link.
		if is_there && printf '%s\n' "$4" >"$new" && ln "$new" "$door.answer"; then
			ring
			found=given
		fi
		rm -f "$new"
		;;
	back) ! mv "$door.answer" "$door.new.$$" || { rm -f "$door.new.$$"; found=back; } ;;
	end) ! is_there || { echo end >"$door.said"; ring; } ;;
	esac 2>/dev/null
	printf '%s begin door %s %s %s\n%s\n%s end\n' "$mark" "$1" "$2" "$3" "$found" "$mark"
}

leave() {
	rm -f "$reader"
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
	trap 'rm -f "$reader"' EXIT
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
			announce
			if [ -n "$armed" ]; then part $armed; armed=; else written=1; fi
			;;
		door) door "$2" "$3" "$4" "${line#door * * * }" ;;
		bye) exit ;;
		gone) leave ;;
		*) printf '%s %s\n' "$mark" "$line" ;;
		esac
	done
	leave
}
