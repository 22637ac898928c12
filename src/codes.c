#include "codes.h"

#include "proxy/outcome.h"
#include "request/reason.h"
#include "request/request.h"

static void print_outcome(const struct outcome_info *o, FILE *to)
{
	fprintf(to, "  %s = ", o->word);
	if (o->status)
		fprintf(to, "%d", o->status);
	else
		fputs("upstream", to);
	fprintf(to, " %s %s\n      %s\n", o->type ? o->type : "-", o->code ? o->code : "-",
		o->help);
}

void codes_print(FILE *to)
{
	fputs("Outcomes: how a request ended (outcome= in the log), with the status, error.type and\n"
	      "error.code that its client was told. 499 and 408 are in the log only.\n\n",
	      to);
	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		print_outcome(&outcome_info[i], to);
	fputs("\nReasons: why a request was what it was (reason= in the log), with its kind.\n\n",
	      to);
	for (int i = 0; i < REQUEST_REASON_COUNT; i++) {
		const struct request_reason_info *r = request_reason_info((enum request_reason)i);

		fprintf(to, "  %s = %s\n      %s\n", r->code, request_kind_name(r->kind), r->help);
	}
}
