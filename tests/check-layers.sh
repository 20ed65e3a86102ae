#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point right only, cmd -> stage0 -> aci -> spec -> base and
# stage1-fly -> stage1 -> spec -> base, and no modules include each other in a ring.
set -eu
cd "$(dirname "$0")/.."

bad=$(grep -rn --include='*.[ch]' '^#include "' base spec aci stage0 stage1 stage1-fly cmd |
	sed 's/^\([^:]*\):\([0-9]*\):#include "\([^"]*\)".*/\1 \2 \3/' |
	while read -r file line inc; do
		from=${file%%/*} to=${inc%%/*}
		case $from:$to in
		base:base | spec:spec | spec:base) ;;
		aci:aci | aci:spec | aci:base) ;;
		stage0:stage0 | stage0:aci | stage0:spec | stage0:base) ;;
		stage1:stage1 | stage1:spec | stage1:base) ;;
		stage1-fly:stage1-fly | stage1-fly:stage1) ;;
		stage1-fly:spec | stage1-fly:base) ;;
		cmd:stage0 | cmd:aci | cmd:spec | cmd:base) ;;
		cmd:cmd)
			# A program sees only its own folder.
			[ "$(dirname "$file")" = "$(dirname "$inc")" ] ||
				echo "$file:$line: $inc belongs to another program"
			;;
		*) echo "$file:$line: $from may not include $inc" ;;
		esac
	done)
[ -z "$bad" ] || { echo "$bad"; exit 1; }

# A module is a .c with its .h; tsort names any ring.
rings=$(grep -rHo --include='*.[ch]' '^#include "[^"]*"' base spec aci stage0 stage1 stage1-fly cmd |
	sed 's/\.[ch]:#include "/ /; s/\.h"$//' | awk '$1 != $2' | sort -u |
	tsort 2>&1 >/dev/null) || true
[ -z "$rings" ] || { echo "modules include each other:"; echo "$rings"; exit 1; }

jansson=$(grep -rln '#include <jansson.h>' base aci stage0 stage1 stage1-fly cmd || true)
[ -z "$jansson" ] || { echo "jansson.h belongs to spec/: $jansson"; exit 1; }
echo "layers: ok"
