# syntax=docker/dockerfile:1
# Two images from one build: docker build --target control . and docker build --target ingest .

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY . .
RUN npx -y pnpm@12.21.0 install --frozen-lockfile --reporter=append-only \
    && npx -y pnpm@12.21.0 exec node deploy/bundle.mjs /out

# What both need: Node, and nobody's rights. The root may be read-only; only /data is written to.
FROM node:24.21.0-bookworm-slim AS service
ENV NODE_ENV=production \
    SLUICE_METRICS_PORT=9464
RUN mkdir /data && chown node:node /data
WORKDIR /app
USER node
VOLUME /data
EXPOSE 9464
# Whether it lives, not whether it is ready: an orchestrator asks /readyz itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:9464/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "main.mjs"]

FROM service AS control
ENV SLUICE_CONTROL_HOST=0.0.0.0 \
    SLUICE_DATA_DIR=/data
COPY --from=build /out/control /app
EXPOSE 8080

FROM service AS ingest
ENV SLUICE_INSPECT_HOST=0.0.0.0 \
    SLUICE_INSPECT_PORT=8081 \
    SLUICE_SPOOL_DIR=/data
COPY --from=build /out/ingest /app
EXPOSE 8081
