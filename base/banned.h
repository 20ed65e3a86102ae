/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* Functions this project does not use, refused at compile time: the Makefile
 * passes -include base/banned.h after the system headers' own uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison gets strcpy strncpy sprintf vsprintf strtok atoi atol atoll
#pragma GCC poison tmpnam mktemp tempnam localtime gmtime ctime asctime popen

#endif
