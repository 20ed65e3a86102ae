#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh tests/fuzz/fuzz_X.c...: fuzz each target for FUZZ_TIME seconds with
# clang's libFuzzer, ASan and UBSan.  Seeds are tests/fuzz/corpus/X/, inputs
# that reach new code collect in build-fuzz/corpus/X/.  A crash fails the run
# and leaves its input in build-fuzz/: fix it and move the input to the seeds,
# named for what it showed.
set -eu
cd "$(dirname "$0")/../.."
out=build-fuzz
make=${MAKE:-make}

for source in "$@"; do
	name=$(basename "$source" .c)
	corpus=${name#fuzz_}
	echo "== $name, ${FUZZ_TIME:=60} s"
	# The flags differ from the sanitizer build's, so the folder does, too.
	"$make" -s B=$out "CC=${CLANG:-clang}" SAN=address,undefined \
		CFLAGS=-fsanitize=fuzzer-no-link "$out/fuzzer/$name"
	mkdir -p "$out/corpus/$corpus"
	case $corpus in
	*manifest | isolator) dict=-dict=tests/fuzz/appc.dict ;;
	*) dict= ;;
	esac
	"$out/fuzzer/$name" -max_total_time="$FUZZ_TIME" -timeout=10 \
		-rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
		-artifact_prefix="$out/$corpus-" -verbosity=0 $dict \
		"$out/corpus/$corpus" "tests/fuzz/corpus/$corpus"
done
