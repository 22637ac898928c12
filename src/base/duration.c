#include "base/duration.h"

#include <inttypes.h>

void duration_put(struct buf *to, int64_t ms)
{
	int64_t s = (ms + 500) / 1000, min = (s + 30) / 60;

	if (s < 300)
		buf_printf(to, "%" PRId64 " s", s);
	else if (min < 100)
		buf_printf(to, "%" PRId64 " min", min);
	else
		buf_printf(to, "%" PRId64 " h %" PRId64 " min", min / 60, min % 60);
}
