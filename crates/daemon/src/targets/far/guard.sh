# Runs a tmux that stays, and kills it when its input ends, or when somebody ends this shell: with
# its pipes closed and its process alive it would wedge the server. Then it takes away the session
# of that client, unless somebody else is in it. Its first four arguments are tmux, its option for
# the socket (two words), and the session; the others are tmux's.
tmux=$1
way=$2
socket=$3
session=$4
shift 4
ended=
client=
trap 'ended=1; [ -n "$client" ] && kill -9 "$client" 2>/dev/null' HUP INT TERM
exec 3<&0
{
	cat <&3
	kill -TERM $$ 2>/dev/null
} | "$tmux" "$@" 3<&- &
client=$!
exec 3<&-
[ -n "$ended" ] && kill -9 "$client" 2>/dev/null
wait "$client"
code=$?
[ -n "$ended" ] || exit "$code"
try=3
while [ "$try" -gt 0 ]; do
	"$tmux" -N "$way" "$socket" has-session -t "=$session:" </dev/null >/dev/null 2>&1 || exit
	"$tmux" -N "$way" "$socket" if-shell -F -t "=$session:" '#{==:#{session_attached},0}' \
		"kill-session -t '=$session:'" </dev/null >/dev/null 2>&1
	try=$((try - 1))
	sleep 1
done
