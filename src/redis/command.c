#include "redis/command.h"

#include <inttypes.h>
#include <stdio.h>

#include "redis/slot.h"

static void put_arg(struct buf *b, struct span arg)
{
	buf_printf(b, "$%zu\r\n", arg.len);
	buf_append(b, arg.ptr, arg.len);
	buf_puts(b, "\r\n");
}

void redis_arg(struct redis_command *c, struct span arg)
{
	put_arg(&c->args, arg);
	c->argc++;
}

void redis_arg_str(struct redis_command *c, const char *arg)
{
	redis_arg(c, span_of(arg));
}

void redis_arg_int(struct redis_command *c, int64_t arg)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRId64, arg);
	redis_arg_str(c, digits);
}

void redis_arg_key(struct redis_command *c, const char *key)
{
	redis_arg_str(c, key);
	c->slot = redis_slot(span_of(key));
}

void redis_command_append(struct redis_command *c, const struct redis_command *other)
{
	buf_append(&c->args, other->args.data, other->args.len);
	c->argc += other->argc;
}

void redis_command_clear(struct redis_command *c)
{
	buf_clear(&c->args);
	c->argc = 0;
}

void redis_command_encode(const struct redis_command *c, struct buf *out)
{
	buf_printf(out, "*%d\r\n", c->argc);
	buf_append(out, c->args.data, c->args.len);
}

void redis_script_encode(const struct redis_script *script, bool by_text,
			 const struct redis_command *c, struct buf *out)
{
	buf_printf(out, "*%d\r\n", c->argc + 2);
	put_arg(out, by_text ? SPAN("EVAL") : SPAN("EVALSHA"));
	put_arg(out, span_of(by_text ? script->text : script->sha));
	buf_append(out, c->args.data, c->args.len);
}
