# Puts a new file in the place of another that still is what is on the input, or takes that one
# away. Its arguments are the file, whether it was there, and the new file, if any.
file=$1
was=$2
aside=$3
if [ "$was" = there ]; then
	cmp -s - "$file" || { [ -z "$aside" ] || rm -f "$aside"; echo changed; exit; }
elif [ -e "$file" ] || [ -h "$file" ]; then
	rm -f "$aside"
	echo changed
	exit
fi
if [ -n "$aside" ]; then mv -f "$aside" "$file"; else rm -f "$file"; fi && echo done
