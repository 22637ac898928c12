/*
 * test_runfile.c - processes that say where they are asked, and finding the right one.
 *
 * Each child is a process; "proc" is a directory of links to those of them that are there.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/runfile.h"
#include "check.h"

static char *work_dir;

/* A process with its run file; config NULL: none. */
static pid_t child(const char *admin, const char *config)
{
	int ready[2];
	pid_t pid;
	char c;

	must(pipe(ready) == 0);
	pid = fork();
	if (!pid) {
		struct runfile *f = runfile_new(admin, config);

		must(f && write(ready[1], "x", 1) == 1);
		pause();
		_exit(0);
	}
	must(pid > 0 && read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0) == pid);
}

/* Shows this process in "proc". */
static void show(pid_t pid)
{
	CLEANUP(freep)
	char *to = xasprintf("/proc/%d", (int)pid), *at = xasprintf("proc/%d", (int)pid);

	must(symlink(to, at) == 0);
}

static void hide_all(void)
{
	DIR *dir = opendir("proc");
	struct dirent *d;

	while ((d = readdir(dir))) {
		if (d->d_name[0] != '.')
			must(unlinkat(dirfd(dir), d->d_name, 0) == 0);
	}
	closedir(dir);
}

static void check_find(const char *config, const char *want)
{
	struct buf got = { 0 };
	int r = runfile_find("proc", config, &got);

	CHECK_INT(r, want ? 0 : -ENOENT);
	CHECK_STR(buf_str(&got), want ? want : "");
	buf_clear(&got);
}

static void test_nobody(void)
{
	pid_t gone = child("127.0.0.1:1", NULL);

	check_find(NULL, NULL);
	show(getpid()); /* a process without one */
	show(gone);
	end(gone);
	check_find(NULL, NULL);
	check_find("/etc/t.ini", NULL);
	hide_all();
}

/* What it was started with decides; without a file the only one there is. */
static void test_which(void)
{
	CLEANUP(freep) char *here = xasprintf("%s/t.ini", work_dir);
	pid_t a = child("127.0.0.1:1", "/etc/t.ini"), b = child("unix:/run/a b", "t.ini");
	pid_t c = child("127.0.0.1:3", NULL);

	show(a);
	check_find("/etc/t.ini", "127.0.0.1:1");
	check_find(NULL, "127.0.0.1:1");
	check_find("/etc/u.ini", NULL);
	show(b);
	check_find("/etc/t.ini", "127.0.0.1:1");
	check_find("t.ini", "unix:/run/a b");
	check_find(here, "unix:/run/a b");
	check_find(NULL, NULL); /* no telling which */
	show(c);
	check_find(NULL, "127.0.0.1:3");
	check_find("t.ini", "unix:/run/a b");
	hide_all();
	end(a);
	end(b);
	end(c);
}

/* In a takeover both are there for a moment. */
static void test_last(void)
{
	pid_t a = child("127.0.0.1:1", "t.ini"), b, same;

	usleep(30 * 1000); /* a start is told in ticks of 10 ms */
	b = child("127.0.0.1:2", "t.ini");
	same = child("127.0.0.1:2", "other.ini");
	show(a);
	show(b);
	check_find("t.ini", "127.0.0.1:2");
	check_find(NULL, NULL);
	end(a);
	check_find("t.ini", "127.0.0.1:2");
	show(same);
	check_find(NULL, "127.0.0.1:2"); /* two of one address are no question */
	hide_all();
	end(b);
	end(same);
}

/* Nowhere to be asked is an answer, too; and one that was taken back is none. */
static void test_nowhere(void)
{
	struct runfile *f = runfile_new("", "t.ini");

	show(getpid());
	check_find("t.ini", "");
	runfile_free(f);
	check_find("t.ini", NULL);
	runfile_free(NULL);
	hide_all();
}

int main(void)
{
	work_dir = xstrdup("/tmp/test_runfile.XXXXXX");
	must(mkdtemp(work_dir) && chdir(work_dir) == 0 && mkdir("proc", 0700) == 0);
	test_nobody();
	test_which();
	test_last();
	test_nowhere();
	must(rmdir("proc") == 0 && rmdir(work_dir) == 0);
	free(work_dir);
	return check_done();
}
