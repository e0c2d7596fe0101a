# Brings a text into a buffer of the server. The end of its input looks the same whether everything has
# come or the way was cut, so a text that is not as long as it should be does not stay there. Its
# arguments are tmux, its option for the socket (two words), the buffer, and the length of the text.
tmux=$1
way=$2
socket=$3
buffer=$4
length=$5
newline='
'
"$tmux" -u -N "$way" "$socket" load-buffer -b "$buffer" - || exit
buffers=$("$tmux" -u -N "$way" "$socket" list-buffers -F '#{buffer_name} #{buffer_size}') || exit
case $newline$buffers$newline in
*"$newline$buffer $length$newline"*) exit ;;
esac
"$tmux" -u -N "$way" "$socket" delete-buffer -b "$buffer" 2>/dev/null
echo 'the text did not come whole' >&2
exit 1
