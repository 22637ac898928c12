#include "queue/redis/loss.h"

#include "base/mem.h"

static const struct {
	const char *word, *cause;
} losses[] = {
	[LOSS_NONE] = { "", "nothing" },
	[LOSS_OVER] = { "over", "its lease ran out" },
	[LOSS_GONE] = { "gone", "its key was deleted, evicted or flushed" },
	[LOSS_TAKEN] = { "taken", "another program took the lock" },
	[LOSS_ENDED] = { "ended", "an operator ended it" },
};

enum loss loss_of(struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
		if (span_eq(word, span_of(losses[i].word)))
			return (enum loss)i;
	}
	return LOSS_GONE;
}

const char *loss_cause(enum loss loss)
{
	return losses[loss].cause;
}
