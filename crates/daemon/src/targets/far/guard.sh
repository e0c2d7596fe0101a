# Runs a tmux that stays, and kills it when its input ends, or when somebody ends this shell: with
# its pipes closed and its process alive it would wedge the server. Its arguments are tmux, its
# option for the socket (two words), and the words of the tmux that stays.
#
#   #load BUFFER TEXT   brings a text, as `printf %b` reads it, into a buffer of the server
#
# Every other line of its input is for that tmux, which gets it when what stood before is done.
tmux=$1
way=$2
socket=$3
shift 3
ended=
client=
trap 'ended=1; [ -n "$client" ] && kill -9 "$client" 2>/dev/null' HUP INT TERM

# What was loaded last may stand there for a command that does not come any more.
buffer=
load() {
	buffer=$1
	printf '%b' "${2-}" | "$tmux" -u -N "$way" "$socket" load-buffer -b "$1" -
} >/dev/null 2>&1

exec 3<&0
{
	# Bytes are bytes.
	LC_ALL=C
	set -f
	while IFS= read -r line <&3; do
		case $line in
		'#load '*) load ${line#??????} ;;
		*) printf '%s\n' "$line" || break ;;
		esac
	done
	kill -TERM $$ 2>/dev/null
	[ -z "$buffer" ] || "$tmux" -N "$way" "$socket" delete-buffer -b "$buffer" >/dev/null 2>&1
} | "$@" 3<&- &
client=$!
exec 3<&-
[ -n "$ended" ] && kill -9 "$client" 2>/dev/null
wait "$client"
