/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_ACTOOL_IMAGE_H
#define CMD_ACTOOL_IMAGE_H

struct error;
struct fetch_image;

/* Has rkt-fetch read and check all of the image behind FD. */
int image_read(int fd, struct fetch_image *ret, struct error *err);

#endif
