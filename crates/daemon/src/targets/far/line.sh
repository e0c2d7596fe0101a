# Stays for as long as the connection does: greets, and does what each line of its input asks.
#
#   list            lists the files of the spool there
#   read NAME FROM  prints a part of one of them, from a position on
#   arm NAME FROM   the same as soon as something was written to the spool since the last `arm`
#   door NAME VERB NUMBER [TEXT]
#                   speaks with a hook that waits for an answer: it may come `still`, this one is
#                   to `give` (its length, and it), or is taken `back`, or none will come: `end`
#   matching NUMBER PATTERN
#                   lists the files whose paths fit a pattern, the last written first
#   held NUMBER PID BEGINNING
#                   lists what a process has open that begins so
#   origin NUMBER PID NAME
#                   says whose a process is, and what it was told in a variable when it began
#   nearest NUMBER PATH
#                   says which folder is there, this one or one above it
#   file NUMBER USER FROM LENGTH PATH
#                   prints a part of a plain file of a user, from a position on or the `end`, behind
#                   its length and when it was written
#   watch PATH, unwatch PATH, rest
#                   tells when a file or folder changed: of one more, one less, or none
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
newline='
'
# What of an agent's files and folders is watched, how it was listed last, and what was told then.
watched=
seen=
again=
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
		text=${4#* }
		# What is very long may come with another word in the middle of it. Of several who answer, only one can make the link.
		if is_there && [ "${#text}" -eq "${4%% *}" ] && printf '%s\n' "$text" >"$new" && ln "$new" "$door.answer"; then
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

# The pattern holds nothing but `*` that means more than itself.
matching() {
	printf '%s begin matching %s\n' "$mark" "$1"
	(
		IFS=
		set +f
		set -- $2
		[ $# -le 2000 ] || shift "$(($# - 2000))"
		ls -dt -- "$@" | head -n 64 | head -c 65536
	) 2>/dev/null
	printf '\n%s end\n' "$mark"
}

held() {
	printf '%s begin held %s\n' "$mark" "$1"
	ls -l "/proc/$2/fd" 2>/dev/null | head -n 1024 | grep -F -e "-> $3" | head -c 65536
	printf '\n%s end\n' "$mark"
}

# Nothing else of the environment leaves the machine. Where it cannot be seen, the home is ours.
origin() {
	printf '%s begin origin %s\n' "$mark" "$1"
	{
		ls -dn "/proc/$2" || echo
		if [ -r "/proc/$2/environ" ]; then
			head -c 262144 "/proc/$2/environ" | tr '\000\n' '\n\036' | sed -n "s/^$3=//p" |
				head -n 1 | head -c 4096
		elif [ "$3" = HOME ]; then
			printf '%s\n' "$HOME"
		fi
	} 2>/dev/null
	printf '\n%s end\n' "$mark"
}

nearest() {
	folder=$2
	while [ -n "$folder" ] && [ ! -d "$folder" ]; do folder=${folder%/*}; done
	printf '%s begin nearest %s\n%s\n%s end\n' "$mark" "$1" "$folder" "$mark"
}

# What is open is looked at, not what has the name meanwhile: of another's nothing is read. Nothing
# that would have to be waited for is opened knowingly.
file() {
	printf '%s begin file %s\n' "$mark" "$1"
	(
		user=$2
		from=$3
		length=$4
		path=$5
		[ -e "$path" ] || [ -h "$path" ] || { echo absent; exit; }
		[ -f "$path" ] && [ ! -h "$path" ] || { echo other; exit; }
		{
			set -- $(ls -dinL $exact /proc/self/fd/0)
			inode=${1-}
			mode=${2-}
			owner=${4-}
			size=${6-}
			written=${exact:+ $7 $8 $9}
			set -- $(ls -din "$path")
			case $mode in -*) [ "${1-}" = "$inode" ] || mode= ;; *) mode= ;; esac
			if [ -z "$mode" ]; then
				echo other
			elif [ "$owner" != "$user" ]; then
				echo "foreign $owner"
			else
				echo "file $size$written"
				case $from in
				end) tail -c "$length" ;;
				0) head -c "$length" ;;
				*) tail -c "+$((from + 1))" | head -c "$length" ;;
				esac
			fi
			:
		} <"$path" || echo closed
	) 2>/dev/null
	printf '\n%s end\n' "$mark"
}

unwatch() {
	left=
	IFS=$newline
	for path in $watched; do
		[ "$path" = "$1" ] || left=$left$path$newline
	done
	unset IFS
	watched=$left
}

# Tells what is listed otherwise than the last time: a file by the time of its last change, its
# length and its number. A clock has steps, and two changes may fall into one: so whatever is told
# is told once more the next time.
glimpse() {
	[ -n "$watched" ] || return 0
	IFS=$newline
	now=$newline$(ls -dlinc $exact -- $watched 2>/dev/null)$newline
	told=
	if [ "$now" != "$seen" ]; then
		for line in $now; do
			case $seen in *"$newline$line$newline"*) ;; *) told=$told/${line#* /}$newline ;; esac
		done
		for line in $seen; do
			path=/${line#* /}
			case $now in *" $path$newline"*) ;; *) printf '%s stirred - %s\n' "$mark" "$path" ;; esac
		done
	fi
	for path in $told$again; do
		printf '%s stirred + %s\n' "$mark" "$path"
	done
	unset IFS
	again=$told
	seen=$now
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
		) 4>&- &
		follower=$!
		ticker=
		while IFS= read -r said <&3; do
			case $said in
			watch*)
				if [ -z "$ticker" ]; then
					(
						exec 3<&- >/dev/null
						while sleep 1 4>&- && printf '\ntick\n' >&4; do :; done
					) &
					ticker=$!
				fi
				;;
			rest)
				[ -z "$ticker" ] || kill -9 "$ticker"
				ticker=
				;;
			esac
			printf '\n%s\n' "$said" >&4 || break
		done
		kill -9 "$follower" $ticker
		printf '\ngone\n' >&4
	} 2>/dev/null | while said=$(dd bs=65536 count=1 2>&1 >/dev/null); do
		case $said in 0+0*) break ;; esac
		printf '\nwritten\n' >&4
	done
}

printf '%s hello %s %s\n' "$mark" "$(id -u)" "$(date +%s.%N)"
# As exactly as it can tell when something changed. The greeting does not wait for that.
exact=
! ls -d --full-time / >/dev/null 2>&1 || exact=--full-time
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
		matching) matching "$2" "${line#* * }" ;;
		held) held "$2" "$3" "${line#* * * }" ;;
		origin) origin "$2" "$3" "$4" ;;
		nearest) nearest "$2" "${line#* * }" ;;
		file) file "$2" "$3" "$4" "$5" "${line#* * * * * }" ;;
		watch)
			# Listed as nothing can be: what came or went since it was looked for is told.
			watched=$watched${line#* }$newline
			seen=${seen:-$newline}new${line#watch}$newline
			;;
		unwatch) unwatch "${line#* }" ;;
		rest) watched= seen= again= ;;
		tick) glimpse ;;
		door) door "$2" "$3" "$4" "${line#door * * * }" ;;
		bye) exit ;;
		gone) leave ;;
		*) printf '%s %s\n' "$mark" "$line" ;;
		esac
	done
	leave
}
