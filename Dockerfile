# The image of turnstile, and of the fake relay that docker/compose.yaml's profile "demo" starts.
#
#   docker build -t turnstile .                           turnstile: libraries, one binary, licences
#   docker build -t fake-relay --target fake-relay .      a scriptable Claude API (tests/fake_relay)
#
# What is built from is in config/packages, groups build and check; what is needed at run time is
# found by asking the linker, so no second list can drift. Nothing is cached outside of layers: it
# works with the classic builder and with BuildKit.
ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
# The list before the source, so that a changed source file installs nothing again.
COPY config/packages config/install-packages config/
RUN config/install-packages build check
COPY . .
RUN meson setup build && ninja -C build src/turnstile tests/fake_relay
RUN meson test -C build --suite unit --suite lint --print-errorlogs
RUN set -e; \
	install -D -s -t /out/bin build/src/turnstile build/tests/fake_relay; \
	install -D -m 644 LICENSE /out/doc/LICENSE; \
	install -D -m 644 /usr/share/doc/uthash-dev/copyright /out/doc/uthash.copyright; \
	ldd /out/bin/* | awk '$2 == "=>" { print $3 }' | xargs -r realpath | sort -u | \
		xargs dpkg-query -S | cut -d: -f1 | sort -u >/out/packages; \
	grep -q '^libmicrohttpd' /out/packages

# Both images stand on this, so they share its layer. ca-certificates: for an https upstream.
FROM ${BASE_IMAGE} AS libraries
COPY --from=build /out/packages /usr/share/doc/turnstile/packages
RUN apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive xargs -a /usr/share/doc/turnstile/packages \
		apt-get install -q -y --no-install-recommends ca-certificates && \
	rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log
COPY --from=build /out/doc /usr/share/doc/turnstile/

FROM libraries AS fake-relay
COPY --from=build /out/bin/fake_relay /usr/local/bin/
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3000"]
ENTRYPOINT ["/usr/local/bin/fake_relay", "--address", "0.0.0.0", "--port", "3000"]

FROM libraries AS turnstile
ARG VERSION=0.2.0
ARG REVISION=
LABEL org.opencontainers.image.title="turnstile" \
	org.opencontainers.image.description="Queues the user messages of a Claude account in front of a relay" \
	org.opencontainers.image.licenses="MIT" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}" \
	org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim"
COPY --from=build /out/bin/turnstile /usr/local/bin/
# Reachable from outside the container; the admin listener stays on its loopback until it has a token.
ENV TURNSTILE_LISTEN_ADDRESS=0.0.0.0:8080 TURNSTILE_LOG_FORMAT=json
# A number, so that `runAsNonRoot` can check it. Nothing is ever written: --read-only works.
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["turnstile", "--health"]
ENTRYPOINT ["/usr/local/bin/turnstile"]
