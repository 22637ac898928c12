#include "request/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void hash_name(const char *prefix, struct span value, size_t digits, char *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size;
	char *to = stpcpy(ret, prefix);

	must(EVP_Digest(value.ptr, value.len, digest, &size, EVP_sha256(), NULL) == 1);
	must(digits % 2 == 0 && digits / 2 <= size);
	for (size_t i = 0; i < digits / 2; i++)
		to += sprintf(to, "%02x", digest[i]);
}
