/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/actool/image.h"

#include <errno.h>

#include "aci/fetch_client.h"
#include "base/cleanup.h"
#include "base/path.h"

int image_read(int fd, struct fetch_image *ret, struct error *err)
{
	cleanup_free char *libexec = NULL;
	int r = path_libexec(&libexec, err);

	return r < 0 ? r : fetch_import(libexec, fd, -1, -1, NULL, ret, err);
}
