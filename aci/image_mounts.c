/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_mounts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"

int image_mount_name(int cas_fd, const char *id, const char *below,
		     char buf[IMAGE_MOUNT_NAME_MAX], struct error *err)
{
	struct stat st;

	if (fstat(cas_fd, &st) < 0)
		return error_sys(err, errno, "stat the image store");
	(void)snprintf(
		buf, IMAGE_MOUNT_NAME_MAX, IMAGE_MOUNT_DIR "/%llx-%llx%s%s%s",
		(unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		*id ? "/" : "", id, below);
	return 0;
}

int image_mounts_list(int cas_fd, struct strv *ret, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	char name[IMAGE_MOUNT_NAME_MAX];
	const struct dirent *e;
	int r = image_mount_name(cas_fd, "", "", name, err);

	if (r == 0)
		dir = opendir(name);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			strv_push(ret, e->d_name);
	return r;
}

int image_mount_detach(int cas_fd, const char *id, struct error *err)
{
	char name[IMAGE_MOUNT_NAME_MAX];
	int r = image_mount_name(cas_fd, id, "", name, err);

	if (r < 0)
		return r;
	while (umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT && errno != EPERM &&
	    errno != EACCES)
		return error_sys(err, errno, "unmount %s", name);
	(void)rmdir(name);
	if (image_mount_name(cas_fd, "", "", name, NULL) == 0)
		(void)rmdir(name); /* if it was the store's last one */
	return 0;
}
