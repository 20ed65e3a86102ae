#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lint.sh FILE... -- CPPFLAG...: shellcheck, clang-tidy and cppcheck, which must
# be silent, and a report of what grows (which fails nothing).
set -u
cd "$(dirname "$0")/.." || exit 1
files=
while [ "$1" != -- ]; do
	files="$files $1"
	shift
done
shift
bad=0

echo "== shellcheck"
shellcheck -x .ci/run dist/*.sh dist/*/*.sh dist/completion/rkt.bash tests/*.sh tests/*/*.sh tests/bench/handover \
	tests/cli/lib.bash tests/cli/machine.bash || bad=1
# bats sets status, output and stderr; each test is a subshell.
shellcheck -S warning -x -e SC2154,SC2030,SC2031,SC2054,SC2120 tests/cli/*.bats || bad=1

# The Annex K check only cries about snprintf and memcpy; swapping two
# parameters of one type is what designated initialisers are for. Tables are
# ordered for people.
echo "== clang-tidy"
checks='-*,bugprone-*,clang-analyzer-*'
for off in clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling \
	bugprone-easily-swappable-parameters bugprone-reserved-identifier \
	bugprone-assignment-in-if-condition bugprone-narrowing-conversions \
	bugprone-implicit-widening-of-multiplication-result \
	bugprone-macro-parentheses bugprone-branch-clone \
	bugprone-suspicious-string-compare bugprone-sizeof-expression \
	clang-analyzer-security.insecureAPI.strcpy \
	clang-analyzer-optin.performance.Padding \
	bugprone-signal-handler; do
	checks=$checks,-$off
done
# shellcheck disable=SC2086 # the files are words
if command -v clang-tidy >/dev/null; then
	printf '%s\n' $files | xargs -P "$(nproc)" -I{} clang-tidy --quiet \
		--checks="$checks" --warnings-as-errors='*' {} -- \
		-std=gnu17 "$@" 2>/dev/null || bad=1
else
	echo "clang-tidy is not installed"
fi

echo "== cppcheck"
# shellcheck disable=SC2086
if command -v cppcheck >/dev/null; then
	cppcheck --quiet --enable=warning,portability --inline-suppr \
		--suppress=unknownMacro --error-exitcode=1 -I. \
		-D_GNU_SOURCE -D__x86_64__ $files || bad=1
else
	echo "cppcheck is not installed"
fi

echo "== longest files (think at 800 lines)"
# shellcheck disable=SC2086
wc -l $files | grep -v ' total$' | sort -rn | head -8

# A function of this layout starts with "{" in the first column.
echo "== longest functions (think at 60 lines)"
# shellcheck disable=SC2086
awk 'FNR == 1 { start = 0 }
	/^[A-Za-z_].*\(/ { name = $0
		if (!sub(/^Test\(/, "", name)) sub(/\(.*/, "", name)
		sub(/\).*/, "", name); sub(/^[^,]*[ *]/, "", name) }
	/^{/ { start = FNR }
	/^}/ && start { print FNR - start, name, FILENAME ":" start; start = 0 }' \
	$files | sort -rn | head -12
exit $bad
