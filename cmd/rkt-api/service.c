/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/service.h"

#include "aci/imagestore.h"

int service_open_store(const struct service *s, struct imagestore **ret,
		       struct error *err)
{
	return imagestore_open(s->dir, NULL, IMAGESTORE_NOWAIT, ret, err);
}
