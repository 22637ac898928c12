/*
 * fuzz_ini.c - configuration files: each is read, or each error has its place; nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "driver.h"
#include "mutate.h"

enum { COUNT = 6000 };

static const char *const files[] = {
	"[listen]\naddress = 127.0.0.1:8080\nmax_connections = 5\n\n[upstream]\nurl = http://h:1/p\n",
	"[queue]\ndelay_ms = 200\npaths = /v1/messages, /x\nexempt = probe, title\n# comment\n",
	"[account \"team-a\"]\nkeys = cr_0123456789, sk-ant-0123456789\ndelay_ms = 5\n",
	"[redis]\nurl = redis+sentinel://u:p%40@[::1]:1,h:2/m/3\nkey_prefix = p\n[log]\nformat = json\n",
	"[admin]\naddress = unix:/tmp/x\ntokens = a:0123456789abcdef:read\n",
	"\xef\xbb\xbf[upstream]\nproxy = socks5h://u:p@h:1\nca_file = /dev/null\n",
};

static const char *const tokens[] = {
	"\n",
	"\r\n",
	"[",
	"]",
	"=",
	":",
	";",
	"#",
	"\"",
	" ",
	"\t",
	"[account \"x\"]\n",
	"[queue]\n",
	"\x01",
	"\xff",
	"-1",
	"99999999999999999999",
	"1e9",
	"5m",
	"1GiB",
	",",
	",,",
	"%",
	"%0",
	"%00",
	"[::",
	"//",
	"@",
	"unix:",
	"http://",
	"redis://",
	"keys = x\n",
	"\\",
	"'",
	"\xef\xbb\xbf",
	"[account \"\"]\n",
	"= =\n",
};

static void load(int fd, const struct buf *text)
{
	CLEANUP(freep) char *path = xasprintf("/proc/self/fd/%d", fd);
	CLEANUP(buf_clear) struct buf errors = { 0 };
	struct config_sources sources = { .file = path };
	struct config *config = NULL;
	int r;

	must(ftruncate(fd, 0) == 0);
	must(pwrite(fd, text->data, text->len, 0) == (ssize_t)text->len);
	r = config_load(&sources, &errors, &config);
	must((r == 0) == (config != NULL) && (r == 0) == !errors.len);
	config_free(config);
}

int main(int argc, char **argv)
{
	struct random r;
	size_t count = fuzz_count(argc, argv, COUNT, &r);
	CLEANUP(buf_clear) struct buf b = { 0 };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0);
	for (size_t i = 0; i < count; i++) {
		b.len = 0;
		for (size_t n = 1 + random_below(&r, 3); n > 0; n--)
			buf_puts(&b, files[random_below(&r, ARRAY_SIZE(files))]);
		if (random_chance(&r, 20))
			buf_append(&b, "\0", 1);
		mutate(&r, &b, tokens, ARRAY_SIZE(tokens));
		load(fd, &b);
	}
	close(fd);
	return 0;
}
