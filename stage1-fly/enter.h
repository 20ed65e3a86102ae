/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_FLY_ENTER_H
#define STAGE1_FLY_ENTER_H

/* `stage1-fly enter --pid=N --appname=APP -- CMD [ARG...]`: CMD as root in the
 * app's root and with its environment.  Exits with the command's code. */
int fly_enter_main(int argc, char *const argv[]);

#endif
