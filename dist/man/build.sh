#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The manual pages into DIR: those of commands from the programs' own tables
# (with what more/PAGE adds before SEE ALSO), and the others as they are.
#
# DATE is what they are dated.
#
# usage: build.sh BUILD DIR DATE
set -eu

build=$1 out=$2 date=$3
here=$(dirname "$0")
tab=$(printf '\t')

rm -rf "$out"
mkdir -p "$out"
for program in rkt actool; do
	"$build/bin/$program" help --pages >"$out/pages"
	while IFS=$tab read -r page command; do
		more=/dev/null
		[ ! -e "$here/more/$page" ] || more=$here/more/$page
		# The words of the command are words of their own.
		# shellcheck disable=SC2086
		"$build/bin/$program" help --man ${command#"$program"} |
			sed "s/^\(\.TH [^ ]* 1 \)\"\"/\1\"$date\"/
			/^\\.\\\\\" more\$/{
				r $more
				d
			}" >"$out/$page.1"
	done <"$out/pages"
done
rm "$out/pages"
for page in "$here"/*.[57]; do
	sed "s/^\(\.TH [^ ]* [57] \)\"\"/\1\"$date\"/" "$page" \
		>"$out/${page##*/}"
done
