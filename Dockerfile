# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -tags nomsgpack -trimpath \
    -ldflags "-s -w -X github.com/dlrloop/dlrloop/cli.version=$VERSION" -o /out/dlrloop . \
    && mkdir /out/data

FROM scratch
ARG VERSION=dev REVISION=
LABEL org.opencontainers.image.title="dlrloop" \
      org.opencontainers.image.description="Stores Sinch SMS delivery reports durably and sends delivery feedback" \
      org.opencontainers.image.source="https://github.com/dlrloop/dlrloop" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/dlrloop /dlrloop
# A new volume gets its owner from this directory. Everything else may be read-only.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
# The configuration is /config.yaml, or the file that $DLRLOOP_CONFIG names. The store is always in the volume; this
# overrides store.path.
WORKDIR /
ENV DLRLOOP_STORE_PATH=/data
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/dlrloop", "healthcheck"]
ENTRYPOINT ["/dlrloop"]
CMD ["serve"]
