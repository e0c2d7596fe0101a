#!/bin/sh
# qd-hook-1: writes down what an agent tells, for whichever qd reads it from another machine. It is
# called as `this hook AGENT EVENT`, with the payload on its input or as one more argument, and ends
# well. It prints nothing but the answer that somebody may give from there to what the agent asks.
# docs/design/spool.md and approvals.md of Quarterdeck tell the format and how it waits.
exec 2>/dev/null
umask 077
LC_ALL=C
export LC_ALL
set -f
agent=$2 event=$3 given=${4-} count=$#
state=${0%/*}
spool=$state/spool
active=$spool/hooks.spool
[ -d "$spool" ] || mkdir "$spool"

# Whether the agent may want an answer to it.
is_question() {
	case $agent:$event in
	claude:PermissionRequest | codex:PermissionRequest | copilot:permissionRequest) ;;
	opencode:permission.asked.waits | opencode:question.asked.waits) ;;
	*) return 1 ;;
	esac
}

# Whether somebody copied a qd for this machine here: it is quicker. A home may be shared by several.
is_copied() {
	machine='' found=1
	set +f
	for program in "$state"/qd-*; do
		[ -f "$program" ] && [ -x "$program" ] || continue
		[ -n "$machine" ] || IFS= read -r machine </proc/sys/kernel/arch || machine=$(uname -m)
		[ "$program" != "$state/qd-$machine" ] || { found=0 && break; }
	done
	set -f
	return "$found"
}

# It says by its end that it wrote the record (97), or that it read the payload and could not (98).
# Who asked it to end meant us, too. All else is that it never began, or was killed: then we do it.
# A shell takes a damaged program for a script: with that path, in this folder, and where nobody
# reads what it prints, it does no harm.
if ! is_question && is_copied; then
	cwd=$PWD
	(
		PATH=/dev/null
		cd "$spool" && exec "$program" __hook "$$" "$cwd" "$agent" "$event" ${4+"$4"}
	) >/dev/null
	case $? in
	97 | 98 | 129 | 130 | 143) exit 0 ;;
	esac
fi

# A field of the record, escaped where it is not plain.
field() {
	case $2 in
	'') ;;
	*[!A-Za-z0-9/._,:@+=-]*)
		printf '\t%s=' "$1"
		printf %s "$2" | od -An -v -tx1 | tr -d '\n' | tr -s ' ' % | sed 's/%$//'
		;;
	*) printf '\t%s=%s' "$1" "$2" ;;
	esac
}

# Any bytes as digits, so many of them.
digits() {
	IFS=' 	
'
	set -- $(od -An -v -tx1 -N "$1")
	IFS=
	printf %s "$*"
}

# Where nobody reads it must not grow for ever: a full file is set aside, and the oldest goes.
bound() {
	[ "$(wc -c <"$active")" -ge 8388608 ] || return 0
	mv "$active" "$(printf '%s/hooks-%011d000-%010d.spool' "$spool" "${at%%.*}" "$$")"
	set +f
	set -- "$spool"/hooks-*.spool
	set -f
	while [ $# -gt 7 ]; do
		rm -f "$1"
		shift
	done
}

# Whether this can be answered, and somebody reads who may. What others left who were killed goes.
is_answerable() {
	is_question || return 1
	set +f
	set -- "$spool"/reader-* "$spool"/wait-*
	set -f
	reads=''
	for left; do
		pid=${left##*-}
		if kill -0 "${pid%%.*}"; then
			case $left in */reader-*) reads=1 ;; esac
			continue
		fi
		case $left in
		# Whoever laid it there takes it back soon, if that is still possible.
		*.answer) find "$left" -mmin +10 -exec rm -f {} \; ;;
		*) rm -f "$left" ;;
		esac
	done
	[ -n "$reads" ]
}

# Waits for an answer, as long as somebody says again and again that there may be one: another
# number each time. The first word has to come within four seconds, and the next within ten.
await() {
	exec 5<>"$door"
	while sleep 2 && kill -0 "$$"; do echo tick; done >&5 &
	ticker=$! heard='' left=2
	while IFS= read -r bell <&5; do
		if [ -e "$door.answer" ] && mv "$door.answer" "$door.taken"; then
			cat "$door.taken"
			break
		fi
		said=''
		IFS= read -r said <"$door.said"
		case $said in
		end) break ;;
		"$heard") [ "$bell" != tick ] || left=$((left - 1)) ;;
		*) heard=$said left=5 ;;
		esac
		[ "$left" -gt 0 ] || break
	done
	kill "$ticker"
}

# Each program that is not started saves its time: an agent waits for this.
if IFS=- read -r one two three four five </proc/sys/kernel/random/uuid; then
	id=$one$two$three$four$five
else
	set -- $(od -An -N16 -tx4 /dev/urandom)
	id=$1$2$3$4
fi
# There before the record that tells of it.
door=$spool/wait-$id-$$
if is_answerable && mkfifo "$door"; then
	trap 'rm -f "$door" "$door.said" "$door.taken"' EXIT
	trap exit HUP INT TERM
else
	door=''
fi
# Where the clock tells no fractions, seconds must do.
at=$(date +%s.%N)
case $at in *[!0-9.]*) at=$(date +%s) ;; esac
# Who tells of several events in a row says when each was, if that was lately.
case ${QD_EVENT_AT-} in
'' | ??? | ?? | ? | *[!0-9]*) ;;
*)
	second=${QD_EVENT_AT%???}
	age=$((${at%%.*} - second))
	if [ "$age" -ge 0 ] && [ "$age" -lt 60 ]; then at=$second.${QD_EVENT_AT#"$second"}; fi
	;;
esac
chain='' pid=$PPID left=32
# The shell of the line that calls this stays above it or does not, as shells are: it counts for none.
case $(tr '\000' '\n' <"/proc/$pid/cmdline") in
*'
: qd-hook-'*)
	IFS= read -r stat <"/proc/$pid/stat"
	set -- ${stat##*) }
	pid=$2
	;;
esac
while [ "$left" -gt 0 ] && [ "$pid" -gt 1 ] && IFS= read -r stat <"/proc/$pid/stat"; do
	# What follows the name, which may hold anything; the 2nd and the 20th field of it.
	set -- ${stat##*) }
	chain=$chain${chain:+,}$pid:${20}
	pid=$2 left=$((left - 1))
done
if [ "$count" -ge 4 ]; then
	payload=$(printf %s "$given" | digits 262145)
else
	payload=$(digits 262145)
fi
if [ ${#payload} -gt 524288 ]; then
	payload=cut=$((${#payload} / 2))
	# The agent is not to fail on a pipe that nobody reads.
	[ "$count" -ge 4 ] || cat >/dev/null
else
	payload=hex=$payload
fi
case $TMUX_PANE in
%*[!0-9]* | '') pane='' ;;
%*) pane=$(printf '\tpane=%%25%s' "${TMUX_PANE#%}") ;;
esac
# One write: `dd` gathers what the shell prints in pieces.
{
	printf '\nqd1\tid=%s' "$id"
	field agent "$agent"
	field event "$event"
	printf '\tat=%s%s' "$at" "$pane"
	field tmux "$TMUX"
	field chain "$chain"
	field cwd "$PWD"
	[ -z "$door" ] || printf '\twaits=%s' "$$"
	printf '\t%s\tend=%s\n' "$payload" "$id"
} | dd ibs=65536 obs=1048576 >>"$active"
# Each time would cost a program; about every sixteenth is often enough.
case $id in 0*) bound ;; esac
[ -z "$door" ] || await
exit 0
