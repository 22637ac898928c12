/*
 * health.c - one GET with blocking calls, and an alarm over all of it.
 *
 * It runs in a process of its own, every few seconds in a container: so no event loop, no library.
 * The time limit is a signal because it has to hold for looking up a name as well.
 */
#include "health.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/runfile.h"
#include "net/listener.h"

enum { LIMIT_S = 2, ANSWER_MAX = 64 * 1024, SHOWN_MAX = 400, UNHEALTHY = 1 };

static void on_alarm(int signum)
{
	static const char text[] = "turnstile --health: no answer within 2 s\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);

	(void)signum, (void)written;
	_exit(UNHEALTHY);
}

static int unhealthy(const char *address, const char *why)
{
	fprintf(stderr, "turnstile --health: %s: %s\n", address, why);
	return UNHEALTHY;
}

/* Port 0 is another one with each start; nobody can know which. */
static const char *why_not_to_ask(const char *address)
{
	if (!address[0])
		return "admin.address is empty, so there is nobody to ask";
	if (strncmp(address, "unix:", 5) && span_ends(span_of(address), SPAN(":0")))
		return "admin.address has port 0; give it a fixed one";
	return NULL;
}

static int exchange(int fd, const char *path, struct buf *answer)
{
	CLEANUP(buf_clear) struct buf ask = { 0 };
	ssize_t n;

	buf_printf(&ask, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	if (send(fd, ask.data, ask.len, MSG_NOSIGNAL) != (ssize_t)ask.len)
		return -errno;
	while (answer->len < ANSWER_MAX) {
		n = recv(fd, buf_reserve(answer, SHOWN_MAX), SHOWN_MAX, 0);
		if (n <= 0)
			return n ? -errno : 0;
		answer->len += (size_t)n;
	}
	return -EMSGSIZE;
}

/* Of "HTTP/1.1 200 OK…"; 0 if it is something else. */
static int status_of(const char *answer)
{
	int status;

	return sscanf(answer, "HTTP/1.%*1[01] %3d", &status) == 1 ? status : 0;
}

/* The body on one line, made fit for a terminal. */
static void put_body(const char *answer, struct buf *to)
{
	const char *body = strstr(answer, "\r\n\r\n");
	bool blank = true;

	for (body = body ? body + 4 : ""; *body && to->len < SHOWN_MAX; body++) {
		unsigned char c = (unsigned char)*body;

		if (isspace(c) && blank)
			continue;
		blank = isspace(c);
		buf_append(to, blank || !isprint(c) ? " " : body, 1);
	}
}

/* --- where to ask ----------------------------------------------------------------------------- */

/* admin.address by these sources, whatever is wrong with other options; to `why` if it is itself. */
static void read_address(const struct config_sources *sources, struct buf *ret, struct buf *why)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(buf_clear) struct buf errors = { 0 };
	int r = config_read(sources, &errors, &config);
	struct span rest = buf_span(&errors), line;

	while (r < 0 && span_next(&rest, '\n', &line)) {
		CLEANUP(freep) char *text = xstrndup(line.ptr, line.len);

		if (!why->len &&
		    (strstr(text, "admin.address: ") || strstr(text, "ADMIN_ADDRESS: ")))
			buf_puts(why, text);
	}
	buf_puts(ret, config->admin.address);
}

static void find_address(const struct config_sources *sources, struct buf *ret, struct buf *why)
{
	struct config_sources without_file = *sources;

	without_file.file = NULL;
	if (config_is_given(sources, "admin.address"))
		read_address(&without_file, ret, why);
	else if (runfile_find("/proc", sources->file, ret) < 0)
		read_address(sources, ret, why);
}

int health_ask(const struct config_sources *sources, const char *path)
{
	CLEANUP(buf_clear) struct buf errors = { 0 }, answer = { 0 }, body = { 0 }, where = { 0 };
	const char *address, *why;
	int fd, r, status;

	signal(SIGALRM, on_alarm);
	alarm(LIMIT_S);
	find_address(sources, &where, &errors);
	address = buf_str(&where);
	why = why_not_to_ask(address);
	if (errors.len)
		return unhealthy("admin.address can't be told", buf_str(&errors));
	if (why)
		return unhealthy(address, why);
	fd = listener_connect(address, &errors);
	if (fd < 0) {
		fprintf(stderr, "turnstile --health: %s", buf_str(&errors));
		return UNHEALTHY;
	}
	r = exchange(fd, path, &answer);
	close(fd);
	if (r < 0)
		return unhealthy(address, strerror(-r));
	status = status_of(buf_str(&answer));
	put_body(buf_str(&answer), &body);
	fprintf(status == 200 ? stdout : stderr, "turnstile --health: %s answers %s with %d: %s\n",
		address, path, status, buf_str(&body));
	return status == 200 ? 0 : UNHEALTHY;
}
