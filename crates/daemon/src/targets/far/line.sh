# Stays for as long as the connection does: greets, and answers each line of its input. When its
# input ends without a word it takes away the session of our client there, unless somebody is in
# it. Its arguments are the mark, tmux, its option for the socket (two words), and the session.
mark=$1
tmux=$2
way=$3
socket=$4
session=$5
trap '' HUP INT TERM
printf '%s hello\n' "$mark"
while IFS= read -r word; do
	[ "$word" = bye ] && exit
	printf '%s %s\n' "$mark" "$word"
done
try=4
while [ "$try" -gt 0 ]; do
	"$tmux" -N "$way" "$socket" has-session -t "=$session:" </dev/null >/dev/null 2>&1 || exit
	"$tmux" -N "$way" "$socket" if-shell -F -t "=$session:" '#{==:#{session_attached},0}' \
		"kill-session -t '=$session:'" </dev/null >/dev/null 2>&1
	try=$((try - 1))
	sleep 1
done
