# Runs a tmux that stays, and kills it when its input ends, or when somebody ends this shell: with
# its pipes closed and its process alive it would wedge the server. Its arguments are those of
# tmux, that first.
ended=
client=
trap 'ended=1; [ -n "$client" ] && kill -9 "$client" 2>/dev/null' HUP INT TERM
exec 3<&0
{
	cat <&3
	kill -TERM $$ 2>/dev/null
} | "$@" 3<&- &
client=$!
exec 3<&-
[ -n "$ended" ] && kill -9 "$client" 2>/dev/null
wait "$client"
