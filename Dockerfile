# One image for each service, all from one build: `docker build --target api .`
# A new service: its two lines at the end, and its entry in docker-compose.yml.

FROM rust:1.95-slim-trixie AS toolchain

FROM toolchain AS build
WORKDIR /source
# Static binaries need nothing of the image that they run in. A named target keeps the flag away from
# procedural macros, which must be dynamic. Packed relocations (DT_RELR) are a twentieth of plain ones.
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" SQLX_OFFLINE=true
# `release`, or cargo's `dev`, which is built anew in a fraction of the time.
ARG PROFILE=release
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY . .
# Cargo goes by the times of files, and an unpacked release may be older than the last build: what has changed since is
# touched. What comes out has no time, so that the same sources give the same layers.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    built="target/$PROFILE.sha256" && touch "$built" \
    && find . -path ./target -prune -o -type f -exec sha256sum {} + | sort >/sources.sha256 \
    && comm -13 "$built" /sources.sha256 | cut -c67- | xargs -r -d '\n' touch \
    && target="$(rustc --print host-tuple)" \
    && cargo build --profile "$PROFILE" --locked --workspace --exclude xtask --bins --target "$target" \
    && mv /sources.sha256 "$built" \
    && mkdir /programs \
    && if [ "$PROFILE" = dev ]; then folder=debug; else folder="$PROFILE"; fi \
    && find "target/$target/$folder" -maxdepth 1 -type f -executable -name 'event-planner-*' -exec cp {} /programs/ \; \
    && strip --strip-all /programs/* \
    && touch --date=@0 /programs/*

# A certificate of our own making, for development only: nginx/self-sign.
FROM toolchain AS certificate
RUN install -d -o 101 -g 101 /certificates
COPY --chmod=755 nginx/self-sign /
USER 101:101
ENTRYPOINT ["/self-sign"]

# What every service stands on: certificate authorities, time zones, no shell.
FROM gcr.io/distroless/static-debian13:nonroot AS service
LABEL org.opencontainers.image.title="Event Planner" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
USER 65532:65532
ENV METRICS_ADDR=0.0.0.0:9100
ENTRYPOINT ["/service"]
HEALTHCHECK --interval=5s --timeout=4s --retries=3 --start-period=30s CMD ["/service", "healthcheck"]

FROM service AS api
ENV LISTEN_ADDR=0.0.0.0:8000 HEALTHCHECK_URL=http://127.0.0.1:8000/ready
CMD ["serve"]
COPY --from=build /programs/event-planner-api /service

FROM service AS sandbox
ENV LISTEN_ADDR=0.0.0.0:3020
COPY --from=build /programs/event-planner-sandbox /service

FROM service AS sidecar
ENV LISTEN_ADDR=0.0.0.0:3000 HEALTHCHECK_URL=http://127.0.0.1:3000/health

FROM sidecar AS mcp-postgres
COPY --from=build /programs/event-planner-mcp-postgres /service

FROM sidecar AS mcp-gdrive
COPY --from=build /programs/event-planner-mcp-gdrive /service

FROM sidecar AS mcp-slack
COPY --from=build /programs/event-planner-mcp-slack /service

FROM sidecar AS mcp-calendar
COPY --from=build /programs/event-planner-mcp-calendar /service

FROM sidecar AS mcp-stripe
COPY --from=build /programs/event-planner-mcp-stripe /service

FROM sidecar AS mcp-twilio
COPY --from=build /programs/event-planner-mcp-twilio /service

FROM sidecar AS mcp-linear
COPY --from=build /programs/event-planner-mcp-linear /service
