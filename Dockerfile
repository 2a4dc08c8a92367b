# Amargo in a container: docker build -t amargo . && docker run -d -p 3000:3000 -v amargo:/var/lib/amargo amargo
#
# The store is a volume and belongs to the user 10001. A configuration of your own goes to /etc/amargo/amargo.yaml:
#   docker run … -v ./amargo.yaml:/etc/amargo/amargo.yaml:ro amargo
# Commands run in the container, beside the server: docker exec NAME amargo ls

ARG SWIFT_IMAGE=swift:6.2-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${SWIFT_IMAGE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends libssl-dev zlib1g-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# What is depended on is fetched again only when Package.swift changes.
COPY Package.swift ./
RUN swift package --scratch-path .build-release resolve
COPY . .
RUN scripts/start --build-only && strip --strip-unneeded -o /amargo .build-release/release/amargo

FROM ${RUNTIME_IMAGE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 libstdc++6 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 amargo \
    && useradd --system --uid 10001 --gid amargo --home-dir /var/cache/amargo --no-create-home --shell /usr/sbin/nologin amargo \
    && install -d -o amargo -g amargo -m 0750 /var/lib/amargo /var/cache/amargo
COPY --from=build /amargo /usr/bin/amargo
COPY etc/amargo.yaml /etc/amargo/amargo.yaml
# The volume is the store, whatever a configuration that was made for another place says.
ENV AMARGO_STORE=/var/lib/amargo HOME=/var/cache/amargo
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
VOLUME /var/lib/amargo
EXPOSE 3000
ENTRYPOINT ["amargo"]
# In a container the loopback is the container's own. /health and the other pages of operations stay on it
# (server.operations: loopback) until the configuration says `all`; Kubernetes' probes of /ready need that.
# No HEALTHCHECK: it would need another program in the image, and an engine does nothing about an unhealthy container.
CMD ["serve", "--listen", "0.0.0.0:3000"]
