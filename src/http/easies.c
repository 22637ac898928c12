#include "http/easies.h"

#include <stdlib.h>

#include "base/mem.h"

enum { IDLE_MAX = 256, REUSABLE_SINCE = 0x080200 };

void easies_open(struct easies *e)
{
	list_init(&e->idle);
	e->max = curl_version_info(CURLVERSION_NOW)->version_num < REUSABLE_SINCE ? 0 : IDLE_MAX;
}

static void easy_free(struct easy *easy)
{
	curl_easy_cleanup(easy->curl);
	free(easy);
}

struct easy *easies_take(struct easies *e)
{
	struct easy *easy = list_first(&e->idle, struct easy, link);

	if (easy) {
		list_remove(&easy->link);
		e->count--;
		return easy;
	}
	easy = xcalloc(1, sizeof *easy);
	easy->curl = curl_easy_init();
	must(easy->curl);
	return easy;
}

void easies_put(struct easies *e, struct easy *easy)
{
	if (e->count >= e->max) {
		easy_free(easy);
		return;
	}
	curl_easy_reset(easy->curl);
	list_prepend(&e->idle, &easy->link);
	e->count++;
}

void easies_clear(struct easies *e)
{
	struct easy *easy;

	while ((easy = list_first(&e->idle, struct easy, link))) {
		list_remove(&easy->link);
		easy_free(easy);
	}
	e->count = 0;
}
