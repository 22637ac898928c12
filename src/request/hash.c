#include "request/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/mem.h"

/* A printf() for each byte took longer than the hash. */
static void put_hex(const unsigned char *digest, size_t bytes, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		*to++ = digits[digest[i] >> 4];
		*to++ = digits[digest[i] & 0xf];
	}
	*to = '\0';
}

void hash_name(const char *prefix, struct span value, size_t digits, char *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size;
	char *to = stpcpy(ret, prefix);

	must(EVP_Digest(value.ptr, value.len, digest, &size, EVP_sha256(), NULL) == 1);
	must(digits % 2 == 0 && digits / 2 <= size);
	put_hex(digest, digits / 2, to);
}

void hash_sign(const char *secret, struct span text, char ret[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size;

	must(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text.ptr,
		  text.len, digest, &size));
	must(size == 32);
	put_hex(digest, size, ret);
}
