/* http/pipe.c against a plain queue: nothing lost, nothing reordered, never more than PIPE_MAX. */
#include <stdlib.h>

#include "check.h"
#include "http/pipe.h"

static unsigned char expected(size_t i)
{
	return (unsigned char)(i * 131 + (i >> 8));
}

static void test_random_sizes(unsigned seed)
{
	struct pipe p = { 0 };
	size_t in = 0, out = 0;
	char piece[PIPE_MAX + 100];

	srandom(seed);
	for (int round = 0; round < 2000; round++) {
		size_t n = (size_t)random() % (round % 7 ? 5000 : sizeof piece), done;

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)expected(in + i);
		done = pipe_write(&p, piece, n);
		CHECK_INT((int64_t)done, (int64_t)MIN(n, PIPE_MAX - (in - out)));
		in += done;
		CHECK_INT((int64_t)pipe_room(&p), (int64_t)(PIPE_MAX - (in - out)));

		done = pipe_read(&p, piece, (size_t)random() % sizeof piece);
		for (size_t i = 0; i < done; i++) {
			if ((unsigned char)piece[i] != expected(out + i)) {
				CHECK(!"a byte differs");
				break;
			}
		}
		out += done;
	}
	while ((in - out) && pipe_read(&p, piece, 1) == 1)
		out++;
	CHECK_INT((int64_t)in, (int64_t)out);
	CHECK_INT((int64_t)pipe_read(&p, piece, 10), 0);
	CHECK(!p.data && !p.cap); /* thousands of idle streams have nothing in theirs */
	pipe_clear(&p);
	pipe_clear(&p);
	CHECK_INT((int64_t)pipe_room(&p), PIPE_MAX);
}

int main(void)
{
	for (unsigned seed = 1; seed <= 5; seed++)
		test_random_sizes(seed);
	return check_done();
}
