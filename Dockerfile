# The image of turnstile, and of the fake relay that docker/compose.yaml's profile "demo" starts.
#
#   docker build -t turnstile .                           turnstile: one binary, its libraries, licences
#   docker build -t fake-relay --target fake-relay .      a scriptable Claude API (tests/fake_relay)
#
# What is built from is in config/packages, groups build and check; what is needed at run time is
# found by asking the linker, so no second list can drift. Nothing names an architecture, and nothing is
# cached outside of layers: it works with the classic builder and with BuildKit, here and for others
# (docker/README.md: publishing).
ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
# The list before the source, so that a changed source file installs nothing again.
COPY config/packages config/install-packages config/
RUN config/install-packages build check && \
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ca-certificates
COPY . .
RUN meson setup build && ninja -C build src/turnstile tests/fake_relay
RUN meson test -C build --suite unit --suite lint --print-errorlogs
RUN docker/image-root /image build/src/turnstile && docker/image-root /fake-relay build/tests/fake_relay

FROM ${BASE_IMAGE} AS fake-relay
COPY --from=build /fake-relay/usr/ /usr/
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3000"]
ENTRYPOINT ["/usr/bin/fake_relay", "--address", "0.0.0.0", "--port", "3000"]

FROM scratch AS turnstile
ARG VERSION=0.2.0
ARG REVISION=
LABEL org.opencontainers.image.title="turnstile" \
	org.opencontainers.image.description="Queues the user messages of a Claude account in front of a relay" \
	org.opencontainers.image.licenses="MIT" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}" \
	org.opencontainers.image.base.name="scratch"
COPY --from=build /image/ /
# Reachable from outside the container; the admin listener stays on its loopback until it has a token.
ENV PATH=/usr/bin TURNSTILE_LISTEN_ADDRESS=0.0.0.0:8080 TURNSTILE_LOG_FORMAT=json
# A number, so that `runAsNonRoot` can check it. Nothing is ever written: --read-only works.
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["turnstile", "--health"]
ENTRYPOINT ["/usr/bin/turnstile"]
