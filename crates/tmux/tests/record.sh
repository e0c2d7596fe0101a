#!/bin/sh
# Records the transcripts again from the tmux that QD_TEST_TMUX names, or from the one on the path,
# into tests/transcripts/VERSION. Look over the difference in the .messages files before committing.
set -eu
cd "$(dirname "$0")"
version=$("${QD_TEST_TMUX:-tmux}" -V | cut -d ' ' -f 2)
mkdir -p "transcripts/$version"
QD_RECORD="$PWD/transcripts/$version" cargo test -q -p tmux --test it scenes:: -- --test-threads 1
QD_BLESS=1 cargo test -q -p tmux --test it replay::
