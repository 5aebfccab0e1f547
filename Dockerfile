# The command line and server with ffmpeg, for x86-64 and aarch64. docs/server.md has how to run it.
FROM rust:1.89-slim-bookworm AS build
WORKDIR /src
COPY . .
# The bundled SQLite is C; gcc is in the image.
RUN cargo build --release --locked -p rife-cli

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl ffmpeg libvulkan1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin rife
COPY --from=build /src/target/release/rife /usr/local/bin/rife
COPY --from=build /src/LICENSE-APACHE /src/LICENSE-MIT /usr/share/doc/rife/
USER 10001
WORKDIR /data
# Models that are pulled, and what the server keeps.
ENV RIFE_MODELS_DIR=/data/models
VOLUME /data
EXPOSE 7860
# Without a token the server answers only itself: see RIFE_TOKEN in docs/server.md.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "--max-time", "4", "http://127.0.0.1:7860/health"]
ENTRYPOINT ["rife"]
CMD ["serve", "--host", "0.0.0.0", "--data", "/data/server"]
