# One image for all four services and the command line; what differs is the command.
FROM python:3.12-slim AS build
WORKDIR /src
COPY constraints.txt pyproject.toml README.md ./
COPY services services
COPY shared shared
RUN python -m venv /opt/headgate \
 && PIP_CONSTRAINT=constraints.txt /opt/headgate/bin/pip install --no-cache-dir --disable-pip-version-check . \
 && /opt/headgate/bin/pip uninstall --yes --quiet pip

FROM python:3.12-slim
COPY --from=build /opt/headgate /opt/headgate
# folders that volumes are mounted on take their owner from here
RUN mkdir -p /state /certs && chown 65532:65532 /state /certs
ENV PATH=/opt/headgate/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HEADGATE_STATE_DIR=/state HEADGATE_CERT_DIR=/certs
USER 65532:65532
ENTRYPOINT ["headgate"]
CMD ["--help"]
