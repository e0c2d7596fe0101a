# Shows a file that may be changed: what it is, where it really lies and whose it is, which folders
# above it are missing, whether the nearest can be written to, and, behind an empty line, what is in
# it. Its arguments are the path and the most bytes.
path=$1
max=$2
real=$path
if [ -e "$path" ]; then
	real=$(readlink -f "$path")
	if [ ! -f "$path" ]; then kind=other
	elif [ ! -r "$path" ]; then kind=closed
	elif [ "$(wc -c <"$path")" -gt "$max" ]; then kind=large
	else kind=file
	fi
elif [ -h "$path" ]; then kind=dangling
else kind=absent
fi
printf 'kind %s\nreal %s\n' "$kind" "$real"
[ "$kind" != file ] || printf 'listed %s\n' "$(LC_ALL=C ls -dn "$real")"
folder=${real%/*}
while [ -n "$folder" ] && [ ! -e "$folder" ] && [ ! -h "$folder" ]; do
	printf 'missing %s\n' "$folder"
	folder=${folder%/*}
done
folder=${folder:-/}
state=open
[ -w "$folder" ] && [ -x "$folder" ] || state=shut
[ -d "$folder" ] || state=none
printf '%s %s\n\n' "$state" "$folder"
[ "$kind" != file ] || cat "$path"
