/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/out_file.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "base/whole_file.h"

int out_file_write(const char *path, bool overwrite, const char *exists,
		   out_file_fill fill, void *arg, struct error *err)
{
	cleanup_whole_file struct whole_file out = WHOLE_FILE_INIT;
	int r;

	if (!overwrite && access(path, F_OK) == 0)
		return error_set(err, EEXIST, "%s", exists);
	r = whole_file_open(path, 0644, overwrite, &out, err);
	if (r < 0)
		return r;
	r = fill(arg, out.fd, err);
	return r < 0 ? error_prefix(err, r, "write %s", path)
		     : whole_file_commit(&out, err);
}
