#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { STEP_BYTES = 16 * 1024 };

static int wrong(struct buf *why, int r, const char *words)
{
	buf_puts(why, words);
	return r;
}

static int read_all(int fd, struct buf *ret, struct buf *why)
{
	ssize_t n;

	do {
		n = TEMP_FAILURE_RETRY(read(fd, buf_reserve(ret, STEP_BYTES), STEP_BYTES));
		if (n < 0)
			return wrong(why, -errno, strerror(errno));
		ret->len += (size_t)n;
		if (ret->len > FILE_BYTES_MAX)
			return wrong(why, -EFBIG, "is larger than 1 MiB");
	} while (n);
	return 0;
}

/* What stands for an empty file. */
static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

static int read_regular(int fd, struct buf *ret, struct buf *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return wrong(why, -errno, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return wrong(why, -EISDIR, strerror(EISDIR));
	if (!S_ISREG(st.st_mode) && !is_null(&st))
		return wrong(why, -EINVAL, "is not a regular file");
	if (st.st_size > FILE_BYTES_MAX)
		return wrong(why, -EFBIG, "is larger than 1 MiB");
	return read_all(fd, ret, why);
}

int file_read(const char *path, struct buf *ret, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;

	if (fd < 0)
		return wrong(why, -errno, strerror(errno));
	r = read_regular(fd, ret, why);
	close(fd);
	return r;
}
