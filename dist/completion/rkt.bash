# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# bash completion of rkt and actool: the programs themselves know the answers.

_rkt()
{
	local line=${COMP_LINE:0:COMP_POINT} program=$1
	local current word rest handled candidate
	local -a words

	# Not COMP_WORDS: "=" and ":" are parts of rkt's words.
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	current=${words[-1]}
	# What readline keeps of the word, it must not be given again.
	handled=${current%"${current##*[=:]}"}
	[[ $COMP_WORDBREAKS == *=* && $COMP_WORDBREAKS == *:* ]] || handled=
	COMPREPLY=()
	while IFS=$'\t' read -r candidate rest; do
		word=${current#"$handled"}
		case $candidate in
		:files)
			compopt -o filenames
			while IFS= read -r word; do
				COMPREPLY+=("$word")
			done < <(compgen -f -- "$word")
			;;
		:directories)
			compopt -o filenames
			while IFS= read -r word; do
				COMPREPLY+=("$word")
			done < <(compgen -d -- "$word")
			;;
		*)
			[[ $candidate == *= ]] && compopt -o nospace
			COMPREPLY+=("${candidate#"$handled"}")
			;;
		esac
	done < <("$program" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _rkt rkt
complete -F _rkt actool
