# For what follows: which machine it is, by the word with which a copied program ends, and the
# SHA-256 of a file, by whatever there is that can tell it.
machine=''
{ IFS= read -r machine </proc/sys/kernel/arch || machine=$(uname -m); } 2>/dev/null
hashed() {
	if command -v sha256sum >/dev/null 2>&1; then set -- $(sha256sum <"$1")
	elif command -v shasum >/dev/null 2>&1; then set -- $(shasum -a 256 <"$1")
	elif command -v openssl >/dev/null 2>&1; then set -- $(openssl dgst -sha256 <"$1" | tr ' ' '\n' | tail -n 1)
	elif [ -n "$2" ]; then set -- $("$1" __sha256 <"$1")
	else set --
	fi
	printf '%s\n' "${1-}"
}
