#include "queue/memory/share.h"

#include <string.h>

#include "base/mem.h"

struct share *shares_use(struct shares *s, const char *name)
{
	struct share *share;

	HASH_FIND_STR(s->by_name, name, share);
	if (!share) {
		share = xcalloc(1, sizeof *share + strlen(name) + 1);
		strcpy(share->name, name);
		list_init(&share->kept);
		HASH_ADD_KEYPTR(hh, s->by_name, share->name, strlen(share->name), share);
	}
	share->uses++;
	return share;
}

void shares_drop(struct shares *s, struct share *share)
{
	if (!share || --share->uses)
		return;
	must(!share->waiting && !share->kept_count);
	HASH_DEL(s->by_name, share);
	free(share);
}
