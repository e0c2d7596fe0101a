# Writes its input to a new file beside another, with that one's owner where it is there. Its
# arguments are the new file, its mode, the file, and the folders that have to be made.
aside=$1
mode=$2
file=$3
shift 3
umask 077
for folder; do
	mkdir "$folder" || exit
done
set -C
cat >"$aside" || exit
if [ -e "$file" ]; then
	set -- $(LC_ALL=C ls -dn "$file")
	of=$3:$4
	set -- $(LC_ALL=C ls -dn "$aside")
	[ "$3:$4" = "$of" ] || chown "$of" "$aside" || { rm -f "$aside"; exit 1; }
fi
chmod "$mode" "$aside" || exit
# Where nothing may be executed, whatever calls it would find nothing to call, and say so to nobody.
case $mode in
*[1357]*)
	[ -x "$aside" ] && exit
	rm -f "$aside"
	echo "no program may run in ${file%/*}: it lies on a file system that is mounted noexec" >&2
	exit 1
	;;
esac
