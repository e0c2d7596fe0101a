# Puts the program on its input into a folder: beside its place first, where it has to prove itself.
# Its arguments are the folder, how many bytes it has, its hash, and what it says of its version.
folder=$1
bytes=$2
hash=$3
version=$4
program=$folder/qd-$machine
aside=$folder/.qd-$machine.$$
umask 077
# What one left behind that was killed.
for left in "$folder/.qd-$machine".*; do
	kill -0 "${left##*.}" 2>/dev/null || rm -f "$left"
done
trap 'rm -f "$aside"' EXIT
trap 'exit 1' HUP INT TERM PIPE
set -C
said=$({ cat >"$aside"; } 2>&1) || {
	printf 'unwritten %s\n' "$said"
	exit 0
}
if [ "$(wc -c <"$aside")" -ne "$bytes" ]; then echo damaged; exit 0; fi
chmod 700 "$aside"
told=$(hashed "$aside" fresh 2>/dev/null)
if [ -n "$told" ] && [ "$told" != "$hash" ]; then echo damaged; exit 0; fi
said=$("$aside" --version 2>&1 </dev/null | head -n 1)
if [ -z "$told" ] || [ "$said" != "$version" ]; then printf 'unfit %s\n' "$said"; exit 0; fi
if [ -h "$program" ] || [ -d "$program" ]; then echo 'unwritten something else stands there'; exit 0; fi
mv -f "$aside" "$program" && echo done
