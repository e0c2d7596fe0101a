# Says what there is of a copied program. Its argument is the folder.
folder=$1
program=$folder/qd-$machine
printf 'system %s\nmachine %s\n' "$(uname -s)" "$machine"
[ -w "$folder" ] && [ -x "$folder" ] && printf 'open yes\n'
df -Pk "$folder" 2>/dev/null | {
	IFS= read -r titles
	read -r disk all used room rest && printf 'room %s\n' "$room"
}
if [ -h "$program" ] || { [ -e "$program" ] && [ ! -f "$program" ]; }; then echo 'kind other'
elif [ -e "$program" ]; then
	echo 'kind file'
	says=''
	if [ -x "$program" ]; then
		echo 'runs yes'
		# A shell would take anything else for a script.
		if [ "$(od -An -N4 -tx1 "$program" | tr -d ' ')" = 7f454c46 ]; then
			says=$( (PATH=/dev/null && exec "$program" --version) </dev/null 2>/dev/null | head -n 1)
		fi
	fi
	printf 'says %s\nhash %s\n' "$says" "$(hashed "$program" "$says")"
else echo 'kind absent'
fi
