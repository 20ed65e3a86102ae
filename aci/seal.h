/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_SEAL_H
#define ACI_SEAL_H

/*
 * What a file system offers against changing a file that never changes.  Not
 * having it fails nothing: an image's ID says what its bytes have to be.
 */

/*
 * fs-verity (Linux 5.4; ext4, f2fs, btrfs with the feature): from now on the
 * kernel compares what is read with what is there now.  FD, the only open
 * description of the file that can write, becomes one that can only read.
 * For a file that is whole.
 */
void seal_verity(int fd);

/* The immutable flag, chattr(1)'s +i: neither written nor renamed, linked or
 * removed, by root either.  Needs CAP_LINUX_IMMUTABLE.  Nothing happens to a
 * file that may be written by its mode: it is not on the disk yet. */
void seal_immutable(int fd);

/* Takes that flag from NAME below DIRFD, which is to be removed or renamed. */
void seal_lift(int dirfd, const char *name);

/* The flag for NAME below DIRFD, if there is such a file: a command that was
 * killed may have left it without. */
void seal_again(int dirfd, const char *name);

#endif
