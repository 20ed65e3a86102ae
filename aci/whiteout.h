/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_WHITEOUT_H
#define ACI_WHITEOUT_H

/*
 * Names by which a layer removes what lies below it (OCI image specification,
 * "Image Layer Filesystem Changeset"): ".wh.NAME" removes NAME, ".wh..wh..opq"
 * all that the layers below have in its directory; other names that begin
 * with ".wh..wh." are of AUFS and mean nothing.
 */

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META_PREFIX ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

enum whiteout {
	WHITEOUT_NONE,
	WHITEOUT_NAME,	 /* of the name behind the prefix */
	WHITEOUT_ALL,	 /* of the directory it lies in */
	WHITEOUT_IGNORED /* AUFS's own */
};

/* What the last part of a path says. */
enum whiteout whiteout_of(const char *name);

#endif
