/*
 * pace.c - how many times longer does ordinary work take here and now than on a quiet machine?
 *
 *      pace                  prints it: "1.0", "7.4"; never less than 1
 *      pace COMMAND...       runs it, and goes on measuring as long as it runs; ends as it ends
 *
 * A limit on what should happen is the time that it may take on a quiet machine, times this factor. A probe
 * does what a step of a test does: it starts a process, works for some milliseconds, and waits for that
 * process. How long probes take, over what they take on the machine whose times the tests name
 * (REFERENCE_US), is the factor. So it has in it whatever makes things slower: the CPU, other load, a virtual
 * machine that doesn't get its turn, a sanitizer (this is built as the program is).
 *
 * With a COMMAND, the largest mean of the last minute stands in a file beside this program, for whom asks
 * meanwhile: who asks is late already, and what made it late may be over. Where nobody keeps that file,
 * whoever asks measures.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	REFERENCE_US = 5000, /* of a probe */
	WORDS = 64 * 1024,   /* that a probe works through */
	TIMES = 40,          /* so often */
	PROBES = 4,          /* in a mean */
	PAUSE_US = 250000,   /* between two, so that measuring is no load itself */
	MEANS = 60,          /* that count: a minute */
	STALE_S = 60,        /* an older file is of somebody who died */
};

static char path[4096]; /* of the file */
static pid_t command;

static void fail(const char *what)
{
	fprintf(stderr, "pace: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int64_t probe_us(void)
{
	static volatile uint32_t memory[WORDS];
	static char *const nothing[] = { "true", NULL };
	int64_t start_us = now_us();
	uint32_t hash = 2166136261;
	pid_t pid;

	errno = posix_spawnp(&pid, *nothing, NULL, NULL, nothing, environ);
	if (errno)
		fail(*nothing);
	for (size_t i = 0; i < TIMES * WORDS; i++) {
		hash = (hash ^ memory[i % WORDS]) * 16777619;
		memory[i % WORDS] = hash;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return now_us() - start_us;
}

static double measure(void)
{
	int64_t sum_us = 0;

	for (int i = 0; i < PROBES; i++)
		sum_us += probe_us();
	return (double)sum_us / PROBES / REFERENCE_US;
}

/* What the file says; 0 if nobody keeps it. */
static double told(void)
{
	struct stat st;
	double factor = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		return 0;
	if (fstat(fileno(f), &st) || time(NULL) - st.st_mtime > STALE_S ||
	    fscanf(f, "%lf", &factor) != 1)
		factor = 0;
	fclose(f);
	return factor;
}

static void tell(double factor)
{
	char fresh[sizeof path + 4];
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	if (!f || fprintf(f, "%.1f\n", factor) < 0 || fclose(f) || rename(fresh, path))
		fail(path);
}

static double largest(const double *factors, size_t n)
{
	double most = 1;

	for (size_t i = 0; i < n; i++)
		most = factors[i] > most ? factors[i] : most;
	return most;
}

static void pass_on(int sig)
{
	kill(command, sig);
}

static void start(char **argv)
{
	pid_t parent = getpid();

	command = fork();
	if (command < 0)
		fail("fork");
	if (!command) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent)
			execvp(*argv, argv);
		fail(*argv);
	}
	signal(SIGINT, SIG_IGN); /* from a terminal the command has it, too */
	signal(SIGTERM, pass_on);
}

/* Measures until the command has ended, and ends as it did. */
static int keep(char **argv)
{
	double means[MEANS] = { measure() }, first = *means, most = *means;
	int64_t sum_us = 0;
	int n = 1, probes = 0, status;

	tell(largest(means, MEANS));
	start(argv);
	while (!waitpid(command, &status, WNOHANG)) {
		usleep(PAUSE_US);
		sum_us += probe_us();
		if (++probes < PROBES)
			continue;
		means[n % MEANS] = (double)sum_us / PROBES / REFERENCE_US;
		most = largest((double[]){ most, means[n++ % MEANS] }, 2);
		tell(largest(means, MEANS));
		sum_us = probes = 0;
	}
	unlink(path);
	fprintf(stderr, "pace: %.1f at the start, %.1f at most\n", first, most);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof ".now");
	double factor;

	if (n < 0)
		fail("/proc/self/exe");
	strcpy(path + n, ".now");
	if (argc > 1)
		return keep(argv + 1);
	factor = told();
	if (!factor)
		factor = measure();
	printf("%.1f\n", largest(&factor, 1));
	return 0;
}
