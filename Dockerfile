# One image with the programs of all services; which one runs is the container's command. Needs BuildKit, which docker compose
# uses, and which docker build uses by default since Docker 23.

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies, downloaded and compiled, stay in caches of the builder: a change of our code compiles our code alone. What is to
# be kept leaves the cache in the same step, since a cache is part of no layer. cargo compiles what is newer than its last build.
# The last build may be of a later commit or of another clone, so every file gets the present date.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + && \
    cargo build --locked --release -p accounts -p endpoints -p metrics -p page -p canary -p lab && \
    mkdir /programs && \
    install --strip --target-directory=/programs target/release/accounts target/release/endpoints \
        target/release/metrics target/release/page target/release/canary target/release/lab

FROM debian:12.12-slim
# A volume that is empty takes over the folder's owner when it is first mounted.
RUN groupadd --gid 10001 service && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin service && \
    install --directory --owner=service --group=service /data
COPY --from=build /programs /usr/local/bin
COPY --chmod=755 deploy/image/ /usr/local/bin/
USER 10001:10001
WORKDIR /data
# The one setting that differs from a start without a container: there, loopback is nobody's but the container's own.
ENV LISTEN=0.0.0.0:8080
EXPOSE 8080
CMD ["page"]
