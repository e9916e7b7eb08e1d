# otelope for a ClickHouse server (the last stage, so what `docker build .` makes), and the services
# of the demo. tests/packaging/test_dockerfile.py runs these steps without a container engine.

FROM docker.io/library/python:3.13.14-slim-trixie AS build
WORKDIR /src
COPY constraints.txt ./
RUN python -m pip install --constraint constraints.txt uv
RUN python -m venv --without-pip /opt/otelope
COPY pyproject.toml ./
# Before the sources, which change more often.
RUN python -m uv pip install --compile-bytecode --python /opt/otelope/bin/python --constraint constraints.txt --requirement pyproject.toml --extra server
COPY README.md LICENSE ./
COPY src src
RUN python -m uv build --wheel --build-constraints constraints.txt --out-dir dist
RUN python -m uv pip install --compile-bytecode --python /opt/otelope/bin/python --no-deps dist/*.whl

FROM build AS build-demo
RUN python -m uv pip install --compile-bytecode --python /opt/otelope/bin/python --constraint constraints.txt aiokafka confluent-kafka fastapi

FROM docker.io/library/python:3.13.14-slim-trixie AS runtime
ENV PATH=/opt/otelope/bin:$PATH PYTHONUNBUFFERED=1
# A new volume that covers this gets its mode: the collector may write to its queue, whoever it
# is, and nobody has to be root for that (docker-compose.yml, queue).
RUN mkdir --parents --mode=1777 /var/lib/otelcol/queue
COPY tools/ready.py /opt/otelope/ready.py
# By number, as Kubernetes wants it; there is no entry in /etc/passwd, and no need for one.
USER 10001:10001

FROM runtime AS demo
COPY --from=build-demo /opt/otelope /opt/otelope
WORKDIR /opt/demo
COPY examples/demo ./
ENTRYPOINT ["opentelemetry-instrument", "python"]

FROM runtime AS otelope
COPY --from=build /opt/otelope /opt/otelope
EXPOSE 4317 4318
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "/opt/otelope/ready.py", "--within=0", "http://127.0.0.1:4318/api/health"]
ENTRYPOINT ["otelope"]
CMD ["up", "--host=0.0.0.0"]
