/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main for fuzz targets: replays files and directories (recursively), so
 * that every input that ever mattered is a regression test.
 */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

/* The input has its exact size, so that a sanitizer sees the first byte
 * behind it. */
static void replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rbe");

	if (!data || !f || fread(data, 1, size, f) != size) {
		fprintf(stderr, "read %s: %s\n", path, strerror(errno));
		exit(1);
	}
	fclose(f);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
}

int main(int argc, char **argv)
{
	FTSENT *entry;
	size_t n = 0;
	FTS *fts;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	fts = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_info == FTS_F) {
			replay_file(entry->fts_path,
				    (size_t)entry->fts_statp->st_size);
			n++;
		} else if (entry->fts_info == FTS_NS ||
			   entry->fts_info == FTS_DNR) {
			fprintf(stderr, "%s: %s\n", entry->fts_path,
				strerror(entry->fts_errno));
			return 1;
		}
	}
	if (!fts || fts_close(fts) < 0 || n == 0) {
		fprintf(stderr, "%s: nothing to replay\n", argv[1]);
		return 1;
	}
	printf("%s: %zu inputs\n", argv[0], n);
	return 0;
}
